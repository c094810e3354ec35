import Store
import Testing
import TestSupport

@Suite struct MigrationTests {
    @Test(arguments: DatabaseKind.allCases)
    func `Each migration is applied once, in order, also by several at a time`(_ kind: DatabaseKind) async throws {
        try await withTestDatabase(kind) { test in
            let steps = [
                Migration("test/1") { _ in ["CREATE TABLE log (n BIGINT NOT NULL)", "INSERT INTO log (n) VALUES (1)"] },
                Migration("test/2") { _ in ["INSERT INTO log (n) SELECT MAX(n) + 1 FROM log"] },
            ]
            // On PostgreSQL as if by four programs; SQLite has one.
            let databases = try (0..<(kind == .postgres ? 4 : 1)).map { _ in try test.open() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for round in 0..<4 {
                    let database = databases[round % databases.count]
                    group.addTask { try await database.migrate(steps) }
                }
                try await group.waitForAll()
            }
            let more = steps + [Migration("test/3") { _ in ["INSERT INTO log (n) SELECT MAX(n) + 1 FROM log"] }]
            try await databases[0].migrate(more)
            let found = try await databases[0].read { try $0.query("SELECT n FROM log ORDER BY n").map { try $0.integer("n") } }
            #expect(found == [1, 2, 3])
            for database in databases { await database.close() }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A migration that fails leaves nothing of itself`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind) { database in
            let good = Migration("test/1") { _ in ["CREATE TABLE a (n BIGINT)"] }
            let bad = Migration("test/2") { _ in ["CREATE TABLE b (n BIGINT)", "CREATE TABLE a (n BIGINT)"] }
            #expect(await storeError { try await database.migrate([good, bad]) }?.kind == "other")
            #expect(try await database.count("a") == 0)
            #expect(await storeError { _ = try await database.count("b") } != nil)
            try await database.migrate([good, Migration("test/2") { _ in ["CREATE TABLE b (n BIGINT)"] }])
            #expect(try await database.count("b") == 0)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A migration edited after it was applied is refused`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: [Migration("test/1") { _ in ["CREATE TABLE a (n BIGINT)"] }]) { database in
            let error = await storeError {
                try await database.migrate([Migration("test/1") { _ in ["CREATE TABLE a (n BIGINT, m BIGINT)"] }])
            }
            guard case .other(code: "migration", let text) = error else {
                Issue.record("not refused: \(String(describing: error))"); return
            }
            #expect(text.contains("test/1"))
        }
    }
}
