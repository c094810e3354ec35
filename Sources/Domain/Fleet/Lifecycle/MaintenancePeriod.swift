public import Primitives

/// How long people may have a host, and when.
public enum MaintenancePeriod {
    /// The longest window.
    public static let longest = Span.days(30)

    /// Refuses a window that is empty, too long or over, with one that may be planned.
    public static func check(_ period: Period, at now: Instant) throws(Refusal) {
        // Moments may be as far apart as they like.
        let (length, isTooLong) = period.end.microseconds.subtractingReportingOverflow(period.start.microseconds)
        guard isTooLong || length <= 0 || length > longest.microseconds || period.end <= now else { return }
        throw Refusal(
            "maintenance.period", .invalid,
            "A maintenance window lasts up to \(longest.seconds / 86_400) days and ends later than now, not from \(period.start) to \(period.end).",
            facts: ["start": .text(period.start.description), "end": .text(period.end.description), "now": .text(now.description)],
            nearest: nearest(period, at: now))
    }

    /// The start stays when a window from then on can still be on; else the end does, when it is soon enough.
    private static func nearest(_ period: Period, at now: Instant) -> String {
        let (last, isTooLate) = period.start.microseconds.addingReportingOverflow(longest.microseconds)
        if isTooLate { return "a start of \(now), and an end until \(now + longest)" }
        if last > now.microseconds { return "an end after \(max(period.start, now)), until \(Instant(microseconds: last))" }
        if period.end > now, period.end <= now + longest { return "a start of \(now), and the same end" }
        return "a start of \(now), and an end until \(now + longest)"
    }
}
