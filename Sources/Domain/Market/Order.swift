public import Primitives

public enum Side: String, Sendable, CaseIterable {
    case buy, sell

    public var opposite: Side { self == .buy ? .sell : .buy }
}

/// What a participant asks for.
public struct OrderDraft: Hashable, Sendable {
    public var participant: ParticipantID
    public var series: SeriesID
    public var side: Side
    public var lifetime: Order.Lifetime
    /// Micro-units per lot-hour: at most (buy) or at least (sell).
    public var price: Int64
    public var lots: Int64
    /// Sell orders only: where the lots are delivered.
    public var datacenter: DatacenterID?
    /// The participant's own name for the order; carried along, compared by nobody here.
    public var clientOrderID: String?

    public init(
        participant: ParticipantID, series: SeriesID, side: Side, lifetime: Order.Lifetime, price: Int64, lots: Int64,
        datacenter: DatacenterID? = nil, clientOrderID: String? = nil
    ) {
        self.participant = participant
        self.series = series
        self.side = side
        self.lifetime = lifetime
        self.price = price
        self.lots = lots
        self.datacenter = datacenter
        self.clientOrderID = clientOrderID
    }
}

/// An order the market accepted.
public struct Order: Hashable, Sendable {
    public enum Lifetime: String, Sendable, CaseIterable {
        /// Rests in the book until it is filled or cancelled.
        case limit
        /// Trades what it can at once; the rest is cancelled.
        case immediateOrCancel
    }
    public enum State: String, Sendable, CaseIterable { case resting, filled, cancelled }
    public enum CancelReason: String, Sendable, CaseIterable {
        /// Its owner, or the operator, asked.
        case asked
        /// The rest of an immediate-or-cancel order.
        case immediate
        /// The datacenter declared less capacity than was on offer.
        case capacityWithdrawn
    }

    public let id: OrderID
    /// Place in the queue of its price level: lower goes first. Unique in the market.
    public let priority: Int64
    public let draft: OrderDraft
    public let placed: Instant
    public var filled: Int64
    public var state: State
    public var cancelReason: CancelReason?

    public init(
        id: OrderID, priority: Int64, draft: OrderDraft, placed: Instant, filled: Int64, state: State, cancelReason: CancelReason? = nil
    ) {
        self.id = id
        self.priority = priority
        self.draft = draft
        self.placed = placed
        self.filled = filled
        self.state = state
        self.cancelReason = cancelReason
    }

    public var remaining: Int64 { draft.lots - filled }
}

/// Two orders met.
public struct Trade: Hashable, Sendable {
    public let id: TradeID
    /// 1, 2, 3, …; its contract has the same.
    public let number: Int64
    public let series: SeriesID
    public let contract: ContractID
    public let buyOrder: OrderID
    public let sellOrder: OrderID
    /// The side that arrived later and took the resting order's price.
    public let taker: Side
    public let price: Int64
    public let lots: Int64
    public let at: Instant
}
