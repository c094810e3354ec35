import CloudAPI
import CloudClient
import Logging
import Primitives
import ServiceKit
import Store
import Tenancy

// Networks of accounts: kept by the connect of one datacenter, told under any contract there.
extension ManageCore {
    func addNetworkRoutes(to router: ProgramRouter) {
        router.on(ManageAPI.createNetwork) { call in try await createNetwork(call, by: try await user(call.principal)).view() }
        router.on(ManageAPI.listNetworks) { call in
            let visible = try await visibleAccounts(call.principal)
            let (limit, cursor) = (try call.query.limit(), call.query.text("cursor") ?? "")
            return try await database.read { context in
                let records = try NetworkRecord.all(of: visible, after: cursor, limit: limit + 1, in: context)
                let views = records.prefix(limit).map { $0.view() }
                return CloudAPI.Page(views, next: records.count > limit ? views.last?.id.description : nil)
            }
        }
        router.on(ManageAPI.showNetwork) { call in
            let (id, visible) = (try call.id("network", as: NetworkID.self), try await visibleAccounts(call.principal))
            let record = try await database.read { [self] in try network(id, of: visible, in: $0) }
            return record.view(seen: await look(at: record))
        }
        router.on(ManageAPI.deleteNetwork) { call in
            let (id, accounts) = (try call.id("network", as: NetworkID.self), try await visibleAccounts(call.principal) ?? [])
            return try await deleteNetwork(call, id, of: accounts, by: try await user(call.principal)).view()
        }
    }

    private func network(_ id: NetworkID, of accounts: Set<AccountID>?, in context: any ReadContext) throws -> NetworkRecord {
        guard let record = try NetworkRecord.load(id, in: context), accounts?.contains(record.account) ?? true else {
            throw Refusal("network.unknown", .notFound, "The network '\(id)' does not exist.", facts: ["network": .text(id.description)])
        }
        return record
    }

    /// The network machines of an account are to be launched on.
    func network(_ id: NetworkID, of account: AccountID, in context: any ReadContext) throws -> NetworkRecord {
        let record = try network(id, of: [account], in: context)
        guard record.state == .available else {
            throw Refusal(
                "network.state", .conflict, "The network '\(id)' is \(record.state.rawValue).",
                facts: ["network": .text(id.description), "state": .text(record.state.rawValue)],
                nearest: record.state == .creating ? "the same in a moment" : "another network")
        }
        return record
    }

    // MARK: Creating and deleting

    /// While the caller waits connect is told here; afterwards the loop sees to it.
    private static let callersTurn = Span.seconds(12)
    private static let deadline = Duration.seconds(10)

    private func createNetwork(_ call: Call<CreateManagedNetwork>, by user: User) async throws -> NetworkRecord {
        let (now, id, body) = (time.now(), ids.next(NetworkID.self), call.body)
        let record = try await database.write { [self] transaction in
            let tree = try AccountTree.load(in: transaction)
            try tree.authorize(user, .operateInstances, on: user.account)
            let (contract, zone) = try place(zone: body.zone, at: now, in: transaction)
            let request = CreateNetwork(
                id: id, cidr: body.cidr, zone: zone, account: user.account, name: body.name, internet: body.internet)
            let record = NetworkRecord(request, under: contract, at: now, nextAttempt: now + Self.callersTurn)
            try record.insert(in: transaction)
            try transaction.appendAudit(
                actor: user.id.description, action: "network.create", subject: id.description, detail: try WireJSON.text(request), at: now)
            try transaction.remember(record.view(), status: 202, for: call.idempotency, at: now)
            return record
        }
        return try await driveOnce(record)
    }

    /// A contract in force, and the zone that machines of its datacenter are found by.
    private func place(zone: String?, at now: Instant, in context: any ReadContext) throws -> (ContractView, String?) {
        let datacenters = Dictionary(try SiteRecords.datacenters(in: context).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for record in try ContractRecord.all(in: context, open: true) where record.isActive(at: now) {
            let zones = datacenters[record.view.datacenter]?.zones ?? []
            let own = record.view.zone ?? (zones.count == 1 ? zones[0] : nil)
            if zone == nil || own == zone || zone.map(zones.contains) == true { return (record.view, zone ?? own) }
        }
        throw Refusal(
            "network.contract", .capacity, "No contract of yours is in force\(zone.map { " in zone \($0)" } ?? "").",
            facts: zone.map { ["zone": .text($0)] } ?? [:], nearest: "the same once there is a contract, as when a machine runs")
    }

    private func deleteNetwork(
        _ call: Call<Empty>, _ id: NetworkID, of accounts: Set<AccountID>, by user: User
    ) async throws -> NetworkRecord {
        let now = time.now()
        try user.authorize(.operateInstances)
        let record = try await database.write { [self] transaction in
            var record = try network(id, of: accounts, in: transaction)
            if record.state == .available || record.state == .creating {
                (record.state, record.attempts, record.nextAttempt) = (.deleting, 0, now + Self.callersTurn)
                try record.save(in: transaction)
                try transaction.appendAudit(
                    actor: user.id.description, action: "network.delete", subject: id.description, detail: "{}", at: now)
            }
            try transaction.remember(record.view(), status: 202, for: call.idempotency, at: now)
            return record
        }
        return try await driveOnce(record)
    }

    // MARK: Telling connect

    /// Tells connects what they have not heard of networks: called again and again.
    func driveNetworks() async throws {
        let now = time.now()
        for record in try await database.read({ try NetworkRecord.due(at: now, in: $0) }) {
            do { _ = try await driveOnce(record) } catch let error where !(error is CancellationError) {
                logger.info("a network's step was refused", metadata: ["network": "\(record.id)", "reason": "\(Fault(error).refusal)"])
            }
        }
    }

    /// What is refused for good is taken back, and thrown; what did not get through is tried again later.
    private func driveOnce(_ record: NetworkRecord) async throws -> NetworkRecord {
        guard record.isUnfinished else { return record }
        do {
            try await tell(record)
            return try await change(record) { $0.state = $0.state == .deleting ? .deleted : .available }
        } catch {
            let (fault, now) = (Fault(error), time.now())
            guard fault.isFinal else {
                return try await change(record) { fresh in
                    fresh.nextAttempt = now + .milliseconds(min(5_000, 50 << min(fresh.attempts, 7)))
                    fresh.attempts += 1
                    fresh.note = fault.refusal.message
                }
            }
            let isGone = record.state == .creating || fault.refusal.category == .notFound
            _ = try await change(record) { $0.state = isGone ? .deleted : .available }
            if record.state == .deleting, isGone { return try await database.read { try NetworkRecord.load(record.id, in: $0) } ?? record }
            throw fault.refusal
        }
    }

    /// Without a contract there the seller cannot be told, and lets the network go by itself.
    private func tell(_ record: NetworkRecord) async throws {
        guard let client = try await client(for: record) else {
            if record.state == .deleting { return }
            throw Refusal("network.contract", .capacity, "No contract of yours is in force in datacenter \(record.datacenter).")
        }
        if record.state == .deleting {
            _ = try await client.call(
                ConnectAPI.deleteNetwork, path: ["network": record.id.description],
                idempotencyKey: "\(record.id)-delete-\(record.nextAttempt)",
                deadline: Self.deadline)
        } else {
            _ = try await client.call(
                ConnectAPI.createNetwork, body: record.request, idempotencyKey: record.id.description, deadline: Self.deadline)
        }
    }

    private func client(for record: NetworkRecord) async throws -> CloudClient? {
        let now = time.now()
        let contract = try await database.read { context in
            try ContractRecord.all(in: context, open: true).first { $0.view.datacenter == record.datacenter && $0.isActive(at: now) }
        }
        guard let contract else { return nil }
        return try await connects.client(for: contract.view)
    }

    private func look(at record: NetworkRecord) async -> NetworkView? {
        guard let client = try? await client(for: record) else { return nil }
        return try? await client.call(ConnectAPI.showNetwork, path: ["network": record.id.description], deadline: .seconds(5))
    }

    /// Changes a network as it is stored now, unless it has moved on since `record` was read.
    private func change(_ record: NetworkRecord, _ body: @escaping @Sendable (inout NetworkRecord) -> Void) async throws -> NetworkRecord {
        try await database.write { transaction in
            guard var fresh = try NetworkRecord.load(record.id, in: transaction) else { return record }
            guard fresh.state == record.state else { return fresh }
            fresh.note = nil
            body(&fresh)
            try fresh.save(in: transaction)
            return fresh
        }
    }
}
