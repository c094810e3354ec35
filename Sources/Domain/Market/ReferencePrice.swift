import Primitives

/// What a series is worth by its last trades: their volume-weighted average price, once they are volume enough.
///
/// The average runs over the last `Rule.trades` trades, rounded half-even to whole micro-units. A trade that was busted keeps its place
/// among them and counts for nothing. A price that was set begins a new average: it holds until the trades after it are volume enough.
public struct ReferencePrice: Hashable, Sendable {
    /// How many of the last trades count, and how many lots they must have together.
    public struct Rule: Codable, Hashable, Sendable {
        /// 1 to 1,000.
        public var trades: Int64
        /// At least 1.
        public var minimumLots: Int64

        public init(trades: Int64, minimumLots: Int64) {
            self.trades = trades
            self.minimumLots = minimumLots
        }

        public static let standard = Rule(trades: 20, minimumLots: 1)
    }

    /// A price given from outside.
    public struct Setting: Codable, Hashable, Sendable {
        /// Micro-units per lot-hour.
        public var price: Int64
        /// Trades up to this number do not count any more.
        public var afterTrade: Int64

        public init(price: Int64, afterTrade: Int64) {
            self.price = price
            self.afterTrade = afterTrade
        }
    }

    /// A trade as far as the average goes.
    public struct Entry: Hashable, Sendable {
        public var number: Int64
        public var price: Int64
        /// 0 when it was busted.
        public var lots: Int64

        public init(number: Int64, price: Int64, lots: Int64) {
            self.number = number
            self.price = price
            self.lots = lots
        }
    }

    public let rule: Rule
    public private(set) var setting: Setting?
    /// Oldest first.
    public private(set) var entries: ContiguousArray<Entry> = []
    private var lots: Int64 = 0
    private var turnover: Int128 = 0

    /// - Parameter entries: trades of the series, oldest first; those before the setting, and more than the rule asks for, are left out.
    public init(rule: Rule, setting: Setting? = nil, entries: [Entry] = []) {
        self.rule = rule
        self.setting = setting
        for entry in entries where entry.number > setting?.afterTrade ?? 0 { record(entry) }
    }

    /// Micro-units per lot-hour; nil while nobody knows.
    public var price: Int64? {
        guard lots > 0, lots >= rule.minimumLots else { return setting?.price }
        return Int64(turnover.dividedHalfEven(by: Int128(lots)))
    }

    public mutating func record(_ entry: Entry) {
        if entries.count >= Int(rule.trades) { count(entries.removeFirst(), -1) }
        entries.append(entry)
        count(entry, 1)
    }

    /// The trade with this number counts for nothing.
    public mutating func bust(_ number: Int64) {
        guard let place = entries.firstIndex(where: { $0.number == number }) else { return }
        count(entries[place], -1)
        entries[place].lots = 0
    }

    /// Begins anew with a price from outside.
    public mutating func set(_ setting: Setting) { self = ReferencePrice(rule: rule, setting: setting) }

    private mutating func count(_ entry: Entry, _ sign: Int64) {
        lots += sign * entry.lots
        turnover += Int128(sign) * Int128(entry.lots) * Int128(entry.price)
    }
}

extension OrderLimits {
    /// The prices an order may name that lie at most so many thousandths of a price away from it: one tick to either side at least.
    public func range(around price: Int64, thousandths: Int64) -> ClosedRange<Int64> {
        let reach = max(Int64(Int128(price) * Int128(thousandths) / 1_000), tick)
        let lowest = max(price - reach, tick)
        let highest = max(min(price + reach, largestPrice), lowest)
        let low = (lowest + tick - 1) / tick * tick
        return low...max(highest / tick * tick, low)
    }
}
