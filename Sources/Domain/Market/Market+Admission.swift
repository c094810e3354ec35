import Primitives

// Who and what is on the market: participants and their money, products, datacenters.

extension Market {
    mutating func addParticipant(name: String, buys: Bool, sells: Bool, currency: Currency, _ step: inout Step) throws(Refusal) {
        try checkName(name, "participant name")
        guard buys || sells else {
            throw Refusal("market.role", .invalid, "A participant buys, sells, or does both; '\(name)' does neither.", nearest: "buyer")
        }
        guard !participantNames.contains(name) else { throw .nameTaken(name, by: "participant") }
        admit(Participant(id: step.id(), name: name, buys: buys, sells: sells, currency: currency, created: step.at), &step)
    }

    private mutating func admit(_ participant: Participant, _ step: inout Step) {
        insert(participant)
        step.changes.append(.participant(participant))
    }

    mutating func insert(_ participant: Participant) {
        precondition(participants[participant.id] == nil, "identifiers are unique")
        participants[participant.id] = participant
        participantNames.insert(participant.name)
        numbers[participant.id] = Int32(numbers.count)
        ledger.setCredit(participant.creditLine, of: participant.id, participant.currency)
    }

    // MARK: Money

    mutating func deposit(_ amount: Money, to id: ParticipantID, reference: String, _ step: inout Step) throws(Refusal) {
        let (cash, external) = try accounts(of: id, for: amount, reference: reference)
        try record(
            ledger.post(
                .deposit, [.init(account: external, amount: -amount.microUnits), .init(account: cash, amount: amount.microUnits)],
                at: step.at, reference: reference), &step)
    }

    mutating func withdraw(_ amount: Money, from id: ParticipantID, reference: String, _ step: inout Step) throws(Refusal) {
        let (cash, external) = try accounts(of: id, for: amount, reference: reference)
        let free = ledger.balance(of: cash)
        // What is there, never what could be borrowed.
        guard amount.microUnits <= free else {
            let money = Money(microUnits: free, amount.currency)
            throw .cashShort(money, needed: amount, for: "The withdrawal", nearest: free > 0 ? "\(money)" : nil)
        }
        try record(
            ledger.post(
                .withdrawal, [.init(account: cash, amount: -amount.microUnits), .init(account: external, amount: amount.microUnits)],
                at: step.at, reference: reference), &step)
    }

    private func accounts(of id: ParticipantID, for amount: Money, reference: String) throws(Refusal) -> (
        cash: LedgerAccount, external: LedgerAccount
    ) {
        let participant = try known(id)
        guard amount.currency == participant.currency else {
            throw .wrongCurrency(amount.currency, expected: participant.currency, "The account of \(participant.name)")
        }
        guard amount.microUnits > 0 else {
            throw Refusal(
                "market.amount", .invalid, "An amount to move is above zero, not \(amount).", facts: ["amount": .number(amount.microUnits)],
                nearest: "\(Money(microUnits: 1, amount.currency))")
        }
        try checkNote(reference, "reference")
        return (
            LedgerAccount(owner: id, kind: .cash, currency: amount.currency),
            LedgerAccount(owner: nil, kind: .external, currency: amount.currency)
        )
    }

    func record(_ posting: Posting?, _ step: inout Step) {
        if let posting { step.changes.append(.posting(posting)) }
    }

    // MARK: Products

    mutating func addProduct(_ terms: Product.Terms, termsHash: String, _ step: inout Step) throws(Refusal) {
        try terms.check()
        try checkName(termsHash, "hash of the terms")
        guard !productNames.contains(terms.name) else { throw .nameTaken(terms.name, by: "product") }
        let product = Product(id: step.id(), terms: terms, termsHash: termsHash, created: step.at)
        let series = Series(id: step.id(), product: product.id, kind: .spot)
        insert(product)
        insert(series)
        step.changes += [.product(product), .series(series)]
        startCalendar(of: product, &step)
    }

    mutating func insert(_ product: Product) {
        precondition(products[product.id] == nil, "identifiers are unique")
        products[product.id] = product
        productNames.insert(product.terms.name)
    }

    // MARK: Datacenters

    mutating func register(_ datacenter: Datacenter, _ step: inout Step) throws(Refusal) {
        let owner = try known(datacenter.owner)
        guard owner.sells else {
            throw Refusal("market.role", .forbidden, "\(owner.name) is not a seller.", nearest: "a participant that sells")
        }
        try datacenter.check()
        if let before = datacenters[datacenter.id] { try check(datacenter, replaces: before) }
        guard datacenters[datacenter.id] != datacenter else { return }
        datacenters[datacenter.id] = datacenter
        step.changes.append(.datacenter(datacenter))
    }

    /// What was sold from a datacenter stays where it was sold.
    private func check(_ datacenter: Datacenter, replaces before: Datacenter) throws(Refusal) {
        guard before.owner == datacenter.owner else { throw .unknown("datacenter", datacenter.id) }
        guard before.region == datacenter.region else {
            throw Refusal(
                "market.datacenter-region", .conflict, "The datacenter \(before.id) lies in '\(before.region)'; that cannot change.",
                facts: ["region": .text(before.region)], nearest: before.region)
        }
        let needed = offerings.values.filter { $0.datacenter == before.id && $0.declared > 0 }.compactMap {
            products[$0.product]?.terms.zone
        }
        if let zone = needed.sorted().first(where: { !datacenter.zones.contains($0) }) {
            throw Refusal(
                "market.datacenter-zone", .conflict,
                "The datacenter \(before.id) offers products of zone '\(zone)', so it cannot leave that zone.",
                facts: ["zone": .text(zone)], nearest: "capacity 0 for these products first")
        }
    }

    func known(_ id: ParticipantID) throws(Refusal) -> Participant {
        guard let participant = participants[id] else { throw .unknown("participant", id) }
        return participant
    }
}

extension Refusal {
    static func notDelivered(_ product: Product, from datacenter: Datacenter) -> Refusal {
        let place = product.terms.zone.map { "zone \($0) of region \(product.terms.region)" } ?? "region \(product.terms.region)"
        return Refusal(
            "market.place", .invalid,
            "\(product.terms.name) is delivered in \(place); \(datacenter.name) lies in region \(datacenter.region).",
            facts: ["region": .text(product.terms.region), "datacenter": .text(datacenter.id.description)], nearest: place)
    }
}
