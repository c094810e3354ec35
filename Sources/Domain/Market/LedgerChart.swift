import Primitives

extension LedgerAccount {
    /// What accounts of one kind are for, whose they are, and what they may hold.
    public struct Definition: Hashable, Sendable {
        public enum Holder: String, Sendable, CaseIterable { case participant, exchange }
        /// On which side an account normally stands. Entries above zero are credits, entries below zero debits.
        public enum NormalBalance: String, Sendable, CaseIterable { case credit, debit }

        public let kind: Kind
        public let holder: Holder
        public let normalBalance: NormalBalance
        /// In words; the numbers are in `LedgerAccount.range`.
        public let limits: String
        public let purpose: String
    }

    /// Every account there can be: each participant has those that are a participant's, the exchange has the others once.
    public static let chart: [Definition] = [
        .init(
            kind: .cash, holder: .participant, normalBalance: .credit, limits: "at least minus the credit line",
            purpose: "Free to be spent or withdrawn. Below zero: credit in use."),
        .init(
            kind: .heldForOrders, holder: .participant, normalBalance: .credit, limits: "at least zero",
            purpose: "Put aside for resting buy orders: their largest charge and fee."),
        .init(
            kind: .heldForContracts, holder: .participant, normalBalance: .credit, limits: "at least zero",
            purpose: "Put aside for delivery that was bought and is not yet settled."),
        .init(
            kind: .fees, holder: .participant, normalBalance: .credit, limits: "at least zero",
            purpose: "Put aside for the exchange's fees on delivery that was bought and is not yet settled."),
        .init(
            kind: .margin, holder: .participant, normalBalance: .credit, limits: "at least zero",
            purpose: "A buyer's initial margin for forward orders and contracts."),
        .init(
            kind: .bond, holder: .participant, normalBalance: .credit, limits: "at least zero",
            purpose: "A seller's performance bond for forward orders and contracts."),
        .init(
            kind: .penalties, holder: .participant, normalBalance: .credit, limits: "at least zero",
            purpose: "Reserved for penalties that are claimed and not yet decided: nothing is posted to it now."),
        .init(
            kind: .receivable, holder: .participant, normalBalance: .credit, limits: "at least zero",
            purpose: "Reserved for what others owe the participant and could not pay yet: nothing is posted to it now."),
        .init(
            kind: .payable, holder: .participant, normalBalance: .debit, limits: "at most zero",
            purpose: "Reserved for what the participant owes others and could not pay yet: nothing is posted to it now."),
        .init(
            kind: .external, holder: .exchange, normalBalance: .debit, limits: "at most the credit lines granted",
            purpose: "Money at banks: what came in, negated, less what went out."),
        .init(
            kind: .fees, holder: .exchange, normalBalance: .credit, limits: "at least zero",
            purpose: "What the exchange earned in fees."),
        .init(
            kind: .penalties, holder: .exchange, normalBalance: .credit, limits: "at least zero",
            purpose: "Reserved for penalties taken and not passed on: nothing is posted to it now, all of them are passed on."),
    ]

    /// What the account may hold, in micro-units.
    /// - Parameter credit: of a participant's cash, its credit line; of the exchange's account for money outside, all credit lines.
    public func range(credit: Int64) -> ClosedRange<Int64> {
        switch kind {
        case .cash: -credit...Int64.max
        case .external: -Int64.max...credit
        case .payable: -Int64.max...0
        default: 0...Int64.max
        }
    }
}
