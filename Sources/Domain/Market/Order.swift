public import Primitives

public enum Side: String, Sendable, Codable, CaseIterable {
    case buy, sell

    public var opposite: Side { self == .buy ? .sell : .buy }
}

/// What a participant asks for.
public struct OrderDraft: Hashable, Sendable, Codable {
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
    public var conditions: OrderConditions

    public init(
        participant: ParticipantID, series: SeriesID, side: Side, lifetime: Order.Lifetime, price: Int64, lots: Int64,
        datacenter: DatacenterID? = nil, clientOrderID: String? = nil, conditions: OrderConditions = .none
    ) {
        self.participant = participant
        self.series = series
        self.side = side
        self.lifetime = lifetime
        self.price = price
        self.lots = lots
        self.datacenter = datacenter
        self.clientOrderID = clientOrderID
        self.conditions = conditions
    }
}

/// What else an order asks for beside price and volume.
public struct OrderConditions: Hashable, Sendable, Codable {
    /// What becomes of an order that would trade with another of the same participant.
    public enum SelfMatch: String, Sendable, Codable, CaseIterable {
        /// It is refused as a whole.
        case refuse
        /// It trades what comes before; its rest is cancelled.
        case cancelNewest = "cancel-newest"
        /// The resting ones are cancelled and it goes on.
        case cancelOldest = "cancel-oldest"
        /// It trades what comes before; its rest and the resting one are cancelled.
        case cancelBoth = "cancel-both"
    }

    /// For `goodTillDate`: when the order leaves the book by itself.
    public var expires: Instant?
    /// Iceberg: show at most this much at a time. Each part that comes up goes to the end of the queue of its price.
    public var display: Int64?
    /// Trade all of it at once or nothing. While it rests, orders that want less pass it by, and it keeps its place.
    public var allOrNone: Bool
    /// Refuse the order when any of it would trade at once.
    public var postOnly: Bool
    /// Refuse the order when less than this would trade at once.
    public var minimumLots: Int64?
    public var selfMatch: SelfMatch

    public init(
        expires: Instant? = nil, display: Int64? = nil, allOrNone: Bool = false, postOnly: Bool = false, minimumLots: Int64? = nil,
        selfMatch: SelfMatch = .refuse
    ) {
        self.expires = expires
        self.display = display
        self.allOrNone = allOrNone
        self.postOnly = postOnly
        self.minimumLots = minimumLots
        self.selfMatch = selfMatch
    }

    public static let none = OrderConditions()
}

/// An order the market accepted.
public struct Order: Hashable, Sendable {
    public enum Lifetime: String, Sendable, Codable, CaseIterable {
        /// Rests in the book until it is filled or cancelled.
        case limit
        /// The same, and leaves the book at `OrderConditions.expires`.
        case goodTillDate
        /// Trades what it can at once; the rest is cancelled.
        case immediateOrCancel
        /// The same at whatever price there is, up to the cap that `price` is here.
        case market
        /// Trades all of it at once, or is refused.
        case fillOrKill

        public var rests: Bool { self == .limit || self == .goodTillDate }
    }
    public enum State: String, Sendable, CaseIterable { case resting, filled, cancelled }
    public enum CancelReason: String, Sendable, CaseIterable {
        /// Its owner, or the operator, asked.
        case asked
        /// The rest of an immediate-or-cancel order.
        case immediate
        /// Its time is over.
        case expired
        /// It would have traded with another order of its owner.
        case selfMatch
        /// Its owner may not trade any more.
        case suspended
        /// The datacenter declared less capacity than was on offer.
        case capacityWithdrawn
        /// Its series closed to trading.
        case seriesClosed
        /// The rest of an order that would have traded outside the volatility band.
        case volatility
    }

    public let id: OrderID
    /// Place in the queue of its price level: lower goes first. Unique in the market.
    public var priority: Int64
    /// As asked for, or as replaced since.
    public var draft: OrderDraft
    public let placed: Instant
    public var filled: Int64
    /// Of an iceberg that rests: what is up. Nil: all that is left.
    public var shown: Int64?
    public var state: State
    public var cancelReason: CancelReason?

    public init(
        id: OrderID, priority: Int64, draft: OrderDraft, placed: Instant, filled: Int64, shown: Int64? = nil, state: State,
        cancelReason: CancelReason? = nil
    ) {
        self.id = id
        self.priority = priority
        self.draft = draft
        self.placed = placed
        self.filled = filled
        self.shown = shown
        self.state = state
        self.cancelReason = cancelReason
    }

    public var remaining: Int64 { draft.lots - filled }
}

/// Two orders met, or two participants agreed.
public struct Trade: Hashable, Sendable {
    public enum Origin: Hashable, Sendable {
        case orders(buy: OrderID, sell: OrderID)
        /// Bilateral: outside the book, and not in what is published of the market.
        case proposal(ProposalID)
    }

    public let id: TradeID
    /// 1, 2, 3, …; its contract has the same.
    public let number: Int64
    public let series: SeriesID
    public let contract: ContractID
    public let origin: Origin
    /// The side that arrived later and took the resting order's price, or accepted a proposal.
    public let taker: Side
    public let price: Int64
    public let lots: Int64
    public let at: Instant
}

extension Trade {
    public var buyOrder: OrderID? { if case .orders(let buy, _) = origin { buy } else { nil } }
    public var sellOrder: OrderID? { if case .orders(_, let sell) = origin { sell } else { nil } }
    /// Of a bilateral trade.
    public var proposal: ProposalID? { if case .proposal(let id) = origin { id } else { nil } }
}
