import Primitives

// What orders may ask for beside price and volume, and whether a match satisfies it.

extension OrderDraft {
    /// Refuses conditions that contradict each other or the order.
    func checkConditions(clock: Instant) throws(Refusal) {
        let conditions = self.conditions
        try checkExpiry(conditions.expires, clock: clock)
        if let display = conditions.display { try checkRange(display, 1...lots, "displayed number of lots", rule: "market.display") }
        if let minimum = conditions.minimumLots { try checkRange(minimum, 1...lots, "minimum number of lots", rule: "market.minimum") }
        if !lifetime.rests, let condition = conditions.waiting {
            throw Self.contradiction(condition, lifetime.rawValue, nearest: "a limit order")
        }
        if conditions.allOrNone, conditions.display != nil {
            throw Self.contradiction("all-or-none", "displayed in part", nearest: "one of the two")
        }
        if conditions.postOnly, conditions.minimumLots != nil {
            throw Self.contradiction("post-only", "with a minimum that trades at once", nearest: "one of the two")
        }
    }

    private func checkExpiry(_ expires: Instant?, clock: Instant) throws(Refusal) {
        guard (lifetime == .goodTillDate) == (expires != nil) else {
            throw Refusal(
                "market.expires", .invalid, "A good-till-date order says when it expires, and only such an order does.",
                nearest: "goodTillDate with expires")
        }
        if let expires, expires <= clock {
            throw Refusal(
                "market.expires", .invalid, "The order would expire at \(expires), and it is \(clock).",
                facts: ["expires": .text("\(expires)"), "now": .text("\(clock)")], nearest: "a later moment")
        }
    }

    private static func contradiction(_ one: String, _ other: String, nearest: String) -> Refusal {
        Refusal("market.conditions", .invalid, "An order cannot be \(one) and \(other) at once.", nearest: nearest)
    }
}

extension OrderConditions {
    /// What only an order that waits can be, in words.
    fileprivate var waiting: String? {
        if allOrNone { return "all-or-none" }
        if postOnly { return "post-only" }
        return display == nil ? nil : "displayed in part"
    }
}

extension Market {
    /// Refuses when what would trade now is not what the order asks for.
    /// - Parameter crosses: another order stands where it would trade, whether it may or not.
    func checkConditions(of ticket: Ticket, matched: Int64, crosses: Bool) throws(Refusal) {
        let (draft, conditions) = (ticket.draft, ticket.draft.conditions)
        if conditions.postOnly, crosses {
            let best = bestPrice(of: draft.series, side: draft.side.opposite) ?? draft.price
            let tick = ticket.listing.product.terms.limits.tick
            let price = draft.side == .buy ? best - tick : best + tick
            throw Refusal(
                "market.post-only", .conflict, "The order would trade at once: \(draft.side.opposite.rawValue) orders rest at \(best).",
                facts: ["best": .number(best), "price": .number(draft.price)],
                nearest: price >= tick ? "a price of \(price)" : nil)
        }
        if draft.lifetime == .fillOrKill, matched < ticket.lots {
            let shown = shown(matched, ticket)
            throw Refusal(
                "market.fill-or-kill", .capacity,
                "Not all of \(ticket.lots) lots would trade now within \(draft.price); \(shown) of what is shown would.",
                facts: ["lots": .number(ticket.lots), "available": .number(shown)], nearest: shown > 0 ? "\(shown) lots" : nil)
        }
        if let minimum = conditions.minimumLots, matched < minimum {
            let shown = shown(matched, ticket)
            throw Refusal(
                "market.minimum", .capacity,
                "Less than the minimum of \(minimum) lots would trade now within \(draft.price); \(shown) of what is shown would.",
                facts: ["minimum": .number(minimum), "available": .number(shown)],
                nearest: shown > 0 ? "a minimum of \(shown) lots" : nil)
        }
    }

    /// What may be said of so much that would trade: no more than everybody can see. What is hidden stays so.
    private func shown(_ matched: Int64, _ ticket: Ticket) -> Int64 {
        let draft = ticket.draft
        let levels = depth(of: draft.series, side: draft.side.opposite, levels: .max)
        let inReach = levels.prefix { draft.side == .buy ? $0.price <= draft.price : $0.price >= draft.price }
        return min(matched, inReach.reduce(0) { Self.sum($0, $1.lots) })
    }

    // MARK: Kill switch and halts

    mutating func suspend(_ id: ParticipantID, reason: String, _ step: inout Step) throws(Refusal) {
        var participant = try known(id)
        try checkReason(reason)
        guard participant.suspended != reason else { return }
        participant.suspended = reason
        participants[id] = participant
        step.changes.append(.participant(participant))
        withdrawAll(of: id, because: .suspended, &step)
        withdrawProposals(of: id, reason: "\(participant.name) is suspended.", &step)
    }

    mutating func resume(_ id: ParticipantID, _ step: inout Step) throws(Refusal) {
        var participant = try known(id)
        guard participant.suspended != nil else { return }
        participant.suspended = nil
        participants[id] = participant
        step.changes.append(.participant(participant))
    }

    mutating func halt(_ id: SeriesID, reason: String, _ step: inout Step) throws(Refusal) {
        try checkReason(reason)
        try setHalted(id, reason, &step)
    }

    mutating func reopen(_ id: SeriesID, _ step: inout Step) throws(Refusal) { try setHalted(id, nil, &step) }

    private mutating func setHalted(_ id: SeriesID, _ reason: String?, _ step: inout Step) throws(Refusal) {
        guard let listing = listings[id] else { throw .unknown("series", id) }
        if let product = products[listing.series.product], let reason = product.closed { throw .closedForGood(product, reason) }
        // An operator's halt takes the place of one that would end by itself.
        guard listing.series.halted != reason || listing.series.haltedUntil != nil else { return }
        var series = listing.series
        (series.halted, series.haltedUntil) = (reason, nil)
        store(series, &step)
    }

    func checkReason(_ reason: String) throws(Refusal) {
        try checkNote(reason, "reason")
        guard !reason.isEmpty else { throw Refusal("market.reason", .invalid, "A reason is needed: others will read it.") }
    }
}
