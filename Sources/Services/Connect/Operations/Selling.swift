import CloudAPI
import CloudClient
import Fleet
import Logging
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// What became of a request to sell so far.
    private enum Ask: Sendable {
        /// Capacity is set aside now.
        case reserved(CapacityReservationID)
        /// It was set aside by the same request before, whose order may be on its way.
        case underWay(CapacityReservationID)
        case placed(CapacityReservationID, OrderID)
    }

    /// Offers capacity: sets it aside here, tells the exchange, and rests a sell order there.
    ///
    /// The order bears the reservation's name, so that whatever is interrupted between these steps can be found again: by the same
    /// request, or by the comparison with the exchange.
    func createAsk(_ call: Call<CreateAsk>) async throws -> OrderView {
        guard let datacenter else { throw Refusal.noDatacenter }
        let terms = try await terms(of: call.body.series)
        try await learnProducts([terms.product])
        let id: CapacityReservationID
        var fresh = false
        switch try await reserve(call, terms) {
        case .placed(let reservation, let order):
            let view = try await identity.exchange.call(ExchangeAPI.showOrder, path: ["order": order.description])
            return try await record(view, of: reservation, call)
        case .underWay(let reservation): id = reservation
        case .reserved(let reservation):
            (id, fresh) = (reservation, true)
            FaultPoint.hit("connect.ask.reserved")
        }
        do {
            try await raiseDeclaration(of: terms.product)
        } catch {
            // Nothing was placed by this request; an earlier one may have.
            if fresh { try await giveUp(id, because: Fault(error).refusal.rule) }
            throw error
        }
        FaultPoint.hit("connect.ask.declared")
        do {
            let order = PlaceOrder(
                series: call.body.series, side: .sell, type: .limit, price: call.body.price, lots: call.body.lots, datacenter: datacenter,
                clientOrderID: id.description)
            let placed = try await identity.exchange.call(
                ExchangeAPI.placeOrder, body: order, idempotencyKey: "ask-" + id.description, deadline: Self.askDeadline)
            FaultPoint.hit("connect.ask.placed")
            return try await record(placed, of: id, call)
        } catch let problem as ProblemDocument where problem.isFinal {
            try await giveUp(id, because: problem.rule)
            throw problem
        }
    }

    static let askDeadline = Duration.seconds(15)

    private func reserve(_ call: Call<CreateAsk>, _ terms: ReservationTerms) async throws -> Ask {
        let (body, now) = (call.body, time.now())
        guard (1...1_000_000_000).contains(body.lots) else {
            throw Refusal(
                "ask.lots", .invalid, "\(counted(body.lots, "lot")) cannot be offered: 1 to 1000000000 can.",
                facts: ["lots": .number(body.lots)], nearest: body.lots < 1 ? "1 lot" : "1000000000 lots")
        }
        let id = ids.next(CapacityReservationID.self)
        let key = call.idempotency.map { $0.scope + " " + $0.key }
        return try await database.write { transaction in
            if let request = call.idempotency, let key, let earlier = try self.earlier(key, request, at: now, in: transaction) {
                return earlier
            }
            var layout = try CapacityLayout(in: transaction)
            let ledger = try ReservationLedger(transaction, at: now)
            try layout.settle(ledger)
            guard let shares = layout.take(body.lots, of: terms.definition, during: terms.period) else {
                throw Refusal.doesNotFit(body.lots, terms, layout)
            }
            var reservation = try ledger.make(id, terms, cause: .ask, askKey: key, askHash: call.idempotency?.requestHash)
            try ledger.add(
                shares.map { ($0.host, $0.lots) }, as: .pending, to: &reservation, .reserve, reference: key ?? "", note: "asked for")
            try transaction.appendAudit(
                actor: call.principal.name, action: "capacity.reserve", subject: id.description, detail: try WireJSON.text(body), at: now)
            return .reserved(id)
        }
    }

    /// The same request was here before, and what it set aside was not given back before an order was placed.
    private func earlier(_ key: String, _ request: IdempotentRequest, at now: Instant, in context: any ReadContext) throws -> Ask? {
        let row = try context.queryOne(
            "SELECT id, ask_hash FROM reservations WHERE ask_key = $1 ORDER BY number DESC LIMIT 1", [.text(key)])
        guard let row else { return nil }
        guard try row.text("ask_hash") == request.requestHash else {
            throw Refusal(
                "idempotency.reused", .conflict, "The idempotency key '\(request.key)' was used before for a different request.",
                facts: ["key": .text(request.key)], nearest: "a new key for a new request")
        }
        guard let reservation = try Reservation.load(try row.id("id"), in: context) else { return nil }
        if let order = reservation.order { return .placed(reservation.id, order) }
        guard try Reservation.isOpen(reservation.id, in: context) else { return nil }
        guard now < reservation.made + .seconds(configuration.pendingSeconds / 3) else {
            throw Refusal(
                "ask.under-way", .unavailable, "Whether the order of \(reservation.id) was placed is being found out.",
                facts: ["reservation": .text(reservation.id.description)],
                nearest: "the same request in \(configuration.pendingSeconds) s")
        }
        return .underWay(reservation.id)
    }

    private func record(_ order: OrderView, of id: CapacityReservationID, _ call: Call<CreateAsk>) async throws -> OrderView {
        let now = time.now()
        return try await database.write { transaction in
            if try Reservation.isOpen(id, in: transaction), var reservation = try Reservation.load(id, in: transaction) {
                try ReservationLedger(transaction, at: now).takeIn(order, &reservation)
            }
            if let request = call.idempotency {
                try transaction.rememberAnswerOnce(
                    scope: request.scope, key: request.key, requestHash: request.requestHash, status: 201,
                    body: try WireJSON.text(order), at: now)
            }
            return order
        }
    }

    /// Gives back what was set aside for an order that was never accepted.
    func giveUp(_ id: CapacityReservationID, because reason: String) async throws {
        let now = time.now()
        try await database.write { transaction in
            guard try Reservation.isOpen(id, in: transaction), var reservation = try Reservation.load(id, in: transaction),
                reservation.order == nil
            else { return }
            try ReservationLedger(transaction, at: now).shift(
                reservation.lots(.pending), of: &reservation, from: [.pending], to: .released, .release, reference: "", note: reason)
        }
    }

    // MARK: What is sold

    /// What a series delivers, when this datacenter can deliver it.
    func terms(of id: SeriesID) async throws -> ReservationTerms {
        let series: SeriesView
        do {
            series = try await identity.exchange.call(ExchangeAPI.showSeries, path: ["series": id.description])
        } catch let problem as ProblemDocument where problem.status == 404 {
            throw Refusal(
                "series.unknown", .notFound, "There is no series \(id) on the exchange.", facts: ["series": .text(id.description)],
                nearest: "one of `bourse series list`")
        }
        let products = try await identity.exchange.items(of: ExchangeAPI.listProducts)
        guard let product = products.first(where: { $0.id == series.product }) else {
            throw Refusal.unknownProduct(series.product, among: products)
        }
        let site = try await database.read { try SiteFacts(in: $0) }
        if let refusal = undeliverable(product.definition, at: site) { throw refusal }
        return ReservationTerms(
            product: product.id, definition: product.definition, series: id, period: series.kind == "spot" ? nil : series.period)
    }

    /// Why this datacenter cannot deliver a product at all; nil when it can.
    func undeliverable(_ definition: ProductDefinition, at site: SiteFacts) -> Refusal? {
        guard definition.region == configuration.region, site.has(definition.zone) else {
            return Refusal(
                "ask.place", .invalid,
                "\(definition.name) is delivered in \(definition.zone ?? definition.region), this datacenter is in \(site.zones.joined(separator: ", ")).",
                facts: ["region": .text(definition.region), "zone": .text(definition.zone ?? "")],
                nearest: "a product of region \(configuration.region)\(definition.zone == nil ? "" : " and one of its zones, or of none")")
        }
        return site.misfit(of: definition).map { refusal($0, definition) }
    }

    func refusal(_ misfit: SiteFacts.Misfit, _ definition: ProductDefinition) -> Refusal {
        let place = definition.zone ?? definition.region
        switch misfit {
        case .kind(let kinds):
            let kind = definition.hosting.rawValue
            return Refusal(
                "ask.kind", .invalid,
                "\(definition.name) is delivered by \(kind) pods, those in \(place) are \(kinds.joined(separator: " and ")).",
                facts: ["kind": .text(kind)], nearest: "a product of \(kinds.joined(separator: " or ")) hosts, or a \(kind) pod")
        case .profile(let profiles):
            let (wanted, there) = (definition.profile ?? "", profiles.joined(separator: " and "))
            return Refusal(
                "ask.profile", .invalid,
                "\(definition.name) is delivered on hardware of profile \(wanted), the metal pods in \(place) have \(there).",
                facts: ["profile": .text(wanted)], nearest: "a pod whose profile is named \(wanted), or a product of its own profile")
        case .storage(let storages):
            let (wanted, there) = (definition.storage.rawValue, storages.joined(separator: " or "))
            return Refusal(
                "ask.storage", .invalid, "\(definition.name) is delivered on \(wanted) storage, the pods in \(place) have \(there).",
                facts: ["storage": .text(wanted)], nearest: "a product on \(there), or a pod on \(wanted)")
        case .jurisdiction(let laws):
            let there = laws.joined(separator: " or ")
            return Refusal(
                "ask.jurisdiction", .invalid,
                "\(definition.name) is delivered under the law of \(definition.jurisdiction), in \(place) it is \(there).",
                facts: ["jurisdiction": .text(definition.jurisdiction)],
                nearest: "a product under \(there), or a zone under \(definition.jurisdiction)")
        case .oversubscription(let least):
            let most = definition.largestOversubscription
            return Refusal(
                "ask.oversubscription", .invalid,
                "\(definition.name) allows \(most)‰ oversubscription of processors, the pods there have \(least)‰ or more.",
                facts: ["allowed": .number(most), "least": .number(least)], nearest: "a pod with at most \(most)‰")
        }
    }
}

extension ProblemDocument {
    /// The exchange said no for good: nothing was placed, and nothing will be. Anything else may have been done or yet be.
    fileprivate var isFinal: Bool { category != .unavailable || rule.hasPrefix("market.") }
}

extension Refusal {
    fileprivate static func doesNotFit(_ lots: Int64, _ terms: ReservationTerms, _ layout: CapacityLayout) -> Refusal {
        let free = layout.free(of: terms.definition, during: terms.period)
        let held = layout.held(of: terms.definition)
        let byProduct = Dictionary(grouping: layout.reservations, by: \.productName).mapValues { $0.map(\.lots).reduce(0, +) }
            .sorted { $0.key < $1.key }.map { "\($0.value) of \($0.key)" }.joined(separator: ", ")
        let reserved = byProduct.isEmpty ? "nothing is set aside" : "set aside are \(byProduct)"
        let facts: [String: Fact] = [
            "lots": .number(lots), "free": .number(free), "held": .number(held), "reserved": .text(byProduct),
        ]
        return Refusal(
            "ask.capacity", .capacity,
            "\(counted(lots, "lot")) of \(terms.productName) is more than the \(free) that fit now: the hosts that are up hold \(held) in all, \(reserved).",
            facts: facts, nearest: free > 0 ? counted(free, "lot") : "after lots are given back, or with more hosts")
    }
}
