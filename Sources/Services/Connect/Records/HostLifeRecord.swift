import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// A host's life as the database keeps it, beside what else there is to know when deciding about it.
struct HostLifeRecord: Sendable {
    var id: HostID
    var name: String
    var pod: PodID
    var zone: String
    /// Hosts of its pod reach one another's disks (NAS, SAN).
    var sharesStorage: Bool
    var life: HostLifecycle
}

extension HostLifeRecord {
    private static let select = """
        SELECT h.id, h.name, h.pod, h.zone, p.storage, h.state, h.last_seen, l.health, l.duty, l.quarantine, l.quarantined, l.epoch, l.proof,
          l.health_since, l.attempts, l.next_attempt, l.trouble, l.recoveries
        FROM hosts h JOIN pods p ON p.id = h.pod LEFT JOIN host_lives l ON l.host = h.id
        """

    /// When it was heard is as the table says: see `ConnectCore.hostLife`.
    static func load(_ id: HostID, in context: any ReadContext) throws -> HostLifeRecord? {
        try context.queryOne("\(select) WHERE h.id = $1", [SQLValue(id)]).map(HostLifeRecord.init)
    }

    private init(_ row: Row) throws {
        id = try row.id("id")
        name = try row.text("name")
        pod = try row.id("pod")
        zone = try row.text("zone")
        sharesStorage = try row.text("storage") != "das"
        let state: Fleet.Host.State = try row.value("state")
        let heard = try row.instant("last_seen")
        guard try row.optionalText("health") != nil else {
            life = HostLifecycle(known: state, heard: heard)
            return
        }
        let reason = try row.optionalText("quarantine")
        let since = try row.optionalInstant("quarantined")
        life = HostLifecycle(
            health: try row.value("health"), duty: try row.value("duty"),
            quarantine: reason.flatMap { reason in since.map { .init(reason: reason, since: $0) } }, epoch: try row.integer("epoch"),
            proof: try row.optionalText("proof").flatMap(HostLifecycle.Proof.init), lastHeard: heard,
            healthSince: try row.instant("health_since"), attempts: try row.integer("attempts"),
            nextAttempt: try row.optionalInstant("next_attempt"), trouble: try row.optionalText("trouble"),
            recoveries: try row.text("recoveries").split(separator: " ").compactMap { Int64($0).map(Instant.init(microseconds:)) })
    }

    /// Saves a changed life and tells those who follow hosts. When it was heard is not written here: that changes with every heartbeat.
    func save(since old: HostLifecycle, in transaction: FleetTransaction, at now: Instant) throws {
        guard life.heard(at: old.lastHeard) != old else { return }
        try transaction.execute(
            """
            INSERT INTO host_lives (host, health, duty, quarantine, quarantined, epoch, proof, health_since, attempts, next_attempt, trouble, recoveries)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (host) DO UPDATE SET health = excluded.health, duty = excluded.duty, quarantine = excluded.quarantine,
              quarantined = excluded.quarantined, epoch = excluded.epoch, proof = excluded.proof, health_since = excluded.health_since,
              attempts = excluded.attempts, next_attempt = excluded.next_attempt, trouble = excluded.trouble, recoveries = excluded.recoveries
            """,
            [
                SQLValue(id), SQLValue(life.health), SQLValue(life.duty), SQLValue(life.quarantine?.reason),
                SQLValue(life.quarantine?.since), .integer(life.epoch), SQLValue(life.proof?.rawValue), SQLValue(life.healthSince),
                .integer(life.attempts), SQLValue(life.nextAttempt), SQLValue(life.trouble),
                .text(life.recoveries.map { "\($0.microseconds)" }.joined(separator: " ")),
            ])
        try transaction.execute("UPDATE hosts SET state = $2 WHERE id = $1", [SQLValue(id), SQLValue(life.state)])
        try transaction.noteHost(id)
        guard life.state != old.state else { return }
        _ = try transaction.appendChange(topic: "hosts", subject: id.description, kind: life.state.rawValue, body: "{}", at: now)
        try transaction.appendAudit(
            actor: "connect", action: "host.\(life.state.rawValue)", subject: id.description,
            detail: try WireJSON.text(["was": old.state.rawValue, "why": life.quarantine?.reason ?? life.trouble ?? ""]), at: now)
    }
}

extension HostLifecycle {
    /// A host of which nothing more was kept than its state.
    fileprivate init(known state: Fleet.Host.State, heard: Instant) {
        let health: Health = state == .suspect ? .suspect : state == .retired ? .retired : .up
        self.init(
            health: health, duty: state == .cordoned ? .cordoned : .open, quarantine: nil, epoch: 0, proof: nil, lastHeard: heard,
            healthSince: heard, attempts: 0, nextAttempt: nil, trouble: nil, recoveries: [])
    }
}

extension ConnectCore {
    /// The life of a host, heard as late as memory knows.
    func hostLife(_ id: HostID, in context: any ReadContext) throws -> HostLifeRecord? {
        guard var record = try HostLifeRecord.load(id, in: context) else { return nil }
        if let heard = presence.lastHeard(id), heard > record.life.lastHeard { record.life = record.life.heard(at: heard) }
        return record
    }

    /// Silence counts in heartbeats as hosts are told to send them now.
    var hostPolicy: HostPolicy { configuration.hostPolicy(heartbeatSeconds: heartbeatSeconds) }
}
