import CloudAPI
import Fleet
import Primitives
import Store

/// A host's place in the topology, as a node that says hello takes it up.
struct JoinedPlace: Sendable {
    var name: String
    var pod: PodID
    var zone: String
}

extension ConnectCore {
    /// The place of the host a node speaks for: the one it has, one that is declared under the node's name and waits for a node, or a
    /// new one, as far as the pod has room.
    func join(_ hello: NodeHello, as host: HostID, at now: Instant, in transaction: any WriteContext) throws -> JoinedPlace {
        let state = try transaction.queryOne("SELECT state FROM hosts WHERE id = $1", [SQLValue(host)])?.text("state")
        guard state != Fleet.Host.State.retired.rawValue else {
            throw Refusal("host.retired", .forbidden, "Host \(host) has been retired.", nearest: "a new enrolment")
        }
        if let place = try Self.place(of: host, in: transaction) { return place }
        let enrolled = try transaction.queryOne("SELECT pod FROM node_enrolments WHERE host = $1 LIMIT 1", [SQLValue(host)])
        guard let pod = try enrolled?.id("pod", as: PodID.self) else {
            throw Refusal(
                "node.unknown", .forbidden, "Host \(host) was not enrolled here.", facts: ["host": .text(host.description)],
                nearest: "an enrolment with a token of `bourse host enrol`")
        }
        if state == nil, try Self.adopt(hello.hostName, as: host, in: pod, transaction) {
            if let place = try Self.place(of: host, in: transaction) { return place }
        }
        let place = try addPlace(for: hello, as: host, in: pod, transaction)
        try TopologyRevision.advance("host \(place.name) added", by: "its node", at: now, in: transaction)
        return place
    }

    private static func place(of host: HostID, in context: any ReadContext) throws -> JoinedPlace? {
        let row = try context.queryOne(
            "SELECT p.name, p.pod, o.zone FROM host_places p JOIN pods o ON o.id = p.pod WHERE p.host = $1", [SQLValue(host)])
        return try row.map { JoinedPlace(name: try $0.text("name"), pod: try $0.id("pod"), zone: try $0.text("zone")) }
    }

    /// Gives a declared place that waits for a node to the host that has come under its name.
    private static func adopt(_ name: String, as host: HostID, in pod: PodID, _ transaction: any WriteContext) throws -> Bool {
        try transaction.execute(
            """
            UPDATE host_places SET host = $1 WHERE name = $2 AND pod = $3
              AND NOT EXISTS (SELECT 1 FROM hosts h WHERE h.id = host_places.host)
              AND NOT EXISTS (SELECT 1 FROM node_enrolments e WHERE e.host = host_places.host)
            """, [SQLValue(host), .text(name), SQLValue(pod)]) == 1
    }

    private func addPlace(for hello: NodeHello, as host: HostID, in id: PodID, _ transaction: any WriteContext) throws -> JoinedPlace {
        guard let pod = try Topology.Pod.load(id, in: transaction) else {
            throw Refusal("pod.removed", .conflict, "The pod that host \(host) was enrolled for is no more.", nearest: "a new enrolment")
        }
        try pod.admit(hosts: try transaction.count("host_places WHERE pod = $1", [SQLValue(id)]) + 1)
        let name = try Self.freeName(hello.hostName, for: host, in: transaction)
        let place = Topology.Place(name: name, pod: pod.name, rack: hello.rack, domains: Set(hello.domains ?? []))
        try checkRoom(for: place, in: pod, transaction)
        try transaction.execute(
            "INSERT INTO host_places (host, name, pod, rack, domains) VALUES ($1, $2, $3, $4, $5)",
            [
                SQLValue(host), .text(name), SQLValue(id), SQLValue(hello.rack), .text(try WireJSON.text(place.domains.sorted())),
            ])
        return JoinedPlace(name: name, pod: id, zone: pod.zone)
    }

    /// Hosts that say where they stand are checked against what stands there. Only limits of fault domains need the whole topology.
    private func checkRoom(for place: Topology.Place, in pod: Topology.Pod, _ context: any ReadContext) throws {
        guard place.rack != nil || !place.domains.isEmpty else { return }
        if place.domains.isEmpty, let name = place.rack,
            let row = try context.queryOne("SELECT units, watts, domains FROM racks WHERE name = $1", [.text(name)])
        {
            let rack = Topology.Rack(
                name: name, pod: pod.name, units: try row.optionalInteger("units"), watts: try row.optionalInteger("watts"))
            let hosts = try context.count("host_places WHERE rack = $1", [.text(name)]) + 1
            if let refusal = rack.overload(hosts: hosts, pod.profile) { throw refusal }
            if try row.names("domains").isEmpty, try context.isRack(name, in: pod.name) { return }
        }
        let current = try records(in: context).topology
        var topology = current
        topology.hosts[place.name] = place
        if let refusal = topology.problems(beside: current).first { throw refusal }
    }

    /// The name a node gives itself when nobody has it, else its identifier.
    private static func freeName(_ name: String, for host: HostID, in context: any ReadContext) throws -> String {
        guard Topology.isName(name) else { return host.description }
        return try context.count("host_places WHERE name = $1", [.text(name)]) == 0 ? name : host.description
    }
}

extension ReadContext {
    func count(_ rest: String, _ arguments: [SQLValue]) throws -> Int64 {
        try queryOne("SELECT COUNT(*) AS number FROM \(rest)", arguments)?.integer("number") ?? 0
    }

    fileprivate func isRack(_ rack: String, in pod: String) throws -> Bool {
        try queryOne(
            "SELECT r.name FROM racks r JOIN pods p ON p.id = r.pod WHERE r.name = $1 AND p.name = $2", [.text(rack), .text(pod)]) != nil
    }
}
