import CloudAPI
import CloudClient
import Logging
import Primitives
import ServiceKit
import Store

// Learning from the exchange what became of orders and contracts.

extension ConnectCore {
    /// Orders changed, as the exchange's feed says. Those that capacity was not set aside for here wait for the comparison.
    func ordersChanged(_ orders: [OrderID]) async throws {
        let known = try await database.read { context in
            try orders.filter { order in try Reservation.id(of: order, in: context).map { try Reservation.isOpen($0, in: context) } ?? false
            }
        }
        for order in known {
            let view = try await identity.exchange.call(ExchangeAPI.showOrder, path: ["order": order.description])
            let now = time.now()
            try await database.write { transaction in
                guard let id = try Reservation.id(of: order, in: transaction), try Reservation.isOpen(id, in: transaction),
                    var reservation = try Reservation.load(id, in: transaction)
                else { return }
                try ReservationLedger(transaction, at: now).takeIn(view, &reservation)
            }
        }
    }

    /// Compares what is set aside here with everything the exchange has of this datacenter: orders that rest, contracts that live,
    /// and what was declared.
    func compare() async throws {
        guard let datacenter else { return }
        // Contracts first: whatever order one is of, it was there before, and is found below.
        let contracts = try await liveContracts(of: datacenter)
        var news = ExchangeNews(contracts: contracts)
        let open = try await database.read { try Reservation.open(in: $0) }
        news.orders = try await identity.exchange.items(of: ExchangeAPI.listOrders, query: ["state": OrderState.resting.rawValue])
            .filter { $0.side == .sell && $0.datacenter == datacenter }
        try await lookUp(open, &news)
        try await lookUpTerms(datacenter, &news)
        try await learnProducts(open.map(\.product) + news.terms.values.map(\.product))
        let standing = try await identity.exchange.items(
            of: ExchangeAPI.listDeclaredCapacity, path: ["datacenter": datacenter.description])
        let (now, settled, ids) = (time.now(), news, self.ids)
        try await database.write { transaction in try settled.takeIn(ReservationLedger(transaction, at: now), ids) }
        for id in news.missing { try await giveUp(id, because: "the exchange has no order of it") }
        capacity.declared = Dictionary(uniqueKeysWithValues: standing.map { ($0.product, $0.declared) })
        capacity.noteComparison(at: now)
    }

    private func liveContracts(of datacenter: DatacenterID) async throws -> [ContractView] {
        var contracts: [ContractView] = []
        for state in [ContractState.created, .delivering] {
            contracts += try await identity.exchange.items(of: ExchangeAPI.listContracts, query: ["state": state.rawValue])
        }
        return contracts.filter { $0.datacenter == datacenter && !$0.isOver }
    }

    /// Orders that do not rest any more, and those whose answer never came.
    private func lookUp(_ open: [Reservation], _ news: inout ExchangeNews) async throws {
        let resting = Set(news.orders.map(\.id))
        let named = Set(news.orders.compactMap(\.clientOrderID))
        let overdue = time.now() - .seconds(configuration.pendingSeconds)
        for reservation in open {
            if let order = reservation.order {
                guard !resting.contains(order), reservation.lots(.offered) + reservation.lots(.pending) > 0 else { continue }
                news.orders.append(try await identity.exchange.call(ExchangeAPI.showOrder, path: ["order": order.description]))
            } else if reservation.cause == .ask, !named.contains(reservation.id.description) {
                let query = ["clientOrderID": reservation.id.description]
                if let order = try await identity.exchange.call(ExchangeAPI.listOrders, query: query).items.first {
                    news.orders.append(order)
                } else if reservation.made <= overdue {
                    news.missing.append(reservation.id)
                }
            }
        }
    }

    /// What is sold in orders and contracts that came by another way than this connect.
    private func lookUpTerms(_ datacenter: DatacenterID, _ news: inout ExchangeNews) async throws {
        let found = news
        let unknown = try await database.read { try found.unknownSeries(in: $0) }
        guard !unknown.isEmpty else { return }
        let products = try await identity.exchange.items(of: ExchangeAPI.listProducts)
        for id in unknown {
            let series = try await identity.exchange.call(ExchangeAPI.showSeries, path: ["series": id.description])
            guard let product = products.first(where: { $0.id == series.product }) else { continue }
            news.terms[id] = ReservationTerms(
                product: product.id, definition: product.definition, series: id, period: series.kind == "spot" ? nil : series.period)
        }
    }
}

/// What a comparison found at the exchange.
struct ExchangeNews: Sendable {
    /// That live.
    var contracts: [ContractView]
    /// That rest, or that something is set aside for.
    var orders: [OrderView] = []
    /// Of the series of orders and contracts that nothing is set aside for.
    var terms: [SeriesID: ReservationTerms] = [:]
    /// Reservations whose order the exchange never had.
    var missing: [CapacityReservationID] = []

    init(contracts: [ContractView]) { self.contracts = contracts }

    /// The series of orders and contracts that nothing is set aside for.
    func unknownSeries(in context: any ReadContext) throws -> [SeriesID] {
        var series: Set<SeriesID> = []
        for order in orders where try Reservation.id(of: order.id, in: context) == nil {
            if try Self.named(order, in: context) == nil { series.insert(order.series) }
        }
        for contract in contracts where try Reservation.ids(of: contract.id, in: context).isEmpty { series.insert(contract.series) }
        return series.sorted()
    }

    /// The reservation an order is named after, when it waits for its order.
    private static func named(_ order: OrderView, in context: any ReadContext) throws -> CapacityReservationID? {
        guard let id = order.clientOrderID.flatMap({ CapacityReservationID($0) }), try Reservation.isOpen(id, in: context) else {
            return nil
        }
        return id
    }

    func takeIn(_ ledger: ReservationLedger, _ ids: any IDSource) throws {
        for order in orders { try takeIn(order, ledger, ids) }
        for contract in contracts where try Reservation.ids(of: contract.id, in: ledger.transaction).isEmpty {
            guard let terms = terms[contract.series] else { continue }
            var reservation = try ledger.make(ids.next(), terms, cause: .contract)
            try ledger.link(contract.id, to: reservation)
            try ledger.add(
                [(nil, contract.lots)], as: .sold, to: &reservation, .find, reference: contract.id.description,
                note: "found at the exchange")
        }
        for reservation in try Reservation.open(in: ledger.transaction) {
            var reservation = reservation
            try ledger.giveBackEnded(&reservation)
        }
    }

    private func takeIn(_ order: OrderView, _ ledger: ReservationLedger, _ ids: any IDSource) throws {
        let transaction = ledger.transaction
        let known = try Reservation.id(of: order.id, in: transaction) ?? Self.named(order, in: transaction)
        if let known {
            guard try Reservation.isOpen(known, in: transaction), var reservation = try Reservation.load(known, in: transaction) else {
                return
            }
            return try ledger.takeIn(order, &reservation)
        }
        guard order.state == .resting, let terms = terms[order.series] else { return }
        var reservation = try ledger.make(ids.next(), terms, cause: .order)
        try ledger.takeIn(order, &reservation)
    }
}

extension ContractView {
    var isOver: Bool { state == .ended || state == .settled }
}
