import Primitives

extension Market {
    /// What is wrong with this state, in words; empty for every state that commands can lead to. Looks at everything: for a start
    /// from tables, and for tests.
    public func violations() -> [String] {
        moneyViolations() + capacityViolations() + bookViolations() + contractViolations() + riskViolations()
    }

    private func riskViolations() -> [String] {
        let lines = participants.values.filter { !(0...Self.largestCreditLine).contains($0.creditLine) }.map {
            "the credit line of \($0.id) is \($0.creditLine)"
        }
        let halts = listings.values.map(\.series).filter { $0.haltedUntil != nil && $0.halted == nil }.map {
            "\($0.id) reopens by itself and is not halted"
        }
        let references = self.references.filter { id, reference in
            reference.setting != listings[id]?.series.reference || reference.entries.count > Int(reference.rule.trades)
                || reference.entries.contains { $0.lots < 0 || $0.number > lastContract || $0.number <= reference.setting?.afterTrade ?? 0 }
        }.map { "the reference price of \($0.key) is made of what is not its last trades" }
        return (lines + halts + references).sorted()
    }

    private func moneyViolations() -> [String] {
        var found: [String] = []
        var totals: [Currency: Int128] = [:]
        for (account, balance) in ledger.trialBalance {
            totals[account.currency, default: 0] += Int128(balance)
            if !ledger.range(of: account).contains(balance) {
                found.append("\(account.kind.rawValue) of \(account.owner?.description ?? "the exchange") is \(balance)")
            }
        }
        for (currency, total) in totals where total != 0 { found.append("all accounts in \(currency) sum to \(total)") }
        var forOrders: [ParticipantID: Int64] = [:]
        for order in snapshot().orders where order.draft.side == .buy {
            guard let listing = listings[order.draft.series] else { continue }
            forOrders[order.draft.participant, default: 0] += order.remaining * Self.holdPerLot(price: order.draft.price, listing.product)
        }
        let forContracts = contracts.values.reduce(into: [ParticipantID: Int64]()) { $0[$1.buyer, default: 0] += $1.held }
        let forFees = contracts.values.reduce(into: [ParticipantID: Int64]()) { $0[$1.buyer, default: 0] += $1.fees.held }
        for id in participants.keys.sorted() {
            for (kind, needed) in [
                (LedgerAccount.Kind.heldForOrders, forOrders[id]), (.heldForContracts, forContracts[id]), (.fees, forFees[id]),
            ]
            where balance(of: id, kind) != needed ?? 0 {
                found.append("\(kind.rawValue) of \(id) is \(balance(of: id, kind)), not \(needed ?? 0)")
            }
        }
        return found
    }

    private func capacityViolations() -> [String] {
        var offered: [Offering.Key: Int64] = [:]
        var sold: [Offering.Key: Int64] = [:]
        for order in snapshot().orders {
            guard let datacenter = order.draft.datacenter, let product = listings[order.draft.series]?.product.id else { continue }
            offered[Offering.Key(datacenter: datacenter, product: product), default: 0] += order.remaining
        }
        for contract in contracts.values {
            sold[Offering.Key(datacenter: contract.datacenter, product: contract.product), default: 0] += contract.lots
        }
        return offerings.values.sorted { $0.key < $1.key }.filter { offering in
            offering.free < 0 || offering.offered != offered[offering.key] ?? 0 || offering.sold != sold[offering.key] ?? 0
        }.map { "\($0.product) at \($0.datacenter): \($0.declared) declared, \($0.offered) on offer, \($0.sold) sold" }
    }

    private func bookViolations() -> [String] {
        var found = snapshot().orders.filter { $0.remaining <= 0 || $0.priority > lastPriority }.map {
            "order \($0.id) has \($0.remaining) lots left"
        }
        // Orders that trade whole or not at all may wait across from each other.
        for (series, orders) in Dictionary(grouping: snapshot().orders.filter { !$0.draft.conditions.allOrNone }, by: \.draft.series) {
            let bid = orders.filter { $0.draft.side == .buy }.map(\.draft.price).max()
            let ask = orders.filter { $0.draft.side == .sell }.map(\.draft.price).min()
            if let bid, let ask, bid >= ask { found.append("the book of \(series) is crossed: \(bid) bid, \(ask) asked") }
        }
        return found
    }

    private func contractViolations() -> [String] {
        contracts.values.sorted { $0.number < $1.number }.filter { contract in
            contract.number > lastContract || !contract.isLive || contract.settledUntil >= contract.period.end
                || contract.charges(until: contract.period.end)?.total != contract.held
                || contract.buyerFees(until: contract.period.end) != contract.fees.held
        }.map {
            "contract \($0.id) is \($0.state.rawValue), settled until \($0.settledUntil), holds \($0.held) for the time until \($0.period.end)"
        }
    }
}
