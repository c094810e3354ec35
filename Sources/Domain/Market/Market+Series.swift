import Primitives

// Forward series: opened by the calendar, closed before delivery, gone after it.

extension Market {
    /// Up to which period of each kind the series of a product have been opened.
    struct Calendar: Sendable {
        private(set) var last: [Series.Kind: Int64] = [:]

        /// - Parameter opened: the periods of series that are known.
        init(_ kinds: [Series.Kind], at moment: Instant, opened: [Series]) {
            for kind in kinds {
                let numbers = opened.filter { $0.kind == kind }.compactMap(\.delivery).map {
                    DeliveryCalendar.number(of: kind, at: $0.start)
                }
                last[kind] = numbers.max() ?? DeliveryCalendar.number(of: kind, at: moment)
            }
        }

        /// When the next series is to be opened; nil when there is no kind.
        var nextDue: Instant? {
            last.map { kind, number in DeliveryCalendar.period(of: kind, number: number + 1 - kind.horizon).start }.min()
        }

        /// The periods that are listed from a moment on, and were not before; in a fixed order.
        mutating func advance(to moment: Instant) -> [(kind: Series.Kind, delivery: Period)] {
            var opened: [(Series.Kind, Period)] = []
            for kind in Series.Kind.forwards {
                guard let before = last[kind] else { continue }
                let now = DeliveryCalendar.number(of: kind, at: moment) + kind.horizon
                guard now > before else { continue }
                opened += (before + 1...now).map { (kind, DeliveryCalendar.period(of: kind, number: $0)) }
                last[kind] = now
            }
            return opened
        }
    }

    // MARK: Opening

    mutating func startCalendar(of product: Product, _ step: inout Step) {
        guard !product.terms.forwards.kinds.isEmpty else { return }
        calendars[product.id] = Calendar(product.terms.forwards.kinds, at: step.at, opened: [])
        openSeries(of: product.id, at: step.at, &step)
    }

    /// Opens what is listed from a moment on. After a long rest of the clock, periods that nobody could trade in any more are left out.
    mutating func openSeries(of product: ProductID, at moment: Instant, _ step: inout Step) {
        guard let opened = calendars[product]?.advance(to: moment) else { return }
        for (kind, delivery) in opened where delivery.start - kind.closingLead > step.at {
            var id: SeriesID = step.id()
            while listings[id] != nil { id = step.id() }
            let series = Series(id: id, product: product, kind: kind, delivery: delivery)
            insert(series)
            step.changes.append(.series(series))
        }
        watchCalendar(of: product)
    }

    mutating func watchCalendar(of product: ProductID) {
        if let next = calendars[product]?.nextDue { due.push(DueQueue.Entry(at: next, calendarOf: product)) }
    }

    mutating func insert(_ series: Series) {
        guard let product = products[series.product] else { preconditionFailure("a series is of a product") }
        precondition(listings[series.id] == nil, "identifiers are unique")
        listings[series.id] = Listing(series: series, product: product, book: freeBooks.popLast() ?? books.open())
        references[series.id] = ReferencePrice(rule: product.terms.risk.reference, setting: series.reference)
        if let next = series.nextDue { due.push(DueQueue.Entry(at: next, series: series.id)) }
        scheduleReopening(of: series)
    }

    // MARK: Closing

    mutating func advance(_ series: Series, _ step: inout Step) {
        switch series.stage {
        case .trading: close(series, &step)
        case .closed: expire(series, &step)
        case .expired: preconditionFailure("an expired series has left the market")
        }
    }

    /// No more trades; what rests goes, and a halt that would have ended by itself ends.
    private mutating func close(_ series: Series, _ step: inout Step) {
        guard let listing = listings[series.id] else { preconditionFailure("a series that closes is listed") }
        var series = series
        series.stage = .closed
        if series.haltedUntil != nil { (series.halted, series.haltedUntil) = (nil, nil) }
        store(series, &step)
        withdrawAll(from: listing, &step)
        if let next = series.nextDue { due.push(DueQueue.Entry(at: next, series: series.id)) }
    }

    private mutating func withdrawAll(from listing: Listing, _ step: inout Step) {
        let resting = Side.allCases.flatMap { books.queue(book: listing.book, side: $0) }.map(restingOrder)
        for order in resting.sorted(by: { $0.priority < $1.priority }) { withdraw(order, because: .seriesClosed, &step) }
    }

    /// Of a whole product, with its calendar. Series that are listed end as they would have.
    mutating func close(_ id: ProductID, reason: String, _ step: inout Step) throws(Refusal) {
        guard var product = products[id] else { throw .unknown("product", id) }
        try checkReason(reason)
        guard product.closed == nil else { return }
        product.closed = reason
        products[id] = product
        calendars[id] = nil
        step.changes.append(.product(product))
        let open = listings.values.filter { $0.series.product == id && $0.series.stage == .trading }
        for listing in open.sorted(by: { $0.series.id < $1.series.id }) {
            var series = listing.series
            (series.halted, series.haltedUntil) = (reason, nil)
            store(series, &step)
            withdrawAll(from: listing, &step)
        }
    }

    private mutating func expire(_ series: Series, _ step: inout Step) {
        guard let listing = listings.removeValue(forKey: series.id) else { preconditionFailure("a series that expires is listed") }
        var series = series
        series.stage = .expired
        references[series.id] = nil
        freeBooks.append(listing.book)
        step.changes.append(.series(series))
    }
}

extension Market {
    /// Takes up the calendars where the series that are listed leave them.
    mutating func restoreCalendars() {
        let opened = Dictionary(grouping: listings.values.map(\.series), by: \.product)
        for product in products.values where product.closed == nil && !product.terms.forwards.kinds.isEmpty {
            calendars[product.id] = Calendar(product.terms.forwards.kinds, at: clock, opened: opened[product.id] ?? [])
            watchCalendar(of: product.id)
        }
    }
}

extension Refusal {
    static func closedForGood(_ product: Product, _ reason: String) -> Refusal {
        Refusal(
            "market.product-closed", .conflict, "\(product.terms.name) is closed for good: \(reason)",
            facts: ["product": .text("\(product.id)")], nearest: "another product")
    }

    static func closed(_ series: Series, _ product: Product) -> Refusal {
        let period = series.delivery.map { "\($0.start) to \($0.end)" } ?? ""
        return Refusal(
            "market.closed", .conflict,
            "Trading in \(product.terms.name) from \(period) ended at \(series.closes.map(\.description) ?? "").",
            facts: ["series": .text("\(series.id)"), "closed": .text(series.closes.map(\.description) ?? "")], nearest: "a later period")
    }
}
