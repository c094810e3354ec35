import Primitives

// A stretch that is over waits for what both sides measured, and is paid by it.

extension Market {
    /// Charges the time up to `end`. The money goes over from the contract to the delivery, which waits for reports.
    mutating func closeStretch(of contract: inout Contract, until end: Instant, _ step: inout Step) {
        let start = contract.settledUntil
        guard start < end else { return }
        guard let charge = contract.settlePiece(until: end), charge <= contract.held else {
            preconditionFailure("the time was paid for ahead")
        }
        contract.held -= charge
        // Nobody could report while the exchange was away.
        var due = max(end, resumed) + terms(of: contract).grace
        // Nothing is paid to a seller that may not deliver at all.
        if contract.confirmation.seller == nil { due = max(due, contract.confirmation.deadline) }
        let delivery = Delivery(
            contract: contract.id, period: Period(start: start, end: end), lots: contract.lots, charge: charge, due: due)
        keep(delivery, of: contract)
        step.changes.append(.delivery(delivery))
    }

    func delivery(_ key: Delivery.Key) -> Delivery? { deliveries[key.contract]?.first { $0.key == key } }

    private func terms(of contract: Contract) -> DeliveryTerms {
        guard let product = products[contract.product] else { preconditionFailure("a contract is of a product") }
        return product.terms.deliveryTerms
    }

    mutating func keep(_ delivery: Delivery, of contract: Contract) {
        var all = deliveries[contract.id] ?? []
        if let place = all.firstIndex(where: { $0.key == delivery.key }) { all[place] = delivery } else { all.append(delivery) }
        deliveries[contract.id] = all
        if let dispute = delivery.dispute { disputes[dispute.id] = delivery.key }
        due.push(DueQueue.Entry(at: delivery.due, number: contract.number, subject: .delivery(delivery.key)))
    }

    // MARK: Reports

    mutating func take(
        _ report: DeliveryReport, of id: ContractID, by party: ContractParty, _ step: inout Step
    ) throws(Refusal) {
        guard let contract = contracts[id] else { throw .unknown("contract", id) }
        guard contract.confirmation[party] != nil else { throw .unconfirmed(party, contract) }
        guard var delivery = deliveries[id]?.first(where: { $0.period == report.period }) else {
            throw .noSuchStretch(report.period, deliveries[id] ?? [])
        }
        if let earlier = delivery[party] {
            if earlier.report.says(theSameAs: report) { return }
            throw .reportedBefore(earlier, delivery)
        }
        guard delivery.state == .waiting else { throw .reportLate(delivery) }
        try report.check(contracted: delivery.contracted)
        delivery[party] = Delivery.Received(report: report, at: step.at)
        if delivery[party.other] != nil { return decide(delivery, at: step.at, &step) }
        keep(delivery, of: contract)
        step.changes.append(.delivery(delivery))
    }

    // MARK: Paying

    /// What a stretch comes to.
    private struct Verdict {
        var basis: Delivery.Basis
        var toSeller: Int64
        var toBuyer: Int64
        var availability: Int64?
    }

    /// At the end of the wait for reports, or of that for a dispute.
    mutating func decide(_ delivery: Delivery, at moment: Instant, _ step: inout Step) {
        guard let contract = contracts[delivery.contract] else { preconditionFailure("a delivery is of a contract") }
        if delivery.state == .disputed { return expire(delivery, at: moment, &step) }
        let verdict = verdict(on: delivery, contract)
        var delivery = delivery
        delivery.basis = verdict.basis
        delivery.availability = verdict.availability
        let disputed = delivery.charge - verdict.toSeller - verdict.toBuyer
        if disputed > 0 {
            let deadline = moment + terms(of: contract).dispute
            delivery.state = .disputed
            delivery.due = deadline
            var id: DisputeID = step.id()
            while disputes[id] != nil { id = step.id() }
            delivery.dispute = Dispute(id: id, amount: disputed, opened: moment, deadline: deadline)
        } else {
            delivery.state = .settled
        }
        pay(delivery, toSeller: verdict.toSeller, toBuyer: verdict.toBuyer, &step)
    }

    private func verdict(on delivery: Delivery, _ contract: Contract) -> Verdict {
        guard contract.confirmation.seller != nil else {
            return Verdict(basis: .unconfirmed, toSeller: 0, toBuyer: delivery.charge, availability: 0)
        }
        let shortfalls = (delivery.buyer?.report.shortfall, delivery.seller?.report.shortfall)
        switch shortfalls {
        case (nil, nil): return Verdict(basis: .contracted, toSeller: delivery.charge, toBuyer: 0)
        case (let buyers?, nil): return verdict(.buyersReport, shortfall: buyers, delivery, contract)
        case (nil, let sellers?): return verdict(.sellersReport, shortfall: sellers, delivery, contract)
        case (let buyers?, let sellers?):
            let (least, most) = (min(buyers, sellers), max(buyers, sellers))
            let terms = terms(of: contract)
            let small = terms.credit(charge: delivery.charge, shortfall: least, contracted: delivery.contracted)
            let large = terms.credit(charge: delivery.charge, shortfall: most, contracted: delivery.contracted)
            // A small difference is passed over where it makes none in money: else each claim just below the tolerance would pay.
            guard !terms.agree(least, most, contracted: delivery.contracted) || small != large else {
                return verdict(.agreed, shortfall: least + (most - least) / 2, delivery, contract)
            }
            return Verdict(basis: .disputed, toSeller: delivery.charge - large, toBuyer: small)
        }
    }

    private func verdict(_ basis: Delivery.Basis, shortfall: Int64, _ delivery: Delivery, _ contract: Contract) -> Verdict {
        let terms = terms(of: contract)
        let credit = terms.credit(charge: delivery.charge, shortfall: shortfall, contracted: delivery.contracted)
        return Verdict(
            basis: basis, toSeller: delivery.charge - credit, toBuyer: credit,
            availability: terms.availability(shortfall: shortfall, contracted: delivery.contracted))
    }

    /// Pays a part of what a delivery holds. A delivery that is settled with it holds nothing any more and leaves the market.
    mutating func pay(_ delivery: Delivery, toSeller: Int64, toBuyer: Int64, _ step: inout Step) {
        guard var contract = contracts[delivery.contract] else { preconditionFailure("a delivery is of a contract") }
        precondition(toSeller >= 0 && toBuyer >= 0 && toSeller + toBuyer <= delivery.held, "only what is held is paid")
        var delivery = delivery
        delivery.paid += toSeller
        delivery.credited += toBuyer
        contract.settled += toSeller
        contract.credited += toBuyer
        if delivery.state == .settled { forget(delivery) } else { keep(delivery, of: contract) }
        post(
            .settlement,
            [
                .init(account: contract.account(contract.buyer, .heldForContracts), amount: -toSeller),
                .init(account: contract.account(contract.seller, .cash), amount: toSeller),
            ], contract: contract.id, &step)
        takeFees(of: &contract, on: toSeller, &step)
        giveBack(toBuyer, of: &contract, &step)
        step.changes.append(.delivery(delivery))
        contracts[contract.id] = contract
        step.changes.append(.contract(contract, .paid))
        settleIfDone(contract, &step)
    }

    /// The exchange's part of what was just paid: the buyer's from what was put aside, the seller's from what it got.
    private mutating func takeFees(of contract: inout Contract, on payment: Int64, _ step: inout Step) {
        let buyer = contract.fees.buyer.take(of: payment, atMost: contract.fees.held)
        let seller = contract.fees.seller.take(of: payment)
        contract.fees.held -= buyer
        post(
            .fee,
            [
                .init(account: contract.account(contract.buyer, .fees), amount: -buyer),
                .init(account: contract.account(contract.seller, .cash), amount: -seller),
                .init(account: LedgerAccount(owner: nil, kind: .fees, currency: contract.currency), amount: buyer + seller),
            ], contract: contract.id, &step)
    }

    /// What was not delivered, and the fee that was put aside for it.
    private mutating func giveBack(_ amount: Int64, of contract: inout Contract, _ step: inout Step) {
        let fee = max(0, contract.fees.held - fees(of: contract))
        contract.fees.held -= fee
        post(
            .serviceCredit,
            [
                .init(account: contract.account(contract.buyer, .heldForContracts), amount: -amount),
                .init(account: contract.account(contract.buyer, .fees), amount: -fee),
                .init(account: contract.account(contract.buyer, .cash), amount: amount + fee),
            ], contract: contract.id, &step)
    }

    /// The buyer's fees on everything that is held for a contract: what is paid ahead, and its deliveries.
    func fees(of contract: Contract, holding held: Int64? = nil) -> Int64 {
        guard contract.fees.buyer.rate > 0 else { return 0 }
        let unpaid = (deliveries[contract.id] ?? []).reduce(0) { $0 + $1.held }
        return contract.fees.buyer.due(on: (held ?? contract.held) + unpaid)
    }

    mutating func forget(_ delivery: Delivery) {
        precondition(delivery.held == 0, "what is settled is paid")
        deliveries[delivery.contract]?.removeAll { $0.key == delivery.key }
        if deliveries[delivery.contract]?.isEmpty == true { deliveries[delivery.contract] = nil }
        if let dispute = delivery.dispute { disputes[dispute.id] = nil }
    }
}

extension DeliveryReport {
    /// Refuses what cannot have been measured.
    fileprivate func check(contracted: Int64) throws(Refusal) {
        guard (0...contracted).contains(demanded), (0...demanded).contains(delivered) else {
            throw Refusal(
                "market.report-inflated", .invalid,
                "\(delivered) of \(demanded) lot-microseconds were delivered, it says; contracted are \(contracted).",
                facts: ["demanded": .number(demanded), "delivered": .number(delivered), "contracted": .number(contracted)],
                nearest: "0 ≤ delivered ≤ demanded ≤ \(contracted)")
        }
        try checkRange(Int64(unavailable.count), 0...Int64(Cause.allCases.count), "number of causes", rule: "market.report-causes")
        guard Set(unavailable.map(\.cause)).count == unavailable.count,
            unavailable.allSatisfy({ (1...contracted).contains($0.lotMicroseconds) })
        else {
            throw Refusal("market.report-causes", .invalid, "Each cause of unavailability is given once, and its time is above zero.")
        }
        let explained = unavailable.reduce(Int128(0)) { $0 + Int128($1.lotMicroseconds) }
        guard explained == Int128(shortfall) else {
            throw Refusal(
                "market.report-sum", .invalid,
                "The causes of unavailability add up to \(explained) lot-microseconds; \(shortfall) were demanded and not delivered.",
                facts: ["shortfall": .number(shortfall)], nearest: "\(shortfall)")
        }
        guard evidenceHash.utf8.count == 64, evidenceHash.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else {
            throw Refusal("market.report-evidence", .invalid, "The evidence is named by its SHA-256, 64 hexadecimal digits in lower case.")
        }
        try checkNote(signer, "serial number")
        try checkNote(signature, "signature")
    }
}

extension Refusal {
    fileprivate static func unconfirmed(_ party: ContractParty, _ contract: Contract) -> Refusal {
        Refusal(
            "market.report-unconfirmed", .conflict,
            "The \(party.rawValue) has not confirmed \(contract.id), so it has nothing to report of it.",
            facts: ["contract": .text(contract.id.description)], nearest: "a certificate of the contract first")
    }

    fileprivate static func noSuchStretch(_ period: Period, _ waiting: [Delivery]) -> Refusal {
        let near = waiting.first { $0.period.intersection(period) != nil } ?? waiting.last
        return Refusal(
            "market.report-stretch", .conflict, "No stretch from \(period.start) to \(period.end) waits for reports.",
            facts: ["start": .text("\(period.start)"), "end": .text("\(period.end)")],
            nearest: near.map { "\($0.period.start) to \($0.period.end)" } ?? "the next stretch, once it is over")
    }

    fileprivate static func reportedBefore(_ earlier: Delivery.Received, _ delivery: Delivery) -> Refusal {
        Refusal(
            "market.report-again", .conflict,
            "The stretch from \(delivery.period.start) was reported at \(earlier.at): \(earlier.report.delivered) of \(earlier.report.demanded) lot-microseconds.",
            facts: ["delivered": .number(earlier.report.delivered), "demanded": .number(earlier.report.demanded)],
            nearest: "the same report again")
    }

    fileprivate static func reportLate(_ delivery: Delivery) -> Refusal {
        Refusal(
            "market.report-late", .conflict,
            "The stretch from \(delivery.period.start) to \(delivery.period.end) does not wait for reports any more.",
            facts: ["end": .text("\(delivery.period.end)")], nearest: "an answer to its dispute")
    }
}
