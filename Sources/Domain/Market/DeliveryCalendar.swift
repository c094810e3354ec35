public import Primitives

/// The delivery periods forwards are traded in: UTC hours and days, ISO 8601 weeks from Monday, and calendar months, each numbered
/// without gaps so that the next one has the next number.
///
/// The horizons are those of power markets: the next 48 hours, 14 days, 8 weeks and 12 months, not counting the period in progress.
public enum DeliveryCalendar {
    private static let day = Span.days(1).microseconds
    private static let hour = Span.hours(1).microseconds
    /// 1970-01-01 was a Thursday; week 0 began on the Monday before.
    private static let daysFromMonday: Int64 = 3

    /// The number of the period a moment lies in.
    public static func number(of kind: Series.Kind, at moment: Instant) -> Int64 {
        let days = moment.microseconds.flooredQuotient(by: day)
        switch kind {
        case .spot: preconditionFailure("spot periods are the product's own")
        case .hour: return moment.microseconds.flooredQuotient(by: hour)
        case .day: return days
        case .week: return (days + daysFromMonday).flooredQuotient(by: 7)
        case .month:
            let date = CivilCalendar.date(daysSinceEpoch: days)
            return (date.year - 1970) * 12 + date.month - 1
        }
    }

    /// The period with a number.
    public static func period(of kind: Series.Kind, number: Int64) -> Period {
        Period(start: start(of: kind, number: number), end: start(of: kind, number: number + 1))
    }

    private static func start(of kind: Series.Kind, number: Int64) -> Instant {
        switch kind {
        case .spot: preconditionFailure("spot periods are the product's own")
        case .hour: Instant(microseconds: number * hour)
        case .day: Instant(microseconds: number * day)
        case .week: Instant(microseconds: (number * 7 - daysFromMonday) * day)
        case .month:
            Instant(microseconds: firstDay(ofMonth: number) * day)
        }
    }

    private static func firstDay(ofMonth number: Int64) -> Int64 {
        let years = number.flooredQuotient(by: 12)
        return CivilCalendar.daysSinceEpoch(year: 1970 + years, month: number - years * 12 + 1, day: 1)
    }

    /// No period is longer: a month of 31 days.
    static let longestPeriod = Span.days(31)
}

extension Series.Kind {
    /// How many periods after the one in progress are listed.
    public var horizon: Int64 {
        switch self {
        case .spot: 0
        case .hour: 48
        case .day: 14
        case .week: 8
        case .month: 12
        }
    }

    /// How long before delivery starts trading ends: longer than an hour's payment lead, so that who must pay is known by then.
    public var closingLead: Span {
        switch self {
        case .spot: .zero
        case .hour: .minutes(15)
        case .day, .week, .month: .hours(1)
        }
    }
}
