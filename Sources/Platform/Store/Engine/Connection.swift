/// One connection to a database: a writer's or a reader's. Blocks, so it is only ever used by the one thread that serves it.
protocol Connection: AnyObject, Sendable {
    var dialect: SQLDialect { get }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [Row]
    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int
    func executeMany(_ sql: String, _ rows: [[SQLValue]]) throws

    /// Starts a snapshot; `rollback` ends it.
    func beginRead() throws
    /// Starts a transaction that no other writer of any process shares time with.
    func beginWrite() throws
    /// Returns when the transaction is durable. `revision` is the newest change in it, for other processes to hear of.
    func commit(announcing revision: Int64?) throws
    /// Ends a transaction or snapshot if there is one. Cannot fail: a connection that cannot roll back is replaced by `recover`.
    func rollback()
    func setSavepoint() throws
    func releaseSavepoint() throws
    func rollbackToSavepoint() throws

    /// Whether a failed statement took the whole transaction with it, not only its body.
    var transactionIsLost: Bool { get }
    /// Called after `rollback`: makes the connection usable again where it can and says what became of the group.
    func recover(from error: any Error, whileCommitting: Bool) -> Recovery
    func close()
}

/// What became of a group whose transaction broke off.
enum Recovery {
    /// Nothing of it stayed, and trying again will not help (or what became of it cannot be known: the error says so).
    case failed(any Error)
    /// Nothing of it stayed: run it again.
    case again
    /// It had been committed after all.
    case committed
}

/// A kind of database: how to open connections to it, and what to do once it is open and when all of them are closed.
protocol Engine: Sendable {
    var dialect: SQLDialect { get }
    /// How many bodies go into one group commit unless the options say otherwise.
    var defaultGroup: Int { get }
    func openWriter() throws -> any Connection
    func openReader() throws -> any Connection
    func start()
    func finish()
}

extension SQLDialect {
    /// The newest revision, 0 before the first `migrate`.
    func revisionOnOpening(_ query: (_ sql: String) throws -> [Row]) throws -> Int64 {
        let exists =
            switch self {
            case .sqlite: "SELECT name FROM sqlite_master WHERE name = 'change_counter'"
            case .postgres:
                "SELECT tablename FROM pg_tables WHERE tablename = 'change_counter' AND schemaname = ANY (current_schemas(false))"
            }
        guard try !query(exists).isEmpty else { return 0 }
        return try query("SELECT revision FROM change_counter WHERE id = 1").first?.integer("revision") ?? 0
    }
}
