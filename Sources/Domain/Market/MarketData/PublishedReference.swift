public import Primitives

/// The price others may quote for a series: the average by volume of its newest trades.
///
/// The rule: go back from the newest trade until `minimumLots` are found, no further than `window` before now. Of the oldest trade
/// only the lots that are still missing count. With fewer lots than that there is no reference price.
public struct PublishedReference: Hashable, Sendable {
    public struct Rule: Hashable, Sendable {
        public var minimumLots: Int64
        public var window: Span

        public init(minimumLots: Int64, window: Span) {
            precondition(minimumLots > 0, "an average is of something")
            self.minimumLots = minimumLots
            self.window = window
        }

        public static let standard = Rule(minimumLots: 100, window: .hours(24))
    }

    /// A trade as everybody may know it.
    public struct Print: Hashable, Sendable {
        public var price: Int64
        public var lots: Int64
        public var at: Instant

        public init(price: Int64, lots: Int64, at: Instant) {
            self.price = price
            self.lots = lots
            self.at = at
        }
    }

    /// Micro-units per lot-hour, half-even.
    public let price: Int64
    /// The time of the oldest trade in it.
    public let since: Instant

    /// - Parameter prints: newest first. No more than `minimumLots` of them are looked at: each has at least one lot.
    public init?(_ prints: some Sequence<Print>, at now: Instant, _ rule: Rule = .standard) {
        var missing = rule.minimumLots
        var turnover: Int128 = 0
        var oldest = now
        for print in prints {
            guard missing > 0, now - print.at <= rule.window else { break }
            let lots = min(missing, print.lots)
            turnover += Int128(print.price) * Int128(lots)
            missing -= lots
            oldest = print.at
        }
        guard missing == 0 else { return nil }
        price = Int64(clamping: turnover.dividedHalfEven(by: Int128(rule.minimumLots)))
        since = oldest
    }
}
