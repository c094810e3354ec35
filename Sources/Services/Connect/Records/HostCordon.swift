import CloudAPI
import Fleet
import Primitives
import Store

/// What operators want of a host and why: the one place where the duty of a host changes. A person's word takes the place of a
/// maintenance window's, and outlasts it.
struct HostCordon {
    /// The cause when a person wants it; that of a maintenance window is the window's identifier.
    static let byOperator = "operator"

    var record: HostLifeRecord
    let transaction: FleetTransaction
    let presence: HostPresence
    let now: Instant
    /// Maintenance windows that were ended early.
    private(set) var ended: [MaintenanceView] = []

    init(record: HostLifeRecord, transaction: FleetTransaction, presence: HostPresence, now: Instant) {
        (self.record, self.transaction, self.presence, self.now) = (record, transaction, presence, now)
    }

    /// Nothing new goes there.
    mutating func cordon(cause: String, reason: String) throws {
        if cause != Self.byOperator, record.life.duty != .open || record.life.health == .retired { return }
        try change(cause, reason) { life, now in try life.cordon(at: now) }
        try forgetDrain()
    }

    /// Nothing new goes there, and what is there moves away.
    mutating func drain(_ drain: Drain, reason: String) throws {
        try change(Self.byOperator, reason) { life, now in try life.drain(at: now) }
        try DrainRecord(began: now, drain: drain).save(record.id, in: transaction)
    }

    /// People may switch it off, once nothing runs there any more. Until then it changes nothing.
    mutating func maintain(running: Int) throws {
        guard running == 0, record.life.duty == .cordoned || record.life.duty == .draining else { return }
        try changeLife { life, now in try life.maintain(running: running, at: now) }
        try forgetDrain()
    }

    /// Back in service, whatever was wanted of it.
    mutating func lift() throws {
        guard record.life.duty != .open else { return }
        try change(nil, nil) { life, now in try life.uncordon(at: now) }
        try forgetDrain()
    }

    /// A host that is back in service is not in a window any more: one that has begun is ended early.
    mutating func endWindows() throws {
        let begun = try MaintenanceRecord.all(
            "w.host = $1 AND w.state = 'active' ORDER BY w.starts", [SQLValue(record.id)], in: transaction)
        for var window in begun {
            window.state = .cancelled
            try MaintenanceRecord.note(window, .cancelled, at: now, in: transaction)
            ended.append(window)
        }
    }

    /// A maintenance window is over: back in service when the window had closed the host, else as a person left it.
    mutating func end(window: String) throws {
        let row = try transaction.queryOne("SELECT cordon_cause FROM host_places WHERE host = $1", [SQLValue(record.id)])
        if try row?.optionalText("cordon_cause") == window { return try lift() }
        guard record.life.duty == .maintenance else { return }
        try changeLife { life, now in try life.cordon(at: now) }
    }

    /// What else may become of it. Of a host that was in maintenance the silence counts from now.
    mutating func changeLife(_ body: (inout HostLifecycle, Instant) throws -> Void) throws {
        let old = record.life
        try body(&record.life, now)
        try record.save(since: old, in: transaction, at: now)
        if old.duty == .maintenance, record.life.duty != .maintenance { presence.note(record.id, at: now) }
    }

    private mutating func change(
        _ cause: String?, _ reason: String?, _ body: (inout HostLifecycle, Instant) throws -> Void
    ) throws {
        try changeLife(body)
        try transaction.execute(
            "UPDATE host_places SET cordon_cause = $2, cordon_reason = $3, cordon_since = $4 WHERE host = $1",
            [SQLValue(record.id), SQLValue(cause), SQLValue(reason), SQLValue(cause == nil ? nil : now)])
    }

    /// A drain is over: what has not left its host yet stays there.
    private func forgetDrain() throws {
        guard try transaction.execute("DELETE FROM host_drains WHERE host = $1", [SQLValue(record.id)]) > 0 else { return }
        for var instance in try ConnectCore.instances(on: record.id, in: transaction) {
            let old = instance.life
            if instance.life.cancelMove(at: now) { try instance.saveChange(kind: "drain-off", since: old, in: transaction, at: now) }
        }
    }
}

extension ConnectCore {
    /// To change what is wanted of a host that a node has joined as.
    func cordon(of host: HostID, in transaction: FleetTransaction, at now: Instant) throws -> HostCordon {
        HostCordon(record: try joinedHost(host, in: transaction), transaction: transaction, presence: presence, now: now)
    }

    func joinedHost(_ host: HostID, in context: any ReadContext) throws -> HostLifeRecord {
        guard let record = try hostLife(host, in: context) else {
            throw Refusal(
                "host.expected", .conflict, "Host \(host) is declared, but its node has not joined yet.",
                facts: ["host": .text(host.description)], nearest: "the same once it has joined")
        }
        return record
    }
}
