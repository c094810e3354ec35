public import Primitives

public enum ProposalState: String, Codable, Sendable, CaseIterable { case open, accepted, refused, withdrawn, expired }

/// A trade offered to one participant, outside the book. It holds nothing until it is accepted.
public struct CreateProposal: Codable, Sendable {
    /// The identifier or the name of the participant it is made to.
    public var counterparty: String
    public var series: SeriesID
    /// The caller's.
    public var side: OrderSide
    /// Micro-units per lot-hour.
    public var price: Int64
    public var lots: Int64
    /// To sell: where the lots are delivered.
    public var datacenter: DatacenterID?
    /// For the counterparty to read; at most 500 characters.
    public var note: String?
    /// Within seven days and before the series closes; an hour from now when absent.
    public var expires: Instant?
    public init(
        counterparty: String, series: SeriesID, side: OrderSide, price: Int64, lots: Int64, datacenter: DatacenterID? = nil,
        note: String? = nil, expires: Instant? = nil
    ) {
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

public struct AcceptProposal: Codable, Sendable {
    /// The seller's, when the proposal is to buy: where the lots are delivered.
    public var datacenter: DatacenterID?
    public init(datacenter: DatacenterID? = nil) { self.datacenter = datacenter }
}

/// Why a proposal is refused, for its proposer to read.
public struct RefuseProposal: Codable, Sendable {
    public var reason: String
    public init(reason: String) { self.reason = reason }
}

/// A proposal, as its two sides and the operator see it.
public struct ProposalView: Codable, Sendable {
    public var id: ProposalID
    public var state: ProposalState
    public var proposer: ParticipantID
    public var proposerName: String
    public var counterparty: ParticipantID
    public var counterpartyName: String
    public var series: SeriesID
    /// The proposer's.
    public var side: OrderSide
    /// Micro-units per lot-hour.
    public var price: Int64
    public var lots: Int64
    public var datacenter: DatacenterID?
    public var note: String?
    public var created: Instant
    public var expires: Instant
    /// When it stopped being open.
    public var decided: Instant?
    /// Why it was refused, or withdrawn by others than its proposer.
    public var reason: String?
    /// What it made.
    public var trade: TradeID?
    public var contract: ContractID?
    public init(
        id: ProposalID, state: ProposalState, proposer: ParticipantID, proposerName: String, counterparty: ParticipantID,
        counterpartyName: String, series: SeriesID, side: OrderSide, price: Int64, lots: Int64, datacenter: DatacenterID?, note: String?,
        created: Instant, expires: Instant, decided: Instant?, reason: String?, trade: TradeID?, contract: ContractID?
    ) {
        self.id = id
        self.state = state
        self.proposer = proposer
        self.proposerName = proposerName
        self.counterparty = counterparty
        self.counterpartyName = counterpartyName
        self.series = series
        self.side = side
        self.price = price
        self.lots = lots
        self.datacenter = datacenter
        self.note = note
        self.created = created
        self.expires = expires
        self.decided = decided
        self.reason = reason
        self.trade = trade
        self.contract = contract
    }
}

extension ExchangeAPI {
    public static let propose = Endpoint(
        "propose", .post, "/v1/proposals", "Propose a trade to another participant, outside the book. It holds nothing until accepted.",
        access: [.participant, .manage, .connect], success: 201, request: CreateProposal.self, response: ProposalView.self)
    public static let listProposals = Endpoint(
        "listProposals", .get, "/v1/proposals", "Proposals by and to the caller, newest first.", access: traders,
        query: QueryParameter.paging + [QueryParameter("state", .string, "Only proposals in this state.")], request: Empty.self,
        response: Page<ProposalView>.self)
    public static let showProposal = Endpoint(
        "showProposal", .get, "/v1/proposals/{proposal}", "One proposal.", access: traders, request: Empty.self, response: ProposalView.self
    )
    public static let acceptProposal = Endpoint(
        "acceptProposal", .post, "/v1/proposals/{proposal}/accept",
        "Make the proposed trade and its contract, as if the two sides had met in the book.", access: [.participant, .manage, .connect],
        request: AcceptProposal.self, response: ProposalView.self)
    public static let refuseProposal = Endpoint(
        "refuseProposal", .post, "/v1/proposals/{proposal}/refuse", "Say no to a proposal, and why.", access: [.participant, .manage],
        request: RefuseProposal.self, response: ProposalView.self)
    public static let withdrawProposal = Endpoint(
        "withdrawProposal", .delete, "/v1/proposals/{proposal}", "Take an own proposal back.", access: [.participant, .manage, .connect],
        request: Empty.self, response: ProposalView.self)
}
