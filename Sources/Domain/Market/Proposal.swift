public import Primitives

/// A trade one participant offers another, outside the book. It holds nothing: what it needs is checked when it is accepted.
public struct Proposal: Hashable, Sendable {
    public enum State: String, Sendable, Codable, CaseIterable {
        /// Waits for the counterparty.
        case open
        /// It made a trade.
        case accepted
        /// The counterparty said no.
        case refused
        /// Its proposer, or the proposer's suspension, took it back.
        case withdrawn
        /// Its time is over.
        case expired
    }

    public let id: ProposalID
    /// 1, 2, 3, … in the order they were made.
    public let number: Int64
    public var draft: ProposalDraft
    public let created: Instant
    public let expires: Instant
    public var state: State
    /// When it was accepted, refused or withdrawn, or ran out.
    public var decided: Instant?
    /// Why it was refused, or withdrawn by others than its proposer.
    public var reason: String?
    /// What it made.
    public var trade: TradeID?
    public var contract: ContractID?

    public init(
        id: ProposalID, number: Int64, draft: ProposalDraft, created: Instant, expires: Instant, state: State = .open,
        decided: Instant? = nil, reason: String? = nil, trade: TradeID? = nil, contract: ContractID? = nil
    ) {
        self.id = id
        self.number = number
        self.draft = draft
        self.created = created
        self.expires = expires
        self.state = state
        self.decided = decided
        self.reason = reason
        self.trade = trade
        self.contract = contract
    }
}

/// What a participant proposes to another.
public struct ProposalDraft: Codable, Hashable, Sendable {
    public var proposer: ParticipantID
    public var counterparty: ParticipantID
    public var series: SeriesID
    /// The proposer's.
    public var side: Side
    /// Micro-units per lot-hour.
    public var price: Int64
    public var lots: Int64
    /// Where the lots are delivered. A seller that proposes names it; one that is asked does when it accepts.
    public var datacenter: DatacenterID?
    /// For the counterparty to read.
    public var note: String?
    /// Nil: after `Proposal.lifetime`, or when the series closes.
    public var expires: Instant?

    public init(
        proposer: ParticipantID, counterparty: ParticipantID, series: SeriesID, side: Side, price: Int64, lots: Int64,
        datacenter: DatacenterID? = nil, note: String? = nil, expires: Instant? = nil
    ) {
        self.proposer = proposer
        self.counterparty = counterparty
        self.series = series
        self.side = side
        self.price = price
        self.lots = lots
        self.datacenter = datacenter
        self.note = note
        self.expires = expires
    }
}

extension Proposal {
    /// How long one is open when nothing is said, and at most.
    public static let lifetime = Span.hours(1)
    public static let longestLifetime = Span.days(7)
    /// How many a participant may have open at once.
    public static let mostOpen = 1_000

    public var buyer: ParticipantID { draft.side == .buy ? draft.proposer : draft.counterparty }
    public var seller: ParticipantID { draft.side == .sell ? draft.proposer : draft.counterparty }
}

extension ProposalDraft {
    /// The order each side would place to trade this with the other.
    var ofProposer: OrderDraft {
        OrderDraft(
            participant: proposer, series: series, side: side, lifetime: .limit, price: price, lots: lots, datacenter: datacenter)
    }

    func ofCounterparty(from datacenter: DatacenterID?) -> OrderDraft {
        OrderDraft(
            participant: counterparty, series: series, side: side.opposite, lifetime: .limit, price: price, lots: lots,
            datacenter: datacenter)
    }
}
