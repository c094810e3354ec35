public import Primitives

/// One account of the ledger. Participants' accounts never go below zero; the exchange's account for money outside mirrors all of it
/// and never goes above.
public struct LedgerAccount: Hashable, Sendable, Comparable {
    public enum Kind: String, Sendable, CaseIterable {
        /// Free to be spent or withdrawn.
        case cash
        /// Put aside for resting buy orders.
        case heldForOrders = "held-for-orders"
        /// Put aside for delivery that was bought and is not yet settled.
        case heldForContracts = "held-for-contracts"
        /// The exchange's: what came in from banks, negated.
        case external
    }

    /// Nil: the exchange.
    public let owner: ParticipantID?
    public let kind: Kind
    public let currency: Currency

    public init(owner: ParticipantID?, kind: Kind, currency: Currency) {
        self.owner = owner
        self.kind = kind
        self.currency = currency
    }

    var range: ClosedRange<Int64> { kind == .external ? -Int64.max...0 : 0...Int64.max }

    public static func < (a: Self, b: Self) -> Bool {
        (a.owner?.bits ?? 0, a.kind.rawValue, a.currency.code) < (b.owner?.bits ?? 0, b.kind.rawValue, b.currency.code)
    }
}

/// Amounts moved between accounts of one currency; they sum to zero.
public struct Posting: Hashable, Sendable {
    public enum Reason: String, Sendable, CaseIterable {
        case deposit, withdrawal
        case orderHold = "order-hold"
        case orderRelease = "order-release"
        case tradeHold = "trade-hold"
        case rollHold = "roll-hold"
        case settlement
        /// Put aside for delivery that did not come: a contract ended early.
        case contractRelease = "contract-release"
        /// Charged, and back to the buyer: delivery fell short.
        case serviceCredit = "service-credit"
    }

    public struct Entry: Hashable, Sendable {
        public let account: LedgerAccount
        /// Micro-units; above zero: into the account.
        public let amount: Int64
        /// The account afterwards.
        public let balance: Int64

        public init(account: LedgerAccount, amount: Int64, balance: Int64) {
            self.account = account
            self.amount = amount
            self.balance = balance
        }
    }

    /// Counts up from 1.
    public let id: PostingID
    public let at: Instant
    public let reason: Reason
    public let order: OrderID?
    public let contract: ContractID?
    /// The bank's, for deposits and withdrawals.
    public let reference: String?
    public let entries: [Entry]

    public init(
        id: PostingID, at: Instant, reason: Reason, order: OrderID?, contract: ContractID?, reference: String?, entries: [Entry]
    ) {
        self.id = id
        self.at = at
        self.reason = reason
        self.order = order
        self.contract = contract
        self.reference = reference
        self.entries = entries
    }
}

/// A double-entry ledger: balances change by postings only.
public struct Ledger: Sendable {
    /// One line of a posting to be made.
    struct Move {
        let account: LedgerAccount
        let amount: Int64
    }

    private var balances: [LedgerAccount: Int64] = [:]
    private(set) var lastPosting: Int64

    init(balances: [(LedgerAccount, Int64)] = [], lastPosting: Int64 = 0) {
        for (account, balance) in balances { self.balances[account] = balance }
        self.lastPosting = lastPosting
    }

    public func balance(of account: LedgerAccount) -> Int64 { balances[account] ?? 0 }

    /// Every account that has something, in a fixed order.
    public var trialBalance: [(account: LedgerAccount, balance: Int64)] {
        balances.filter { $0.value != 0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Books all moves or none. Moves of nothing are left out; nil when none is left.
    mutating func post(
        _ reason: Posting.Reason, _ moves: [Move], at: Instant, order: OrderID? = nil, contract: ContractID? = nil, reference: String? = nil
    ) throws(Refusal) -> Posting? {
        let moves = moves.filter { $0.amount != 0 }
        guard let currency = moves.first?.account.currency else { return nil }
        precondition(moves.reduce(into: Int128(0)) { $0 += Int128($1.amount) } == 0, "a posting sums to zero")
        precondition(moves.allSatisfy { $0.account.currency == currency }, "a posting is in one currency")
        var entries: [Posting.Entry] = []
        entries.reserveCapacity(moves.count)
        for move in moves {
            let before = entries.last { $0.account == move.account }?.balance ?? balance(of: move.account)
            let (after, overflow) = before.addingReportingOverflow(move.amount)
            guard !overflow, move.account.range.contains(after) else {
                throw .overdrawn(move.account, balance: before, amount: move.amount)
            }
            entries.append(Posting.Entry(account: move.account, amount: move.amount, balance: after))
        }
        for entry in entries { balances[entry.account] = entry.balance }
        lastPosting += 1
        return Posting(
            id: PostingID(bits: UInt64(lastPosting)), at: at, reason: reason, order: order, contract: contract, reference: reference,
            entries: entries)
    }
}
