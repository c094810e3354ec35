import Primitives

/// In which forward series a product is traded, and what both sides put up for them.
///
/// Margins are thousandths of a contract's value (price × lots × hours), at most all of it, so the bound of `OrderLimits` holds for them
/// too: 10^10 micro-units × 10^6 lots × 744 hours of the longest month = 7.44 × 10^18, below 2^63 ≈ 9.22 × 10^18.
public struct ForwardTerms: Codable, Hashable, Sendable {
    /// Each at most once, in the order of `Series.Kind.forwards`; empty: spot only.
    public var kinds: [Series.Kind]
    /// What the buyer puts up with an order and leaves until the contract is over, in thousandths of the value.
    public var initialMargin: Int64
    /// What the seller puts up, in thousandths of the value.
    public var performanceBond: Int64
    /// What a buyer who stops paying owes the seller, in thousandths of the value of what is not delivered; never more than the margin.
    public var penalty: Int64

    public init(kinds: [Series.Kind], initialMargin: Int64 = 100, performanceBond: Int64 = 50, penalty: Int64 = 100) {
        self.kinds = kinds
        self.initialMargin = initialMargin
        self.performanceBond = performanceBond
        self.penalty = penalty
    }

    public static let none = ForwardTerms(kinds: [])
    public static let all = ForwardTerms(kinds: Series.Kind.forwards)

    func check() throws(Refusal) {
        guard kinds == Series.Kind.forwards.filter(kinds.contains) else {
            throw Refusal(
                "market.calendar", .invalid, "Forward series are some of hour, day, week and month, each once and in this order.",
                nearest: Series.Kind.forwards.filter(kinds.contains).map(\.rawValue).joined(separator: ", "))
        }
        for (value, what) in [
            (initialMargin, "initial margin"), (performanceBond, "performance bond"), (penalty, "penalty for not paying"),
        ] { try checkRange(value, 0...1_000, "\(what) in thousandths", rule: "market.margin") }
    }
}

extension Product {
    /// What one lot over a period is worth at a price, times some thousandths, rounded up to the micro-unit.
    static func share(_ thousandths: Int64, price: Int64, of period: Period) -> Int64 {
        let exact = Int128(price) * Int128(period.length.microseconds) * Int128(thousandths)
        let divisor = Int128(Span.hours(1).microseconds) * 1_000
        return Int64((exact + divisor - 1) / divisor)
    }
}
