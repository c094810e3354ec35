public import Primitives

/// One account of the ledger. What each kind is for, and may hold, is in `chart`.
public struct LedgerAccount: Hashable, Sendable, Comparable {
    public enum Kind: String, Sendable, CaseIterable {
        /// Free to be spent or withdrawn.
        case cash
        /// Put aside for resting buy orders.
        case heldForOrders = "held-for-orders"
        /// Put aside for delivery that was bought and is not yet settled.
        case heldForContracts = "held-for-contracts"
        /// A buyer's initial margin: for resting forward orders and for forward contracts.
        case margin
        /// A seller's performance bond, for the same.
        case bond
        /// What others owe, and could not pay yet.
        case receivable
        /// What is owed to others, below zero.
        case payable
        /// A participant's: put aside for the exchange's fees. The exchange's: what it earned.
        case fees
        /// A participant's: put aside for what is claimed of it. The exchange's: taken and not passed on.
        case penalties
        /// The exchange's: what came in from banks, negated.
        case external

        fileprivate var rank: Int {
            switch self {
            case .cash: 0
            case .heldForOrders: 1
            case .heldForContracts: 2
            case .margin: 3
            case .bond: 4
            case .receivable: 5
            case .payable: 6
            case .fees: 7
            case .penalties: 8
            case .external: 9
            }
        }
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

    /// By numbers only: the texts of kinds and currencies take longer than the rest of a posting.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(owner?.bits ?? 0)
        hasher.combine(kind.rank)
    }

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
        /// The next stretch of a forward, paid ahead.
        case stretchHold = "stretch-hold"
        case settlement
        /// From the margin or bond of the side that failed a forward, to the other.
        case penalty
        /// Put aside for delivery that did not come: a contract ended early.
        case contractRelease = "contract-release"
        /// The exchange's part of a settlement.
        case fee
        /// A trade was declared void: everything paid and put aside for it goes back.
        case bust
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
    /// Credit lines above zero, and their sums by currency.
    private var credit: [ParticipantID: Int64] = [:]
    private var granted: [Currency: Int64] = [:]
    private(set) var lastPosting: Int64

    init(balances: [(LedgerAccount, Int64)] = [], lastPosting: Int64 = 0) {
        for (account, balance) in balances { self.balances[account] = balance }
        self.lastPosting = lastPosting
    }

    public func balance(of account: LedgerAccount) -> Int64 { balances[account] ?? 0 }

    /// Below zero only as far as a participant has credit.
    mutating func setCredit(_ amount: Int64, of participant: ParticipantID, _ currency: Currency) {
        granted[currency, default: 0] += amount - (credit[participant] ?? 0)
        credit[participant] = amount == 0 ? nil : amount
    }

    /// What an account may hold now.
    public func range(of account: LedgerAccount) -> ClosedRange<Int64> {
        switch account.kind {
        case .cash: account.range(credit: account.owner.flatMap { credit[$0] } ?? 0)
        case .external: account.range(credit: granted[account.currency] ?? 0)
        default: account.range(credit: 0)
        }
    }

    /// Every account that has something, in a fixed order.
    public var trialBalance: [(account: LedgerAccount, balance: Int64)] {
        balances.filter { $0.value != 0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Books all moves or none. Moves of nothing are left out; nil when none is left.
    mutating func post(
        _ reason: Posting.Reason, _ moves: [Move], at: Instant, order: OrderID? = nil, contract: ContractID? = nil, reference: String? = nil
    ) throws(Refusal) -> Posting? {
        let moves = moves.contains { $0.amount == 0 } ? moves.filter { $0.amount != 0 } : moves
        guard let currency = moves.first?.account.currency else { return nil }
        precondition(moves.reduce(into: Int128(0)) { $0 += Int128($1.amount) } == 0, "a posting sums to zero")
        precondition(moves.allSatisfy { $0.account.currency == currency }, "a posting is in one currency")
        var entries: [Posting.Entry] = []
        entries.reserveCapacity(moves.count)
        for move in moves {
            let before = entries.last { $0.account == move.account }?.balance ?? balance(of: move.account)
            let (after, overflow) = before.addingReportingOverflow(move.amount)
            guard !overflow, range(of: move.account).contains(after) else {
                throw .overdrawn(move.account, range(of: move.account), balance: before, amount: move.amount)
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
