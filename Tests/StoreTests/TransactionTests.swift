import Foundation
import Primitives
import Store
import Synchronization
import Testing
import TestSupport

@Suite struct TransactionTests {
    @Test(arguments: DatabaseKind.allCases)
    func `A body that throws rolls back alone in its group`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let before = database.statistics.commits
            let results = try await Gate().hold(
                database,
                calls: (0..<20).map { number in
                    {
                        try await database.write { transaction in
                            try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)])
                            if number % 3 == 1 { throw Deliberate(number: number) }
                            if number % 3 == 2 { try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)]) }
                        }
                    }
                })
            for (number, result) in results.enumerated() {
                switch number % 3 {
                case 0: #expect(throws: Never.self) { try result.get() }
                case 1: #expect(throws: Deliberate(number: number)) { try result.get() }
                default: #expect(throws: StoreError.self) { try result.get() }
                }
            }
            let kept = try await database.read { try $0.query("SELECT id FROM items ORDER BY id").map { try $0.integer("id") } }
            #expect(kept == (0..<20).filter { $0 % 3 == 0 }.map(Int64.init))
            // The held write and one group.
            #expect(database.statistics.commits - before == 2)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Two hundred concurrent writers share few commits`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let before = database.statistics.commits
            let results = try await Gate().hold(
                database,
                calls: (0..<200).map { number in
                    { try await database.write { try $0.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)]) } }
                })
            #expect(try results.map { try $0.get() } == Array(repeating: 1, count: 200))
            #expect(try await database.count("items") == 200)
            #expect(database.statistics.commits - before <= (kind == .sqlite ? 2 : 5))
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A failed commit fails every body of the group and keeps nothing`(_ kind: DatabaseKind) async throws {
        let deferred = Migration("test/0002") { _ in
            ["CREATE TABLE late (id BIGINT PRIMARY KEY, item BIGINT REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED)"]
        }
        try await withDatabase(kind, migrations: sampleTables + [deferred]) { database in
            let results = try await Gate().hold(
                database,
                calls: (0..<10).map { number in
                    {
                        try await database.write { transaction in
                            try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)])
                            _ = try transaction.appendChange(topic: "t", subject: "s", kind: "k", body: "{}", at: start)
                            if number == 5 { try transaction.execute("INSERT INTO late (id, item) VALUES (1, 99)") }
                        }
                    }
                })
            for result in results {
                let error = #expect(throws: StoreError.self) { try result.get() }
                #expect(error?.kind == "foreignKey")
            }
            #expect(try await database.count("items") == 0)
            #expect(try await database.read { try $0.latestRevision() } == 0)
            #expect(database.changes.latest == 0)
            try await database.write { try $0.execute("INSERT INTO items (id) VALUES (1)") }
            #expect(try await database.count("items") == 1)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `What a body changed in memory is taken back when nothing of it stays`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let memory = Mutex<[Int]>([])
            _ = try await Gate().hold(
                database,
                calls: (0..<20).map { number in
                    {
                        try await database.write { transaction in
                            for half in [number * 10, number * 10 + 1] {
                                memory.withLock { $0.append(half) }
                                transaction.onRollback { rollback in
                                    #expect(rollback == .complete)
                                    // Newest first: what is taken back is what was changed last.
                                    #expect(memory.withLock { $0.popLast() } == half)
                                }
                            }
                            try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)])
                            if number % 3 == 1 { throw Deliberate(number: number) }
                            if number % 3 == 2 { _ = try? transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)]) }
                        }
                    }
                })
            let kept = (0..<20).filter { $0 % 3 == 0 }
            let left = memory.withLock { $0 }
            #expect(left.sorted() == kept.flatMap { [$0 * 10, $0 * 10 + 1] })
            #expect(zip(left, left.dropFirst()).allSatisfy { $0 % 10 == 1 || $1 == $0 + 1 }, "each body's stays together: \(left)")
            #expect(try await database.count("items") == Int64(kept.count))
        }
    }

    /// Only the tables know what a failed commit left.
    @Test(arguments: DatabaseKind.allCases)
    func `A failed commit says that it is uncertain`(_ kind: DatabaseKind) async throws {
        let deferred = Migration("test/0002") { _ in
            ["CREATE TABLE late (id BIGINT PRIMARY KEY, item BIGINT REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED)"]
        }
        try await withDatabase(kind, migrations: sampleTables + [deferred]) { database in
            let told = Mutex<[Rollback]>([])
            await #expect(throws: StoreError.self) {
                try await database.write { transaction in
                    transaction.onRollback { rollback in told.withLock { $0.append(rollback) } }
                    try transaction.execute("INSERT INTO late (id, item) VALUES (1, 99)")
                }
            }
            #expect(told.withLock { $0 } == [.uncertain])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A body cannot swallow a failed statement`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let error = await storeError {
                try await database.write { transaction in
                    try transaction.execute("INSERT INTO items (id) VALUES (1)")
                    _ = try? transaction.execute("INSERT INTO items (id) VALUES (1)")
                }
            }
            #expect(error?.kind == "unique")
            let count = try await database.count("items")
            #expect(count == 0)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A read sees one snapshot while others write, and cannot write`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let (started, written) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
            async let counts = database.read { context in
                let first = try context.query("SELECT id FROM items").count
                started.signal()
                written.wait()
                return [first, try context.query("SELECT id FROM items").count]
            }
            while started.wait(timeout: .now()) == .timedOut { try await Task.sleep(for: .milliseconds(1)) }
            try await database.write { try $0.execute("INSERT INTO items (id) VALUES (1)") }
            written.signal()
            #expect(try await counts == [0, 0])
            #expect(try await database.count("items") == 1)
            let refusal = await storeError {
                try await database.read { try $0.query("INSERT INTO items (id) VALUES (2) RETURNING id").count }
            }
            #expect(refusal?.kind == "other")
            #expect(try await database.count("items") == 1)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A full queue refuses with busy and loses nothing it took`(_ kind: DatabaseKind) async throws {
        var options = DatabaseOptions.quiet
        options.maximumWaitingWrites = 3
        try await withDatabase(kind, migrations: sampleTables, options: options) { database in
            let refusal = Mutex<StoreError?>(nil)
            let results = try await Gate().hold(database, calls: inserts(3, into: database)) {
                let error = await storeError { try await database.write { _ in } }
                refusal.withLock { $0 = error }
            }
            for result in results { #expect(throws: Never.self) { try result.get() } }
            #expect(refusal.withLock { $0?.kind } == "busy")
            #expect(database.statistics.refused == 1)
            #expect(try await database.count("items") == 3)
            try await database.write { try $0.execute("INSERT INTO items (id) VALUES (99)") }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Closing drains what waits and refuses what comes later`(_ kind: DatabaseKind) async throws {
        try await withTestDatabase(kind) { test in
            let database = try test.open()
            try await database.migrate(sampleTables)
            let allWait = Tally()
            let closing: @Sendable () async throws -> Void = {
                try await eventually("all writes wait") { allWait.value == 1 }
                await database.close()
            }
            let results = try await Gate().hold(database, calls: inserts(20, into: database) + [closing], waiting: 20) {
                allWait.up()
                try await eventually("it is closed") { await storeError { try await database.read { _ in } }?.kind == "connection" }
            }
            for result in results { #expect(throws: Never.self) { try result.get() } }
            await database.close()
            #expect(await storeError { try await database.write { _ in } }?.kind == "connection")
            #expect(await storeError { try await database.read { _ in } }?.kind == "connection")
            let again = try test.open()
            #expect(try await again.count("items") == 20)
            await again.close()
        }
    }

    private func inserts(_ count: Int, into database: any Database) -> [@Sendable () async throws -> Void] {
        (0..<count).map { number in
            {
                try await database.write { try $0.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)]) }
                return
            }
        }
    }
}
