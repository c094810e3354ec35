public import Primitives

public enum AccountHolder: String, Codable, Sendable, CaseIterable { case participant, exchange }
/// On which side an account normally stands: credits are above zero, debits below.
public enum NormalBalance: String, Codable, Sendable, CaseIterable { case credit, debit }

/// One kind of ledger account.
public struct AccountDefinition: Codable, Sendable {
    /// e.g. `cash`
    public var account: String
    public var holder: AccountHolder
    public var normalBalance: NormalBalance
    /// What it may hold.
    public var limits: String
    public var purpose: String
    public init(account: String, holder: AccountHolder, normalBalance: NormalBalance, limits: String, purpose: String) {
        self.account = account
        self.holder = holder
        self.normalBalance = normalBalance
        self.limits = limits
        self.purpose = purpose
    }
}

/// Every kind of account there is: each participant has those that are a participant's, the exchange has the others.
public struct ChartOfAccounts: Codable, Sendable {
    public var accounts: [AccountDefinition]
    public init(accounts: [AccountDefinition]) { self.accounts = accounts }
}

/// One currency of the trial balance.
public struct TrialProof: Codable, Sendable {
    public var currency: Currency
    /// The sum of all accounts above zero, in micro-units.
    public var creditMicroUnits: Int64
    /// The sum of all accounts below zero.
    public var debitMicroUnits: Int64
    /// Both together: zero, always.
    public var totalMicroUnits: Int64
    /// The sum of every entry ever posted: zero, always.
    public var entriesMicroUnits: Int64
    public init(
        currency: Currency, creditMicroUnits: Int64, debitMicroUnits: Int64, totalMicroUnits: Int64, entriesMicroUnits: Int64
    ) {
        self.currency = currency
        self.creditMicroUnits = creditMicroUnits
        self.debitMicroUnits = debitMicroUnits
        self.totalMicroUnits = totalMicroUnits
        self.entriesMicroUnits = entriesMicroUnits
    }
}

/// What happened to one participant's money on one UTC day. Made of the ledger's tables alone.
public struct StatementView: Codable, Sendable {
    public var participant: ParticipantID
    public var name: String
    public var currency: Currency
    /// e.g. `2026-01-31`
    public var day: String
    /// True when nothing can be posted to the day any more: the statement never changes again.
    public var closed: Bool
    /// Accounts that had something or changed, cash always.
    public var accounts: [StatementAccount]
    /// Oldest first.
    public var lines: [StatementLine]
    /// Of a closed day: SHA-256 of this statement's JSON without this field, keys sorted.
    public var hash: String?
    public init(
        participant: ParticipantID, name: String, currency: Currency, day: String, closed: Bool, accounts: [StatementAccount],
        lines: [StatementLine], hash: String? = nil
    ) {
        self.participant = participant
        self.name = name
        self.currency = currency
        self.day = day
        self.closed = closed
        self.accounts = accounts
        self.lines = lines
        self.hash = hash
    }
}

/// One account over a day, in micro-units: opening + credit + debit = closing.
public struct StatementAccount: Codable, Sendable {
    public var account: String
    public var openingMicroUnits: Int64
    /// What came in.
    public var creditMicroUnits: Int64
    /// What went out, below zero.
    public var debitMicroUnits: Int64
    public var closingMicroUnits: Int64
    public init(account: String, openingMicroUnits: Int64, creditMicroUnits: Int64, debitMicroUnits: Int64, closingMicroUnits: Int64) {
        self.account = account
        self.openingMicroUnits = openingMicroUnits
        self.creditMicroUnits = creditMicroUnits
        self.debitMicroUnits = debitMicroUnits
        self.closingMicroUnits = closingMicroUnits
    }
}

/// One entry of a posting in one of the participant's accounts.
public struct StatementLine: Codable, Sendable {
    public var posting: PostingID
    public var at: Instant
    public var account: String
    /// Above zero: into the account.
    public var amountMicroUnits: Int64
    /// The account afterwards.
    public var balanceMicroUnits: Int64
    /// e.g. `settlement`
    public var reason: String
    /// Where it came from or went to: the entries of the posting on the other side.
    public var counterAccounts: [CounterAccount]
    public var contract: ContractID?
    public var order: OrderID?
    /// The bank's, for deposits and withdrawals.
    public var reference: String?
    public init(
        posting: PostingID, at: Instant, account: String, amountMicroUnits: Int64, balanceMicroUnits: Int64, reason: String,
        counterAccounts: [CounterAccount], contract: ContractID?, order: OrderID?, reference: String?
    ) {
        self.posting = posting
        self.at = at
        self.account = account
        self.amountMicroUnits = amountMicroUnits
        self.balanceMicroUnits = balanceMicroUnits
        self.reason = reason
        self.counterAccounts = counterAccounts
        self.contract = contract
        self.order = order
        self.reference = reference
    }
}

/// The other side of an entry.
public struct CounterAccount: Codable, Sendable {
    /// Absent: the exchange.
    public var participant: ParticipantID?
    public var account: String
    public init(participant: ParticipantID?, account: String) {
        self.participant = participant
        self.account = account
    }
}

/// How far a contract is paid for. Both sides see the same.
public struct SettlementView: Codable, Sendable {
    public var contract: ContractID
    public var state: ContractState
    /// What the buyer was charged for the time that is over: paid, credited or awaited.
    public var charged: Money
    /// What the seller got, less its fee.
    public var paid: Money
    /// What the buyer got back for what was not delivered.
    public var credited: Money
    /// What waits for reports of delivery, or for the end of a dispute.
    public var awaited: Money
    /// The exchange's, on top of what was paid.
    public var buyerFee: Money
    /// The exchange's, out of what was paid.
    public var sellerFee: Money
    /// The buyer's money put aside for the time paid ahead.
    public var held: Money
    /// The same for the buyer's fees on it and on what is awaited.
    public var feesHeld: Money
    /// Everything before this moment is charged.
    public var settledUntil: Instant
    /// What is bought and not yet charged; absent when there is none.
    public var remaining: Period?
    /// When the next stretch is charged or paid; absent when all is.
    public var nextSettlement: Instant?
    /// Set when the contract's trade was declared void, and what was paid went back.
    public var busted: BustView?
    public init(
        contract: ContractID, state: ContractState, charged: Money, paid: Money, credited: Money, awaited: Money,
        buyerFee: Money, sellerFee: Money, held: Money, feesHeld: Money, settledUntil: Instant, remaining: Period?,
        nextSettlement: Instant?, busted: BustView?
    ) {
        self.contract = contract
        self.state = state
        self.charged = charged
        self.paid = paid
        self.credited = credited
        self.awaited = awaited
        self.buyerFee = buyerFee
        self.sellerFee = sellerFee
        self.held = held
        self.feesHeld = feesHeld
        self.settledUntil = settledUntil
        self.remaining = remaining
        self.nextSettlement = nextSettlement
        self.busted = busted
    }
}

extension ExchangeAPI {
    public static let chartOfAccounts = Endpoint(
        "chartOfAccounts", .get, "/v1/accounts/chart", "Every kind of ledger account, what it is for and what it may hold.",
        access: traders, request: Empty.self, response: ChartOfAccounts.self)
    public static let showStatement = Endpoint(
        "showStatement", .get, "/v1/participants/{participant}/statements/{day}",
        "A participant's statement of a UTC day, as JSON, or as CSV with format=csv or Accept: text/csv.", access: traders,
        query: [QueryParameter("format", .string, "json or csv (RFC 4180); by the Accept header when absent.")], request: Empty.self,
        response: StatementView.self)
    public static let showSettlement = Endpoint(
        "showSettlement", .get, "/v1/contracts/{contract}/settlement", "How far a contract is charged, paid and put aside for.",
        access: traders, request: Empty.self, response: SettlementView.self)
}
