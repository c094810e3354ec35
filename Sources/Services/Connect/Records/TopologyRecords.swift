import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// The topology as the tables have it, with the identifiers of what has one.
struct TopologyRecords: Sendable {
    var topology: Topology
    var podIDs: [String: PodID] = [:]
    /// By the host's name.
    var hostIDs: [String: HostID] = [:]

    init(region: String, datacenter: String, in context: any ReadContext) throws {
        topology = Topology(region: region, datacenter: datacenter)
        for row in try context.query("SELECT name, jurisdiction, site FROM zones") {
            let zone = Topology.Zone(
                name: try row.text("name"), jurisdiction: try row.optionalText("jurisdiction"), site: try row.optionalText("site"))
            topology.zones[zone.name] = zone
        }
        for row in try context.query("SELECT name, kind, zone, capacity FROM fault_domains") {
            let domain = Topology.FaultDomain(
                name: try row.text("name"), kind: try row.value("kind"), zone: try row.text("zone"),
                limit: try row.optionalInteger("capacity"))
            topology.domains[domain.name] = domain
        }
        var podNames: [String: String] = [:]
        for row in try context.query("SELECT \(Topology.Pod.columns) FROM pods WHERE removed IS NULL") {
            let pod = try Topology.Pod(row)
            podIDs[pod.name] = try row.id("id")
            podNames[try row.text("id")] = pod.name
            topology.pods[pod.name] = pod
        }
        for row in try context.query("SELECT name, pod, units, watts, domains FROM racks") {
            let rack = Topology.Rack(
                name: try row.text("name"), pod: podNames[try row.text("pod")] ?? "", units: try row.optionalInteger("units"),
                watts: try row.optionalInteger("watts"), domains: try row.names("domains"))
            topology.racks[rack.name] = rack
        }
        for row in try context.query("SELECT host, name, pod, rack, domains FROM host_places") {
            let place = Topology.Place(
                name: try row.text("name"), pod: podNames[try row.text("pod")] ?? "", rack: try row.optionalText("rack"),
                domains: try row.names("domains"))
            topology.hosts[place.name] = place
            hostIDs[place.name] = try row.id("host")
        }
    }
}

extension Topology.Pod {
    static let columns = "id, name, zone, kind, storage, oversubscription, profile, limits, baseline, policy"

    init(_ row: Row) throws {
        let ratio = try WireJSON.decode(OversubscriptionRatios.self, from: Data(try row.text("oversubscription").utf8))
        self.init(
            name: try row.text("name"), zone: try row.text("zone"), kind: try row.value("kind"), storage: try row.value("storage"),
            oversubscription: Oversubscription(ratio), profile: try row.json("profile", PodProfile.self).map(HardwareProfile.init),
            limits: PodLimits(try row.json("limits", PodSizeLimits.self)),
            baseline: try row.json("baseline", PodBaseline.self).map(Baseline.init), policy: try row.value("policy"))
    }

    static func load(_ id: PodID, in context: any ReadContext) throws -> Topology.Pod? {
        try context.queryOne("SELECT \(columns) FROM pods WHERE id = $1 AND removed IS NULL", [SQLValue(id)]).map(Topology.Pod.init)
    }
}

extension Row {
    /// A list of names, stored as JSON without most names being there at all.
    func names(_ column: String) throws -> Set<String> {
        let text = try text(column)
        return text == "[]" ? [] : Set(try WireJSON.decode([String].self, from: Data(text.utf8)))
    }

    func json<Value: Decodable>(_ column: String, _ type: Value.Type) throws -> Value? {
        try optionalText(column).map { try WireJSON.decode(type, from: Data($0.utf8)) }
    }
}

// MARK: - Writing

extension TopologyRecords {
    /// Takes the steps of a plan, in their order.
    mutating func save(
        _ changes: [TopologyChange], in transaction: FleetTransaction, ids: any IDSource, at now: Instant
    ) throws {
        for change in changes {
            switch change {
            case .zone(let edit): try save(edit, in: transaction)
            case .domain(let edit): try save(edit, in: transaction)
            case .pod(let edit): try save(edit, in: transaction, ids, now)
            case .rack(let edit): try save(edit, in: transaction)
            case .host(let edit): try save(edit, in: transaction, ids, now)
            }
            topology.apply(change)
        }
    }

    private func save(_ edit: TopologyChange.Edit<Topology.Zone>, in transaction: FleetTransaction) throws {
        guard let zone = edit.after else {
            try transaction.execute("DELETE FROM zones WHERE name = $1", [SQLValue(edit.before?.name)])
            return
        }
        try transaction.execute(
            """
            INSERT INTO zones (name, jurisdiction, site) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET jurisdiction = excluded.jurisdiction, site = excluded.site
            """, [.text(zone.name), SQLValue(zone.jurisdiction), SQLValue(zone.site)])
        guard let before = edit.before, before.jurisdiction != zone.jurisdiction else { return }
        try transaction.noteHosts(where: "h.zone = $1", [.text(zone.name)])
    }

    private func save(_ edit: TopologyChange.Edit<Topology.FaultDomain>, in transaction: FleetTransaction) throws {
        guard let domain = edit.after else {
            try transaction.execute("DELETE FROM fault_domains WHERE name = $1", [SQLValue(edit.before?.name)])
            return
        }
        try transaction.execute(
            """
            INSERT INTO fault_domains (name, kind, zone, capacity) VALUES ($1, $2, $3, $4)
            ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, zone = excluded.zone, capacity = excluded.capacity
            """, [.text(domain.name), SQLValue(domain.kind), .text(domain.zone), SQLValue(domain.limit)])
        guard let before = edit.before, before.kind != domain.kind else { return }
        try transaction.noteHosts()
    }

    /// A pod that is removed stays as a row, under its identifier as its name, because hosts that have left refer to it.
    private mutating func save(
        _ edit: TopologyChange.Edit<Topology.Pod>, in transaction: FleetTransaction, _ ids: any IDSource, _ now: Instant
    ) throws {
        guard let pod = edit.after else {
            guard let name = edit.before?.name, let id = podIDs.removeValue(forKey: name) else { return }
            try transaction.execute("UPDATE pods SET name = id, removed = $2 WHERE id = $1", [SQLValue(id), SQLValue(now)])
            return
        }
        let id = podIDs[pod.name] ?? ids.next(PodID.self)
        podIDs[pod.name] = id
        let limits = pod.limits == PodLimits() ? nil : try WireJSON.text(PodSizeLimits(pod.limits))
        try transaction.execute(
            """
            INSERT INTO pods (id, name, zone, kind, storage, oversubscription, profile, limits, baseline, policy)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (id) DO UPDATE SET zone = excluded.zone, kind = excluded.kind, storage = excluded.storage,
              oversubscription = excluded.oversubscription, profile = excluded.profile, limits = excluded.limits, baseline = excluded.baseline,
              policy = excluded.policy
            """,
            [
                SQLValue(id), .text(pod.name), .text(pod.zone), SQLValue(pod.kind), SQLValue(pod.storage),
                .text(try WireJSON.text(OversubscriptionRatios(pod.oversubscription))),
                SQLValue(try pod.profile.map { try WireJSON.text(PodProfile($0)) }), SQLValue(limits),
                SQLValue(try pod.baseline.map { try WireJSON.text(PodBaseline($0)) }), SQLValue(pod.policy),
            ])
        guard edit.before != nil else { return }
        try transaction.noteHosts(where: "h.pod = $1", [SQLValue(id)])
    }

    private func save(_ edit: TopologyChange.Edit<Topology.Rack>, in transaction: FleetTransaction) throws {
        guard let rack = edit.after else {
            try transaction.execute("DELETE FROM racks WHERE name = $1", [SQLValue(edit.before?.name)])
            return
        }
        try transaction.execute(
            """
            INSERT INTO racks (name, pod, units, watts, domains) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (name) DO UPDATE SET pod = excluded.pod, units = excluded.units, watts = excluded.watts, domains = excluded.domains
            """,
            [
                .text(rack.name), SQLValue(try podID(rack.pod)), SQLValue(rack.units), SQLValue(rack.watts),
                .text(try WireJSON.text(rack.domains.sorted())),
            ])
        if edit.before != nil { try transaction.noteHosts(where: "l.rack = $1", [.text(rack.name)]) }
    }

    /// A host that is removed is retired: it keeps its row, for what ran there, and its node is turned away.
    private mutating func save(
        _ edit: TopologyChange.Edit<Topology.Place>, in transaction: FleetTransaction, _ ids: any IDSource, _ now: Instant
    ) throws {
        guard let place = edit.after else {
            guard let name = edit.before?.name, let id = hostIDs.removeValue(forKey: name) else { return }
            try HostTunnel.release(of: id, in: transaction)
            try transaction.execute("DELETE FROM host_places WHERE host = $1", [SQLValue(id)])
            try transaction.execute("DELETE FROM node_enrolments WHERE host = $1 AND used IS NULL", [SQLValue(id)])
            guard var record = try HostLifeRecord.load(id, in: transaction) else { return }
            let old = record.life
            try record.life.retire(holding: Int(transaction.reading { $0.occupancy.instances(on: id) }), at: now)
            try record.save(since: old, in: transaction, at: now)
            return
        }
        let id = hostIDs[place.name] ?? ids.next(HostID.self)
        hostIDs[place.name] = id
        let pod = try podID(place.pod)
        try transaction.execute(
            """
            INSERT INTO host_places (host, name, pod, rack, domains) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (host) DO UPDATE SET pod = excluded.pod, rack = excluded.rack, domains = excluded.domains
            """,
            [
                SQLValue(id), .text(place.name), SQLValue(pod), SQLValue(place.rack), .text(try WireJSON.text(place.domains.sorted())),
            ])
        guard let before = edit.before else { return }
        guard before.pod != place.pod else { return try transaction.noteHost(id) }
        let zone = topology.pods[place.pod]?.zone ?? ""
        try transaction.execute("UPDATE hosts SET pod = $2, zone = $3 WHERE id = $1", [SQLValue(id), SQLValue(pod), .text(zone)])
        try transaction.execute("UPDATE node_enrolments SET pod = $2 WHERE host = $1", [SQLValue(id), SQLValue(pod)])
        try transaction.noteHost(id)
    }

    private func podID(_ name: String) throws -> PodID {
        guard let id = podIDs[name] else {
            throw Refusal(
                "pod.unknown", .notFound, "There is no pod '\(name)' here.", facts: ["pod": .text(name)],
                nearest: NearestNames.text(podIDs.keys, to: name) ?? "a pod that is declared first")
        }
        return id
    }
}
