public import Primitives

/// Where one machine's capacity comes from.
public enum Source: Hashable, Sendable {
    /// A contract that has room.
    case contract(ContractID)
    /// Lots to buy, at most at this price per lot-hour.
    case purchase(SeriesID, lots: Int64, limit: Int64)
}

/// One source for each machine, in launch order.
public struct Plan: Hashable, Sendable {
    public var sources: [Source]
    /// Micro-units per hour that the purchases add, at the asks seen.
    public var addedHourly: Int64

    public init(sources: [Source], addedHourly: Int64) {
        self.sources = sources
        self.addedHourly = addedHourly
    }
}

extension Demand {
    /// Uses what is contracted already, cheapest and tightest first, and buys the rest where it is cheapest under the rules.
    ///
    /// Plans as many machines as can be had up to the largest count. Refuses with the rule that stood in the way, the numbers,
    /// and what would be enough.
    public func plan(contracts: [HeldContract], offers: [Offer]) throws(Refusal) -> Plan {
        var contracts = contracts.filter(isUsable)
        let considered = considered(offers)
        var books = considered.allowed
        var plan = Plan(sources: [], addedHourly: 0)
        while plan.sources.count < maximumCount {
            if let contract = take(from: &contracts) {
                plan.sources.append(.contract(contract))
            } else if let (source, hourly) = buy(from: &books) {
                plan.sources.append(source)
                plan.addedHourly += hourly
            } else {
                break
            }
        }
        guard plan.sources.count >= minimumCount else {
            throw refusal(planned: plan.sources.count, allowed: considered.allowed, fallen: considered.fallen)
        }
        return plan
    }

    // MARK: Contracts

    private func isUsable(_ contract: HeldContract) -> Bool {
        guard contract.price <= priceCap, contract.rolls || contract.end >= until else { return false }
        return brokenRule(contract.terms, zone: contract.zone ?? contract.terms.zone) == nil
    }

    private func take(from contracts: inout [HeldContract]) -> ContractID? {
        let fitting = contracts.indices.filter { resources.fits(in: contracts[$0].free) }
        // The tightest of the cheapest: large gaps stay whole for large machines.
        let best = fitting.min { a, b in
            let (a, b) = (contracts[a], contracts[b])
            return (a.price, a.free.milliCPU, a.free.memoryMiB, a.id) < (b.price, b.free.milliCPU, b.free.memoryMiB, b.id)
        }
        guard let best else { return nil }
        contracts[best].free -= resources
        return contracts[best].id
    }

    // MARK: Purchases

    /// The cheapest series for one machine, its lots taken out of the book.
    private func buy(from books: inout [Offer]) -> (source: Source, hourly: Int64)? {
        var best: (index: Int, lots: Int64, fill: Fill)?
        for (index, offer) in books.enumerated() {
            guard let lots = resources.lots(of: offer.terms.lot), let fill = Fill(lots, of: offer.asks, cap: priceCap) else { continue }
            let isBetter = best.map { best in
                (fill.hourly, lots, offer.series) < (best.fill.hourly, best.lots, books[best.index].series)
            }
            if isBetter ?? true { best = (index, lots, fill) }
        }
        guard let best else { return nil }
        books[best.index].asks = best.fill.rest
        return (.purchase(books[best.index].series, lots: best.lots, limit: best.fill.worst), best.fill.hourly)
    }

    /// What taking some lots from a book comes to.
    private struct Fill {
        var hourly: Int64 = 0
        var worst: Int64 = 0
        var rest: [Offer.Ask] = []

        /// Nil when there are not that many lots within the cap.
        init?(_ lots: Int64, of asks: [Offer.Ask], cap: Int64) {
            var wanted = lots
            for ask in asks {
                let taken = ask.price <= cap ? min(wanted, ask.lots) : 0
                let (cost, overflow) = ask.price.multipliedReportingOverflow(by: taken)
                let (sum, overflow2) = hourly.addingReportingOverflow(cost)
                guard !overflow, !overflow2 else { return nil }
                hourly = sum
                wanted -= taken
                if taken > 0 { worst = max(worst, ask.price) }
                if ask.lots > taken { rest.append(Offer.Ask(price: ask.price, lots: ask.lots - taken)) }
            }
            guard wanted == 0 else { return nil }
        }
    }
}
