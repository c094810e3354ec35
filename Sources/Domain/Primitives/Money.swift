/// An ISO 4217 currency, e.g. `EUR`.
public struct Currency: Hashable, Sendable {
    public let code: String

    /// Nil unless `code` is three upper-case letters.
    public init?(_ code: String) {
        guard code.utf8.count == 3, code.utf8.allSatisfy({ (65...90).contains($0) }) else { return nil }
        self.code = code
    }

    private init(known code: String) { self.code = code }
    public static let eur = Currency(known: "EUR")
    public static let usd = Currency(known: "USD")
}

/// An amount of money: 64-bit integer of micro-units (1e-6) of a currency. Never a floating-point number.
public struct Money: Hashable, Sendable {
    public var microUnits: Int64
    public var currency: Currency

    public init(microUnits: Int64, _ currency: Currency) {
        self.microUnits = microUnits
        self.currency = currency
    }

    public static func zero(_ currency: Currency) -> Money { Money(microUnits: 0, currency) }
}

/// Price times volume times time, exactly: micro-units per lot-hour × lots × microseconds, rounded half-even **once**.
///
/// The remainder that rounding leaves is carried into the next charge of the same contract, so that many small charges
/// add up to the same amount as one large one.
public struct LotHourCharge: Sendable {
    /// What the last rounding left over, in micro-unit-microseconds per hour: between -half and +half of `divisor`.
    public private(set) var remainder: Int64

    /// Micro-unit × microsecond per hour that make one micro-unit.
    private static let divisor: Int128 = 3_600_000_000

    public init(remainder: Int64 = 0) { self.remainder = remainder }

    /// The charge in micro-units for this stretch of time, or nil when it does not fit 64 bits.
    public mutating func charge(pricePerLotHour: Int64, lots: Int64, for span: Span) -> Int64? {
        // Two factors of 64 bits fit; the third may not.
        let (product, isTooLarge) = (Int128(pricePerLotHour) * Int128(lots)).multipliedReportingOverflow(by: Int128(span.microseconds))
        let (exact, overflow) = product.addingReportingOverflow(Int128(remainder))
        guard !isTooLarge, !overflow else { return nil }
        let rounded = exact.dividedHalfEven(by: Self.divisor)
        guard let charge = Int64(exactly: rounded) else { return nil }
        remainder = Int64(exact - rounded * Self.divisor)
        return charge
    }
}

extension Int128 {
    /// The nearest integer to `self / divisor`; halves go to the even neighbour.
    package func dividedHalfEven(by divisor: Int128) -> Int128 {
        precondition(divisor > 0)
        var (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
        if rest < 0 {
            quotient -= 1
            rest += divisor
        }
        let twice = rest * 2
        return twice > divisor || (twice == divisor && quotient % 2 != 0) ? quotient + 1 : quotient
    }
}

// MARK: - Text

extension Currency: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let currency = Currency(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is not an ISO 4217 currency code such as EUR")
        }
        self = currency
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(code)
    }
}

extension Currency: CustomStringConvertible {
    public var description: String { code }
}

/// On the wire: `{"microUnits": 1500000, "currency": "EUR"}`.
extension Money: Codable {}

extension Money: CustomStringConvertible {
    /// For people: `1.50 EUR`; two decimals at least, as many as needed at most.
    public var description: String { decimalText(microUnits: microUnits) + " " + currency.code }
}

/// Micro-units as a decimal number with two to six decimals, e.g. 1500000 → `1.50`, 12345 → `0.012345`.
public func decimalText(microUnits: Int64) -> String {
    let magnitude = microUnits.magnitude
    var fraction = String(magnitude % 1_000_000)
    fraction = String(repeating: "0", count: 6 - fraction.utf8.count) + fraction
    while fraction.utf8.count > 2, fraction.utf8.last == UInt8(ascii: "0") { fraction.removeLast() }
    return (microUnits < 0 ? "-" : "") + String(magnitude / 1_000_000) + "." + fraction
}

/// The reverse of `decimalText`: `0.03` → 30000. Nil when malformed, finer than a micro-unit, or too large.
public func microUnits(decimal text: String) -> Int64? {
    let negative = text.hasPrefix("-")
    let parts = text.dropFirst(negative ? 1 : 0).split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = parts.first, !whole.isEmpty, whole.utf8.allSatisfy({ (48...57).contains($0) }), let units = Int64(whole) else {
        return nil
    }
    var fraction: Int64 = 0
    if parts.count == 2 {
        let digits = parts[1]
        guard (1...6).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }), let value = Int64(digits) else {
            return nil
        }
        fraction = value
        for _ in digits.utf8.count..<6 { fraction *= 10 }
    }
    let (scaled, overflow) = units.multipliedReportingOverflow(by: 1_000_000)
    let (sum, overflow2) = scaled.addingReportingOverflow(fraction)
    guard !overflow, !overflow2 else { return nil }
    return negative ? -sum : sum
}
