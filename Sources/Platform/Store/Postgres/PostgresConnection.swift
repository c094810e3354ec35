import Foundation
import Logging

/// A connection to a PostgreSQL server, renewed when it is lost.
///
/// Writers of all processes queue for one advisory lock and run in READ COMMITTED: one after the other, each seeing all that was
/// committed before, like writers on SQLite. Since nearly every write takes its revision from one counter row, nothing is lost
/// against optimistic transactions, which would mostly conflict there.
///
/// `@unchecked`: used by one thread at a time, first the one that opens it, then the one that serves it.
final class PostgresConnection: Connection, @unchecked Sendable {
    /// The advisory lock of writers, "bourse" in ASCII. Locks are apart for each database of a server.
    private static let writerLock: Int64 = 0x626F_7572_7365

    private let url: String
    private let reconnectTimeout: Duration
    private let logger: Logger
    private var session: PostgresSession?
    /// The server's number for the open write transaction, to ask later what became of it.
    private var transaction: String?

    let dialect = SQLDialect.postgres

    /// Connects at once or throws; when `isPatient`, tries for as long as a lost connection is tried for.
    init(url: String, reconnectTimeout: Duration, logger: Logger, isPatient: Bool) throws {
        self.url = url
        self.reconnectTimeout = reconnectTimeout
        self.logger = logger
        if isPatient { try reconnect() } else { session = try PostgresSession(url: url) }
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [Row] { try live().query(sql, arguments) }
    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int { try live().execute(sql, arguments) }
    func executeMany(_ sql: String, _ rows: [[SQLValue]]) throws { try live().executeMany(sql, rows) }

    func beginRead() throws { try live().runWithNext("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") }

    func beginWrite() throws {
        transaction = nil
        let script = """
            BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock(\(Self.writerLock));
            SELECT pg_current_xact_id()::text AS transaction
            """
        transaction = try live().run(script).rows.first?.text("transaction")
    }

    func commit(announcing revision: Int64?) throws {
        let announcement = revision.map { "SELECT pg_notify('\(PostgresListener.channel)', '\($0)'); " } ?? ""
        let command = try live().run(announcement + "COMMIT").command
        // A COMMIT of a failed transaction is carried out as ROLLBACK, and reported as a success.
        guard command == "COMMIT" else { throw StoreError.other(code: "25P02", "the transaction had failed: \(command)") }
    }

    func rollback() {
        session?.dropDeferred()
        guard let session, session.isAlive, session.isInTransaction else { return }
        let failure = session.lastFailure
        // When this fails, the session is dead or unusable: do not keep it.
        do { try session.run("ROLLBACK") } catch { self.session = nil }
        retryable = failure.map { StoreError.isWorthRetrying(postgresState: $0.state, $0.text) } ?? false
    }

    func setSavepoint() throws { try live().runWithNext("SAVEPOINT body") }
    func releaseSavepoint() throws { try live().runWithNext("RELEASE SAVEPOINT body") }
    func rollbackToSavepoint() throws { try live().run("ROLLBACK TO SAVEPOINT body; RELEASE SAVEPOINT body") }

    var transactionIsLost: Bool {
        guard let session, session.isAlive, !session.deferredFailed else { return true }
        guard let failure = session.lastFailure else { return false }
        return StoreError.isWorthRetrying(postgresState: failure.state, failure.text)
    }

    /// Whether the transaction rolled back last had failed with an error that passes.
    private var retryable = false

    func recover(from error: any Error, whileCommitting: Bool) -> Recovery {
        if let session, session.isAlive, !error.isConnectionLoss {
            guard retryable else { return .failed(error) }
            session.forgetStatements()
            // Apart from each other, so that the same two do not meet again.
            Thread.sleep(forTimeInterval: .random(in: 0.001...0.02))
            return .again
        }
        do { try reconnect() } catch let refusal {
            return .failed(whileCommitting ? StoreError.connection("outcome unknown: \(error)") : refusal)
        }
        return whileCommitting ? outcome(of: transaction, error) : .again
    }

    func close() { session = nil }

    private func live() throws -> PostgresSession {
        if let session, session.isAlive { return session }
        throw StoreError.connection("the connection to PostgreSQL was lost")
    }
}

// MARK: - After a lost connection

extension PostgresConnection {
    /// Tries again and again until the time is over, or until somebody answers.
    private func reconnect() throws {
        session = nil
        let deadline = ContinuousClock.now + reconnectTimeout
        var pause = 0.02
        while true {
            do {
                session = try PostgresSession(url: url)
                return
            } catch {
                logger.warning("PostgreSQL cannot be reached", metadata: ["error": "\(error)"])
                guard ContinuousClock.now < deadline else { throw error }
            }
            Thread.sleep(forTimeInterval: pause)
            pause = min(pause * 2, 0.5)
        }
    }

    /// Asks the server what became of a transaction whose COMMIT was sent but not answered.
    private func outcome(of transaction: String?, _ error: any Error) -> Recovery {
        let unknown = Recovery.failed(StoreError.connection("outcome unknown: \(error)"))
        guard let transaction else { return unknown }
        // The old server process may not have noticed yet that nobody listens, and may still be committing.
        for _ in 0..<100 {
            guard let status = try? live().run("SELECT pg_xact_status('\(transaction)'::xid8) AS status").rows.first?.optionalText("status")
            else { return unknown }
            switch status {
            case "committed": return .committed
            case "aborted": return .again
            default: Thread.sleep(forTimeInterval: 0.05)
            }
        }
        return unknown
    }
}
