import Primitives

// How a dispute comes to its end: by agreement, by the operator's word, or by itself.

extension Market {
    mutating func answer(
        _ id: DisputeID, by party: ContractParty, toBuyer: Int64, note: String, _ step: inout Step
    ) throws(Refusal) {
        var (delivery, dispute) = try disputed(id)
        try check(toBuyer, of: dispute, note)
        dispute[party] = Dispute.Answer(toBuyer: toBuyer, note: note, at: step.at)
        delivery.dispute = dispute
        // What stood before is what is agreed on.
        if let asked = dispute.buyer?.toBuyer, let offered = dispute.seller?.toBuyer, asked <= offered {
            return resolve(delivery, .agreed, toBuyer: party == .buyer ? offered : asked, note: note, at: step.at, &step)
        }
        guard let contract = contracts[delivery.contract] else { preconditionFailure("a delivery is of a contract") }
        keep(delivery, of: contract)
        step.changes.append(.delivery(delivery))
    }

    mutating func rule(_ id: DisputeID, toBuyer: Int64, note: String, _ step: inout Step) throws(Refusal) {
        let (delivery, dispute) = try disputed(id)
        try check(toBuyer, of: dispute, note)
        resolve(delivery, .ruled, toBuyer: toBuyer, note: note, at: step.at, &step)
    }

    /// The default rule: a side that alone has answered gets what it would settle for; without answers the seller's report stands,
    /// because who wants something of another must say so. Two answers that contradict wait for the operator's word: the money
    /// stays held, and the clock asks again after as long a time.
    mutating func expire(_ delivery: Delivery, at moment: Instant, _ step: inout Step) {
        guard let dispute = delivery.dispute else { preconditionFailure("a disputed delivery has a dispute") }
        let (toBuyer, note): (Int64, String)
        switch (dispute.buyer, dispute.seller) {
        case (let asked?, nil): (toBuyer, note) = (asked.toBuyer, "Only the buyer answered.")
        case (nil, let offered?): (toBuyer, note) = (offered.toBuyer, "Only the seller answered.")
        case (nil, nil): (toBuyer, note) = (sellersReport(of: delivery, dispute), "Nobody answered: the seller's report stands.")
        case (_?, _?): return escalate(delivery, &step)
        }
        resolve(delivery, .expired, toBuyer: toBuyer, note: note, at: moment, &step)
    }

    /// What the seller's own report gives back of the amount in dispute: all of it where the seller reported less than the buyer.
    private func sellersReport(of delivery: Delivery, _ dispute: Dispute) -> Int64 {
        (delivery.seller?.report.shortfall ?? 0) >= (delivery.buyer?.report.shortfall ?? 0) ? dispute.amount : 0
    }

    private mutating func escalate(_ delivery: Delivery, _ step: inout Step) {
        guard let contract = contracts[delivery.contract], let dispute = delivery.dispute else {
            preconditionFailure("a disputed delivery is of a contract")
        }
        var delivery = delivery
        delivery.due = delivery.due + (dispute.deadline - dispute.opened)
        keep(delivery, of: contract)
        step.changes.append(.delivery(delivery))
    }

    private mutating func resolve(
        _ delivery: Delivery, _ outcome: Dispute.Outcome, toBuyer: Int64, note: String, at moment: Instant, _ step: inout Step
    ) {
        var delivery = delivery
        let held = delivery.held
        delivery.dispute?.resolution = Dispute.Resolution(outcome: outcome, toBuyer: toBuyer, note: note, at: moment)
        delivery.state = .settled
        pay(delivery, toSeller: held - toBuyer, toBuyer: toBuyer, &step)
    }

    private func disputed(_ id: DisputeID) throws(Refusal) -> (Delivery, Dispute) {
        guard let key = disputes[id], let delivery = delivery(key), let dispute = delivery.dispute else { throw .unknown("dispute", id) }
        return (delivery, dispute)
    }

    private func check(_ toBuyer: Int64, of dispute: Dispute, _ note: String) throws(Refusal) {
        try checkRange(toBuyer, 0...dispute.amount, "amount to the buyer in micro-units", rule: "market.dispute-amount")
        try checkNote(note, "note")
    }
}
