public import Primitives

public enum OrderSide: String, Codable, Sendable, CaseIterable { case buy, sell }
public enum OrderType: String, Codable, Sendable, CaseIterable { case limit, immediateOrCancel }
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
    public init(
        series: SeriesID, side: OrderSide, type: OrderType, price: Int64, lots: Int64, datacenter: DatacenterID? = nil,
        clientOrderID: String? = nil
    ) {
        self.series = series
        self.side = side
        self.type = type
        self.price = price
        self.lots = lots
        self.datacenter = datacenter
        self.clientOrderID = clientOrderID
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
    public var datacenter: DatacenterID?
    public var clientOrderID: String?
    public var created: Instant
    /// Contracts its fills made, oldest first.
    public var contracts: [ContractID]
    public init(
        id: OrderID, participant: ParticipantID, series: SeriesID, side: OrderSide, type: OrderType, price: Int64, lots: Int64,
        filled: Int64,
        state: OrderState, datacenter: DatacenterID?, clientOrderID: String?, created: Instant, contracts: [ContractID]
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
        self.datacenter = datacenter
        self.clientOrderID = clientOrderID
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
    public init(id: TradeID, series: SeriesID, price: Int64, lots: Int64, at: Instant, contract: ContractID?) {
        self.id = id
        self.series = series
        self.price = price
        self.lots = lots
        self.at = at
        self.contract = contract
    }
}

extension ExchangeAPI {
    public static let placeOrder = Endpoint(
        "placeOrder", .post, "/v1/orders", "Place an order; the answer says what it traded.", access: [.participant, .manage, .connect],
        success: 201,
        request: PlaceOrder.self, response: OrderView.self)
    public static let listOrders = Endpoint(
        "listOrders", .get, "/v1/orders", "The caller's orders, newest first.", access: traders,
        query: QueryParameter.paging + [QueryParameter("state", .string, "Only orders in this state.")], request: Empty.self,
        response: Page<OrderView>.self)
    public static let showOrder = Endpoint(
        "showOrder", .get, "/v1/orders/{order}", "One order.", access: traders, request: Empty.self, response: OrderView.self)
    public static let cancelOrder = Endpoint(
        "cancelOrder", .delete, "/v1/orders/{order}", "Take a resting order out of the book.", access: [.participant, .manage, .connect],
        request: Empty.self, response: OrderView.self)
    public static let listTrades = Endpoint(
        "listTrades", .get, "/v1/trades", "Trades, newest first.", access: traders,
        query: QueryParameter.paging + [QueryParameter("series", .string, "Only trades of this series.")], request: Empty.self,
        response: Page<TradeView>.self)
}
