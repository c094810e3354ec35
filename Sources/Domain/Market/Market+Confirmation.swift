import Primitives

// Both sides confirm a contract by pulling a certificate of it. A side that has not by the deadline defaults.

extension Market {
    mutating func confirm(_ id: ContractID, _ party: ContractParty, _ step: inout Step) throws(Refusal) {
        guard var contract = contracts[id], contract.isLive else { throw .unknown("contract", id) }
        guard contract.confirmation[party] == nil else { return }
        contract.confirmation[party] = step.at
        store(contract, .confirmed, &step)
    }

    /// The seller's default gives the buyer everything back; the buyer's pays the seller for the time the capacity was held. Of a forward
    /// a side that alone defaults also loses of its margin or bond what a buyer who does not pay loses.
    mutating func endUnconfirmed(_ contract: Contract, at moment: Instant, _ step: inout Step) {
        var contract = contract
        contract.period.end = moment
        contract.paidUntil = moment
        closeStretch(of: &contract, until: moment, &step)
        contract.closing = Contract.Closing(
            cause: contract.confirmation.cause, detail: detail(of: contract), decided: moment)
        finish(contract, .defaulted, &step)
        guard contract.confirmation.seller == nil else { return }
        for delivery in deliveries[contract.id] ?? [] { decide(delivery, at: moment, &step) }
    }

    private func detail(of contract: Contract) -> String {
        let charged = (deliveries[contract.id] ?? []).map(\.charge).reduce(0, +)
        let money = Money(microUnits: charged, contract.currency)
        let what =
            "No certificate was pulled by \(contract.confirmation.deadline), after \(contract.lots) lots were kept for \(contract.period.length.seconds) s"
        let charge = contract.confirmation.seller == nil ? "\(money) go back to the buyer." : "the seller is owed \(money) for them."
        guard contract.isForward, let party = contract.confirmation.cause.failing else { return "\(what): \(charge)" }
        let penalty = Money(microUnits: penalty(contract, failedBy: party), contract.currency)
        return party == .buyer
            ? "\(what): \(charge) For what is not delivered the seller gets \(penalty) of the margin."
            : "\(what): \(charge) For what is not delivered the buyer gets \(penalty) of the bond."
    }
}

extension Contract.Confirmation {
    /// Who has not confirmed.
    fileprivate var cause: Contract.Closing.Cause {
        switch (buyer, seller) {
        case (nil, nil): .notConfirmed
        case (_, nil): .notConfirmedBySeller
        default: .notConfirmedByBuyer
        }
    }
}
