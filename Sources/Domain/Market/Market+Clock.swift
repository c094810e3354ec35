import Primitives

// What time does: expires orders, rolls, ends and settles contracts, each at its own moment, in the order of these moments. So it does not
// matter how often, or how late, the clock is looked at.

extension Market {
    mutating func advanceClock(_ step: inout Step) {
        while let entry = due.first, entry.at <= step.at {
            due.removeFirst()
            // An entry that is out of date is not its subject's moment any more.
            guard isCurrent(entry) else { continue }
            switch entry.subject {
            case .order(let id): if let order = order(id) { withdraw(order, because: .expired, &step) }
            case .contract(let id): if let contract = contracts[id] { advance(contract, at: entry.at, &step) }
            case .delivery(let key): if let delivery = delivery(key) { decide(delivery, at: entry.at, &step) }
            }
        }
    }

    private mutating func advance(_ contract: Contract, at moment: Instant, _ step: inout Step) {
        if contract.confirmationDue == moment {
            endUnconfirmed(contract, at: moment, &step)
        } else if contract.rollDue == moment {
            roll(contract, &step)
        } else {
            close(contract, &step)
        }
    }

    private func isCurrent(_ entry: DueQueue.Entry) -> Bool {
        switch entry.subject {
        case .order(let id): order(id)?.draft.conditions.expires == entry.at
        case .contract(let id): contracts[id]?.nextDue == entry.at
        case .delivery(let key): delivery(key)?.due == entry.at
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

    /// The end of a stretch, and perhaps of the contract.
    private mutating func close(_ contract: Contract, _ step: inout Step) {
        var contract = contract
        closeStretch(of: &contract, until: contract.pieceEnd, &step)
        if contract.settledUntil == contract.period.end {
            finish(contract, .delivered, &step)
        } else {
            store(contract, .charged, &step)
        }
    }

    /// Keeps `nextDue` true: what is first in the queue is somebody's moment.
    mutating func forgetStaleDueEntries() {
        while let entry = due.first, !isCurrent(entry) { due.removeFirst() }
    }
}
