public import Primitives

public enum ContractState: String, Codable, Sendable, CaseIterable { case created, delivering, ended, settled }

/// Who has confirmed a contract, by pulling a certificate of it, and until when both must have.
public struct ConfirmationView: Codable, Sendable {
    public var deadline: Instant
    public var buyer: Instant?
    public var seller: Instant?
    public init(deadline: Instant, buyer: Instant?, seller: Instant?) {
        self.deadline = deadline
        self.buyer = buyer
        self.seller = seller
    }
}

/// How a contract ended: to the end of its period, before, or because a side did not confirm it or pay all of a forward.
public enum ContractOutcome: String, Codable, Sendable, CaseIterable {
    case delivered, defaulted
    case endedEarly = "ended-early"
}

/// What becomes of a contract next, and when.
public struct ContractStepView: Codable, Sendable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// Both sides must have confirmed it.
        case confirmation
        /// The delivery of a forward begins.
        case delivery
        /// The next period is paid ahead.
        case roll
        case end
        /// The last reports are awaited.
        case reports
        /// A dispute is resolved by default.
        case dispute
    }
    public var kind: Kind
    public var at: Instant
    public init(kind: Kind, at: Instant) {
        self.kind = kind
        self.at = at
    }
}

/// A contract: parties, volume, duration, product, price, and the terms' document hash.
public struct ContractView: Codable, Sendable {
    public var id: ContractID
    public var state: ContractState
    /// Why it ended (or will end), for both sides to read.
    public var reason: String?
    public var buyer: ParticipantID
    public var buyerName: String
    public var seller: ParticipantID
    public var sellerName: String
    public var product: ProductID
    public var productName: String
    public var series: SeriesID
    public var trade: TradeID
    /// The proposal it came of, when it was not made in the book.
    public var proposal: ProposalID?
    public var datacenter: DatacenterID
    public var region: String
    public var zone: String?
    /// Where the seller's connect listens for this contract, `host:port`.
    public var peerAddress: String
    public var lots: Int64
    /// What one lot holds.
    public var lot: Resources
    /// Micro-units per lot-hour.
    public var price: Int64
    public var currency: Currency
    /// From the trade to the end of the last period paid for; a rolling contract's end moves on. Of a forward, its delivery.
    public var period: Period
    /// True until either side asks to stop it.
    public var rolls: Bool
    public var termsHash: String
    /// What the seller has been paid so far (micro-units).
    public var settledMicroUnits: Int64
    /// Of a forward: what the buyer and the seller have put up now (micro-units).
    public var marginMicroUnits: Int64?
    public var bondMicroUnits: Int64?
    /// What the buyer was charged and got back so far, because delivery fell short (micro-units).
    public var creditedMicroUnits: Int64?
    public var confirmation: ConfirmationView?
    /// How it ended.
    public var outcome: ContractOutcome?
    /// What comes next; absent when nothing does.
    public var next: ContractStepView?
    /// Of its product; absent: firm.
    public var firmness: Firmness?

    public init(
        id: ContractID, state: ContractState, reason: String?, buyer: ParticipantID, buyerName: String, seller: ParticipantID,
        sellerName: String,
        product: ProductID, productName: String, series: SeriesID, trade: TradeID, proposal: ProposalID? = nil,
        datacenter: DatacenterID, region: String, zone: String?,
        peerAddress: String, lots: Int64, lot: Resources, price: Int64, currency: Currency, period: Period, rolls: Bool, termsHash: String,
        settledMicroUnits: Int64, marginMicroUnits: Int64? = nil, bondMicroUnits: Int64? = nil, creditedMicroUnits: Int64? = nil,
        confirmation: ConfirmationView? = nil, outcome: ContractOutcome? = nil, next: ContractStepView? = nil, firmness: Firmness? = nil
    ) {
        self.id = id
        self.state = state
        self.reason = reason
        self.buyer = buyer
        self.buyerName = buyerName
        self.seller = seller
        self.sellerName = sellerName
        self.product = product
        self.productName = productName
        self.series = series
        self.trade = trade
        self.proposal = proposal
        self.datacenter = datacenter
        self.region = region
        self.zone = zone
        self.peerAddress = peerAddress
        self.lots = lots
        self.lot = lot
        self.price = price
        self.currency = currency
        self.period = period
        self.rolls = rolls
        self.termsHash = termsHash
        self.settledMicroUnits = settledMicroUnits
        self.marginMicroUnits = marginMicroUnits
        self.bondMicroUnits = bondMicroUnits
        self.creditedMicroUnits = creditedMicroUnits
        self.confirmation = confirmation
        self.outcome = outcome
        self.next = next
        self.firmness = firmness
    }
}

/// Ask that a rolling contract is not rolled again (it ends when what is paid for is over), or, by the operator only, end it now.
public struct StopContract: Codable, Sendable {
    public var reason: String
    /// Operator only: end at once and revoke both certificates.
    public var immediately: Bool?
    public init(reason: String, immediately: Bool? = nil) {
        self.reason = reason
        self.immediately = immediately
    }
}

extension ExchangeAPI {
    public static let listContracts = Endpoint(
        "listContracts", .get, "/v1/contracts", "The caller's contracts, newest first.", access: traders,
        query: QueryParameter.paging + [QueryParameter("state", .string, "Only contracts in this state.")], request: Empty.self,
        response: Page<ContractView>.self)
    public static let showContract = Endpoint(
        "showContract", .get, "/v1/contracts/{contract}", "One contract.", access: traders, request: Empty.self, response: ContractView.self
    )
    public static let stopContract = Endpoint(
        "stopContract", .post, "/v1/contracts/{contract}/stop", "Stop rolling a contract.", access: traders, success: 202,
        request: StopContract.self, response: ContractView.self)
    public static let issueContractCertificate = Endpoint(
        "issueContractCertificate", .post, "/v1/contracts/{contract}/certificate",
        "Issue this side's certificate of a contract: at most 24 hours, never past the contract.", access: [.manage, .connect],
        success: 201,
        request: CertificateRequest.self, response: IssuedCertificateView.self)
}
