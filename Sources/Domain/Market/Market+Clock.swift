import Primitives

// What time does: expires orders and proposals, rolls, pays, ends and settles contracts, reopens, opens and closes series, each at its own moment, in the order
// of these moments. So it does not matter how often, or how late, the clock is looked at.

extension Market {
    mutating func advanceClock(_ step: inout Step) {
        var left = Self.mostAtOnce
        while left > 0, let entry = due.first, entry.at <= step.at {
            due.removeFirst()
            // An entry that is out of date is not its subject's moment any more.
            guard isCurrent(entry) else { continue }
            left -= 1
            switch entry.subject {
            case .order(let id): if let order = order(id) { withdraw(order, because: .expired, &step) }
            case .proposal(let id): if let proposal = proposals[id] { close(proposal, .expired, at: entry.at, &step) }
            case .contract(let id): if let contract = contracts[id] { advance(contract, at: entry.at, &step) }
            case .reopening(let id): reopenByItself(id, &step)
            case .delivery(let key): if let delivery = delivery(key) { decide(delivery, at: entry.at, &step) }
            case .series(let id): if let listing = listings[id] { advance(listing.series, &step) }
            case .calendar(let product): openSeries(of: product, at: entry.at, &step)
            }
        }
    }

    /// More than this is left to the next tick: what one command changes is held in memory, journaled and written together.
    static let mostAtOnce = 5_000

    private mutating func advance(_ contract: Contract, at moment: Instant, _ step: inout Step) {
        if contract.confirmationDue == moment {
            endUnconfirmed(contract, at: moment, &step)
        } else if contract.payDue == moment {
            payAhead(contract, &step)
        } else if contract.state == .created {
            startDelivery(contract, &step)
        } else {
            close(contract, &step)
        }
    }

    private func isCurrent(_ entry: DueQueue.Entry) -> Bool {
        switch entry.subject {
        case .order(let id): order(id)?.draft.conditions.expires == entry.at
        case .proposal(let id): proposals[id]?.expires == entry.at
        case .contract(let id): contracts[id]?.nextDue == entry.at
        case .reopening(let id): listings[id]?.series.haltedUntil == entry.at
        case .delivery(let key): delivery(key)?.due == entry.at
        case .series(let id): listings[id]?.series.nextDue == entry.at
        case .calendar(let product): calendars[product]?.nextDue == entry.at
        }
    }

    /// Pays the next stretch ahead and moves the end on, or notes that the buyer's cash does not cover it.
    private mutating func payAhead(_ contract: Contract, _ step: inout Step) {
        var contract = contract
        let end = contract.nextPaidUntil
        // Held is exactly what the stretches until now will cost; the next one costs the difference.
        guard let total = contract.charges(until: end)?.total else { preconditionFailure("limits keep charges small") }
        let next = total - contract.held
        let fee = max(0, fees(of: contract, holding: total) - contract.fees.held)
        guard next + fee <= spendable(by: contract.buyer) else { return noteCashShort(contract, needed: next + fee, &step) }
        post(
            contract.isForward ? .stretchHold : .rollHold,
            [
                .init(account: contract.account(contract.buyer, .cash), amount: -next - fee),
                .init(account: contract.account(contract.buyer, .heldForContracts), amount: next),
                .init(account: contract.account(contract.buyer, .fees), amount: fee),
            ], contract: contract.id, &step)
        contract.held = total
        contract.fees.held += fee
        contract.paidUntil = end
        if !contract.isForward { contract.period.end = end }
        store(contract, contract.isForward ? .funded : .rolled, &step)
    }

    private mutating func noteCashShort(_ contract: Contract, needed: Int64, _ step: inout Step) {
        var contract = contract
        let text = { (amount: Int64) in Money(microUnits: amount, contract.currency).description }
        // Both sides read it: how much the buyer has is not the seller's to know.
        var detail = "The next period costs \(text(needed)), more than the buyer's free cash and credit."
        contract.period.end = contract.paidUntil
        if contract.isForward {
            detail += " For what is not delivered the seller gets \(text(penalty(contract, failedBy: .buyer))) of the margin."
        }
        contract.closing = Contract.Closing(
            cause: .cashShort, detail: detail, decided: contract.paidUntil - Product.rollLead(of: contract.spotPeriod))
        store(contract, .closing, &step)
    }

    /// The period of a forward begins; without its first stretch paid, it is over before.
    private mutating func startDelivery(_ contract: Contract, _ step: inout Step) {
        if contract.period.end == contract.period.start { finish(contract, .defaulted, &step) } else { begin(contract, &step) }
    }

    /// The end of a stretch, and perhaps of the contract.
    private mutating func close(_ contract: Contract, _ step: inout Step) {
        var contract = contract
        closeStretch(of: &contract, until: contract.pieceEnd, &step)
        if contract.settledUntil == contract.period.end {
            finish(contract, contract.isForward && contract.closing?.cause == .cashShort ? .defaulted : .delivered, &step)
        } else {
            store(contract, .charged, &step)
        }
    }

    /// Keeps `nextDue` true: what is first in the queue is somebody's moment.
    mutating func forgetStaleDueEntries() {
        while let entry = due.first, !isCurrent(entry) { due.removeFirst() }
        if due.isCrowded { due.keep(isCurrent) }
    }
}
