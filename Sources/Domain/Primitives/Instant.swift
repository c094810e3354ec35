/// A moment: microseconds since 1970-01-01T00:00:00Z, without leap seconds. Domain code is always given the time.
public struct Instant: Hashable, Sendable, Comparable {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }
    public init(seconds: Int64) { self.microseconds = seconds * 1_000_000 }

    public static let zero = Instant(microseconds: 0)

    public static func < (a: Self, b: Self) -> Bool { a.microseconds < b.microseconds }
    public static func + (a: Self, b: Span) -> Self { Instant(microseconds: a.microseconds + b.microseconds) }
    public static func - (a: Self, b: Span) -> Self { Instant(microseconds: a.microseconds - b.microseconds) }
    public static func - (a: Self, b: Self) -> Span { Span(microseconds: a.microseconds - b.microseconds) }

    /// The largest multiple of `span` since the epoch that is not after this moment.
    public func floored(to span: Span) -> Instant {
        precondition(span.microseconds > 0)
        let remainder = microseconds % span.microseconds
        return Instant(microseconds: microseconds - (remainder < 0 ? remainder + span.microseconds : remainder))
    }
}

/// A length of time in microseconds.
public struct Span: Hashable, Sendable, Comparable {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }

    public static let zero = Span(microseconds: 0)
    public static func milliseconds(_ n: Int64) -> Span { Span(microseconds: n * 1_000) }
    public static func seconds(_ n: Int64) -> Span { Span(microseconds: n * 1_000_000) }
    public static func minutes(_ n: Int64) -> Span { .seconds(n * 60) }
    public static func hours(_ n: Int64) -> Span { .seconds(n * 3_600) }
    public static func days(_ n: Int64) -> Span { .hours(n * 24) }

    /// Whole seconds, rounded down.
    public var seconds: Int64 { microseconds / 1_000_000 }
    public var duration: Duration { .microseconds(microseconds) }

    public static func < (a: Self, b: Self) -> Bool { a.microseconds < b.microseconds }
    public static func + (a: Self, b: Self) -> Self { Span(microseconds: a.microseconds + b.microseconds) }
    public static func - (a: Self, b: Self) -> Self { Span(microseconds: a.microseconds - b.microseconds) }
    public static func * (a: Self, b: Int64) -> Self { Span(microseconds: a.microseconds * b) }
}

/// A half-open stretch of time `[start, end)`.
public struct Period: Hashable, Sendable, Codable {
    public var start: Instant
    public var end: Instant

    public init(start: Instant, end: Instant) {
        precondition(start <= end, "a period ends no earlier than it starts")
        self.start = start
        self.end = end
    }

    public var length: Span { end - start }
    public func contains(_ moment: Instant) -> Bool { start <= moment && moment < end }

    /// The part both periods share, or nil when they share none.
    public func intersection(_ other: Period) -> Period? {
        let from = max(start, other.start)
        let to = min(end, other.end)
        return from < to ? Period(start: from, end: to) : nil
    }

    private enum CodingKeys: String, CodingKey { case start, end }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let start = try container.decode(Instant.self, forKey: .start)
        let end = try container.decode(Instant.self, forKey: .end)
        guard start <= end else {
            throw DecodingError.dataCorruptedError(forKey: .end, in: container, debugDescription: "end \(end) is before start \(start)")
        }
        self.init(start: start, end: end)
    }
}

// MARK: - Text: RFC 3339 in UTC, on the wire and for people

extension Instant: LosslessStringConvertible {
    /// RFC 3339 with as many fraction digits as needed: none, 3 or 6.
    public var description: String {
        let day = microseconds.flooredQuotient(by: 86_400_000_000)
        let inDay = microseconds - day * 86_400_000_000
        let (year, month, dayOfMonth) = CivilCalendar.date(daysSinceEpoch: day)
        let seconds = inDay / 1_000_000
        let fraction = inDay % 1_000_000
        var text = padded(year, 4) + "-" + padded(month, 2) + "-" + padded(dayOfMonth, 2)
        text += "T" + padded(seconds / 3_600, 2) + ":" + padded(seconds / 60 % 60, 2) + ":" + padded(seconds % 60, 2)
        if fraction % 1_000 != 0 { text += "." + padded(fraction, 6) } else if fraction != 0 { text += "." + padded(fraction / 1_000, 3) }
        return text + "Z"
    }

    /// Accepts RFC 3339 in UTC (`Z`), with up to 6 fraction digits.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes[4] == 45, bytes[7] == 45, bytes[10] == 84, bytes[13] == 58, bytes[16] == 58, bytes.last == 90,
            let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]),
            let hour = number(bytes[11..<13]), let minute = number(bytes[14..<16]), let second = number(bytes[17..<19]),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        var fraction: Int64 = 0
        if bytes.count > 20 {
            let digits = bytes[20..<(bytes.count - 1)]
            guard bytes[19] == 46, (1...6).contains(digits.count), let value = number(digits) else { return nil }
            fraction = value
            for _ in digits.count..<6 { fraction *= 10 }
        }
        let days = CivilCalendar.daysSinceEpoch(year: year, month: month, day: day)
        guard CivilCalendar.date(daysSinceEpoch: days) == (year, month, day) else { return nil }
        self.init(microseconds: days * 86_400_000_000 + (hour * 3_600 + minute * 60 + second) * 1_000_000 + fraction)
    }
}

/// On disk and on the wire between parts of one program: whole microseconds.
extension Span: Codable {
    public init(from decoder: any Decoder) throws { self.init(microseconds: try decoder.singleValueContainer().decode(Int64.self)) }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(microseconds)
    }
}

extension Instant: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let instant = Instant(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is not a time of the form 2026-01-31T12:00:00Z (RFC 3339, UTC)")
        }
        self = instant
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

private func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

private func number(_ digits: ArraySlice<UInt8>) -> Int64? {
    var value: Int64 = 0
    for digit in digits {
        guard (48...57).contains(digit) else { return nil }
        value = value * 10 + Int64(digit - 48)
    }
    return value
}
