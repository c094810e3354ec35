/// Which database speaks, for the few words in which the two differ. All else is written once, in the common subset:
/// `$1`… placeholders, `BIGINT`/`TEXT`/`DOUBLE PRECISION` columns, `ON CONFLICT … DO`, `RETURNING`, times as microseconds.
public enum SQLDialect: String, Sendable, CaseIterable {
    case sqlite, postgres

    /// The type of a column of bytes.
    public var blob: String { self == .sqlite ? "BLOB" : "BYTEA" }
}

/// A consistent view of the database, valid only inside the body it was given to.
///
/// Statements take `$1`, `$2`, … and as many arguments as the highest of them. A statement that fails fails its whole body, even
/// when the body catches the error: PostgreSQL aborts such a transaction, and SQLite is held to the same rule. Where a conflict is
/// expected, say `ON CONFLICT`.
public protocol ReadContext {
    var dialect: SQLDialect { get }
    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [Row]
}

/// A transaction that can change the database, valid only inside the body it was given to.
public protocol WriteContext: ReadContext {
    /// Runs one statement and returns how many rows it changed.
    @discardableResult func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int
    /// The same statement for many rows of arguments, much faster than one by one.
    func executeMany(_ sql: String, _ rows: [[SQLValue]]) throws
    /// Called by `appendChange`: wakes those who wait on `Database.changes` once this transaction is durable.
    func announce(revision: Int64)
    /// For values in memory that follow the tables: a body changes them as it writes, and says here how to take that back. Called on
    /// the thread of the writes, newest first and before any other body runs, when this body fails or its group is not committed.
    func onRollback(_ undo: @escaping (Rollback) -> Void)
}

/// What became of what a body wrote.
public enum Rollback: Sendable {
    /// Nothing of it stayed.
    case complete
    /// The commit failed: whether anything stayed only the tables know.
    case uncertain
}

extension ReadContext {
    public func query(_ sql: String) throws -> [Row] { try query(sql, []) }

    /// The first row, or nil when there is none.
    public func queryOne(_ sql: String, _ arguments: [SQLValue] = []) throws -> Row? { try query(sql, arguments).first }
}

extension WriteContext {
    @discardableResult public func execute(_ sql: String) throws -> Int { try execute(sql, []) }
}
