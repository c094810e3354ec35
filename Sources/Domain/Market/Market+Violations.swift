import Primitives

extension Market {
    /// What is wrong with this state, in words; empty for every state that commands can lead to. Looks at everything: for a start
    /// from tables, and for tests.
    public func violations() -> [String] {
        moneyViolations() + capacityViolations() + bookViolations() + contractViolations() + deliveryViolations() + riskViolations()
            + proposalViolations()
    }

    private func proposalViolations() -> [String] {
        proposals.values.sorted { $0.number < $1.number }.filter { proposal in
            let series = listings[proposal.draft.series]?.series
            return proposal.state != .open || proposal.number > lastProposal || proposal.buyer == proposal.seller
                || proposal.expires <= clock || series?.stage != .trading || (series?.closes).map { proposal.expires > $0 } ?? false
                || (proposal.draft.side == .sell) != (proposal.draft.datacenter != nil)
        }.map { "the proposal \($0.id) is \($0.state.rawValue) until \($0.expires)" }
    }

    private func riskViolations() -> [String] {
        let lines = participants.values.filter { !(0...Self.largestCreditLine).contains($0.creditLine) }.map {
            "the credit line of \($0.id) is \($0.creditLine)"
        }
        let halts = listings.values.map(\.series).filter { $0.haltedUntil != nil && $0.state != .halted }.map {
            "\($0.id) reopens by itself and is \($0.state.rawValue)"
        }
        let references = self.references.filter { id, reference in
            reference.setting != listings[id]?.series.reference || reference.entries.count > Int(reference.rule.trades)
                || reference.entries.contains { $0.lots < 0 || $0.number > lastContract || $0.number <= reference.setting?.afterTrade ?? 0 }
        }.map { "the reference price of \($0.key) is made of what is not its last trades" }
        let unknown = Set(self.references.keys).symmetricDifference(listings.keys).map {
            "the reference price of \($0) is not that of a series"
        }
        return (lines + halts + references + unknown).sorted()
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
        let aside = putAside()
        for id in participants.keys.sorted() {
            for kind in [LedgerAccount.Kind.heldForOrders, .heldForContracts, .margin, .bond, .fees] {
                let needed = aside[kind]?[id] ?? 0
                guard balance(of: id, kind) != needed else { continue }
                found.append("\(kind.rawValue) of \(id) is \(balance(of: id, kind)), not \(needed)")
            }
        }
        return found
    }

    /// What orders and contracts say is put aside, by account and participant.
    private func putAside() -> [LedgerAccount.Kind: [ParticipantID: Int64]] {
        var aside: [LedgerAccount.Kind: [ParticipantID: Int64]] = [:]
        for order in snapshot().orders {
            guard let security = listings[order.draft.series]?.security(of: order.draft.side, price: order.draft.price) else { continue }
            aside[security.account, default: [:]][order.draft.participant, default: 0] += order.remaining * security.perLot
        }
        for contract in contracts.values {
            aside[.heldForContracts, default: [:]][contract.buyer, default: 0] += contract.held
            aside[.margin, default: [:]][contract.buyer, default: 0] += contract.margin
            aside[.bond, default: [:]][contract.seller, default: 0] += contract.bond
            aside[.fees, default: [:]][contract.buyer, default: 0] += contract.fees.held
        }
        for delivery in deliveries.values.joined() {
            guard let buyer = contracts[delivery.contract]?.buyer else { continue }
            aside[.heldForContracts, default: [:]][buyer, default: 0] += delivery.held
        }
        return aside
    }

    /// By listing all uses of each datacenter's capacity and adding them up at each moment one of them begins.
    private func capacityViolations() -> [String] {
        var uses: [Offering.Key: [(lots: Int64, period: Period?, isSold: Bool)]] = [:]
        for order in snapshot().orders {
            guard let datacenter = order.draft.datacenter, let listing = listings[order.draft.series] else { continue }
            uses[Offering.Key(datacenter: datacenter, product: listing.product.id), default: []].append(
                (order.remaining, listing.series.delivery, false))
        }
        for contract in contracts.values where contract.isLive {
            uses[Offering.Key(datacenter: contract.datacenter, product: contract.product), default: []].append(
                (contract.lots, contract.delivery, true))
        }
        return offerings.values.sorted { $0.key < $1.key }.filter { offering in
            let uses = uses[offering.key] ?? []
            func spot(isSold: Bool) -> Int64 { uses.filter { $0.period == nil && $0.isSold == isSold }.map(\.lots).reduce(0, +) }
            let starts = Set(uses.compactMap(\.period?.start))
            let inForwards = starts.map { start in uses.filter { $0.period?.contains(start) ?? false }.map(\.lots).reduce(0, +) }
            return offering.free < 0 || offering.offered != spot(isSold: false) || offering.sold != spot(isSold: true)
                || offering.forwards.peak != inForwards.max() ?? 0
        }.map {
            "\($0.product) at \($0.datacenter): \($0.declared) declared, \($0.offered) on offer, \($0.sold) sold, \($0.forwards.peak) forward"
        }
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
            contract.number > lastContract || !(contract.isLive ? isPaidRight(contract) : isOverRight(contract))
        }.map {
            "contract \($0.id) is \($0.state.rawValue), settled until \($0.settledUntil), holds \($0.held) for the time until \($0.paidUntil)"
        }
    }

    private func isPaidRight(_ contract: Contract) -> Bool {
        guard contract.charges(until: contract.paidUntil)?.total == contract.held, keepsFees(contract) else { return false }
        guard let delivery = contract.delivery, let forwards = products[contract.product]?.terms.forwards else {
            return contract.settledUntil < contract.period.end && contract.paidUntil == contract.period.end && contract.margin == 0
                && contract.bond == 0
        }
        func share(_ thousandths: Int64) -> Int64 { contract.lots * Product.share(thousandths, price: contract.price, of: delivery) }
        return contract.period.start == delivery.start && contract.period.end <= delivery.end
            && contract.settledUntil <= contract.paidUntil && contract.paidUntil <= contract.period.end
            && contract.margin == share(forwards.initialMargin) && contract.bond == share(forwards.performanceBond)
            && (contract.state == .delivering) == (contract.period.start <= clock)
    }

    /// Of a tie between two micro-units either may be kept.
    private func keepsFees(_ contract: Contract) -> Bool { (contract.fees.held - fees(of: contract)).magnitude <= 1 }

    /// Only what is not paid of its deliveries keeps a contract that is over.
    private func isOverRight(_ contract: Contract) -> Bool {
        contract.state == .ended && contract.held == 0 && keepsFees(contract) && contract.margin == 0 && contract.bond == 0
            && contract.outcome != nil
            && contract.settledUntil == contract.period.end && deliveries[contract.id] != nil
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
