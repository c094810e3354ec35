import Market
import Primitives
import Testing

@Suite struct DeliveryCalendarTests {
    static func instant(_ text: String) -> Instant { Instant(text) ?? .zero }

    static let known: [(Series.Kind, String, String, String)] = [
        (.hour, "2026-11-21T12:34:56Z", "2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z"),
        (.hour, "1969-12-31T23:59:59Z", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"),
        (.day, "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
        (.day, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"),
        // ISO week 1 of 2026 begins on Monday, 29 December 2025; week 53 of 2020 ends on 3 January 2021.
        (.week, "2026-01-01T00:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
        (.week, "2021-01-03T23:59:59Z", "2020-12-28T00:00:00Z", "2021-01-04T00:00:00Z"),
        (.week, "1970-01-04T23:59:59Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z"),
        (.week, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        (.month, "2024-02-10T08:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        (.month, "2100-02-28T23:00:00Z", "2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"),
        (.month, "1999-12-31T23:59:59Z", "1999-12-01T00:00:00Z", "2000-01-01T00:00:00Z"),
        (.month, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-02-01T00:00:00Z"),
        (.month, "1969-01-15T00:00:00Z", "1969-01-01T00:00:00Z", "1969-02-01T00:00:00Z"),
    ]

    @Test(arguments: known)
    func knownDates(kind: Series.Kind, moment: String, start: String, end: String) {
        let number = DeliveryCalendar.number(of: kind, at: Self.instant(moment))
        let period = DeliveryCalendar.period(of: kind, number: number)
        #expect(period == Period(start: Self.instant(start), end: Self.instant(end)))
    }

    /// Day by day through more than four centuries, against a calendar that only counts.
    @Test func everyDayOfFourCenturies() {
        var (year, month, day, weekday): (Int64, Int64, Int64, Int64) = (1890, 1, 1, 2)  // a Wednesday; Monday is 0
        var date = Self.instant("1890-01-01T00:00:00Z")
        var (week, monthStart) = (date - .days(2), date)
        while year < 2310 {
            let months = DeliveryCalendar.number(of: .month, at: date)
            #expect(months == (year - 1970) * 12 + month - 1)
            #expect(DeliveryCalendar.period(of: .month, number: months).start == monthStart)
            let weekPeriod = DeliveryCalendar.period(of: .week, number: DeliveryCalendar.number(of: .week, at: date + .hours(23)))
            #expect(weekPeriod == Period(start: week, end: week + .days(7)))
            let days = DeliveryCalendar.number(of: .day, at: date + Span(microseconds: 86_399_999_999))
            #expect(DeliveryCalendar.period(of: .day, number: days) == Period(start: date, end: date + .days(1)))
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            (date, day, weekday) = (date + .days(1), day + 1, (weekday + 1) % 7)
            if weekday == 0 { week = date }
            if day > lengths[Int(month - 1)] {
                (day, month, monthStart) = (1, month + 1, date)
                if month > 12 { (month, year) = (1, year + 1) }
            }
        }
    }

    @Test(arguments: Series.Kind.forwards)
    func periodsFollowEachOtherWithoutGap(kind: Series.Kind) {
        for number in Int64(-2_000)...2_000 {
            let period = DeliveryCalendar.period(of: kind, number: number)
            #expect(period.end == DeliveryCalendar.period(of: kind, number: number + 1).start)
            for moment in [period.start, period.end - Span(microseconds: 1)] {
                #expect(DeliveryCalendar.number(of: kind, at: moment) == number)
            }
            #expect(period.length.microseconds % Span.hours(1).microseconds == 0)
            #expect(period.length <= .days(31))
        }
    }
}
