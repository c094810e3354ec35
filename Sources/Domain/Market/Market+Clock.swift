import Primitives

// What time does: rolls, ends and settles contracts, each at its own moment, in the order of these moments. So it does not
// matter how often, or how late, the clock is looked at.

extension Market {
    mutating func advanceClock(_ step: inout Step) {
        while let entry = due.first, entry.at <= step.at {
            due.removeFirst()
            // An entry that is out of date is not the contract's moment any more.
            guard let contract = contracts[entry.contract], contract.nextDue == entry.at else { continue }
            if contract.rollDue == entry.at {
                roll(contract, &step)
            } else {
                settle(contract, &step)
            }
        }
    }

    /// Pays the next period ahead and moves the end on, or notes that the buyer's cash does not cover it.
    private mutating func roll(_ contract: Contract, _ step: inout Step) {
        var contract = contract
        let end = contract.period.end + contract.spotPeriod
        let cash = ledger.balance(of: contract.account(contract.buyer, .cash))
        // Held is exactly what the periods until now will cost; the next one costs the difference.
        guard let total = contract.charges(until: end)?.total else { preconditionFailure("limits keep charges small") }
        let next = total - contract.held
        guard next <= cash else {
            let needed = Money(microUnits: next, contract.currency)
            let detail = "The next period costs \(needed); the buyer's free cash was \(Money(microUnits: cash, contract.currency))."
            contract.closing = Contract.Closing(
                cause: .cashShort, detail: detail, decided: contract.period.end - Product.rollLead(of: contract.spotPeriod))
            return store(contract, .closing, &step)
        }
        post(
            .rollHold,
            [
                .init(account: contract.account(contract.buyer, .cash), amount: -next),
                .init(account: contract.account(contract.buyer, .heldForContracts), amount: next),
            ], contract: contract.id, &step)
        contract.held = total
        contract.period.end = end
        store(contract, .rolled, &step)
    }

    private mutating func settle(_ contract: Contract, _ step: inout Step) {
        var contract = contract
        settlePiece(of: &contract, until: contract.pieceEnd, &step)
        if contract.settledUntil == contract.period.end {
            finish(contract, &step)
        } else {
            store(contract, .charged, &step)
        }
    }

    /// Keeps `nextDue` true: what is first in the queue is a contract's moment.
    mutating func forgetStaleDueEntries() {
        while let entry = due.first, contracts[entry.contract]?.nextDue != entry.at { due.removeFirst() }
    }
}
