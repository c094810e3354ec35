public import Primitives

/// Product × delivery period: the thing with an order book.
public struct Series: Hashable, Sendable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// The period in progress, rolled until either side stops it.
        case spot
        /// Forwards: one fixed delivery period of that length, bought ahead. See `DeliveryCalendar`.
        case hour, day, week, month

        public static let forwards: [Kind] = [.hour, .day, .week, .month]
    }

    /// How far a series has come. Spot is open for ever.
    public enum Stage: String, Codable, Sendable, CaseIterable {
        case trading
        /// Delivery is about to start or goes on: no more trades.
        case closed
        /// Delivery is over; the series leaves the market.
        case expired
    }

    public enum State: String, Sendable, CaseIterable {
        case open, halted, closed, expired

        public init(stage: Stage, isHalted: Bool) {
            switch stage {
            case .trading: self = isHalted ? .halted : .open
            case .closed: self = .closed
            case .expired: self = .expired
            }
        }
    }

    public let id: SeriesID
    public let product: ProductID
    public let kind: Kind
    /// Nil: spot.
    public let delivery: Period?
    /// Why it is halted now, by the operator or by itself.
    public var halted: String?
    /// When it reopens by itself. Nil: not halted, or until the operator reopens it.
    public var haltedUntil: Instant?
    /// The reference price as set by the operator, or moved by a halt.
    public var reference: ReferencePrice.Setting?
    public var stage: Stage

    public init(
        id: SeriesID, product: ProductID, kind: Kind, delivery: Period? = nil, halted: String? = nil, haltedUntil: Instant? = nil,
        reference: ReferencePrice.Setting? = nil, stage: Stage = .trading
    ) {
        precondition((kind == .spot) == (delivery == nil), "a forward has a delivery period, spot has none")
        self.id = id
        self.product = product
        self.kind = kind
        self.delivery = delivery
        self.halted = halted
        self.haltedUntil = haltedUntil
        self.reference = reference
        self.stage = stage
    }

    public var state: State { State(stage: stage, isHalted: halted != nil) }

    /// When trading ends; nil: never.
    public var closes: Instant? { delivery.map { $0.start - kind.closingLead } }

    /// When its stage changes next.
    var nextDue: Instant? {
        switch stage {
        case .trading: closes
        case .closed: delivery?.end
        case .expired: nil
        }
    }
}
