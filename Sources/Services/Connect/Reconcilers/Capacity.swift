import CloudAPI
import CloudClient
import Fleet
import Logging
import Primitives
import ServiceKit
import Store
import Synchronization

/// What this process knows of the exchange's side, and the turns in which it is changed.
final class CapacityDesk: Sendable {
    private struct Known {
        /// What the exchange was told last; nil: to be asked.
        var declared: [ProductID: Int64]?
        var compared: Instant?
    }

    let turns = InTurn()
    private let known = Mutex(Known())

    var declared: [ProductID: Int64]? {
        get { known.withLock { $0.declared } }
        set { known.withLock { $0.declared = newValue } }
    }

    func note(_ lots: Int64, of product: ProductID) { known.withLock { $0.declared?[product] = lots } }
    func forget() { known.withLock { $0 = Known() } }
    func noteComparison(at now: Instant) { known.withLock { $0.compared = now } }

    func isDue(at now: Instant, every span: Span) -> Bool {
        known.withLock { known in known.declared == nil || known.compared.map { $0 + span <= now } ?? true }
    }
}

/// Runs one body after the other, in the order they came.
actor InTurn {
    private var last: Task<Void, Never>?

    /// The body goes on when its caller is cancelled.
    func run<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let before = last
        let task = Task {
            await before?.value
            return try await body()
        }
        last = Task { _ = await task.result }
        return try await task.value
    }
}

// What the exchange is told of a product is what is set aside for it here. It is raised before an order is placed, and lowered only
// when everything the exchange has of this datacenter has been compared; what is set aside for orders on their way counts.

extension ConnectCore {
    /// Tells the exchange of what was set aside for a product, before an order takes it up.
    func raiseDeclaration(of product: ProductID) async throws {
        try await capacity.turns.run { [self] in
            if capacity.declared == nil { try await compare() }
            let wanted = try await database.read { try CapacityLayout(in: $0).declared[product] ?? 0 }
            guard wanted > capacity.declared?[product] ?? 0 else { return }
            try await declare(wanted, of: product)
        }
    }

    /// Follows hosts, orders and contracts: called again and again.
    func reconcileCapacity() async throws {
        try await capacity.turns.run { [self] in
            let now = time.now()
            if try await isComparisonDue(at: now) { try await compare() }
            var layout = try await settledLayout()
            let before = capacity.declared ?? [:]
            if layout.declared.differs(from: before, where: <) || layout.newestUnplaced != nil {
                try await compare()
                layout = try await settledLayout()
            }
            if try await declareAll(layout) == false, let order = layout.newestUnplaced?.order { try await withdraw(order) }
            showMetrics(layout)
        }
    }

    private func isComparisonDue(at now: Instant) async throws -> Bool {
        if capacity.isDue(at: now, every: .seconds(configuration.comparisonSeconds)) { return true }
        let overdue = now - .seconds(configuration.pendingSeconds)
        return try await database.read { try Reservation.open(in: $0) }.contains { $0.lots(.pending) > 0 && $0.made <= overdue }
    }

    /// Lays everything out on the hosts that are up now, and notes what moved.
    private func settledLayout() async throws -> CapacityLayout {
        let layout = try await database.read { try CapacityLayout(in: $0) }
        guard !layout.isSettled else { return layout }
        let now = time.now()
        return try await database.write { transaction in
            var layout = try CapacityLayout(in: transaction)
            try layout.settle(try ReservationLedger(transaction, at: now))
            return try CapacityLayout(in: transaction)
        }
    }

    // MARK: Declaring

    /// Tells the exchange of every product whose number changed. Returns whether there was any.
    private func declareAll(_ layout: CapacityLayout) async throws -> Bool {
        let (wanted, before) = (layout.declared, capacity.declared ?? [:])
        let changed = Set(wanted.keys).union(before.keys).filter { wanted[$0] ?? 0 != before[$0] ?? 0 }.sorted()
        for product in changed {
            let short = layout.left { layout.reservations[$0.reservation].product == product && $0.holding.state != .sold }
            if short > 0 { try await tell(short, of: product) }
            do {
                try await declare(wanted[product] ?? 0, of: product)
            } catch let problem as ProblemDocument {
                logger.warning("the exchange does not take a declaration", metadata: ["product": "\(product)", "why": "\(problem.detail)"])
            }
        }
        return !changed.isEmpty
    }

    private func declare(_ lots: Int64, of product: ProductID) async throws {
        guard let datacenter else { return }
        do {
            _ = try await identity.exchange.call(
                ExchangeAPI.declareCapacity, path: ["datacenter": datacenter.description],
                body: DeclareCapacity(product: product, lots: lots), deadline: Self.askDeadline)
            capacity.note(lots, of: product)
        } catch {
            // It may have been taken, or be taken yet.
            capacity.forget()
            throw error
        }
        FaultPoint.hit("connect.capacity.declared")
    }

    /// Offers of so many lots are to be withdrawn: the hosts that are up have no room for them.
    private func tell(_ lots: Int64, of product: ProductID) async throws {
        metrics.count("bourse_capacity_withdrawn_lots", ["product": product.description], by: Int(lots))
        logger.warning(
            "offers are withdrawn: no host that is up has room for them", metadata: ["product": "\(product)", "lots": "\(lots)"])
        let now = time.now()
        try await database.write { transaction in
            try transaction.appendChange(
                topic: Self.capacityTopic, subject: product.description, kind: "withdrawn", body: #"{"lots":\#(lots)}"#, at: now)
        }
    }

    /// Takes an offer out of its book that the exchange would leave there: of a forward, while other periods need as much.
    private func withdraw(_ order: OrderID) async throws {
        logger.warning("an offer is withdrawn: no host that is up has room for it", metadata: ["order": "\(order)"])
        _ = try await identity.exchange.call(ExchangeAPI.cancelOrder, path: ["order": order.description])
        try await ordersChanged([order])
    }

    private func showMetrics(_ layout: CapacityLayout) {
        let byProduct = Dictionary(grouping: layout.reservations, by: \.product)
        for product in Set(byProduct.keys).union((capacity.declared ?? [:]).keys) {
            for state in [ReservationState.pending, .offered, .sold] {
                let lots = (byProduct[product] ?? []).map { $0.lots(state) }.reduce(0, +)
                metrics.set("bourse_capacity_reserved_lots", ["product": product.description, "state": state.rawValue], to: Double(lots))
            }
            let short = layout.left { layout.reservations[$0.reservation].product == product }
            metrics.set("bourse_capacity_short_lots", ["product": product.description], to: Double(short))
        }
    }
}

extension [ProductID: Int64] {
    /// Whether some number compares so with that of the other; a product that is missing has 0.
    fileprivate func differs(from other: Self, where compares: (Int64, Int64) -> Bool) -> Bool {
        Set(keys).union(other.keys).contains { compares(self[$0] ?? 0, other[$0] ?? 0) }
    }
}
