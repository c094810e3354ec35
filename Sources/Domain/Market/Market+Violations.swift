import Primitives

extension Market {
    /// What is wrong with this state, in words; empty for every state that commands can lead to. Looks at everything: for a start
    /// from tables, and for tests.
    public func violations() -> [String] {
        moneyViolations() + capacityViolations() + bookViolations() + contractViolations() + deliveryViolations()
    }

    private func moneyViolations() -> [String] {
        var found: [String] = []
        var totals: [Currency: Int128] = [:]
        for (account, balance) in ledger.trialBalance {
            totals[account.currency, default: 0] += Int128(balance)
            if !account.range.contains(balance) {
                found.append("\(account.kind.rawValue) of \(account.owner?.description ?? "the exchange") is \(balance)")
            }
        }
        for (currency, total) in totals where total != 0 { found.append("all accounts in \(currency) sum to \(total)") }
        var forOrders: [ParticipantID: Int64] = [:]
        for order in snapshot().orders where order.draft.side == .buy {
            guard let listing = listings[order.draft.series] else { continue }
            forOrders[order.draft.participant, default: 0] += order.remaining * Self.holdPerLot(price: order.draft.price, listing.product)
        }
        var forContracts = contracts.values.reduce(into: [ParticipantID: Int64]()) { $0[$1.buyer, default: 0] += $1.held }
        for delivery in deliveries.values.joined() {
            if let buyer = contracts[delivery.contract]?.buyer { forContracts[buyer, default: 0] += delivery.held }
        }
        for id in participants.keys.sorted() {
            for (kind, needed) in [(LedgerAccount.Kind.heldForOrders, forOrders[id]), (.heldForContracts, forContracts[id])]
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
        for contract in contracts.values where contract.isLive {
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
            contract.number > lastContract
                || (contract.isLive
                    ? contract.settledUntil >= contract.period.end || contract.charges(until: contract.period.end)?.total != contract.held
                    : contract.state != .ended || contract.held != 0 || contract.outcome == nil || deliveries[contract.id] == nil)
        }.map {
            "contract \($0.id) is \($0.state.rawValue), settled until \($0.settledUntil), holds \($0.held) for the time until \($0.period.end)"
        }
    }

    private func deliveryViolations() -> [String] {
        deliveries.values.joined().filter { delivery in
            guard let contract = contracts[delivery.contract] else { return true }
            return delivery.period.end > contract.settledUntil || delivery.held < 0 || delivery.state == .settled
                || (delivery.state == .disputed) != (delivery.dispute != nil)
                || delivery.dispute.map { $0.amount != delivery.held || disputes[$0.id] != delivery.key } ?? false
        }.map { "the delivery of \($0.contract) from \($0.period.start) is \($0.state.rawValue) and holds \($0.held)" }
    }
}
