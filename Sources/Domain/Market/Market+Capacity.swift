import Primitives

// What a datacenter has declared, and what of it is on offer and sold, at every moment.

extension Market {
    /// What is on offer or sold never passes what the datacenter declared, now or later.
    func checkCapacity(for ticket: Ticket) throws(Refusal) {
        guard let datacenter = ticket.draft.datacenter else { return }
        let key = Offering.Key(datacenter: datacenter, product: ticket.listing.product.id)
        let offering = offerings[key] ?? Offering(datacenter: datacenter, product: key.product, declared: 0)
        let period = ticket.listing.series.delivery
        let free = offering.free(during: period) + (ticket.replacing?.remaining ?? 0)
        guard ticket.lots > free else { return }
        throw .capacityShort(offering, lots: ticket.lots, free: free, during: period)
    }

    // MARK: Taking up and giving back

    /// A resting sell order takes up its lots.
    mutating func offer(_ lots: Int64, from datacenter: DatacenterID, _ listing: Listing) {
        adjust(datacenter, listing.product.id) { offering in
            if let period = listing.series.delivery {
                offering.forwards.add(lots, during: period)
            } else {
                offering.offered += lots
            }
        }
    }

    /// Lots of a resting order become those of a contract, or those of an order that did not rest do.
    mutating func bookSale(of lots: Int64, from datacenter: DatacenterID, _ listing: Listing, wasResting: Bool) {
        if wasResting { offer(-lots, from: datacenter, listing) }
        takeUp(lots, from: datacenter, listing.product.id, during: listing.series.delivery)
    }

    /// What contracts take up; lots below zero: when they are over.
    mutating func takeUp(_ lots: Int64, from datacenter: DatacenterID, _ product: ProductID, during period: Period?) {
        adjust(datacenter, product) { offering in
            if let period { offering.forwards.add(lots, during: period) } else { offering.sold += lots }
        }
    }

    private mutating func adjust(_ datacenter: DatacenterID, _ product: ProductID, _ change: (inout Offering) -> Void) {
        let key = Offering.Key(datacenter: datacenter, product: product)
        guard var offering = offerings[key] else { preconditionFailure("what is offered was declared") }
        change(&offering)
        precondition(offering.offered >= 0 && offering.sold >= 0, "nothing is given back twice")
        offerings[key] = offering
    }

    // MARK: Declaring

    mutating func declareCapacity(
        _ lots: Int64, of productID: ProductID, at datacenterID: DatacenterID, by owner: ParticipantID, _ step: inout Step
    ) throws(Refusal) {
        guard let datacenter = datacenters[datacenterID], datacenter.owner == owner else { throw .unknown("datacenter", datacenterID) }
        guard let product = products[productID] else { throw .unknown("product", productID) }
        try checkRange(lots, 0...1_000_000_000, "capacity in lots", rule: "market.capacity")
        guard product.isDelivered(from: datacenter) else { throw .notDelivered(product, from: datacenter) }
        let key = Offering.Key(datacenter: datacenterID, product: productID)
        let before = offerings[key]
        var offering = before ?? Offering(datacenter: datacenterID, product: productID, declared: 0)
        guard before?.declared != lots else { return }
        let sold = mostSold(at: key)
        guard lots >= sold else {
            throw Refusal(
                "market.capacity-sold", .conflict,
                "\(sold) lots of \(product.terms.name) are sold from \(datacenter.name); \(lots) is less.",
                facts: ["sold": .number(sold), "declared": .number(lots)], nearest: "\(sold)")
        }
        offering.declared = lots
        offerings[key] = offering
        step.changes.append(.offering(offering))
        withdrawOffers(above: lots, at: key, &step)
    }

    /// The most lots in contracts at any moment from now on.
    private func mostSold(at key: Offering.Key) -> Int64 {
        guard let offering = offerings[key] else { return 0 }
        guard offering.forwards.peak > 0 else { return offering.sold }
        var sold = CapacityTimeline()
        for contract in contracts.values
        where contract.isLive && contract.datacenter == key.datacenter && contract.product == key.product {
            if let period = contract.delivery { sold.add(contract.lots, during: period) }
        }
        return offering.sold + sold.peak
    }

    /// Cancels sell orders, newest first, until what is on offer and sold fits again: those that are part of what does not fit.
    private mutating func withdrawOffers(above declared: Int64, at key: Offering.Key, _ step: inout Step) {
        guard (offerings[key]?.free ?? 0) < 0 else { return }
        let offers = listings.values.filter { $0.product.id == key.product }
            .flatMap { books.queue(book: $0.book, side: .sell) }.map(restingOrder).filter { $0.draft.datacenter == key.datacenter }
        for order in offers.sorted(by: { $0.priority > $1.priority }) {
            let period = listings[order.draft.series]?.series.delivery
            if let offering = offerings[key], offering.free(during: period) < 0 { withdraw(order, because: .capacityWithdrawn, &step) }
        }
    }
}

extension Refusal {
    /// Says how many lots fit, and the first stretch in which the rest does not.
    fileprivate static func capacityShort(_ offering: Offering, lots: Int64, free: Int64, during period: Period?) -> Refusal {
        let spot = offering.offered + offering.sold
        let first = offering.forwards.firstStretch(above: offering.declared - spot - lots, in: period)
        let inForwards = first.map { offering.forwards.peak(in: $0) } ?? 0
        let place = first.map { " from \($0.start) to \($0.end)" } ?? ""
        let forwards = first == nil ? "" : ", \(inForwards) in forwards then"
        var facts: [String: Fact] = [
            "lots": .number(lots), "free": .number(free), "declared": .number(offering.declared), "sold": .number(offering.sold),
            "offered": .number(offering.offered), "forwards": .number(inForwards),
        ]
        if let first { (facts["from"], facts["until"]) = (.text("\(first.start)"), .text("\(first.end)")) }
        return Refusal(
            "market.capacity", .capacity,
            "\(lots) lots are more than the \(max(0, free)) free\(place): \(offering.declared) declared, \(offering.sold) sold, \(offering.offered) on offer\(forwards).",
            facts: facts, nearest: free > 0 ? "\(free) lots" : nil)
    }
}
