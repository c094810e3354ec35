import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// A tenant's network as the database keeps it. On which hosts it is, is in `NetworkHost`.
struct NetworkRecord: Hashable, Sendable {
    let request: CreateNetwork
    let buyer: ParticipantID
    let range: AddressRange
    /// Its own among those that are not deleted.
    let vni: Int64
    let created: Instant
    var state: NetworkState
    /// Goes up whenever other hosts take part, or their tunnels change.
    var generation: Int64
    var stateChanged: Instant

    var id: NetworkID { request.id }

    static let largestVNI: Int64 = 1 << 24 - 1

    init(_ request: CreateNetwork, buyer: ParticipantID, range: AddressRange, vni: Int64, at now: Instant) {
        (self.request, self.buyer, self.range, self.vni) = (request, buyer, range, vni)
        (created, stateChanged) = (now, now)
        (state, generation) = (.available, 1)
    }

    func view(_ use: Occupancy.NetworkUse?, hosts: [NetworkHostView]?) -> NetworkView {
        NetworkView(
            id: id, buyer: buyer, account: request.account, name: request.name, state: state, cidr: range.text,
            gateway: GuestNetwork.text(range.gateway), vni: vni, zone: request.zone, internet: request.internet ?? true,
            generation: generation, instances: use?.instances ?? 0, addresses: range.usable,
            addressesFree: use?.addresses.free ?? range.usable, hosts: hosts, created: created, stateChanged: stateChanged)
    }
}

// MARK: - Rows

extension NetworkRecord {
    private static let columns = "id, buyer, account, request, cidr, vni, state, generation, created, state_changed"

    private init(_ row: Row) throws {
        request = try WireJSON.decode(CreateNetwork.self, from: Data(try row.text("request").utf8))
        buyer = try row.id("buyer")
        let cidr = try row.text("cidr")
        do throws(Refusal) { range = try AddressRange(cidr) } catch {
            throw StoreError.corrupted("the addresses of network \(request.id) are '\(cidr)'")
        }
        (vni, generation) = (try row.integer("vni"), try row.integer("generation"))
        state = try row.value("state")
        (created, stateChanged) = (try row.instant("created"), try row.instant("state_changed"))
    }

    /// One that is deleted is found as well.
    static func load(_ id: NetworkID, in context: any ReadContext) throws -> NetworkRecord? {
        try context.queryOne("SELECT \(columns) FROM networks WHERE id = $1", [SQLValue(id)]).map(NetworkRecord.init)
    }

    /// Those that are not deleted and keep to a condition, by identifier.
    static func all(
        _ condition: String = "1 = 1", _ arguments: [SQLValue] = [], limit: Int? = nil, in context: any ReadContext
    ) throws -> [NetworkRecord] {
        try context.query(
            "SELECT \(columns) FROM networks WHERE state <> 'deleted' AND (\(condition)) ORDER BY id"
                + (limit.map { " LIMIT \($0)" } ?? ""), arguments
        ).map(NetworkRecord.init)
    }

    func insert(in transaction: FleetTransaction) throws {
        try transaction.execute(
            "INSERT INTO networks (\(Self.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            [
                SQLValue(id), SQLValue(buyer), SQLValue(request.account), .text(try WireJSON.text(request)), .text(range.text),
                .integer(vni), SQLValue(state), .integer(generation), SQLValue(created), SQLValue(stateChanged),
            ])
        transaction.note(self)
    }

    func update(in transaction: FleetTransaction) throws {
        try transaction.execute(
            "UPDATE networks SET state = $2, generation = $3, state_changed = $4 WHERE id = $1",
            [SQLValue(id), SQLValue(state), .integer(generation), SQLValue(stateChanged)])
        transaction.note(self)
    }

    /// Deleted at once when no host has anything of it, else once the last has said so.
    mutating func settleDeletion(in transaction: FleetTransaction, at now: Instant) throws {
        guard state == .deleting, try NetworkHost.of(id, in: transaction).isEmpty else { return }
        (state, stateChanged) = (.deleted, now)
        try update(in: transaction)
    }
}

// MARK: - Memory

extension FleetState {
    /// A network that was written; those that are deleted are not kept.
    mutating func set(_ network: NetworkRecord) {
        let isKept = network.state != .deleted
        networks[network.id] = isKept ? network : nil
        occupancy.setNetwork(network.id, isKept ? network.range : nil)
    }
}

extension FleetTransaction {
    /// The row of a network was written.
    func note(_ record: NetworkRecord) {
        let id = record.id
        let before = memory.reading { state in
            let before = state.networks[id]
            state.set(record)
            return before
        }
        takeBack { state in
            if let before { return state.set(before) }
            var gone = record
            gone.state = .deleted
            state.set(gone)
        }
    }
}
