import Fleet
import Primitives
import Testing

/// Hosts of the brief are kept for the brief.
@Suite struct PlacementGradeTests {
    private static let pod = PodID(bits: 1)

    /// A pod of hosts of eight processors. By reference, so that expectations may place.
    private final class Town {
        var engine = PlacementEngine()

        init(_ hosts: UInt64) throws {
            engine.setPolicy(.lifetimeAligned, of: pod)
            for number in 1...hosts { try add(number) }
        }

        func add(_ number: UInt64) throws {
            let capacity = Resources(milliCPU: 8_000, memoryMiB: 1 << 20)
            try engine.add(PlacementHost(id: HostID(bits: number), zone: "a", pod: pod, rack: "1", capacity: capacity))
        }

        /// - Parameter gone: likelihood in percent to be gone at any time from now; nil: nobody knows.
        /// - Returns: the host.
        func place(_ number: UInt64, cpu: Int64 = 1, gone: Int64?, on host: UInt64? = nil) throws -> UInt64 {
            var request = PlacementRequest(
                instance: InstanceID(bits: number), party: ParticipantID(bits: 1),
                resources: Resources(milliCPU: cpu * 1_000, memoryMiB: 1))
            request.outlook = gone.map { PlacementGradeTests.outlook($0) }
            request.host = host.map { HostID(bits: $0) }
            return try engine.place(request, at: .zero).host.bits
        }

        func expect(_ gone: Int64, of number: UInt64) { engine.expect(PlacementGradeTests.outlook(gone), of: InstanceID(bits: number)) }

        func release(_ number: UInt64) -> Bool { engine.release(InstanceID(bits: number)) }

        func hasRoom(_ host: UInt64, cpu: Int64) -> Bool { (engine.free(HostID(bits: host))?.milliCPU ?? 0) >= cpu * 1_000 }
    }

    private static func outlook(_ gone: Int64) -> LifetimeOutlook {
        LifetimeOutlook(goneMillionths: LifetimeOutlook.horizons.map { _ in gone * 10_000 })
    }

    @Test(arguments: zip([99, 95, 94, 90, 89, 75, 74, 0] as [Int64], [0, 0, 1, 1, 2, 2, 3, 3] as [Int8]))
    func gradesGoByWhoIsGoneInSixHours(_ gone: Int64, _ grade: Int8) {
        #expect(Self.outlook(gone).grade == grade)
        var shares = Array(repeating: Int64(500_000), count: LifetimeOutlook.horizons.count)
        shares[4] = gone * 10_000
        #expect(LifetimeOutlook(goneMillionths: shares).grade == grade, "the other horizons do not count")
    }

    @Test func aBriefOneTakesAnEmptyHostRatherThanOneOfLongerOnes() throws {
        let town = try Town(3)
        #expect(try town.place(1, gone: 50) == 1)
        #expect(try town.place(2, gone: 97) == 2)
        #expect(try town.place(3, gone: 97) == 2)
        #expect(try town.place(4, gone: 92) == 2, "a briefer host will do")
        #expect(try town.place(5, cpu: 5, gone: 80) == 2)
        #expect(try town.place(6, gone: 80) == 3, "host 2 is full, host 1 is of longer ones")
    }

    @Test func withNoEmptyHostABriefOneGoesWhereThereIsRoom() throws {
        let town = try Town(1)
        #expect(try town.place(1, gone: 10) == 1)
        #expect(try town.place(2, gone: 99) == 1)
    }

    @Test func thoseThatStayUseAnyHostBeforeAnEmptyOne() throws {
        let town = try Town(2)
        #expect(try town.place(1, cpu: 6, gone: 99) == 1)
        #expect(try town.place(2, gone: 10) == 1)
        #expect(try town.place(3, gone: nil) == 1)
        #expect(try town.place(4, gone: 10) == 2)
    }

    @Test func aHostThatBecameEmptyHasNoGrade() throws {
        let town = try Town(1)
        #expect(try town.place(1, gone: 10) == 1)
        #expect(town.release(1))
        #expect(try town.place(2, gone: 99) == 1)
        try town.add(2)
        #expect(try town.place(3, gone: 99) == 1, "it is one of the brief now")
        #expect(town.release(2) && town.release(3))
        #expect(try town.place(4, gone: 10, on: 1) == 1)
        #expect(try town.place(5, gone: 99) == 2, "and then one of those that stay")
    }

    @Test func whoeverStaysGivesNoGradeToTheHostOfAnother() throws {
        let town = try Town(2)
        #expect(try town.place(1, gone: 99) == 1)
        #expect(try town.place(2, gone: 10) == 1)
        #expect(town.release(1))
        town.expect(5, of: 2)
        #expect(try town.place(3, gone: 99) == 1)
    }

    @Test func aHostOfUnknownOnesHasTheGradeOfTheFirstThatIsKnown() throws {
        let town = try Town(2)
        #expect(try town.place(1, gone: nil) == 1)
        #expect(try town.place(2, gone: 99) == 2)
        #expect(town.release(2))
        town.expect(98, of: 1)
        #expect(try town.place(3, gone: 99) == 1)
    }

    @Test func anEmptyHostIsFoundBehindMoreThanAreCompared() throws {
        let busy = UInt64(1_100)
        let town = try Town(busy + 1)
        for number in 1...busy { _ = try town.place(number, gone: 10, on: number) }
        #expect(try town.place(busy + 1, gone: 99) == busy + 1)
        #expect(try town.place(busy + 2, gone: 10) <= busy)
    }

    /// Instances come and go, and each choice keeps to the order: a host as brief or briefer, an empty one, any.
    @Test(arguments: UInt64(1)...12) func choicesKeepToTheOrder(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let hosts = UInt64.random(in: 4...10, using: &random)
        let town = try Town(hosts)
        var living: [UInt64: [UInt64]] = [:]
        var grades: [UInt64: Int8] = [:]
        var met: Set<Int> = []
        for number in UInt64(1)...400 {
            let cpu = Int64.random(in: 1...4, using: &random)
            let gone = [99, 93, 80, 30].randomElement(using: &random) ?? 0
            let grade = Self.outlook(Int64(gone)).grade
            let fitting = (1...hosts).filter { town.hasRoom($0, cpu: cpu) }
            let rank = { (host: UInt64) -> Int in
                guard let of = grades[host], living[host]?.isEmpty == false else { return 1 }
                return of <= grade ? 0 : 2
            }
            if let best = fitting.map(rank).min() {
                let host = try town.place(number, cpu: cpu, gone: Int64(gone))
                #expect(rank(host) == best)
                met.insert(best)
                if living[host, default: []].isEmpty { grades[host] = grade }
                living[host, default: []].append(number)
            }
            while Int.random(in: 0..<5, using: &random) < 2, let host = living.keys.sorted().randomElement(using: &random) {
                guard let gone = living[host]?.randomElement(using: &random) else { break }
                living[host]?.removeAll { $0 == gone }
                #expect(town.release(gone))
            }
        }
        #expect(met == [0, 1, 2])
        #expect(town.engine.violations() == [])
    }
}
