import Crypto
import Foundation
import Primitives

extension Database {
    /// Creates the platform's tables, then applies each migration that was not applied yet, each in its own transaction.
    ///
    /// Safe to call from several processes at once. Throws `StoreError.other(code: "migration", …)` when one that was applied
    /// reads differently now.
    public func migrate(_ migrations: [Migration]) async throws {
        let all = platformMigrations + migrations
        precondition(Set(all.map(\.id)).count == all.count, "two migrations have the same identifier")
        try await write { transaction in
            try transaction.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (id TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)")
        }
        for migration in all {
            try await write { try migration.apply(in: $0, at: currentInstant()) }
        }
        changes.advance(to: try await read { try $0.latestRevision() })
    }
}

extension Migration {
    fileprivate func apply(in transaction: any WriteContext, at now: Instant) throws {
        let statements = statements(transaction.dialect)
        let checksum = hexadecimal(SHA256.hash(data: Array(statements.joined(separator: ";\n").utf8)))
        if let row = try transaction.queryOne("SELECT checksum FROM schema_migrations WHERE id = $1", [.text(id)]) {
            guard try row.text("checksum") == checksum else {
                throw StoreError.other(
                    code: "migration", "migration '\(id)' was applied with other statements: never edit one, add another")
            }
            return
        }
        // Building an index may take longer than any statement of a request.
        if transaction.dialect == .postgres { try transaction.execute("SET LOCAL statement_timeout = 0") }
        for statement in statements { try transaction.execute(statement) }
        try transaction.execute(
            "INSERT INTO schema_migrations (id, checksum, applied_at) VALUES ($1, $2, $3)", [.text(id), .text(checksum), SQLValue(now)])
    }
}

private func currentInstant() -> Instant { Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }
