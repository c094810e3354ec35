public import Primitives

public enum OrderSide: String, Codable, Sendable, CaseIterable { case buy, sell }

/// `limit` rests until it is filled or cancelled, `goodTillDate` until `expires` at most. `immediateOrCancel` trades what it can at once,
/// `market` the same with `price` as its cap, and `fillOrKill` all of it or nothing.
public enum OrderType: String, Codable, Sendable, CaseIterable { case limit, goodTillDate, immediateOrCancel, market, fillOrKill }

/// What becomes of an order that would trade with another of the same participant: refuse it, cancel its rest, cancel the resting ones,
/// or both.
public enum SelfMatchMode: String, Codable, Sendable, CaseIterable {
    case refuse
    case cancelNewest = "cancel-newest"
    case cancelOldest = "cancel-oldest"
    case cancelBoth = "cancel-both"
}

/// What else an order asks for. Nothing of it when absent.
public struct OrderConditionsView: Codable, Sendable, Hashable {
    /// When a `goodTillDate` order leaves the book.
    public var expires: Instant?
    /// Iceberg: show at most this many lots at a time; each part that comes up goes to the end of the queue of its price.
    public var display: Int64?
    /// Trade all of it at once or nothing; while it rests, smaller orders pass it by.
    public var allOrNone: Bool?
    /// Refuse it when any of it would trade at once.
    public var postOnly: Bool?
    /// Refuse it when fewer lots than this would trade at once.
    public var minimumLots: Int64?
    /// `refuse` when absent.
    public var selfMatch: SelfMatchMode?

    public init(
        expires: Instant? = nil, display: Int64? = nil, allOrNone: Bool? = nil, postOnly: Bool? = nil, minimumLots: Int64? = nil,
        selfMatch: SelfMatchMode? = nil
    ) {
        self.expires = expires
        self.display = display
        self.allOrNone = allOrNone
        self.postOnly = postOnly
        self.minimumLots = minimumLots
        self.selfMatch = selfMatch
    }
}

/// Another price, another volume, or both.
public struct ReplaceOrder: Codable, Sendable {
    public var price: Int64?
    /// Of the whole order, what is filled included.
    public var lots: Int64?
    public init(price: Int64? = nil, lots: Int64? = nil) {
        self.price = price
        self.lots = lots
    }
}

/// Which of the caller's orders to cancel: all when nothing is said.
public struct CancelOrders: Codable, Sendable {
    public var series: SeriesID?
    public var side: OrderSide?
    /// For the operator: whose.
    public var participant: ParticipantID?
    public init(series: SeriesID? = nil, side: OrderSide? = nil, participant: ParticipantID? = nil) {
        self.series = series
        self.side = side
        self.participant = participant
    }
}

public struct CancelledOrders: Codable, Sendable {
    public var orders: [OrderID]
    public init(orders: [OrderID]) { self.orders = orders }
}

/// Why trading stops, for others to read.
public struct Suspension: Codable, Sendable {
    public var reason: String
    public init(reason: String) { self.reason = reason }
}
public enum OrderState: String, Codable, Sendable, CaseIterable { case resting, filled, partiallyFilledAndCancelled, cancelled, expired }

public struct PlaceOrder: Codable, Sendable {
    public var series: SeriesID
    public var side: OrderSide
    public var type: OrderType
    /// Micro-units per lot-hour: at most (buy) or at least (sell).
    public var price: Int64
    public var lots: Int64
    /// Sell orders: where the lots are delivered.
    public var datacenter: DatacenterID?
    /// The caller's own name for the order, unique per participant.
    public var clientOrderID: String?
    public var conditions: OrderConditionsView?
    public init(
        series: SeriesID, side: OrderSide, type: OrderType, price: Int64, lots: Int64, datacenter: DatacenterID? = nil,
        clientOrderID: String? = nil, conditions: OrderConditionsView? = nil
    ) {
        self.series = series
        self.side = side
        self.type = type
        self.price = price
        self.lots = lots
        self.datacenter = datacenter
        self.clientOrderID = clientOrderID
        self.conditions = conditions
    }
}

public struct OrderView: Codable, Sendable {
    public var id: OrderID
    public var participant: ParticipantID
    public var series: SeriesID
    public var side: OrderSide
    public var type: OrderType
    public var price: Int64
    public var lots: Int64
    public var filled: Int64
    public var state: OrderState
    /// Why a cancelled order was cancelled: `asked`, `immediate`, `expired`, `selfMatch`, `suspended`, `capacityWithdrawn`,
    /// `volatility`.
    public var reason: String?
    public var datacenter: DatacenterID?
    public var clientOrderID: String?
    public var conditions: OrderConditionsView?
    public var created: Instant
    /// Contracts its fills made, oldest first.
    public var contracts: [ContractID]
    public init(
        id: OrderID, participant: ParticipantID, series: SeriesID, side: OrderSide, type: OrderType, price: Int64, lots: Int64,
        filled: Int64,
        state: OrderState, reason: String? = nil, datacenter: DatacenterID?, clientOrderID: String?,
        conditions: OrderConditionsView? = nil, created: Instant, contracts: [ContractID]
    ) {
        self.id = id
        self.participant = participant
        self.series = series
        self.side = side
        self.type = type
        self.price = price
        self.lots = lots
        self.filled = filled
        self.state = state
        self.reason = reason
        self.datacenter = datacenter
        self.clientOrderID = clientOrderID
        self.conditions = conditions
        self.created = created
        self.contracts = contracts
    }
}

/// A trade. Parties are shown to themselves and to the operator only.
public struct TradeView: Codable, Sendable {
    public var id: TradeID
    public var series: SeriesID
    public var price: Int64
    public var lots: Int64
    public var at: Instant
    public var contract: ContractID?
    /// True of a trade outside the book; its parties and the operator see it, and no market data does.
    public var bilateral: Bool?
    /// Present when it was declared void and does not count.
    public var busted: BustView?
    public init(
        id: TradeID, series: SeriesID, price: Int64, lots: Int64, at: Instant, contract: ContractID?, bilateral: Bool? = nil,
        busted: BustView? = nil
    ) {
        self.id = id
        self.series = series
        self.price = price
        self.lots = lots
        self.at = at
        self.contract = contract
        self.bilateral = bilateral
        self.busted = busted
    }
}

extension ExchangeAPI {
    public static let placeOrder = Endpoint(
        "placeOrder", .post, "/v1/orders", "Place an order; the answer says what it traded.", access: [.participant, .manage, .connect],
        success: 201,
        request: PlaceOrder.self, response: OrderView.self)
    public static let listOrders = Endpoint(
        "listOrders", .get, "/v1/orders", "The caller's orders, newest first.", access: traders,
        query: QueryParameter.paging + [
            QueryParameter("state", .string, "Only orders in this state."),
            QueryParameter("clientOrderID", .string, "Only the order with this client order id."),
        ], request: Empty.self, response: Page<OrderView>.self)
    public static let showOrder = Endpoint(
        "showOrder", .get, "/v1/orders/{order}", "One order.", access: traders, request: Empty.self, response: OrderView.self)
    public static let cancelOrder = Endpoint(
        "cancelOrder", .delete, "/v1/orders/{order}", "Take a resting order out of the book.", access: [.participant, .manage, .connect],
        request: Empty.self, response: OrderView.self)
    public static let replaceOrder = Endpoint(
        "replaceOrder", .put, "/v1/orders/{order}",
        "Change price or volume of a resting order. Fewer lots at the same price keep its place; anything else may trade at once.",
        access: [.participant, .manage, .connect], request: ReplaceOrder.self, response: OrderView.self)
    public static let cancelOrders = Endpoint(
        "cancelOrders", .post, "/v1/orders/cancellations",
        "Take all of a participant's orders out of the books, or those of a series or side.",
        access: traders, request: CancelOrders.self, response: CancelledOrders.self)
    public static let suspendParticipant = Endpoint(
        "suspendParticipant", .put, "/v1/participants/{participant}/suspension",
        "The kill switch: cancel all orders of a participant and take no more. A participant may do it to itself; only the operator lifts it.",
        access: [.operator, .participant], request: Suspension.self, response: ParticipantView.self)
    public static let resumeParticipant = Endpoint(
        "resumeParticipant", .delete, "/v1/participants/{participant}/suspension", "Let a participant trade again.", access: [.operator],
        request: Empty.self, response: ParticipantView.self)
    public static let haltSeries = Endpoint(
        "haltSeries", .put, "/v1/series/{series}/halt", "Stop trading in a series; its orders rest and may be cancelled.",
        access: [.operator], request: Suspension.self, response: SeriesView.self)
    public static let reopenSeries = Endpoint(
        "reopenSeries", .delete, "/v1/series/{series}/halt", "Let a series trade again.", access: [.operator], request: Empty.self,
        response: SeriesView.self)
    public static let listTrades = Endpoint(
        "listTrades", .get, "/v1/trades", "Trades, newest first.", access: traders,
        query: QueryParameter.paging + [QueryParameter("series", .string, "Only trades of this series.")], request: Empty.self,
        response: Page<TradeView>.self)
}
