public import Primitives

// Credit lines: how far below zero a participant's cash may go for orders and contracts, never for withdrawals.

extension Market {
    /// Far more than any order costs, and far from overflowing beside other amounts.
    static let largestCreditLine: Int64 = 1_000_000_000_000_000

    public func creditLine(of participant: ParticipantID) -> Int64 { participants[participant]?.creditLine ?? 0 }

    /// What a participant may spend on orders and contracts: its free cash, and what is left of its credit line.
    public func spendable(by participant: ParticipantID) -> Int64 {
        Self.sum(balance(of: participant, .cash), creditLine(of: participant))
    }

    /// The largest number there is when it would be larger.
    static func sum(_ cash: Int64, _ credit: Int64) -> Int64 {
        let (sum, overflow) = cash.addingReportingOverflow(credit)
        return overflow ? .max : sum
    }

    mutating func grantCredit(_ amount: Money, to id: ParticipantID, reason: String, _ step: inout Step) throws(Refusal) {
        var participant = try known(id)
        guard amount.currency == participant.currency else {
            throw .wrongCurrency(amount.currency, expected: participant.currency, "The account of \(participant.name)")
        }
        try checkRange(amount.microUnits, 0...Self.largestCreditLine, "credit line in micro-units", rule: "market.credit")
        try checkReason(reason)
        let used = max(0, -balance(of: id, .cash))
        guard amount.microUnits >= used else {
            let inUse = Money(microUnits: used, amount.currency)
            throw Refusal(
                "market.credit-used", .conflict, "\(participant.name) uses \(inUse) of its credit line; \(amount) is less.",
                facts: ["used": .number(used), "line": .number(amount.microUnits), "before": .number(participant.creditLine)],
                nearest: "\(inUse)")
        }
        guard amount.microUnits != participant.creditLine else { return }
        let previous = participant.creditLine
        participant.creditLine = amount.microUnits
        participant.creditChanges += 1
        participants[id] = participant
        ledger.setCredit(amount.microUnits, of: id, participant.currency)
        step.changes.append(.participant(participant))
        step.changes.append(
            .creditLine(
                CreditLine(
                    participant: id, number: participant.creditChanges, amount: amount.microUnits, previous: previous, reason: reason,
                    at: step.at)))
    }
}
