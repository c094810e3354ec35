/// One SQL database. Bodies are synchronous and run on the database's own threads, so no transaction is ever held over an `await`.
///
/// All writes of all processes on one database run one after the other, as on SQLite; reads see a consistent snapshot and never
/// wait for writes. Queues are bounded: when too many calls wait, more are refused with `StoreError.busy`.
public protocol Database: Sendable {
    var dialect: SQLDialect { get }

    /// Runs `body` on a read-only snapshot. After a lost connection it may run again.
    func read<T: Sendable>(_ body: @escaping @Sendable (any ReadContext) throws -> T) async throws -> T

    /// Group commit: what waits goes into one transaction, each body in its own savepoint; returns only after the commit is durable.
    ///
    /// A body that throws rolls back only itself, and its error is thrown here. When the commit fails, every body of the group fails
    /// and nothing of it stays. On PostgreSQL a body may run more than once (serialization failure, lost connection).
    @discardableResult
    func write<T: Sendable>(_ body: @escaping @Sendable (any WriteContext) throws -> T) async throws -> T

    /// Finishes what waits, refuses what comes later with `StoreError.connection`, and closes all connections. Safe to call twice.
    func close() async

    /// Wakes waiters after a commit that appended a change, by this or (PostgreSQL) any other process.
    var changes: ChangeSignal { get }

    /// Counters since the database was opened, for metrics.
    var statistics: StoreStatistics { get }
}

/// What a database has done since it was opened.
public struct StoreStatistics: Sendable, Hashable {
    /// Group commits that became durable.
    public var commits = 0
    /// Write bodies that became durable in them.
    public var committedBodies = 0
    /// Write bodies that failed, by themselves or with their group.
    public var failedBodies = 0
    /// Groups run again after a serialization failure or a lost connection.
    public var retries = 0
    /// Calls refused because a queue was full.
    public var refused = 0
    /// Calls that wait now.
    public var waitingReads = 0
    public var waitingWrites = 0

    public init() {}
}
