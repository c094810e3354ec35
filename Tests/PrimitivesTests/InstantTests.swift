import Foundation
import Primitives
import Testing

@Suite struct InstantTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59.999999Z"), (1_000, "1970-01-01T00:00:00.001Z"),
            (1, "1970-01-01T00:00:00.000001Z"),
            (951_827_696_000_000, "2000-02-29T12:34:56Z"), (4_107_542_400_000_000, "2100-03-01T00:00:00Z"),
            (1_769_860_800_120_000, "2026-01-31T12:00:00.120Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"), (-62_167_219_200_000_000, "0000-01-01T00:00:00Z"),
        ] as [(Int64, String)])
    func knownMoments(_ microseconds: Int64, _ text: String) {
        #expect(Instant(microseconds: microseconds).description == text)
        #expect(Instant(text) == Instant(microseconds: microseconds))
    }

    @Test func everyMomentReadsBack() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<5_000 {
            let instant = Instant(microseconds: .random(in: -62_167_219_200_000_000...253_402_300_799_999_999, using: &generator))
            #expect(Instant(instant.description) == instant)
            #expect(try JSONDecoder().decode([Instant].self, from: JSONEncoder().encode([instant])) == [instant])
        }
    }

    /// Foundation's own calendar is the witness, on whole seconds and milliseconds from 1900 to 2400.
    @Test func foundationAgrees() throws {
        let whole = ISO8601DateFormatter()
        let fractional = ISO8601DateFormatter()
        fractional.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<2_000 {
            let seconds = Int64.random(in: -2_208_988_800...13_569_465_600, using: &generator)
            #expect(Instant(seconds: seconds).description == whole.string(from: Date(timeIntervalSince1970: Double(seconds))))
            let milliseconds = Int64.random(in: 1...999, using: &generator)
            let text = Instant(microseconds: seconds * 1_000_000 + milliseconds * 1_000).description
            let date = try #require(fractional.date(from: text), "\(text)")
            #expect((date.timeIntervalSince1970 * 1_000).rounded() == Double(seconds * 1_000 + milliseconds), "\(text)")
        }
    }

    /// Every day of four centuries, around its midnight.
    @Test func everyDayOfTheGregorianCycleReadsBack() {
        let first = Instant("1900-01-01T00:00:00Z")
        #expect(first == Instant(seconds: -2_208_988_800))
        for day in 0..<146_097 as Range<Int64> {
            let midnight = Instant(seconds: -2_208_988_800) + .days(day)
            let text = midnight.description
            if !text.hasSuffix("T00:00:00Z") || Instant(text) != midnight {
                Issue.record("\(text) is not the midnight of day \(day)")
            }
        }
        #expect((Instant(seconds: -2_208_988_800) + .days(146_097)).description == "2300-01-01T00:00:00Z")
    }

    @Test(
        arguments: [
            ("2026-01-31T12:00:00.1Z", 100_000), ("2026-01-31T12:00:00.12Z", 120_000), ("2026-01-31T12:00:00.123456Z", 123_456),
            ("2026-01-31T12:00:00.000Z", 0),
        ] as [(String, Int64)])
    func fractionsOfAnyLengthAreRead(_ text: String, _ microseconds: Int64) throws {
        let instant = try #require(Instant(text))
        #expect(instant - Instant(seconds: 1_769_860_800) == Span(microseconds: microseconds))
    }

    @Test(arguments: [
        "", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00:00+00:00", "2026-01-31 12:00:00Z", "2026-02-29T12:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z", "2026-01-31T12:00:60Z", "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00.1234567Z", "2026-01-31T12:00:00,5Z",
        "2026-1-31T12:00:00Z", "02026-01-31T12:00:00Z", "2026-01-31T12:00:00z", "2026-01-31T1२:00:00Z", "-026-01-31T12:00:00Z",
        "2026-01-31T12:00:00ZZ",
    ])
    func otherTextIsNoTime(_ text: String) {
        #expect(Instant(text) == nil)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(Instant.self, from: JSONEncoder().encode(text)) }
    }

    @Test func floorsAreMultiplesAndNeverLater() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<2_000 {
            let instant = Instant(microseconds: .random(in: -4_000_000_000_000_000...4_000_000_000_000_000, using: &generator))
            let span = Span(microseconds: .random(in: 1...100_000_000_000, using: &generator))
            let floor = instant.floored(to: span)
            #expect(floor <= instant)
            #expect(instant - floor < span)
            #expect(floor.microseconds % span.microseconds == 0)
        }
        #expect(Instant(microseconds: -1).floored(to: .hours(1)) == Instant(seconds: -3_600))
    }

    @Test func spansAddUp() {
        #expect(Span.days(1) == .hours(24))
        #expect(Span.hours(1) == .minutes(60))
        #expect(Span.minutes(1) == .seconds(60))
        #expect(Span.seconds(1) == .milliseconds(1_000))
        #expect(Span.milliseconds(1).microseconds == 1_000)
        #expect(Span.seconds(90).duration == .seconds(90))
        #expect((Span.minutes(2) * 3 - .minutes(1) + .seconds(30)).seconds == 330)
        #expect(Span.milliseconds(1_999).seconds == 1)
        #expect(Instant(seconds: 10) + .seconds(5) - Instant(seconds: 12) == .seconds(3))
        #expect(Instant(seconds: 10) - .seconds(5) == Instant(seconds: 5))
    }
}

@Suite struct PeriodTests {
    private func period(_ start: Int64, _ end: Int64) -> Period { Period(start: Instant(seconds: start), end: Instant(seconds: end)) }

    @Test func theEndIsOutside() {
        let period = period(10, 20)
        #expect(period.contains(Instant(seconds: 10)))
        #expect(period.contains(Instant(microseconds: 19_999_999)))
        #expect(!period.contains(Instant(seconds: 20)))
        #expect(!period.contains(Instant(microseconds: 9_999_999)))
        #expect(period.length == .seconds(10))
        #expect(!self.period(10, 10).contains(Instant(seconds: 10)), "an empty period contains nothing")
    }

    /// A moment is in the intersection when it is in both.
    @Test func intersectionsHoldWhatBothHold() {
        for a in 0..<6 as Range<Int64> {
            for b in a..<6 {
                for c in 0..<6 as Range<Int64> {
                    for d in c..<6 {
                        let (left, right) = (period(a, b), period(c, d))
                        let both = left.intersection(right)
                        #expect(both == right.intersection(left))
                        for second in -1..<7 as Range<Int64> {
                            let moment = Instant(seconds: second)
                            #expect((both?.contains(moment) ?? false) == (left.contains(moment) && right.contains(moment)))
                        }
                    }
                }
            }
        }
    }

    @Test func theWireKeepsItAndRefusesAnEndBeforeTheStart() throws {
        let period = period(10, 20)
        #expect(try JSONDecoder().decode(Period.self, from: JSONEncoder().encode(period)) == period)
        let reversed = Data(#"{"start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}"#.utf8)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(Period.self, from: reversed) }
    }
}
