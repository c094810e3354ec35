import Primitives

// Placing and cancelling orders. Everything that can refuse comes first; after that nothing does.

extension Market {
    /// An order about to be placed, with what it refers to.
    struct Ticket {
        let draft: OrderDraft
        let participant: Participant
        let number: Int32
        let listing: Listing
    }

    mutating func place(_ draft: OrderDraft, _ step: inout Step) throws(Refusal) {
        let ticket = try ticket(for: draft)
        var fills: ContiguousArray<OrderBooks.Fill> = []
        let match = books.match(
            book: ticket.listing.book, side: draft.side, price: draft.price, lots: draft.lots, owner: ticket.number, into: &fills)
        if let own = match.ownOrder { throw .selfTrade(restingOrder(at: own), matched: match.lots) }
        switch draft.side {
        case .buy: try checkCash(for: ticket, fills, at: step.at)
        case .sell: try checkCapacity(for: draft)
        }
        let order = accept(ticket, matched: match.lots, &step)
        for fill in fills { execute(fill, for: order, ticket, &step) }
        if order.state == .resting { rest(order, ticket, &step) }
    }

    private func ticket(for draft: OrderDraft) throws(Refusal) -> Ticket {
        let participant = try known(draft.participant)
        guard let listing = listings[draft.series] else { throw .unknown("series", draft.series) }
        let terms = listing.product.terms
        guard draft.side == .buy ? participant.buys : participant.sells, let number = numbers[participant.id] else {
            throw Refusal(
                "market.role", .forbidden, "\(participant.name) may not \(draft.side.rawValue).",
                facts: ["side": .text(draft.side.rawValue)],
                nearest: draft.side.opposite.rawValue)
        }
        guard terms.currency == participant.currency else {
            throw .wrongCurrency(participant.currency, expected: terms.currency, terms.name)
        }
        try checkRange(draft.lots, 1...terms.limits.largestLots, "number of lots", rule: "market.lots")
        try checkRange(
            draft.price, terms.limits.tick...terms.limits.largestPrice, "price in micro-units per lot-hour", rule: "market.price")
        guard draft.price % terms.limits.tick == 0 else {
            throw Refusal(
                "market.tick", .invalid,
                "Prices of \(terms.name) are multiples of \(terms.limits.tick) micro-units; \(draft.price) is not.",
                facts: ["price": .number(draft.price), "tick": .number(terms.limits.tick)],
                nearest: "\(draft.price - draft.price % terms.limits.tick)")
        }
        if let name = draft.clientOrderID { try checkName(name, "client order id") }
        try checkDatacenter(of: draft, listing.product)
        return Ticket(draft: draft, participant: participant, number: number, listing: listing)
    }

    private func checkDatacenter(of draft: OrderDraft, _ product: Product) throws(Refusal) {
        guard draft.side == .sell else {
            guard draft.datacenter == nil else {
                throw Refusal(
                    "market.datacenter", .invalid, "A buy order names no datacenter; the product says where.", nearest: "no datacenter")
            }
            return
        }
        guard let id = draft.datacenter else {
            throw Refusal(
                "market.datacenter", .invalid, "A sell order names the datacenter that delivers.", nearest: "the seller's datacenter")
        }
        guard let datacenter = datacenters[id], datacenter.owner == draft.participant else { throw .unknown("datacenter", id) }
        guard product.isDelivered(from: datacenter) else { throw .notDelivered(product, from: datacenter) }
    }

    // MARK: Checks in the same step as matching

    /// The buyer's free cash covers what trades now to the end of the period, and a whole period of what rests.
    private func checkCash(for ticket: Ticket, _ fills: ContiguousArray<OrderBooks.Fill>, at: Instant) throws(Refusal) {
        let needed = cost(of: ticket.draft.lots, ticket, fills, at)
        let cash = balance(of: ticket.participant.id, .cash)
        guard needed > cash else { return }
        var affordable: Int64 = 0
        var tooMany = ticket.draft.lots
        while tooMany - affordable > 1 {
            let middle = affordable + (tooMany - affordable) / 2
            if cost(of: middle, ticket, fills, at) <= cash { affordable = middle } else { tooMany = middle }
        }
        let currency = ticket.participant.currency
        throw .cashShort(
            Money(microUnits: cash, currency), needed: Money(microUnits: needed, currency), for: "An order of \(ticket.draft.lots) lots",
            nearest: affordable > 0 ? "\(affordable) lots" : nil)
    }

    private func cost(of lots: Int64, _ ticket: Ticket, _ fills: ContiguousArray<OrderBooks.Fill>, _ at: Instant) -> Int64 {
        let rest = ticket.listing.product.spotPeriod(at: at).end - at
        var left = lots
        var cost: Int64 = 0
        for fill in fills where left > 0 {
            let taken = min(left, fill.lots)
            cost += Self.charge(price: fill.price, lots: taken, for: rest)
            left -= taken
        }
        return ticket.draft.lifetime == .limit ? cost + left * Self.holdPerLot(price: ticket.draft.price, ticket.listing.product) : cost
    }

    /// Sold + on offer never passes what the datacenter declared.
    private func checkCapacity(for draft: OrderDraft) throws(Refusal) {
        guard let datacenter = draft.datacenter, let product = listings[draft.series]?.product else { return }
        let offering = offerings[Offering.Key(datacenter: datacenter, product: product.id)]
        let free = offering?.free ?? 0
        guard draft.lots > free else { return }
        throw Refusal(
            "market.capacity", .capacity,
            "\(draft.lots) lots are more than the \(free) free: \(offering?.declared ?? 0) declared, \(offering?.sold ?? 0) sold, \(offering?.offered ?? 0) on offer.",
            facts: [
                "lots": .number(draft.lots), "free": .number(free), "declared": .number(offering?.declared ?? 0),
                "sold": .number(offering?.sold ?? 0),
                "offered": .number(offering?.offered ?? 0),
            ], nearest: free > 0 ? "\(free) lots" : nil)
    }

    /// What a stretch costs. Fits 64 bits by the bounds of `OrderLimits`.
    static func charge(price: Int64, lots: Int64, for span: Span) -> Int64 {
        var meter = LotHourCharge()
        guard let charge = meter.charge(pricePerLotHour: price, lots: lots, for: span) else {
            preconditionFailure("limits keep charges small")
        }
        return charge
    }

    /// What is put aside for each lot of a resting buy order: a whole period, rounded up, so that any part of the order can trade.
    static func holdPerLot(price: Int64, _ product: Product) -> Int64 {
        let exact = Int128(price) * Int128(product.terms.spotPeriod.microseconds)
        let hour = Int128(Span.hours(1).microseconds)
        return Int64((exact + hour - 1) / hour)
    }

    // MARK: Into and out of the book

    private mutating func accept(_ ticket: Ticket, matched: Int64, _ step: inout Step) -> Order {
        var id: OrderID = step.id()
        while books.slot(of: id.bits) != nil { id = step.id() }
        lastPriority += 1
        var order = Order(id: id, priority: lastPriority, draft: ticket.draft, placed: step.at, filled: matched, state: .resting)
        if order.remaining == 0 {
            order.state = .filled
        } else if ticket.draft.lifetime == .immediateOrCancel {
            order.state = .cancelled
            order.cancelReason = .immediate
        }
        step.changes.append(.order(order))
        return order
    }

    private mutating func rest(_ order: Order, _ ticket: Ticket, _ step: inout Step) {
        insert(order, ticket.listing, number: ticket.number)
        guard order.draft.side == .buy else { return }
        let hold = order.remaining * Self.holdPerLot(price: order.draft.price, ticket.listing.product)
        move(hold, .cash, .heldForOrders, of: ticket.participant, .orderHold, order: order.id, &step)
    }

    mutating func insert(_ order: Order, _ listing: Listing, number: Int32) {
        let draft = order.draft
        let slot = Int(
            books.rest(book: listing.book, side: draft.side, price: draft.price, lots: order.remaining, owner: number, id: order.id.bits))
        while orders.count <= slot { orders.append(nil) }
        orders[slot] = order
        if let datacenter = draft.datacenter { adjust(datacenter, listing.product.id) { $0.offered += order.remaining } }
    }

    mutating func cancel(_ id: OrderID, by owner: ParticipantID?, _ step: inout Step) throws(Refusal) {
        guard let order = order(id), owner == nil || order.draft.participant == owner else { throw .unknown("order", id) }
        withdraw(order, because: .asked, &step)
    }

    /// Takes a resting order out of its book and gives back what was put aside for it.
    mutating func withdraw(_ order: Order, because reason: Order.CancelReason, _ step: inout Step) {
        guard let slot = books.slot(of: order.id.bits), let listing = listings[order.draft.series],
            let owner = participants[order.draft.participant]
        else { preconditionFailure("a resting order is in its book") }
        books.remove(slot)
        orders[Int(slot)] = nil
        var order = order
        order.state = .cancelled
        order.cancelReason = reason
        step.changes.append(.order(order))
        if let datacenter = order.draft.datacenter {
            adjust(datacenter, listing.product.id) { $0.offered -= order.remaining }
        } else {
            let hold = order.remaining * Self.holdPerLot(price: order.draft.price, listing.product)
            move(hold, .heldForOrders, .cash, of: owner, .orderRelease, order: order.id, &step)
        }
    }

    /// Moves a participant's money between two of its accounts. That it is there was checked, or put aside, before.
    private mutating func move(
        _ amount: Int64, _ from: LedgerAccount.Kind, _ to: LedgerAccount.Kind, of owner: Participant, _ reason: Posting.Reason,
        order: OrderID,
        _ step: inout Step
    ) {
        let from = LedgerAccount(owner: owner.id, kind: from, currency: owner.currency)
        let to = LedgerAccount(owner: owner.id, kind: to, currency: owner.currency)
        post(reason, [.init(account: from, amount: -amount), .init(account: to, amount: amount)], order: order, &step)
    }

    /// A posting that was made possible before, so that it cannot be refused.
    mutating func post(
        _ reason: Posting.Reason, _ moves: [Ledger.Move], order: OrderID? = nil, contract: ContractID? = nil, _ step: inout Step
    ) {
        do {
            record(try ledger.post(reason, moves, at: step.at, order: order, contract: contract), &step)
        } catch {
            preconditionFailure("money that was checked is missing: \(error)")
        }
    }

    mutating func adjust(_ datacenter: DatacenterID, _ product: ProductID, _ change: (inout Offering) -> Void) {
        let key = Offering.Key(datacenter: datacenter, product: product)
        guard var offering = offerings[key] else { preconditionFailure("what is offered was declared") }
        change(&offering)
        precondition(offering.offered >= 0 && offering.sold >= 0, "nothing is given back twice")
        offerings[key] = offering
    }
}

extension Refusal {
    static func selfTrade(_ own: Order, matched: Int64) -> Refusal {
        Refusal(
            "market.self-trade", .conflict, "The order would trade with the same participant's order \(own.id) at \(own.draft.price).",
            facts: ["order": .text(own.id.description), "price": .number(own.draft.price), "before": .number(matched)],
            nearest: matched > 0 ? "\(matched) lots, or cancel \(own.id) first" : "cancel \(own.id) first")
    }
}
