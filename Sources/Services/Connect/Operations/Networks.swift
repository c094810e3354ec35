import CloudAPI
import Fleet
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    func addNetworkRoutes(to router: ProgramRouter, _ scope: @escaping @Sendable (Principal) throws -> ContractID?) {
        router.on(ConnectAPI.listNetworks) { call in
            try await networks(
                of: try buyer(under: try scope(call.principal)), account: call.query.text("account"), limit: try call.query.limit(),
                cursor: call.query.text("cursor"))
        }
        router.on(ConnectAPI.showNetwork) { call in
            let (id, buyer) = (try call.id("network", as: NetworkID.self), try buyer(under: try scope(call.principal)))
            return try await database.read { context in
                try view(try network(id, of: buyer, in: context), hosts: try NetworkHost.of(id, in: context), in: context)
            }
        }
        router.on(ConnectAPI.deleteNetwork) { call in
            try await delete(call, try call.id("network", as: NetworkID.self), of: try buyer(under: try scope(call.principal)))
        }
    }

    /// Networks belong to buyers; nil: the operator, who sees all.
    private func buyer(under contract: ContractID?) throws -> ParticipantID? {
        try contract.map { try activeContract($0, at: time.now()).view.buyer }
    }

    private func networks(
        of buyer: ParticipantID?, account: String?, limit: Int, cursor: String?
    ) async throws -> CloudAPI.Page<NetworkView> {
        try await database.read { context in
            let records = try NetworkRecord.all(
                "($1 = '' OR buyer = $1) AND ($2 = '' OR account = $2) AND id > $3",
                [.text(buyer?.description ?? ""), .text(account ?? ""), .text(cursor ?? "")], limit: limit + 1, in: context)
            let views = try records.prefix(limit).map { try view($0, hosts: nil, in: context) }
            return CloudAPI.Page(views, next: records.count > limit ? views.last?.id.description : nil)
        }
    }

    private func view(_ record: NetworkRecord, hosts: [NetworkHost]?, in context: any ReadContext) throws -> NetworkView {
        let use = memory.reading { $0.occupancy.network(record.id) }
        let views = try hosts?.map { member in
            let row = try context.queryOne("SELECT name, tunnel_address FROM hosts WHERE id = $1", [SQLValue(member.host)])
            return NetworkHostView(
                host: member.host, hostName: try row?.text("name"), desired: member.desired, observed: member.observed,
                reason: member.reason, tunnelAddress: try row?.optionalText("tunnel_address"))
        }
        return record.view(use, hosts: views)
    }

    /// A network the caller may know of.
    private func network(_ id: NetworkID, of buyer: ParticipantID?, in context: any ReadContext) throws -> NetworkRecord {
        guard let record = try NetworkRecord.load(id, in: context), buyer == nil || record.buyer == buyer else {
            throw Refusal(
                "network.unknown", .notFound, "There is no network \(id) of this buyer.", facts: ["network": .text(id.description)],
                nearest: "one that GET /v1/networks shows")
        }
        return record
    }

    // MARK: Creating

    private static let networksPerAccount = 100
    private static let longestName = 255

    func createNetwork(_ call: Call<CreateNetwork>, under terms: ContractTerms) async throws -> NetworkView {
        let (request, now, core) = (call.body, time.now(), self)
        let range = try AddressRange(request.cidr)
        guard request.name?.count ?? 0 <= Self.longestName else {
            throw Refusal("network.name", .invalid, "A name has at most \(Self.longestName) characters.", nearest: "a shorter name")
        }
        return try await write { transaction in
            let contract = try core.activeContract(terms.contract, at: now)
            if let known = try NetworkRecord.load(request.id, in: transaction) {
                return try core.sameAgain(known, request, contract.view.buyer, in: transaction)
            }
            try Self.check(zone: request.zone, in: transaction)
            let vni = try transaction.reading { try $0.vni(for: request, of: contract.view.buyer, most: Self.networksPerAccount) }
            let record = NetworkRecord(request, buyer: contract.view.buyer, range: range, vni: vni, at: now)
            try record.insert(in: transaction)
            try transaction.appendAudit(
                actor: call.principal.name, action: "network.create", subject: record.id.description, detail: try WireJSON.text(request),
                at: now)
            let view = try core.view(record, hosts: nil, in: transaction)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    private func sameAgain(
        _ known: NetworkRecord, _ request: CreateNetwork, _ buyer: ParticipantID, in context: any ReadContext
    ) throws -> NetworkView {
        guard known.buyer == buyer, known.request == request else {
            throw Refusal(
                "network.exists", .conflict, "There is a network \(request.id) already, of another account or with other addresses.",
                facts: ["network": .text(request.id.description)], nearest: "another identifier")
        }
        return try view(known, hosts: nil, in: context)
    }

    private static func check(zone: String?, in context: any ReadContext) throws {
        guard let zone, try context.queryOne("SELECT name FROM zones WHERE name = $1", [.text(zone)]) == nil else { return }
        let known = try context.query("SELECT name FROM zones ORDER BY name LIMIT 5").map { try $0.text("name") }
        throw Refusal(
            "network.zone", .invalid, "There is no zone '\(zone)' here.", facts: ["zone": .text(zone)],
            nearest: "one of \(known.joined(separator: ", ")), or none")
    }

    // MARK: Deleting

    private func delete(_ call: Call<Empty>, _ id: NetworkID, of buyer: ParticipantID?) async throws -> NetworkView {
        let (now, core) = (time.now(), self)
        return try await write { transaction in
            var record = try core.network(id, of: buyer, in: transaction)
            if record.state == .available {
                try Self.checkEmpty(record, in: transaction)
                try record.delete(in: transaction, at: now)
                try transaction.appendAudit(
                    actor: call.principal.name, action: "network.delete", subject: id.description, detail: "{}", at: now)
            }
            let view = try core.view(record, hosts: try NetworkHost.of(id, in: transaction), in: transaction)
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
    }

    private static func checkEmpty(_ record: NetworkRecord, in transaction: FleetTransaction) throws {
        let count = transaction.reading { $0.occupancy.network(record.id)?.instances ?? 0 }
        guard count > 0 else { return }
        let some = try transaction.query(
            "SELECT id FROM instances WHERE network = $1 AND state <> 'terminated' ORDER BY id LIMIT 5", [SQLValue(record.id)]
        ).map { try $0.text("id") }
        let names = some.isEmpty ? "" : ": \(some.joined(separator: ", "))\(count > Int64(some.count) ? ", …" : "")"
        throw Refusal(
            "network.in-use", .conflict, "Network \(record.id) has \(count) instances or reserved places on it\(names).",
            facts: ["network": .text(record.id.description), "instances": .number(count)],
            nearest: "the same once they are terminated, and their hosts have said so")
    }
}

extension NetworkRecord {
    /// Nobody is on it.
    mutating func delete(in transaction: FleetTransaction, at now: Instant) throws {
        (state, stateChanged) = (.deleting, now)
        try update(in: transaction)
        try settleDeletion(in: transaction, at: now)
    }
}

extension FleetState {
    /// The lowest identifier that no network has whose traffic a host may still carry.
    fileprivate func vni(for request: CreateNetwork, of buyer: ParticipantID, most: Int) throws(Refusal) -> Int64 {
        let held = networks.values.count { $0.buyer == buyer && $0.request.account == request.account }
        guard held < most else {
            throw Refusal(
                "network.count", .capacity, "Account \(request.account) has \(held) networks here, the most there may be.",
                facts: ["networks": .number(Int64(held)), "most": .number(Int64(most))], nearest: "the same once one of them is deleted")
        }
        let taken = Set(networks.values.map(\.vni))
        guard let free = (1...NetworkRecord.largestVNI).first(where: { !taken.contains($0) }) else {
            throw Refusal(
                "network.identifiers", .capacity, "All \(NetworkRecord.largestVNI) network identifiers of this datacenter are taken.",
                nearest: "the same once a network is deleted")
        }
        return free
    }
}
