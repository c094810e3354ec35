import CloudAPI
import CloudClient
import Primitives
import ServiceKit
import Sourcing
import Store
import Tenancy

/// The first step of a launch: capacity for one instance, from a contract that has room or bought on the exchange.
extension ManageCore {
    /// Orders placed for one instance before its launch is given up: others may be faster every time.
    private static let mostOrders: Int64 = 3

    func source(_ record: InstanceRecord) async throws -> InstanceRecord? {
        let purchase = try await database.read { try PurchaseRecord.latest(of: record.id, in: $0) }
        if let purchase, purchase.contracts == nil { return try await complete(purchase, for: record) }
        if record.action == .terminate { return try await endByUser(record.id) }
        if let placed = try await plan(record, .empty, after: purchase, buying: false) { return placed }
        return try await plan(record, try await market(region: configuration.region), after: purchase, buying: true)
    }

    /// Finds a contract with room, or writes down what to buy. Without `buying`, nil when no contract has room.
    private func plan(
        _ record: InstanceRecord, _ market: MarketSnapshot, after purchase: PurchaseRecord?, buying: Bool
    ) async throws -> InstanceRecord? {
        let now = time.now()
        let region = configuration.region
        let planned = try await database.write { transaction -> InstanceRecord? in
            guard var fresh = try InstanceRecord.load(record.id, in: transaction), fresh.step == .source else { return nil }
            let tree = try AccountTree.load(in: transaction)
            let demand = Demand(
                fresh.specification.resources, of: fresh.specification.offering, count: 1...1, region: region,
                zone: fresh.specification.zone, placement: fresh.specification.placement, account: try tree.account(fresh.account),
                tree: tree, at: now)
            let state = try SourcingState.load(image: fresh.specification.image, excluding: fresh.excluded, at: now, in: transaction)
            let source: Source?
            do {
                source = try demand.plan(contracts: state.contracts, offers: market.offers).sources.first
            } catch  where !buying {
                return nil
            }
            switch source {
            case .contract(let contract)?: fresh.assign(contract, at: now)
            case .purchase(let series, let lots, let limit)?:
                let attempt = (purchase?.attempt ?? 0) + 1
                guard attempt <= Self.mostOrders else { throw Self.outbid(purchase) }
                try PurchaseRecord(instance: fresh.id, attempt: attempt, series: series, lots: lots, limit: limit).insert(
                    at: now, in: transaction)
            case nil: return nil
            }
            try fresh.save(in: transaction, at: now)
            return fresh
        }
        FaultPoint.hit("manage.launch.replanned")
        return planned
    }

    /// Sends the order, or sends it again: the exchange gives the same answer for the same key. Then copies what it bought.
    private func complete(_ purchase: PurchaseRecord, for record: InstanceRecord) async throws -> InstanceRecord? {
        let order: OrderView
        do {
            order = try await identity.exchange.call(
                ExchangeAPI.placeOrder, body: purchase.order, idempotencyKey: "launch-" + purchase.key, deadline: .seconds(10))
        } catch {
            // A refusal is an answer: nothing was bought. Anything else leaves the question open.
            if Fault(error).isFinal { try await close(purchase, with: []) }
            throw error
        }
        FaultPoint.hit("manage.launch.ordered")
        var views: [ContractView] = []
        for contract in order.contracts {
            views.append(try await identity.exchange.call(ExchangeAPI.showContract, path: ["contract": contract.description]))
        }
        let assigned = try await close(purchase, with: views)
        FaultPoint.hit("manage.launch.bought")
        return assigned
    }

    /// Stores what an order bought, and gives the instance its contract in the same transaction.
    @discardableResult
    private func close(_ purchase: PurchaseRecord, with views: [ContractView]) async throws -> InstanceRecord? {
        let now = time.now()
        return try await database.write { transaction in
            for view in views { try ContractRecord.save(view, at: now, in: transaction) }
            try purchase.close(with: views.map(\.id), at: now, in: transaction)
            guard var record = try InstanceRecord.load(purchase.instance, in: transaction), record.step == .source else { return nil }
            for view in views where record.step == .source && record.action == nil {
                guard let contract = try ContractRecord.load(view.id, in: transaction), contract.isActive(at: now) else { continue }
                let free = contract.volume - (try contract.used(in: transaction).resources)
                if record.specification.resources.fits(in: free) { record.assign(view.id, at: now) }
            }
            try record.save(in: transaction, at: now)
            return record
        }
    }

    /// Orders whose instance ended before their answer was known: what they bought must not stand unnoticed.
    func settlePurchases() async throws {
        let open = try await database.read { context in
            try context.query(
                "SELECT p.instance FROM purchases p JOIN instances i ON i.id = p.instance WHERE p.contracts IS NULL AND i.state = 'terminated'"
            ).map { try $0.id("instance", as: InstanceID.self) }
        }
        for id in open {
            let (purchase, record) = try await database.read { context in
                (try PurchaseRecord.latest(of: id, in: context), try InstanceRecord.load(id, in: context))
            }
            guard let purchase, let record, purchase.contracts == nil else { continue }
            _ = try await complete(purchase, for: record)
        }
    }

    private static func outbid(_ purchase: PurchaseRecord?) -> Refusal {
        Refusal(
            "sourcing.outbid", .capacity, "\(mostOrders) orders found nothing: what was on offer was bought by others before they arrived.",
            facts: ["orders": .number(mostOrders), "lots": .number(purchase?.lots ?? 0)], nearest: "Launch again.")
    }
}

extension InstanceRecord {
    /// Gives it a part of a contract's volume.
    fileprivate mutating func assign(_ contract: ContractID, at now: Instant) {
        self.contract = contract
        step = .create
        attempts = 0
        nextAttempt = now
        note = nil
    }
}
