import Fleet
import Primitives
import Store

/// Keeps new instances off a host, and why.
struct HostCordon {
    /// The cause of a cordon that a person set; that of a maintenance window is the window's identifier.
    static let byOperator = "operator"

    let host: HostID
    let transaction: FleetTransaction
    let now: Instant
    /// How long a host may be silent before it is suspect.
    let silence: Span
    /// By this process; the table follows behind.
    let heard: Instant?

    /// Cordons the host; a person's cordon takes the place of a window's, and outlasts it.
    func set(cause: String, reason: String) throws {
        let (state, _) = try current()
        if state == .retired || (state == .cordoned && cause != Self.byOperator) { return }
        try transaction.execute("UPDATE hosts SET state = 'cordoned' WHERE id = $1", [SQLValue(host)])
        try transaction.execute(
            "UPDATE host_places SET cordon_cause = $2, cordon_reason = $3, cordon_since = $4 WHERE host = $1",
            [SQLValue(host), .text(cause), .text(reason), SQLValue(now)])
        try note("cordon")
    }

    /// Brings the host back: it is suspect when it has been silent meanwhile.
    /// - Parameter cause: nil: whatever the cause.
    func lift(cause: String? = nil) throws {
        let (state, seen) = try current()
        guard state == .cordoned else { return }
        if let cause {
            let row = try transaction.queryOne("SELECT cordon_cause FROM host_places WHERE host = $1", [SQLValue(host)])
            guard try row?.optionalText("cordon_cause") == cause else { return }
        }
        let back: Fleet.Host.State = seen + silence < now ? .suspect : .up
        try transaction.execute("UPDATE hosts SET state = $2 WHERE id = $1", [SQLValue(host), SQLValue(back)])
        try transaction.execute(
            "UPDATE host_places SET cordon_cause = NULL, cordon_reason = NULL, cordon_since = NULL WHERE host = $1", [SQLValue(host)])
        try note("uncordon")
    }

    private func current() throws -> (state: Fleet.Host.State, seen: Instant) {
        guard let row = try transaction.queryOne("SELECT state, last_seen FROM hosts WHERE id = $1", [SQLValue(host)]) else {
            throw Refusal(
                "host.expected", .conflict, "Host \(host) is declared, but its node has not joined yet.",
                facts: ["host": .text(host.description)], nearest: "the same once it has joined")
        }
        return (try row.value("state"), max(try row.instant("last_seen"), heard ?? .zero))
    }

    private func note(_ kind: String) throws {
        try transaction.noteHost(host)
        _ = try transaction.appendChange(topic: "hosts", subject: host.description, kind: kind, body: "{}", at: now)
    }
}
