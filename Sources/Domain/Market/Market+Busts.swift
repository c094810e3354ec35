import Primitives

// A trade declared void. Nothing is changed that was: its contract ends now, and what was paid and put aside for it goes back by a
// posting of its own, margin and bond of a forward too.

extension Market {
    mutating func bust(_ id: TradeID, reason: String, _ step: inout Step) throws(Refusal) {
        guard var contract = contracts.values.first(where: { $0.trade == id }) else { throw .unknown("trade", id) }
        try checkReason(reason)
        try checkPayback(of: contract)
        let paidBack = contract.settled
        let wasLive = contract.isLive
        contract.closing = Contract.Closing(cause: .busted, detail: reason, decided: step.at)
        if wasLive {
            contract.period.end = max(step.at, contract.period.start)
            (contract.settledUntil, contract.paidUntil) = (contract.period.end, contract.period.end)
        }
        references[contract.series]?.bust(contract.number)
        step.changes.append(
            .bust(
                Bust(
                    trade: id, number: contract.number, series: contract.series, contract: contract.id, reason: reason, at: step.at,
                    paidBack: paidBack)))
        payBack(&contract, &step)
        step.changes.append(.contract(contract, .busted))
        if wasLive {
            finish(contract, .endedEarly, &step)
        } else {
            contract.outcome = .endedEarly
            settleIfDone(contract, &step)
        }
    }

    /// The seller gives back what it got from its own money, the bond that comes back to it included, not from credit.
    private func checkPayback(of contract: Contract) throws(Refusal) {
        let needed = contract.settled - contract.fees.seller.charged
        let cash = max(0, balance(of: contract.seller, .cash) + contract.bond)
        guard needed > cash else { return }
        let (owed, has) = (Money(microUnits: needed, contract.currency), Money(microUnits: cash, contract.currency))
        throw Refusal(
            "market.bust-cash", .funds, "The seller was paid \(owed) for \(contract.id) and has \(has) to pay back.",
            facts: ["needed": .number(needed), "cash": .number(cash), "currency": .text(contract.currency.code)],
            nearest:
                "a deposit of \(Money(microUnits: needed - cash, contract.currency)) by the seller, or end the contract without paying back"
        )
    }

    /// Everything that was charged and everything put aside goes back to the buyer, the fees to those who paid them.
    private mutating func payBack(_ contract: inout Contract, _ step: inout Step) {
        let fees = contract.fees
        let fromSeller = contract.settled - fees.seller.charged
        let unpaid = cancelDeliveries(of: contract, &step)
        let toBuyer = contract.held + unpaid + fees.held + contract.settled + fees.buyer.charged + contract.margin
        post(
            .bust,
            [
                .init(account: contract.account(contract.buyer, .heldForContracts), amount: -contract.held - unpaid),
                .init(account: contract.account(contract.buyer, .fees), amount: -fees.held),
                .init(account: contract.account(contract.buyer, .margin), amount: -contract.margin),
                .init(account: contract.account(contract.seller, .bond), amount: -contract.bond),
                .init(account: contract.account(contract.seller, .cash), amount: contract.bond - fromSeller),
                .init(
                    account: LedgerAccount(owner: nil, kind: .fees, currency: contract.currency),
                    amount: -fees.buyer.charged - fees.seller.charged),
                .init(account: contract.account(contract.buyer, .cash), amount: toBuyer),
            ], contract: contract.id, &step)
        contract.credited += contract.settled + unpaid
        (contract.held, contract.settled, contract.remainder) = (0, 0, 0)
        (contract.margin, contract.bond) = (0, 0)
        contract.fees = ContractFees(buyer: .init(rate: fees.buyer.rate), seller: .init(rate: fees.seller.rate))
    }

    /// What was delivered and is not paid yet, disputed or not, is not paid any more. Returns what was held for it.
    private mutating func cancelDeliveries(of contract: Contract, _ step: inout Step) -> Int64 {
        var unpaid: Int64 = 0
        for var delivery in deliveries[contract.id] ?? [] {
            unpaid += delivery.held
            let resolution = Dispute.Resolution(
                outcome: .busted, toBuyer: delivery.held, note: contract.closing?.detail ?? "", at: step.at)
            delivery.dispute?.resolution = resolution
            delivery.credited += delivery.held
            (delivery.state, delivery.basis) = (.settled, .busted)
            forget(delivery)
            step.changes.append(.delivery(delivery))
        }
        return unpaid
    }
}
