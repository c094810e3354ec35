import CloudAPI
import Fleet
import Primitives
import Store

/// A network on one host: from when the first instance on it is to come there, until the host has said that nothing of it is left.
struct NetworkHost: Sendable {
    let network: NetworkID
    let host: HostID
    var desired: NetworkDesired
    /// Of the network, when this was last wanted otherwise.
    var generation: Int64
    /// As the host last said; nil: it has not yet.
    var observed: NetworkObserved?
    var reason: StateReason?

    private static let columns = "network, host, desired, generation, observed, reason_code, reason_message"

    init(_ row: Row) throws {
        (network, host) = (try row.id("network"), try row.id("host"))
        (desired, generation) = (try row.value("desired"), try row.integer("generation"))
        observed = try row.optionalText("observed").flatMap(NetworkObserved.init)
        reason = try row.optionalText("reason_code").map { StateReason(code: $0, message: try row.text("reason_message")) }
    }

    static func of(_ network: NetworkID, in context: any ReadContext) throws -> [NetworkHost] {
        try context.query("SELECT \(columns) FROM network_hosts WHERE network = $1 ORDER BY host", [SQLValue(network)]).map(
            NetworkHost.init)
    }

    static func on(_ host: HostID, in context: any ReadContext) throws -> [NetworkHost] {
        try context.query("SELECT \(columns) FROM network_hosts WHERE host = $1 ORDER BY network", [SQLValue(host)]).map(NetworkHost.init)
    }

    static func load(_ network: NetworkID, on host: HostID, in context: any ReadContext) throws -> NetworkHost? {
        try context.queryOne(
            "SELECT \(columns) FROM network_hosts WHERE network = $1 AND host = $2", [SQLValue(network), SQLValue(host)]
        ).map(NetworkHost.init)
    }

    /// All that are wanted, for an audit.
    static func present(in context: any ReadContext) throws -> [NetworkHost] {
        try context.query("SELECT \(columns) FROM network_hosts WHERE desired = 'present' ORDER BY network, host").map(NetworkHost.init)
    }

    /// What it is wanted to be from a generation on; what the host said before is about something else.
    static func want(
        _ desired: NetworkDesired, _ network: NetworkID, on host: HostID, generation: Int64, in transaction: any WriteContext
    ) throws {
        try transaction.execute(
            """
            INSERT INTO network_hosts (network, host, desired, generation) VALUES ($1, $2, $3, $4)
            ON CONFLICT (network, host) DO UPDATE SET desired = excluded.desired, generation = excluded.generation, observed = NULL,
              reason_code = NULL, reason_message = NULL
            """, [SQLValue(network), SQLValue(host), SQLValue(desired), .integer(generation)])
    }

    func delete(in transaction: any WriteContext) throws {
        try transaction.execute("DELETE FROM network_hosts WHERE network = $1 AND host = $2", [SQLValue(network), SQLValue(host)])
    }

    /// Whether an observation says something that is not known: that its peers are others now is no news.
    func isNews(_ seen: NetworkObservation) -> Bool { isGone(seen) || seen.state != observed || seen.reason != reason }

    /// Whether the host has said that nothing of it is left, after it was told to take it away.
    func isGone(_ seen: NetworkObservation) -> Bool { desired == .absent && seen.state == .absent && seen.generation >= generation }

    func save(_ seen: NetworkObservation, in transaction: any WriteContext) throws {
        try transaction.execute(
            "UPDATE network_hosts SET observed = $3, reason_code = $4, reason_message = $5 WHERE network = $1 AND host = $2",
            [
                SQLValue(network), SQLValue(host), SQLValue(seen.state), SQLValue(seen.reason?.code), SQLValue(seen.reason?.message),
            ])
    }
}

/// An instance that is on its way out of a host, or has left for another, may still be on its networks there.
extension Departure {
    static func areLeft(of host: HostID, on network: NetworkID, in context: any ReadContext) throws -> Bool {
        try context.queryOne(
            "SELECT d.instance FROM host_departures d JOIN instances i ON i.id = d.instance WHERE d.host = $1 AND i.network = $2 LIMIT 1",
            [SQLValue(host), SQLValue(network)]) != nil
    }
}
