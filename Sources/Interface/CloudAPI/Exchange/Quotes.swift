public import Primitives

/// One series of a quote: what to trade in it, and the order that does so.
public struct QuoteLegView: Codable, Sendable {
    public var series: SeriesID
    /// `spot`, `hour`, `day`, `week` or `month`.
    public var kind: String
    /// What of the window it covers.
    public var period: Period
    public var lots: Int64
    /// What is used of each price, best first; `orders` is how many rest at it.
    public var levels: [PriceLevel]
    /// Micro-units.
    public var costMicroUnits: Int64
    /// Ready for `POST /v1/orders`: all of the leg at the prices above, or nothing. A seller adds its datacenter. A spot contract rolls on
    /// until it is stopped.
    public var order: PlaceOrder

    public init(
        series: SeriesID, kind: String, period: Period, lots: Int64, levels: [PriceLevel], costMicroUnits: Int64, order: PlaceOrder
    ) {
        self.series = series
        self.kind = kind
        self.period = period
        self.lots = lots
        self.levels = levels
        self.costMicroUnits = costMicroUnits
        self.order = order
    }
}

/// What a window costs now: the cheapest combination of series that makes it up without a gap (to sell: the dearest).
/// It holds nothing: prices are those of the moment it was asked.
public struct QuoteView: Codable, Sendable {
    public var product: ProductID
    public var productName: String
    public var side: OrderSide
    public var window: Period
    public var lots: Int64
    public var at: Instant
    public var currency: Currency
    /// Micro-units for all lots over the whole window.
    public var totalMicroUnits: Int64
    /// Micro-units per lot-hour.
    public var average: Int64
    /// How many lots can be had for the whole window before one costs more than the dearest of these.
    public var depth: Int64
    /// By start.
    public var legs: [QuoteLegView]

    public init(
        product: ProductID, productName: String, side: OrderSide, window: Period, lots: Int64, at: Instant, currency: Currency,
        totalMicroUnits: Int64, average: Int64, depth: Int64, legs: [QuoteLegView]
    ) {
        self.product = product
        self.productName = productName
        self.side = side
        self.window = window
        self.lots = lots
        self.at = at
        self.currency = currency
        self.totalMicroUnits = totalMicroUnits
        self.average = average
        self.depth = depth
        self.legs = legs
    }
}

extension ExchangeAPI {
    public static let quote = Endpoint(
        "quote", .get, "/v1/quotes",
        "What so many lots of a product cost throughout a window now, and which orders would buy (or sell) them.", access: traders,
        query: [
            QueryParameter("product", .string, "Which product."),
            QueryParameter("start", .string, "Full hour, RFC 3339 in UTC; the hour in progress at the earliest."),
            QueryParameter("end", .string, "Full hour, RFC 3339 in UTC."),
            QueryParameter("lots", .integer, "How many lots; 1 when absent.", range: 1...1_000_000),
            QueryParameter("side", .string, "`buy` (when absent) or `sell`."),
        ], request: Empty.self, response: QuoteView.self)
}
