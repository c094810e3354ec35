public import Logging

/// Opens `sqlite:/path/file.db` (made when missing) or `postgres://…`, `postgresql://…` (as libpq reads it, e.g.
/// `postgresql://user@host1,host2/name` or `postgresql:///name?host=/run/postgresql`).
///
/// Blocks until the first connection stands; call it while a program starts. Throws `StoreError`.
public func openDatabase(_ url: String, options: DatabaseOptions = DatabaseOptions()) throws -> any Database {
    let changes = ChangeSignal()
    if url.hasPrefix("sqlite:") {
        let path = String(url.dropFirst("sqlite:".count))
        guard !path.isEmpty, !path.hasPrefix(":") else {
            throw StoreError.other(code: "url", "'\(url)' names no file: write sqlite:/path/file.db")
        }
        return try ThreadedDatabase(engine: SQLiteEngine(path: path, reservedLog: options.reservedLog), changes: changes, options: options)
    }
    if url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") {
        return try ThreadedDatabase(
            engine: PostgresEngine(url: url, options: options, changes: changes), changes: changes, options: options)
    }
    // Not the URL itself: it may hold a password.
    throw StoreError.other(code: "url", "a database URL starts with sqlite:/ or postgresql://")
}

/// Bounds and sizes of an open database.
public struct DatabaseOptions: Sendable {
    /// Threads, and connections, for reads.
    public var readers = 4
    /// Reads that may wait before more are refused with `StoreError.busy`.
    public var maximumWaitingReads = 10_000
    /// Writes that may wait before more are refused with `StoreError.busy`.
    public var maximumWaitingWrites = 10_000
    /// Bodies in one group commit; nil for the default of the kind of database.
    public var maximumGroup: Int?
    /// By how much the writing thread gives way to others that want the processor: 0 not at all, 19 most (nice(2)).
    public var writerNiceness: Int32 = 0
    /// Bytes of an SQLite file's log that are written ahead, so that commits of few pages need not make it longer: 0 for none. It takes
    /// so much space from the start, and is emptied into the file when it is full.
    public var reservedLog = 0
    /// How long a call tries to get a lost PostgreSQL connection back before it fails.
    public var reconnectTimeout: Duration = .seconds(5)
    public var logger = Logger(label: "bourse.store")

    public init() {}
}
