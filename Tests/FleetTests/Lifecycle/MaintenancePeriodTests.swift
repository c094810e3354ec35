import Fleet
import Primitives
import Testing

@Suite struct MaintenancePeriodTests {
    private let now = Instant(seconds: 1_800_000_000)

    private func refusal(_ start: Instant, _ end: Instant) -> Refusal? {
        do throws(Refusal) {
            try MaintenancePeriod.check(Period(start: start, end: end), at: now)
            return nil
        } catch { return error }
    }

    @Test func aWindowIsNeitherOverNorTooLong() {
        #expect(refusal(now, now + .hours(1)) == nil && refusal(now - .days(29), now + .days(1)) == nil)
        #expect(refusal(now + .days(400), now + .days(430)) == nil)
        for (start, end) in [(now - .hours(2), now - .hours(1)), (now, now + .days(31)), (now, now), (now - .hours(1), now)] {
            #expect(refusal(start, end)?.rule == "maintenance.period")
        }
    }

    /// What is named as nearest is accepted.
    @Test func theNearestIsAllowed() throws {
        let cases = [
            // It began long ago and ends soon: the end stays.
            (now - .days(300), now + .days(1), "a start of \(now), and the same end"),
            (now - .days(300), now - .days(1), "a start of \(now), and an end until \(now + .days(30))"),
            (now - .days(2), now + .days(40), "an end after \(now), until \(now + .days(28))"),
            (now + .days(2), now + .days(40), "an end after \(now + .days(2)), until \(now + .days(32))"),
        ]
        for (start, end, nearest) in cases { #expect(refusal(start, end)?.nearest == nearest) }
        #expect(refusal(now, now + .days(1)) == nil && refusal(now, now + .days(30)) == nil)
        #expect(refusal(now - .days(2), now + .days(28)) == nil && refusal(now + .days(2), now + .days(32)) == nil)
    }

    @Test func momentsMayBeFarApart() {
        let far = Instant(microseconds: .max / 2)
        #expect(refusal(Instant(microseconds: .min / 2), far + .days(1))?.nearest?.hasPrefix("a start of") == true)
        #expect(refusal(far, far)?.rule == "maintenance.period")
    }
}
