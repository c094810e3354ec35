import Primitives

// Placing and cancelling orders. Everything that can refuse comes first; after that nothing does.

extension Market {
    /// An order about to be placed, with what it refers to.
    struct Ticket {
        let draft: OrderDraft
        let participant: Participant
        let number: Int32
        let listing: Listing
        /// The order it takes the place of: what that has put aside counts as free.
        var replacing: Order?
        /// What is still to be traded.
        var lots: Int64 { draft.lots - (replacing?.filled ?? 0) }
    }

    /// What an order would do now.
    private struct Plan {
        var fills: ContiguousArray<OrderBooks.Fill> = []
        var matched: Int64 = 0
        /// The order of the same participant at which it stopped.
        var ownOrder: OrderBooks.Slot?
        /// Orders of the same participant that make way.
        var givingWay: ContiguousArray<OrderBooks.Slot> = []
        /// The next trade would be too far from the reference price.
        var halt: VolatilityHalt?
    }

    mutating func place(_ draft: OrderDraft, _ step: inout Step) throws(Refusal) {
        let ticket = try ticket(for: draft)
        let plan = try plan(ticket, at: step.at)
        var id: OrderID = step.id()
        while books.slot(of: id.bits) != nil { id = step.id() }
        let order = Order(id: id, priority: 0, draft: draft, placed: step.at, filled: 0, state: .resting)
        carryOut(plan, order, ticket, &step)
    }

    /// Matches, and refuses what the order's conditions, the buyer's money or the seller's capacity do not allow. Changes nothing.
    private func plan(_ ticket: Ticket, at: Instant) throws(Refusal) -> Plan {
        let (draft, conditions) = (ticket.draft, ticket.draft.conditions)
        let reach = try reach(of: draft, ticket.listing.product.terms)
        let whole = match(ticket, to: reach)
        var plan = whole
        if let halt = halt(by: whole.fills, of: ticket) {
            plan = match(ticket, to: reach, before: halt)
            // Who cannot pay for what would have traded halts nothing.
            try checkCash(for: ticket, whole, at: at)
        }
        if let own = plan.ownOrder, conditions.selfMatch == .refuse { throw .selfTrade(restingOrder(at: own), matched: plan.matched) }
        let crosses = whole.matched > 0 || whole.ownOrder != nil || !whole.givingWay.isEmpty
        try checkConditions(of: ticket, matched: plan.matched, crosses: crosses)
        if conditions.allOrNone, plan.matched < ticket.lots {
            // What cannot trade whole waits whole, and disturbs nobody; what could but for the band trades nothing.
            plan = Plan(halt: whole.matched < ticket.lots ? nil : plan.halt)
        }
        try checkCapacity(for: ticket)
        try checkCash(for: ticket, plan, at: at)
        return plan
    }

    private func match(_ ticket: Ticket, to price: Int64) -> Plan {
        var plan = Plan()
        let match = books.match(
            book: ticket.listing.book, side: ticket.draft.side, price: price, lots: ticket.lots, owner: ticket.number,
            passingOwn: ticket.draft.conditions.selfMatch == .cancelOldest, into: &plan.fills)
        (plan.matched, plan.ownOrder, plan.givingWay) = (match.lots, match.ownOrder, match.passed)
        return plan
    }

    /// What trades inside the band. Nothing does when already the best price lies beyond the band's far side.
    private func match(_ ticket: Ticket, to reach: Int64, before halt: VolatilityHalt) -> Plan {
        let edge = ticket.draft.side == .buy ? min(reach, halt.band.upperBound) : max(reach, halt.band.lowerBound)
        var plan = match(ticket, to: edge)
        if let best = plan.fills.first, !halt.band.contains(best.price) { plan = Plan() }
        plan.halt = halt
        return plan
    }

    /// Does what was planned: nothing refuses any more.
    private mutating func carryOut(_ plan: Plan, _ order: Order, _ ticket: Ticket, _ step: inout Step) {
        let own = plan.ownOrder.map(restingOrder)
        let order = accept(order, plan, &step)
        for slot in plan.givingWay { withdraw(restingOrder(at: slot), because: .selfMatch, &step) }
        for fill in plan.fills { execute(fill, for: order, ticket, &step) }
        if let own, order.draft.conditions.selfMatch == .cancelBoth { withdraw(own, because: .selfMatch, &step) }
        if order.state == .resting { rest(order, ticket, &step) }
        if let halt = plan.halt { self.halt(ticket, halt, &step) }
    }

    func ticket(for draft: OrderDraft, replacing: Order? = nil) throws(Refusal) -> Ticket {
        let participant = try known(draft.participant)
        guard let listing = listings[draft.series] else { throw .unknown("series", draft.series) }
        let terms = listing.product.terms
        try checkStanding(of: participant)
        guard listing.series.stage == .trading else { throw .closed(listing.series, listing.product) }
        if let reason = listing.series.halted {
            throw Refusal(
                "market.halted", .unavailable, "Trading in \(terms.name) is halted: \(reason)", facts: ["series": .text("\(draft.series)")],
                nearest: "the same order once the series is open again")
        }
        try checkRole(of: participant, draft.side, terms)
        guard let number = numbers[participant.id] else { preconditionFailure("a participant has a number") }
        try checkNumbers(of: draft, terms)
        if let name = draft.clientOrderID { try checkName(name, "client order id") }
        try draft.checkConditions(clock: clock)
        try checkDatacenter(of: draft, listing.product)
        return Ticket(draft: draft, participant: participant, number: number, listing: listing, replacing: replacing)
    }

    func checkStanding(of participant: Participant) throws(Refusal) {
        guard let reason = participant.suspended else { return }
        throw Refusal(
            "market.suspended", .forbidden, "\(participant.name) may not trade: \(reason)", nearest: "ask the exchange's operator")
    }

    func checkRole(of participant: Participant, _ side: Side, _ terms: Product.Terms) throws(Refusal) {
        guard side == .buy ? participant.buys : participant.sells else {
            throw Refusal(
                "market.role", .forbidden, "\(participant.name) may not \(side.rawValue).", facts: ["side": .text(side.rawValue)],
                nearest: side.opposite.rawValue)
        }
        guard terms.currency == participant.currency else {
            throw .wrongCurrency(participant.currency, expected: terms.currency, terms.name)
        }
    }

    private func checkNumbers(of draft: OrderDraft, _ terms: Product.Terms) throws(Refusal) {
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

    /// Free cash and credit cover what trades now to the end of the period, and a whole period of what rests, with fees; of forwards, the
    /// margin or bond.
    private func checkCash(for ticket: Ticket, _ plan: Plan, at: Instant) throws(Refusal) {
        guard let security = ticket.listing.security(of: ticket.draft.side, price: ticket.draft.price) else { return }
        let needed = cost(of: ticket.lots, ticket, plan, at)
        let before = ticket.replacing.flatMap { old in
            ticket.listing.security(of: old.draft.side, price: old.draft.price).map { old.remaining * $0.perLot }
        }
        let own = Self.sum(balance(of: ticket.participant.id, .cash), before ?? 0)
        let cash = Self.sum(own, ticket.participant.creditLine)
        guard needed > cash else { return }
        var affordable: Int64 = 0
        var tooMany = ticket.lots
        while tooMany - affordable > 1 {
            let middle = affordable + (tooMany - affordable) / 2
            if cost(of: middle, ticket, plan, at) <= cash { affordable = middle } else { tooMany = middle }
        }
        let currency = ticket.participant.currency
        throw .cashShort(
            Money(microUnits: own, currency), credit: ticket.participant.creditLine, needed: Money(microUnits: needed, currency),
            for: security.purpose + " of \(ticket.lots) lots",
            nearest: affordable > 0 ? "\(affordable) lots" : nil)
    }

    private func cost(of lots: Int64, _ ticket: Ticket, _ plan: Plan, _ at: Instant) -> Int64 {
        let rest = ticket.listing.product.spotPeriod(at: at).end - at
        var left = lots
        var cost: Int64 = 0
        for fill in plan.fills where left > 0 {
            let taken = min(left, fill.lots)
            cost += immediateCost(of: taken, at: fill.price, ticket, rest)
            left -= taken
        }
        guard ticket.draft.lifetime.rests, plan.ownOrder == nil, plan.halt == nil else { return cost }
        return cost + left * (ticket.listing.security(of: ticket.draft.side, price: ticket.draft.price)?.perLot ?? 0)
    }

    /// Spot is paid to the end of its period, with the fee; for a forward, margin or bond are put up.
    private func immediateCost(of lots: Int64, at price: Int64, _ ticket: Ticket, _ rest: Span) -> Int64 {
        guard ticket.listing.series.delivery == nil else {
            return lots * (ticket.listing.security(of: ticket.draft.side, price: price)?.perLot ?? 0)
        }
        let charge = Self.charge(price: price, lots: lots, for: rest)
        var fee = ContractFees.Share(rate: ticket.listing.product.terms.risk.takerFee)
        return charge + fee.take(of: charge)
    }

    /// What a stretch costs. Fits 64 bits by the bounds of `OrderLimits`.
    static func charge(price: Int64, lots: Int64, for span: Span) -> Int64 {
        var meter = LotHourCharge()
        guard let charge = meter.charge(pricePerLotHour: price, lots: lots, for: span) else {
            preconditionFailure("limits keep charges small")
        }
        return charge
    }

    /// What is put aside for each lot of a resting buy order: a whole period and its fee, both rounded up, so that any part of the order
    /// can trade.
    static func holdPerLot(price: Int64, _ product: Product) -> Int64 {
        let hour = Span.hours(1).microseconds
        let period = product.terms.spotPeriod.microseconds
        // Both are above zero. Dividing 128 bits takes ten times as long as 64, and few prices need it.
        let (exact, isWide) = price.multipliedReportingOverflow(by: period)
        let charge = 1 + (isWide ? Int64((Int128(price) * Int128(period) - 1) / Int128(hour)) : (exact - 1) / hour)
        return charge + ContractFees.ceiling(of: charge, rate: product.terms.risk.makerFee)
    }

    // MARK: Into and out of the book

    private mutating func accept(_ order: Order, _ plan: Plan, _ step: inout Step) -> Order {
        lastPriority += 1
        var order = order
        order.priority = lastPriority
        order.filled += plan.matched
        order.shown = nil
        if order.remaining == 0 {
            order.state = .filled
        } else if plan.halt != nil {
            // It could rest only across from what it would have traded with.
            (order.state, order.cancelReason) = (.cancelled, .volatility)
        } else if plan.ownOrder != nil {
            (order.state, order.cancelReason) = (.cancelled, .selfMatch)
        } else if !order.draft.lifetime.rests {
            (order.state, order.cancelReason) = (.cancelled, .immediate)
        }
        if order.state == .resting { order.shown = order.draft.conditions.display.map { min($0, order.remaining) } }
        step.changes.append(.order(order))
        return order
    }

    private mutating func rest(_ order: Order, _ ticket: Ticket, _ step: inout Step) {
        insert(order, ticket.listing, number: ticket.number)
        guard let security = ticket.listing.security(of: order.draft.side, price: order.draft.price) else { return }
        move(order.remaining * security.perLot, .cash, security.account, of: ticket.participant, .orderHold, order: order.id, &step)
    }

    mutating func insert(_ order: Order, _ listing: Listing, number: Int32) {
        let draft = order.draft
        let slot = books.rest(
            book: listing.book, side: draft.side, price: draft.price, lots: order.remaining, owner: number, id: order.id.bits,
            display: draft.conditions.display, shown: order.shown, wholeOnly: draft.conditions.allOrNone)
        orders.makeRoom(for: slot)
        orders[slot] = order
        if let datacenter = draft.datacenter { offer(order.remaining, from: datacenter, listing) }
        if let expires = draft.conditions.expires {
            due.push(DueQueue.Entry(at: expires, number: order.priority, subject: .order(order.id)))
        }
    }

    mutating func cancel(_ id: OrderID, by owner: ParticipantID?, _ step: inout Step) throws(Refusal) {
        guard let order = order(id), owner == nil || order.draft.participant == owner else { throw .unknown("order", id) }
        withdraw(order, because: .asked, &step)
    }

    mutating func cancelAll(
        of owner: ParticipantID, series: SeriesID?, side: Side?, datacenter: DatacenterID?, _ step: inout Step
    ) throws(Refusal) {
        _ = try known(owner)
        if let series, listings[series] == nil { throw .unknown("series", series) }
        withdrawAll(of: owner, because: .asked, &step) {
            (series == nil || $0.series == series) && (side == nil || $0.side == side) && (datacenter == nil || $0.datacenter == datacenter)
        }
    }

    mutating func withdrawAll(
        of owner: ParticipantID, because reason: Order.CancelReason, _ step: inout Step, where isMeant: (OrderDraft) -> Bool = { _ in true }
    ) {
        let meant = orders.slots { $0.draft.participant == owner && isMeant($0.draft) }.map(restingOrder).sorted {
            $0.priority < $1.priority
        }
        for order in meant { withdraw(order, because: reason, &step) }
    }

    /// Takes a resting order out of its book and gives back what was put aside for it.
    mutating func withdraw(_ order: Order, because reason: Order.CancelReason, _ step: inout Step) {
        var order = order
        order.state = .cancelled
        order.cancelReason = reason
        step.changes.append(.order(order))
        unhook(order, &step)
    }

    private mutating func unhook(_ order: Order, _ step: inout Step) {
        guard let slot = books.slot(of: order.id.bits) else { preconditionFailure("a resting order is in its book") }
        books.remove(slot)
        orders[slot] = nil
        giveBack(order.remaining, of: order, &step)
    }

    /// What was put aside for some lots of a resting order.
    private mutating func giveBack(_ lots: Int64, of order: Order, _ step: inout Step) {
        guard let listing = listings[order.draft.series], let owner = participants[order.draft.participant] else {
            preconditionFailure("a resting order has an owner and a series")
        }
        if let datacenter = order.draft.datacenter { offer(-lots, from: datacenter, listing) }
        if let security = listing.security(of: order.draft.side, price: order.draft.price) {
            move(lots * security.perLot, security.account, .cash, of: owner, .orderRelease, order: order.id, &step)
        }
    }

    // MARK: Replacing

    mutating func replace(_ id: OrderID, price: Int64?, lots: Int64?, by owner: ParticipantID, _ step: inout Step) throws(Refusal) {
        guard let old = order(id), old.draft.participant == owner else { throw .unknown("order", id) }
        var draft = old.draft
        draft.price = price ?? draft.price
        draft.lots = lots ?? draft.lots
        guard draft != old.draft else { return }
        guard draft.lots > old.filled else {
            throw Refusal(
                "market.replace-filled", .conflict, "\(old.filled) lots of \(id) have traded already; \(draft.lots) is not more.",
                facts: ["filled": .number(old.filled), "lots": .number(draft.lots)], nearest: "\(old.filled + 1) lots, or cancel the order")
        }
        let ticket = try ticket(for: draft, replacing: old)
        var order = old
        order.draft = draft
        if draft.price == old.draft.price, draft.lots < old.draft.lots { return shrink(order, from: old, &step) }
        let plan = try plan(ticket, at: step.at)
        unhook(old, &step)
        carryOut(plan, order, ticket, &step)
    }

    /// Fewer lots at the same price: the order keeps its place.
    private mutating func shrink(_ order: Order, from old: Order, _ step: inout Step) {
        guard let slot = books.slot(of: order.id.bits) else { preconditionFailure("a resting order is in its book") }
        giveBack(old.remaining - order.remaining, of: old, &step)
        books.reduce(slot, to: order.remaining)
        orders[slot] = order
        step.changes.append(.order(restingOrder(at: slot)))
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
}

extension Refusal {
    static func selfTrade(_ own: Order, matched: Int64) -> Refusal {
        Refusal(
            "market.self-trade", .conflict, "The order would trade with the same participant's order \(own.id) at \(own.draft.price).",
            facts: ["order": .text(own.id.description), "price": .number(own.draft.price), "before": .number(matched)],
            nearest: matched > 0 ? "\(matched) lots, or cancel \(own.id) first" : "cancel \(own.id) first")
    }
}
