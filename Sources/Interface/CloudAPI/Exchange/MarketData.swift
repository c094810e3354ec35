public import Primitives

/// What was traded in one stretch of time. Prices are micro-units per lot-hour.
public struct BarView: Codable, Sendable, Hashable {
    public var start: Instant
    public var open: Int64
    public var high: Int64
    public var low: Int64
    public var close: Int64
    /// Volume.
    public var lots: Int64
    /// The sum of price × lots, in micro-units per hour; the largest 64-bit number when it is more.
    public var turnover: Int64
    /// The average price by volume.
    public var average: Int64
    /// How many trades.
    public var trades: Int64
    public init(
        start: Instant, open: Int64, high: Int64, low: Int64, close: Int64, lots: Int64, turnover: Int64, average: Int64, trades: Int64
    ) {
        self.start = start
        self.open = open
        self.high = high
        self.low = low
        self.close = close
        self.lots = lots
        self.turnover = turnover
        self.average = average
        self.trades = trades
    }
}

/// A trade as everybody may know it.
public struct TradePrint: Codable, Sendable, Hashable {
    /// Micro-units per lot-hour.
    public var price: Int64
    public var lots: Int64
    public var at: Instant
    public init(price: Int64, lots: Int64, at: Instant) {
        self.price = price
        self.lots = lots
        self.at = at
    }
}

/// The average price by volume of the newest trades.
public struct ReferenceView: Codable, Sendable, Hashable {
    /// Micro-units per lot-hour.
    public var price: Int64
    /// How many lots are in it: exactly these, of the newest trades.
    public var lots: Int64
    /// The time of the oldest trade in it, 24 hours ago at most.
    public var since: Instant
    public init(price: Int64, lots: Int64, since: Instant) {
        self.price = price
        self.lots = lots
        self.since = since
    }
}

/// A series at a glance.
public struct TickerView: Codable, Sendable, Hashable {
    public var series: SeriesID
    public var at: Instant
    public var last: TradePrint?
    /// Best prices with what is shown there.
    public var bid: PriceLevel?
    public var ask: PriceLevel?
    /// The last 24 hours, to the minute; absent when nothing was traded in them.
    public var day: BarView?
    /// Absent while fewer lots than it needs were traded in the last 24 hours.
    public var reference: ReferenceView?
    public init(
        series: SeriesID, at: Instant, last: TradePrint?, bid: PriceLevel?, ask: PriceLevel?, day: BarView?, reference: ReferenceView?
    ) {
        self.series = series
        self.at = at
        self.last = last
        self.bid = bid
        self.ask = ask
        self.day = day
        self.reference = reference
    }
}

extension ExchangeAPI {
    public static let listBars = Endpoint(
        "listBars", .get, "/v1/series/{series}/bars", "Open, high, low, close and volume of a series, oldest first.", access: [.anyone],
        query: QueryParameter.paging + [
            QueryParameter("interval", .string, "1m, 5m, 1h or 1d; 1h when absent. Times in which nothing was traded have no bar."),
            QueryParameter("start", .string, "Only bars that begin then or later (RFC 3339); `limit` bars before `end` when absent."),
            QueryParameter("end", .string, "Only bars that begin before; now when absent."),
        ], request: Empty.self, response: Page<BarView>.self)
    public static let showTicker = Endpoint(
        "showTicker", .get, "/v1/series/{series}/ticker", "Last trade, best prices, the last 24 hours and the reference price of a series.",
        access: [.anyone], request: Empty.self, response: TickerView.self)
    public static let showDepth = Endpoint(
        "showDepth", .get, "/v1/series/{series}/depth", "The best price levels of a series, with the number of orders at each.",
        access: [.anyone], query: [QueryParameter("levels", .integer, "Levels of each side, 1 to 1000; 10 when absent.", range: 1...1_000)],
        request: Empty.self, response: BookView.self)
}
