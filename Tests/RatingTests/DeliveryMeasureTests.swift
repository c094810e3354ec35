import Primitives
import Rating
import Testing

@Suite struct DeliveryMeasureTests {
    private func period(_ from: Int64, _ to: Int64) -> Period { Period(start: Instant(seconds: from), end: Instant(seconds: to)) }

    private func measure(
        lots: Int64 = 4, _ expected: [(UInt64, Int64, Int64)], _ runs: [(UInt64, Int64, Int64)], isHeard: Bool = true
    ) -> DeliveryMeasure {
        DeliveryMeasure(
            of: period(1_000, 4_600), lots: lots,
            runs: runs.map { .init(instance: InstanceID(bits: $0.0), period: period($0.1, $0.2), lots: 2) },
            expected: expected.map { .init(instance: InstanceID(bits: $0.0), period: period($0.1, $0.2), lots: 2, isHeard: isHeard) },
            lag: .seconds(70))
    }

    @Test func whatReadingsCoverIsDelivered() {
        let all = measure([(1, 0, 9_000)], [(1, 0, 2_000), (1, 2_000, 4_000), (1, 4_000, 5_000)])
        #expect(all.delivered == 7_200_000_000 && all.demanded == all.delivered && all.isComplete)
        let part = measure([(1, 2_000, 3_000)], [(1, 1_995, 3_001)])
        #expect(part.delivered == 2_000_000_000 && part.demanded == part.delivered && part.isComplete, "nobody asked for more")
        #expect(measure([], []).demanded == 0)
    }

    @Test func holesBetweenReadingsAreMissing() {
        let hole = measure([(1, 0, 9_000), (2, 0, 9_000)], [(1, 0, 2_000), (1, 2_500, 9_000), (2, 0, 9_000)])
        #expect(hole.interrupted == 1_000_000_000 && hole.silent == 0)
        #expect(hole.demanded == 14_400_000_000)
        let reboot = measure([(1, 0, 9_000)], [(1, 0, 2_000), (1, 2_004, 9_000)])
        #expect(reboot.interrupted == 0 && reboot.delivered == 7_200_000_000)
    }

    @Test func aTailIsBelievedOnlyWhileReadingsCanBeOnTheirWay() {
        let late = measure([(1, 0, 9_000)], [(1, 0, 4_540)])
        #expect(late.silent == 0 && !late.isComplete)
        let unheard = measure([(1, 0, 9_000)], [(1, 0, 4_540)], isHeard: false)
        #expect(unheard.silent == 120_000_000 && unheard.delivered == 7_080_000_000)
        #expect(measure([(1, 0, 9_000)], [(1, 0, 4_000)]).silent == 1_200_000_000)
    }

    @Test func neverMoreThanTheContractHolds() {
        let crowded = measure(lots: 1, [(1, 0, 9_000), (2, 0, 9_000)], [(1, 0, 9_000)])
        #expect(crowded.silent == 3_600_000_000 && crowded.delivered == 0)
        #expect(crowded.demanded == 3_600_000_000)
    }

    /// Second by second it comes to the same.
    @Test func asCountedBySeconds() {
        var random = SeededGenerator(seed: 4)
        for _ in 0..<200 {
            var runs: [(UInt64, Int64, Int64)] = []
            var at: Int64 = 900
            while at < 4_700 {
                let end = at + Int64.random(in: 1...400, using: &random)
                runs.append((1, at, end))
                at = end + (Bool.random(using: &random) ? 0 : Int64.random(in: 5...300, using: &random))
            }
            let from = Int64.random(in: 900...2_000, using: &random)
            let to = Int64.random(in: 2_001...4_700, using: &random)
            let result = measure([(1, from, to)], runs, isHeard: false)
            let wanted = max(from, 1_000)..<min(to, 4_600)
            let missing = wanted.filter { second in !runs.contains { $0.1 <= second && second < $0.2 } }
            // A hole that the bounds cut to less than five seconds counts as a reboot.
            let lost = result.interrupted + result.silent
            #expect(lost <= Int64(missing.count) * 2_000_000 && lost >= Int64(missing.count) * 2_000_000 - 8_000_000)
            #expect(result.demanded == Int64(wanted.count) * 2_000_000)
        }
    }
}
