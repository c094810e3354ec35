public import Primitives

// What keeps prices in order: the reference price, the collar around it for orders, and the band around it for trades.

extension Market {
    /// Why and how a match is cut short.
    struct VolatilityHalt {
        let reference: Int64
        let band: ClosedRange<Int64>
        /// What the next trade would have cost.
        let price: Int64
    }

    /// What a series is worth now, by its last trades or as it was set; nil while nobody knows.
    public func referencePrice(of series: SeriesID) -> Int64? { references[series]?.price }

    /// The prices limit orders may name now; nil: any.
    public func collar(of series: SeriesID) -> ClosedRange<Int64>? { range(of: series, \.collar) }

    /// The prices at which a series trades now without halting; nil: any.
    public func volatilityBand(of series: SeriesID) -> ClosedRange<Int64>? { range(of: series, \.band) }

    private func range(of series: SeriesID, _ part: KeyPath<RiskTerms, Int64?>) -> ClosedRange<Int64>? {
        guard let terms = listings[series]?.product.terms, let thousandths = terms.risk[keyPath: part],
            let reference = references[series]?.price
        else { return nil }
        return terms.limits.range(around: reference, thousandths: thousandths)
    }

    /// The worst price an order may trade at: its own, or for a market order the collar's.
    func reach(of draft: OrderDraft, _ terms: Product.Terms) throws(Refusal) -> Int64 {
        guard terms.risk.collar != nil, let collar = collar(of: draft.series) else { return draft.price }
        if draft.lifetime == .market {
            return draft.side == .buy ? min(draft.price, collar.upperBound) : max(draft.price, collar.lowerBound)
        }
        guard collar.contains(draft.price) else {
            let reference = referencePrice(of: draft.series) ?? draft.price
            throw Refusal(
                "market.collar", .invalid,
                "Orders of \(terms.name) are priced from \(collar.lowerBound) to \(collar.upperBound) now, around the reference price \(reference); \(draft.price) is not.",
                facts: [
                    "price": .number(draft.price), "smallest": .number(collar.lowerBound), "largest": .number(collar.upperBound),
                    "reference": .number(reference),
                ], nearest: "\(min(max(draft.price, collar.lowerBound), collar.upperBound))")
        }
        return draft.price
    }

    /// The first of some fills, best price first, that lies outside the band.
    func halt(by fills: ContiguousArray<OrderBooks.Fill>, of ticket: Ticket) -> VolatilityHalt? {
        guard ticket.listing.product.terms.risk.band != nil, let best = fills.first, let worst = fills.last,
            let band = volatilityBand(of: ticket.draft.series), let reference = referencePrice(of: ticket.draft.series),
            !band.contains(best.price) || !band.contains(worst.price)
        else { return nil }
        let price = fills.first { !band.contains($0.price) }?.price ?? worst.price
        return VolatilityHalt(reference: reference, band: band, price: price)
    }

    /// Halts a series by itself. The reference moves to the edge of the band that was hit, so that the price can follow the market, one
    /// band for each halt.
    mutating func halt(_ ticket: Ticket, _ halt: VolatilityHalt, _ step: inout Step) {
        guard var series = listings[ticket.draft.series]?.series else { preconditionFailure("an order is of a series") }
        let (terms, band) = (ticket.listing.product.terms, halt.band)
        let text = { (price: Int64) in Money(microUnits: price, terms.currency).description }
        series.halted =
            "The next trade would have been at \(text(halt.price)); \(text(band.lowerBound)) to \(text(band.upperBound)) is allowed around the reference price \(text(halt.reference))."
        series.haltedUntil = step.at + .seconds(terms.risk.haltSeconds)
        let edge = halt.price > band.upperBound ? band.upperBound : band.lowerBound
        series.reference = ReferencePrice.Setting(price: edge, afterTrade: lastContract)
        store(series, &step)
    }

    mutating func reopenByItself(_ id: SeriesID, _ step: inout Step) {
        guard var series = listings[id]?.series else { preconditionFailure("a series that reopens is listed") }
        (series.halted, series.haltedUntil) = (nil, nil)
        store(series, &step)
    }

    /// Takes over what changed of a series.
    mutating func store(_ series: Series, _ step: inout Step) {
        if let setting = series.reference, setting != listings[series.id]?.series.reference { references[series.id]?.set(setting) }
        listings[series.id]?.series = series
        scheduleReopening(of: series)
        step.changes.append(.series(series))
    }

    mutating func scheduleReopening(of series: Series) {
        guard let until = series.haltedUntil else { return }
        due.push(DueQueue.Entry(at: until, reopening: series.id))
    }

    mutating func setReference(_ id: SeriesID, price: Int64, reason: String, _ step: inout Step) throws(Refusal) {
        guard let listing = listings[id] else { throw .unknown("series", id) }
        let limits = listing.product.terms.limits
        try checkRange(price, limits.tick...limits.largestPrice, "reference price in micro-units per lot-hour", rule: "market.price")
        try checkReason(reason)
        var series = listing.series
        let setting = ReferencePrice.Setting(price: price, afterTrade: lastContract)
        guard series.reference != setting else { return }
        series.reference = setting
        store(series, &step)
    }
}
