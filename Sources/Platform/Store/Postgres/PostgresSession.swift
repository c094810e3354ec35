import CPq
import Foundation

/// One libpq connection: statements, nothing about transactions. Replaced as a whole when it is lost.
///
/// Blocks; used by one thread at a time.
final class PostgresSession {
    /// Statements kept prepared. When a program has more, the cache starts over.
    private static let maximumStatements = 512
    /// Rows sent before their results are read: an endless pipeline would fill both sockets' buffers and stop both sides.
    private static let pipelineBatch = 256

    private let connection: OpaquePointer
    private var prepared: [String: String] = [:]
    private var preparedEver = 0
    /// Statements that go out with whatever is sent next, to spare a round trip each.
    private var deferred: [String] = []
    /// Whether a deferred statement failed: then more is wrong than the statement it went out with.
    private(set) var deferredFailed = false
    /// SQLSTATE and text of the last error.
    private(set) var lastFailure: (state: String, text: String)?

    /// Connects, or throws `StoreError.connection`.
    init(url: String) throws {
        connection = try PostgresSession.connect(url)
        // Notices ("relation exists, skipping") would otherwise go to standard error.
        PQsetNoticeProcessor(connection, { _, _ in }, nil)
        // When this throws, all of `self` is there already, so `deinit` runs and closes the connection: not to be done here too.
        try run(PostgresSession.settings)
    }

    deinit { PQfinish(connection) }

    var isAlive: Bool { PQstatus(connection) == CONNECTION_OK }
    var socket: Int32 { PQsocket(connection) }
    /// Whether a transaction is open, healthy or failed.
    var isInTransaction: Bool {
        switch PQtransactionStatus(connection) {
        case PQTRANS_INTRANS, PQTRANS_INERROR, PQTRANS_ACTIVE: true
        default: false
        }
    }

    /// Runs statements without arguments, several separated by `;`, and returns the last one's command tag and rows.
    @discardableResult
    func run(_ script: String) throws -> (command: String, rows: [Row]) {
        lastFailure = nil
        let statements = deferred + [script]
        deferred = []
        do {
            let result = try checked(PQexec(connection, statements.joined(separator: "; ")))
            return (result.command, result.rows())
        } catch {
            deferredFailed = statements.count > 1
            throw error
        }
    }

    /// Runs a statement of transaction control before the next thing that is sent. Must be one that does not fail by itself.
    func runWithNext(_ statement: String) { deferred.append(statement) }

    /// Forgets what was deferred and whether it failed: the transaction it belonged to is over.
    func dropDeferred() {
        deferred = []
        deferredFailed = false
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [Row] { try send(sql, arguments).rows() }
    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int { try send(sql, arguments).rowsChanged }

    func executeMany(_ sql: String, _ rows: [[SQLValue]]) throws {
        lastFailure = nil
        let rows = try rows.map { try PostgresArguments($0) }
        let name = try prepare(sql)
        try flush()
        guard PQenterPipelineMode(connection) == 1 else { throw libraryFailure() }
        defer { _ = PQexitPipelineMode(connection) }
        var next = 0
        while next < rows.count {
            let batch = rows[next..<min(next + Self.pipelineBatch, rows.count)]
            try pipeline(name, batch)
            next = batch.endIndex
        }
    }

    /// Names of the channels heard of and what was said, without waiting.
    func notifications() throws -> [(channel: String, payload: String)] {
        guard PQconsumeInput(connection) == 1 else { throw libraryFailure() }
        var heard: [(String, String)] = []
        while let notification = PQnotifies(connection) {
            heard.append((String(cString: notification.pointee.relname), String(cString: notification.pointee.extra)))
            PQfreemem(notification)
        }
        return heard
    }

    /// Forgets prepared statements that the server may no longer accept.
    func forgetStatements() {
        prepared = [:]
        _ = try? run("DEALLOCATE ALL")
    }

    private func send(_ sql: String, _ arguments: [SQLValue]) throws -> PostgresResult {
        lastFailure = nil
        let arguments = try PostgresArguments(arguments)
        let name = try prepare(sql)
        if !deferred.isEmpty { return try sendWithDeferred(name, arguments) }
        return try checked(arguments.withPointers { PQexecPrepared(connection, name, $0, $1, $2, $3, 0) })
    }

    private func flush() throws { if !deferred.isEmpty { try run(deferred.removeLast()) } }

    private func prepare(_ sql: String) throws -> String {
        if let name = prepared[sql] { return name }
        try flush()
        if prepared.count >= Self.maximumStatements {
            prepared = [:]
            try run("DEALLOCATE ALL")
        }
        preparedEver += 1
        let name = "s\(preparedEver)"
        _ = try checked(PQprepare(connection, name, sql, 0, nil))
        prepared[sql] = name
        return name
    }

    /// Sends the deferred statements and a prepared one in one round trip and returns what the last gave.
    private func sendWithDeferred(_ name: String, _ arguments: PostgresArguments) throws -> PostgresResult {
        let controls = deferred
        deferred = []
        guard PQenterPipelineMode(connection) == 1 else { throw libraryFailure() }
        defer { _ = PQexitPipelineMode(connection) }
        for control in controls {
            guard PQsendQueryParams(connection, control, 0, nil, nil, nil, nil, 0) == 1 else { throw libraryFailure() }
        }
        guard arguments.withPointers({ PQsendQueryPrepared(connection, name, $0, $1, $2, $3, 0) }) == 1 else { throw libraryFailure() }
        guard PQpipelineSync(connection) == 1 else { throw libraryFailure() }
        var failure: StoreError?
        var answer: PostgresResult?
        for index in 0...controls.count {
            while let result = PostgresResult(PQgetResult(connection)) {
                if !result.isGood, failure == nil {
                    failure = self.failure(of: result)
                    deferredFailed = index < controls.count
                }
                answer = consume result
            }
        }
        _ = PostgresResult(PQgetResult(connection))
        if let failure { throw failure }
        guard isAlive, let answer else { throw libraryFailure() }
        return answer
    }

    /// Sends a batch in one go, then reads all results up to the synchronization point. Throws the first error.
    private func pipeline(_ name: String, _ batch: ArraySlice<PostgresArguments>) throws {
        for arguments in batch {
            guard arguments.withPointers({ PQsendQueryPrepared(connection, name, $0, $1, $2, $3, 0) }) == 1 else { throw libraryFailure() }
        }
        guard PQpipelineSync(connection) == 1 else { throw libraryFailure() }
        var failure: StoreError?
        var answers = 0
        // Each statement's results end with a null pointer; the synchronization point's own result has none.
        while answers < batch.count {
            guard let result = PostgresResult(PQgetResult(connection)) else {
                guard isAlive else { throw libraryFailure() }
                answers += 1
                continue
            }
            if !result.isGood, failure == nil, result.state != nil || !isAlive { failure = self.failure(of: result) }
        }
        _ = PostgresResult(PQgetResult(connection))
        if let failure { throw failure }
    }
}

// MARK: - Connecting and errors

extension PostgresSession {
    /// Defaults stand before the caller's URL, which overrides them.
    private static func connect(_ url: String) throws -> OpaquePointer {
        let defaults: [(String, String)] = [
            ("application_name", "bourse"), ("connect_timeout", "10"), ("client_encoding", "UTF8"), ("target_session_attrs", "read-write"),
            // A server that vanished without a word is noticed within half a minute.
            ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "30000"),
            ("dbname", url),
        ]
        let keys = defaults.map { strdup($0.0) }
        let values = defaults.map { strdup($0.1) }
        defer { for text in keys + values { free(text) } }
        let connection = PQconnectdbParams(
            keys.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], 1)
        guard let connection else { throw StoreError.connection("out of memory") }
        guard PQstatus(connection) == CONNECTION_OK else {
            defer { PQfinish(connection) }
            throw StoreError.connection(String(cString: PQerrorMessage(connection)).trimmingCharacters(in: .whitespacesAndNewlines))
        }
        return connection
    }

    /// Time limits, so that a stopped process or a forgotten lock cannot stop the others for ever (in ms), and durable commits even
    /// where the server's default is not.
    private static let settings = """
        SET statement_timeout = 30000; SET lock_timeout = 20000; SET idle_in_transaction_session_timeout = 30000;
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
        """

    private func checked(_ pointer: OpaquePointer?) throws -> PostgresResult {
        guard let result = PostgresResult(pointer) else { throw libraryFailure() }
        if result.isGood { return result }
        throw failure(of: result)
    }

    private func failure(of result: borrowing PostgresResult) -> StoreError {
        guard let state = result.state else { return libraryFailure() }
        let text = result.message
        lastFailure = (state, text)
        return StoreError(postgresState: state, text)
    }

    private func libraryFailure() -> StoreError {
        let text = String(cString: PQerrorMessage(connection)).trimmingCharacters(in: .whitespacesAndNewlines)
        lastFailure = ("", text)
        return isAlive ? .other(code: "libpq", text) : .connection(text)
    }
}
