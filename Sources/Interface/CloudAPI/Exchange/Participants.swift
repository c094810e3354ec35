public import Primitives

public enum ParticipantRole: String, Codable, Sendable, CaseIterable { case buyer, seller }

public struct CreateParticipant: Codable, Sendable {
    public var name: String
    public var roles: [ParticipantRole]
    /// The currency the participant's accounts are kept in.
    public var currency: Currency

    public init(name: String, roles: [ParticipantRole], currency: Currency) {
        self.name = name
        self.roles = roles
        self.currency = currency
    }
}

public struct ParticipantView: Codable, Sendable {
    public var id: ParticipantID
    public var name: String
    public var roles: [ParticipantRole]
    public var currency: Currency
    public var created: Instant
    /// Why it may not trade now.
    public var suspended: String?
    /// How far below zero its cash may go, in micro-units; absent: not at all.
    public var creditLineMicroUnits: Int64?

    public init(
        id: ParticipantID, name: String, roles: [ParticipantRole], currency: Currency, created: Instant, suspended: String? = nil,
        creditLineMicroUnits: Int64? = nil
    ) {
        self.id = id
        self.name = name
        self.roles = roles
        self.currency = currency
        self.created = created
        self.suspended = suspended
        self.creditLineMicroUnits = creditLineMicroUnits
    }
}

public struct CreateToken: Codable, Sendable {
    public var description: String
    public init(description: String) { self.description = description }
}

/// A bearer token. The secret is shown once; only its hash is kept.
public struct CreatedToken: Codable, Sendable {
    public var id: TokenID
    public var token: String
    public init(id: TokenID, token: String) {
        self.id = id
        self.token = token
    }
}

/// Money that came in from or went out to the participant's bank.
public struct Transfer: Codable, Sendable {
    /// Positive: a deposit. Negative: a withdrawal.
    public var amount: Money
    /// The bank's reference, shown on statements.
    public var reference: String
    public init(amount: Money, reference: String) {
        self.amount = amount
        self.reference = reference
    }
}

/// One ledger account of one participant (or of the exchange itself when `participant` is absent).
public struct BalanceView: Codable, Sendable {
    public var participant: ParticipantID?
    /// A kind of the chart of accounts, e.g. `cash`.
    public var account: String
    public var amount: Money
    /// Of cash: how far below zero it may go for orders and contracts, in micro-units; absent: not at all.
    public var creditLineMicroUnits: Int64?
    public init(participant: ParticipantID?, account: String, amount: Money, creditLineMicroUnits: Int64? = nil) {
        self.participant = participant
        self.account = account
        self.amount = amount
        self.creditLineMicroUnits = creditLineMicroUnits
    }
}

/// A double-entry posting: its entries sum to zero.
public struct PostingView: Codable, Sendable {
    public var id: PostingID
    public var at: Instant
    public var reason: String
    public var contract: ContractID?
    public var entries: [BalanceView]
    public init(id: PostingID, at: Instant, reason: String, contract: ContractID?, entries: [BalanceView]) {
        self.id = id
        self.at = at
        self.reason = reason
        self.contract = contract
        self.entries = entries
    }
}

public struct TrialBalance: Codable, Sendable {
    public var balances: [BalanceView]
    /// The sum of all accounts of one currency; zero, always.
    public var totals: [Money]
    /// The same taken apart, and checked against every entry posted.
    public var proof: [TrialProof]
    /// Accounts whose balance is not the sum of their entries: none, always.
    public var unequal: [BalanceView]
    public init(balances: [BalanceView], totals: [Money], proof: [TrialProof], unequal: [BalanceView]) {
        self.balances = balances
        self.totals = totals
        self.proof = proof
        self.unequal = unequal
    }
}

extension ExchangeAPI {
    public static let createParticipant = Endpoint(
        "createParticipant", .post, "/v1/participants", "Admit a company to the exchange.", access: [.operator], success: 201,
        request: CreateParticipant.self, response: ParticipantView.self)
    public static let listParticipants = Endpoint(
        "listParticipants", .get, "/v1/participants", "Participants; a participant sees itself.",
        access: [.operator, .participant, .manage, .connect],
        query: QueryParameter.paging, request: Empty.self, response: Page<ParticipantView>.self)
    public static let createParticipantToken = Endpoint(
        "createParticipantToken", .post, "/v1/participants/{participant}/tokens", "Make a bearer token for a participant.",
        access: [.operator, .participant], success: 201, request: CreateToken.self, response: CreatedToken.self)
    public static let transfer = Endpoint(
        "transferMoney", .post, "/v1/participants/{participant}/transfers", "Book a deposit or withdrawal.", access: [.operator],
        success: 201,
        request: Transfer.self, response: PostingView.self)
    public static let listBalances = Endpoint(
        "listBalances", .get, "/v1/balances", "The caller's ledger accounts; the operator sees all.",
        access: [.operator, .participant, .manage, .connect], request: Empty.self, response: Page<BalanceView>.self)
    public static let listPostings = Endpoint(
        "listPostings", .get, "/v1/postings", "Ledger postings that touch the caller's accounts, newest first.",
        access: [.operator, .participant, .manage, .connect],
        query: QueryParameter.paging + [QueryParameter("contract", .string, "Only postings of this contract.")], request: Empty.self,
        response: Page<PostingView>.self)
    public static let trialBalance = Endpoint(
        "trialBalance", .get, "/v1/trial-balance", "All ledger accounts, their totals, and the proof that these are zero.",
        access: [.operator], request: Empty.self,
        response: TrialBalance.self)
}
