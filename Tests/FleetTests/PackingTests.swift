import Fleet
import Primitives
import Testing

@Suite struct PackingTests {
    let pod = PodID(bits: 1)
    let room = Resources(milliCPU: 8_000, memoryMiB: 32_768, diskMiB: 200_000)
    let small = Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480)
    let large = Resources(milliCPU: 3_000, memoryMiB: 8_192, diskMiB: 20_480)

    private func hosts(_ count: UInt64) -> Packing {
        Packing(rooms: Dictionary(uniqueKeysWithValues: (1...count).map { (HostID(bits: $0), Packing.Room(pod: pod, resources: room)) }))
    }

    private func period(_ from: Int64, _ until: Int64) -> Period { Period(start: Instant(seconds: from), end: Instant(seconds: until)) }

    @Test func aLotLiesOnOneHost() {
        var packing = hosts(2)
        #expect(packing.room(for: large, during: nil) == 4)
        #expect(packing.place(3, of: large, during: nil).map(\.lots) == [2, 1])
        #expect(packing.room(for: large, during: nil) == 1)
        #expect(packing.room(for: small, during: nil) == 2 + 5)
        #expect(packing.place(9, of: large, during: nil).map(\.lots) == [1], "as many as fit")
    }

    @Test func whatIsForOneTimeIsFreeAtOthers() {
        var packing = hosts(1)
        _ = packing.place(6, of: small, during: period(10, 20))
        _ = packing.place(4, of: small, during: period(20, 30))
        #expect(packing.room(for: small, during: period(0, 10)) == 8)
        #expect(packing.room(for: small, during: period(5, 11)) == 2)
        #expect(packing.room(for: small, during: period(19, 21)) == 2)
        #expect(packing.room(for: small, during: period(20, 40)) == 4)
        #expect(packing.room(for: small, during: nil) == 2, "spot has no end")
    }

    @Test func claimsStayWhereTheyFitAndTheFirstGoFirst() {
        var packing = Packing(rooms: [
            HostID(bits: 1): Packing.Room(pod: pod, resources: room),
            HostID(bits: 2): Packing.Room(pod: pod, resources: Resources(milliCPU: 2_000, memoryMiB: 8_192, diskMiB: 50_000)),
        ])
        let claims = [
            Packing.Claim(lot: small, lots: 6, period: nil, host: HostID(bits: 1)),
            Packing.Claim(lot: small, lots: 3, period: nil, host: HostID(bits: 1)),
            Packing.Claim(lot: small, lots: 2, period: nil, host: HostID(bits: 9)),
        ]
        let outcomes = packing.arrange(claims)
        #expect(outcomes.map(\.kept) == [6, 2, 0])
        #expect(outcomes.map { $0.moved.map(\.lots) } == [[], [1], [1]])
        #expect(outcomes.flatMap(\.moved).allSatisfy { $0.host == HostID(bits: 2) })
        #expect(outcomes.map(\.left) == [0, 0, 1])
    }

    @Test func lotsLieOnlyInPodsThatMayDeliverThem() {
        let other = PodID(bits: 2)
        var packing = Packing(rooms: [
            HostID(bits: 1): Packing.Room(pod: pod, resources: room), HostID(bits: 2): Packing.Room(pod: other, resources: room),
        ])
        #expect(packing.room(for: small, during: nil, on: .only([other])) == 8)
        #expect(packing.place(9, of: small, during: nil, on: .only([other])).map(\.lots) == [8])
        #expect(packing.room(for: small, during: nil) == 8, "the other pod's host is free")
        #expect(packing.room(for: small, during: nil, on: .only([])) == 0)
        let strayed = Packing.Claim(lot: small, lots: 3, period: nil, host: HostID(bits: 1), pods: .only([other]))
        let outcome = packing.arrange([strayed])
        #expect(outcome.map(\.kept) == [0] && outcome.map(\.left) == [3], "no host may have them")
    }

    @Test func bareMetalHasOneLotAtATime() {
        var packing = Packing(rooms: [
            HostID(bits: 1): Packing.Room(pod: pod, resources: room, isWhole: true),
            HostID(bits: 2): Packing.Room(pod: pod, resources: small, isWhole: true),
        ])
        #expect(packing.room(for: small, during: nil) == 2, "however much a host has beside it")
        #expect(packing.place(1, of: large, during: period(10, 20)).map(\.host) == [HostID(bits: 1)])
        #expect(packing.room(for: small, during: period(0, 11)) == 1)
        #expect(packing.room(for: small, during: period(20, 30)) == 2, "then it is free again")
        #expect(packing.place(9, of: small, during: nil).map(\.host) == [HostID(bits: 2)])
        #expect(packing.room(for: large, during: period(12, 13)) == 0)
    }

    @Test func thePeakCountsWhatIsThereTogether() {
        #expect(Packing.peak(of: []) == 0)
        #expect(Packing.peak(of: [(3, nil), (2, period(0, 10)), (4, period(10, 20)), (1, period(15, 30))]) == 8)
    }

    /// Whatever is placed, no host is ever promised beyond what it has, and what is refused would not have fitted.
    @Test(arguments: 1...20) func hostsAreNeverPromisedBeyondWhatTheyHave(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var packing = hosts(3)
        var placed: [(host: HostID, lot: Resources, lots: Int64, period: Period?)] = []
        func used(_ host: HostID, _ moment: Instant) -> Resources {
            placed.filter { $0.host == host && $0.period?.contains(moment) ?? true }.reduce(.zero) { $0 + $1.lot * $1.lots }
        }
        for _ in 0..<40 {
            let lot = Bool.random(using: &random) ? small : large
            let start = Int64.random(in: 0..<20, using: &random)
            let length = Int64.random(in: 1..<10, using: &random)
            let stretch = Int.random(in: 0..<4, using: &random) == 0 ? nil : period(start, start + length)
            let wanted = Int64.random(in: 1...6, using: &random)
            let moments = (stretch.map { $0.start.seconds..<$0.end.seconds } ?? 0..<40).map { Instant(seconds: $0) }
            // One lot at a time, second by second.
            let fits = (1...3).map { number -> Int64 in
                moments.map { (room - used(HostID(bits: number), $0)).wholeLots(of: lot) }.min() ?? 0
            }.reduce(0, +)
            #expect(packing.room(for: lot, during: stretch) == fits)
            let shares = packing.place(wanted, of: lot, during: stretch)
            #expect(shares.map(\.lots).reduce(0, +) == min(wanted, fits))
            placed += shares.map { ($0.host, lot, $0.lots, stretch) }
            for number: UInt64 in 1...3 {
                for second: Int64 in 0..<40 { #expect(used(HostID(bits: number), Instant(seconds: second)).fits(in: room)) }
            }
        }
    }
}

extension Instant {
    fileprivate var seconds: Int64 { microseconds / 1_000_000 }
}
