public import Primitives

/// The right of one holder to do something alone until `expires`, e.g. to run a market partition.
public struct Lease: Sendable, Hashable {
    public var name: String
    public var holder: String
    /// Grows by at least one each time the lease is acquired, never by renewing. Compare with `checkFencing` in every write.
    public var fencing: Int64
    public var expires: Instant

    public init(name: String, holder: String, fencing: Int64, expires: Instant) {
        self.name = name
        self.holder = holder
        self.fencing = fencing
        self.expires = expires
    }
}

/// Somebody else (or a later self) acquired the lease: the holder must stop what it did under it.
public struct LeaseLost: Error, Sendable, Hashable, CustomStringConvertible {
    public var lease: Lease
    /// The fencing number in force, nil when the lease does not exist.
    public var current: Int64?

    public init(lease: Lease, current: Int64?) {
        self.lease = lease
        self.current = current
    }

    public var description: String {
        "lease '\(lease.name)' is no longer \(lease.holder)'s: its fencing number is \(current.map(String.init) ?? "gone"), not \(lease.fencing)"
    }
}

extension WriteContext {
    /// Takes the lease when it is free or has run out at `now`, else nil.
    ///
    /// A holder of the same name takes it over too: it is the same program after a restart, and what its former self still
    /// has under way is fenced off. While running, use `renewLease`.
    public func acquireLease(_ name: String, holder: String, for span: Span, now: Instant) throws -> Lease? {
        let sql = """
            INSERT INTO leases (name, holder, fencing, expires) VALUES ($1, $2, 1, $3)
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fencing = leases.fencing + 1, expires = excluded.expires
            WHERE leases.expires <= $4 OR leases.holder = excluded.holder
            RETURNING name, holder, fencing, expires
            """
        return try queryOne(sql, [.text(name), .text(holder), SQLValue(now + span), SQLValue(now)]).map(Lease.init(row:))
    }

    /// Extends a lease that nobody else took over, else nil: stop. The fencing number stays.
    public func renewLease(_ lease: Lease, for span: Span, now: Instant) throws -> Lease? {
        let sql = "UPDATE leases SET expires = $4 WHERE name = $1 AND holder = $2 AND fencing = $3 RETURNING name, holder, fencing, expires"
        return try queryOne(sql, lease.key + [SQLValue(now + span)]).map(Lease.init(row:))
    }

    /// Frees the lease for others at once. Does nothing when it was lost before.
    public func releaseLease(_ lease: Lease) throws {
        // The row stays, so that the next holder's fencing number is higher.
        try execute("UPDATE leases SET expires = 0, holder = '' WHERE name = $1 AND holder = $2 AND fencing = $3", lease.key)
    }

    /// Makes the write of a holder that lost its lease fail: throws `LeaseLost` when `lease` is not the one in force.
    ///
    /// Call it in the same body as the change. That the lease has run out is not checked: as long as nobody took it over, nobody
    /// else wrote.
    public func checkFencing(_ lease: Lease) throws {
        let current = try self.lease(lease.name)
        guard let current, current.fencing == lease.fencing, current.holder == lease.holder else {
            throw LeaseLost(lease: lease, current: current?.fencing)
        }
    }
}

extension ReadContext {
    /// The lease as it stands, held or run out; nil when nobody ever took it.
    public func lease(_ name: String) throws -> Lease? {
        try queryOne("SELECT name, holder, fencing, expires FROM leases WHERE name = $1", [.text(name)]).map(Lease.init(row:))
    }
}

extension Lease {
    fileprivate init(row: Row) throws {
        self.init(
            name: try row.text("name"), holder: try row.text("holder"), fencing: try row.integer("fencing"),
            expires: try row.instant("expires"))
    }

    fileprivate var key: [SQLValue] { [.text(name), .text(holder), SQLValue(fencing)] }
}
