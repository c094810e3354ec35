import CSQLite
import Foundation

/// A connection to an SQLite file with its cache of prepared statements.
///
/// `@unchecked`: used by one thread at a time, first the one that opens it, then the one that serves it.
final class SQLiteConnection: Connection, @unchecked Sendable {
    /// Statements kept prepared. When a program has more, the cache starts over.
    private static let maximumStatements = 512

    private let path: String
    private let isWriter: Bool
    /// The size the log is given before anything is written to it, so that writing to it does not change its size; see `reserveLog`.
    private let reservedLog: Int
    private var database: OpaquePointer?
    private var statements: [String: SQLiteStatement] = [:]

    let dialect = SQLDialect.sqlite

    init(path: String, isWriter: Bool, reservedLog: Int = 0) throws {
        self.path = path
        self.isWriter = isWriter
        self.reservedLog = reservedLog
        try open()
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [Row] { try statement(sql).query(arguments) }
    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int { try statement(sql).execute(arguments) }
    func executeMany(_ sql: String, _ rows: [[SQLValue]]) throws {
        try statement(sql).executeMany(rows)
    }

    func beginRead() throws { _ = try execute("BEGIN", []) }
    func beginWrite() throws {
        if database == nil { try open() }
        _ = try execute("BEGIN IMMEDIATE", [])
    }
    func commit(announcing revision: Int64?) throws { _ = try execute("COMMIT", []) }
    func rollback() {
        guard !transactionIsLost else { return }
        // When even this fails, the transaction stays open, and `recover` replaces the connection.
        _ = try? execute("ROLLBACK", [])
    }
    func setSavepoint() throws { _ = try execute("SAVEPOINT body", []) }
    func releaseSavepoint() throws { _ = try execute("RELEASE body", []) }
    func rollbackToSavepoint() throws {
        _ = try execute("ROLLBACK TO body", [])
        try releaseSavepoint()
    }

    /// SQLite ends a transaction by itself on a full disk and some other errors.
    var transactionIsLost: Bool { database.map { sqlite3_get_autocommit($0) != 0 } ?? true }

    func recover(from error: any Error, whileCommitting: Bool) -> Recovery {
        if !transactionIsLost { close() }
        return .failed(error)
    }

    func close() {
        statements = [:]
        sqlite3_close_v2(database)
        database = nil
    }

    deinit { close() }

    private func statement(_ sql: String) throws -> SQLiteStatement {
        if let statement = statements[sql] { return statement }
        guard let database else { throw StoreError.connection("\(path) is closed") }
        if statements.count >= Self.maximumStatements { statements = [:] }
        let statement = try SQLiteStatement(database, sql)
        statements[sql] = statement
        return statement
    }
}

// MARK: - Opening

extension SQLiteConnection {
    private func open() throws {
        let flags = (isWriter ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2(path, &database, flags, nil) == SQLITE_OK else {
            defer { close() }
            throw StoreError(sqlite: database, ": \(path)")
        }
        sqlite3_extended_result_codes(database, 1)
        sqlite3_busy_timeout(database, 5_000)
        do {
            try configure()
            if isWriter, reservedLog > 0 { try reserveLog() }
        } catch {
            close()
            throw error
        }
    }

    /// Settings are read back: SQLite ignores those it cannot take without a word.
    private func configure() throws {
        if isWriter {
            try set("journal_mode", "wal", reads: .text("wal"))
            try set("synchronous", "FULL", reads: 2)
            try set("foreign_keys", "ON", reads: 1)
            // Pages in the log before they are moved into the file. A commit that happens to move them waits for several syncs of the
            // disk instead of one; with SQLite's 1,000 pages such commits took as much time as all others together.
            let pages = reservedLog > 0 ? Int64(reservedLog / Self.logPage) : 8_000
            try set("wal_autocheckpoint", "\(pages)", reads: .integer(pages))
            // After a burst the log is cut back to this many bytes.
            try set("journal_size_limit", "67108864", reads: 67_108_864)
        }
        // In KiB when negative.
        try set("cache_size", "-16384", reads: -16_384)
    }

    /// A page of 4,096 bytes and its header, in the log.
    private static let logPage = 4_120

    /// Makes the log as long as it gets, of zeros: SQLite takes them for what they are, no entries. A commit that only overwrites a file
    /// is durable in two thirds of the time of one that makes it longer. Once all of the log is in the database SQLite begins at its start again.
    private func reserveLog() throws {
        // The log is there once something was read.
        _ = try query("SELECT count(*) FROM sqlite_master", [])
        let log = Foundation.open(path + "-wal", O_WRONLY)
        guard log >= 0 else { return }
        defer { Foundation.close(log) }
        var size = Int(lseek(log, 0, SEEK_END))
        let zeros = [UInt8](repeating: 0, count: 1 << 18)
        // Some more than a commit that begins before the last page may need.
        while size >= 0, size < reservedLog + zeros.count {
            let written = zeros.withUnsafeBytes { pwrite(log, $0.baseAddress, $0.count, off_t(size)) }
            // Without: commits take longer, and nothing else.
            guard written > 0 else { return }
            size += written
        }
        fdatasync(log)
    }

    private func set(_ name: String, _ value: String, reads expected: SQLValue) throws {
        _ = try query("PRAGMA \(name) = \(value)", [])
        let found = try query("PRAGMA \(name)", []).first?[0]
        guard found == expected else {
            throw StoreError.other(code: "pragma", "\(path) has \(name) \(found.map { "\($0)" } ?? "unset"), not \(value)")
        }
    }
}
