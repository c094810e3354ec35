import CloudAPI
import Fleet
import Primitives
import Store

/// What a host has to let go of: an instance that is another host's now, or is no more.
struct Departure: Sendable {
    var instance: InstanceID
    /// Up to this generation whatever the host has of the instance is void.
    var generation: Int64
    /// The disk goes on elsewhere.
    var keepsDisk: Bool

    static func of(_ host: HostID, in context: any ReadContext) throws -> [Departure] {
        try context.query(
            "SELECT instance, generation, keep_disk FROM host_departures WHERE host = $1 ORDER BY instance", [SQLValue(host)]
        ).map {
            Departure(
                instance: try $0.id("instance"), generation: try $0.integer("generation"), keepsDisk: try $0.integer("keep_disk") != 0)
        }
    }

    /// Notes it, and tells the host when it can hear.
    func insert(of host: HostID, in transaction: FleetTransaction, at now: Instant) throws {
        try transaction.execute(
            """
            INSERT INTO host_departures (host, instance, generation, keep_disk) VALUES ($1, $2, $3, $4)
            ON CONFLICT (host, instance) DO UPDATE SET generation = excluded.generation, keep_disk = excluded.keep_disk
            """, [SQLValue(host), SQLValue(instance), .integer(generation), .integer(keepsDisk ? 1 : 0)])
        let revision = try transaction.appendChange(
            topic: ConnectCore.hostTopic(host), subject: instance.description, kind: "depart", body: "{}", at: now)
        transaction.noteIntent(of: host, revision: revision)
    }

    /// It is this host's again: a newer generation says what is to become of it there.
    static func revoke(_ instance: InstanceID, on host: HostID, in transaction: any WriteContext) throws {
        try transaction.execute("DELETE FROM host_departures WHERE host = $1 AND instance = $2", [SQLValue(host), SQLValue(instance)])
    }

    /// The host has let go.
    static func confirm(_ seen: InstanceObservation, by host: HostID, in transaction: FleetTransaction) throws {
        guard seen.state == .absent else { return }
        let gone = try transaction.execute(
            "DELETE FROM host_departures WHERE host = $1 AND instance = $2 AND generation <= $3",
            [SQLValue(host), SQLValue(seen.instance), .integer(seen.generation)])
        if gone > 0 { try transaction.noteDeparture(of: seen.instance, from: host) }
    }

    static func areLeft(of host: HostID, in context: any ReadContext) throws -> Bool {
        try context.queryOne("SELECT instance FROM host_departures WHERE host = $1 LIMIT 1", [SQLValue(host)]) != nil
    }
}

extension InstanceRecord {
    /// What a host that has it no more is told.
    func intent(of departure: Departure, image: ImageManifest) -> InstanceIntent {
        var intent = self.intent(image: image)
        intent.generation = departure.generation
        intent.desired = .absent
        intent.graceSeconds = 0
        intent.keepsDisk = departure.keepsDisk
        return intent
    }

    /// It is the target's from here on; the host it was on lets go of what it has. The disk goes along, unless there is none yet.
    mutating func rehome(to target: MoveTarget, keepsDisk: Bool, in transaction: FleetTransaction, at now: Instant) throws {
        try Departure(instance: id, generation: life.generation - 1, keepsDisk: keepsDisk).insert(of: host, in: transaction, at: now)
        try Departure.revoke(id, on: target.host, in: transaction)
        try VolumeRecord.follow(id, to: target.host, in: transaction, at: now)
        (host, zone, address) = (target.host, target.zone, target.address)
        spot = target.spot
    }
}
