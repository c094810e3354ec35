public import Primitives

/// How long the bars of a chart are. Bars are aligned to the epoch, so days begin at midnight UTC.
public enum BarInterval: String, Codable, Hashable, Sendable, CaseIterable {
    case minute = "1m"
    case fiveMinutes = "5m"
    case hour = "1h"
    case day = "1d"

    public var span: Span {
        switch self {
        case .minute: .minutes(1)
        case .fiveMinutes: .minutes(5)
        case .hour: .hours(1)
        case .day: .days(1)
        }
    }
}

/// What was traded in one stretch of time: open, high, low and close, volume and turnover. Prices are micro-units per lot-hour.
public struct Bar: Hashable, Sendable {
    public let start: Instant
    public private(set) var open: Int64
    public private(set) var high: Int64
    public private(set) var low: Int64
    public private(set) var close: Int64
    public private(set) var lots: Int64
    /// The sum of price × lots, in micro-units per hour. Many trades at the largest price pass 64 bits.
    public private(set) var turnover: Int128
    public private(set) var trades: Int64

    public init(
        start: Instant, open: Int64, high: Int64, low: Int64, close: Int64, lots: Int64, turnover: Int128, trades: Int64
    ) {
        self.start = start
        self.open = open
        self.high = high
        self.low = low
        self.close = close
        self.lots = lots
        self.turnover = turnover
        self.trades = trades
    }

    /// The bar of one trade.
    public init(price: Int64, lots: Int64, at: Instant, _ interval: BarInterval) {
        self.init(
            start: at.floored(to: interval.span), open: price, high: price, low: price, close: price, lots: lots,
            turnover: Int128(price) * Int128(lots), trades: 1)
    }

    /// Takes in what was traded after it.
    public mutating func append(_ later: Bar) {
        high = max(high, later.high)
        low = min(low, later.low)
        close = later.close
        lots += later.lots
        turnover += later.turnover
        trades += later.trades
    }

    /// The price by volume: turnover divided by lots, half-even.
    public var averagePrice: Int64 { Int64(clamping: turnover.dividedHalfEven(by: Int128(max(lots, 1)))) }
}
