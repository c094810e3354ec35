import Foundation
import Store
import Testing
import TestSupport

/// What only PostgreSQL has: other programs, conflicts, connections that are lost.
@Suite struct PostgresTests {
    private let killAll = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "

    @Test(arguments: ["40001", "40P01"])
    func `A group runs again after a serialization failure or deadlock`(_ state: String) async throws {
        try await withDatabase(.postgres, migrations: sampleTables) { database in
            let runs = Tally()
            let results = try await Gate().hold(
                database,
                calls: (0..<5).map { number in
                    {
                        try await database.write { transaction in
                            try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)])
                            if number == 2, runs.up() <= 2 {
                                try transaction.execute("DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '\(state)'; END $$")
                            }
                            return number
                        }
                    }
                })
            #expect(try results.map { try $0.get() } == [0, 1, 2, 3, 4])
            #expect(runs.value == 3)
            #expect(database.statistics.retries == 2)
            #expect(try await database.count("items") == 5)
        }
    }

    @Test func `A conflict that never ends is answered with busy`() async throws {
        try await withDatabase(.postgres, migrations: sampleTables) { database in
            let error = await storeError {
                try await database.write { try $0.execute("DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$") }
            }
            #expect(error?.kind == "busy")
        }
    }

    @Test func `Lost connections are replaced, for reads, writes and the listener`() async throws {
        try await withTestDatabase(.postgres) { test in
            let (database, other) = (try test.open(), try test.open())
            try await database.migrate(sampleTables)
            _ = try await database.count("items")
            for round in 1...3 {
                try await PostgresServer.shared().run(killAll + "'\(test.name)'")
                try await database.write { transaction in
                    try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(round)])
                    _ = try transaction.appendChange(topic: "t", subject: "s", kind: "k", body: "{}", at: start)
                }
                #expect(try await database.count("items") == round)
                try await eventually("the other program hears of revision \(round)") { other.changes.latest == round }
            }
            await database.close()
            await other.close()
        }
    }

    @Test func `A connection lost inside a body runs the group again`() async throws {
        try await withDatabase(.postgres, migrations: sampleTables) { database in
            let runs = Tally()
            try await database.write { transaction in
                try transaction.execute("INSERT INTO items (id) VALUES (1)")
                if runs.up() == 1 { _ = try transaction.query("SELECT pg_terminate_backend(pg_backend_pid())") }
            }
            #expect(runs.value == 2)
            #expect(try await database.count("items") == 1)
        }
    }

    @Test func `A connection lost in a commit that did not happen runs the group again`() async throws {
        let trap = Migration("test/trap") { _ in
            [
                "CREATE SEQUENCE attempts",
                // Sequences do not roll back: the first commit breaks off, the second goes through.
                """
                CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF nextval('attempts') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$
                """,
                """
                CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION break_off()
                """,
            ]
        }
        try await withDatabase(.postgres, migrations: sampleTables + [trap]) { database in
            let runs = Tally()
            try await database.write { transaction in
                runs.up()
                try transaction.execute("INSERT INTO items (id) VALUES (1)")
            }
            #expect(runs.value == 2)
            #expect(try await database.count("items") == 1)
        }
    }

    @Test func `A connection lost after the commit, before its answer, is not run again`() async throws {
        try await withTestDatabase(.postgres) { test in
            let server = try PostgresServer.shared()
            let database = try test.open()
            try await database.migrate(sampleTables)
            // From the next connection on a commit, once written, waits for a standby that does not exist.
            try await server.run("ALTER DATABASE \(test.name) SET synchronous_commit = 'on'")
            try await server.run(killAll + "'\(test.name)'")
            let runs = Tally()
            async let written: Void = { @Sendable in
                try await database.write { transaction in
                    runs.up()
                    try transaction.execute("INSERT INTO items (id) VALUES (1)")
                }
                return
            }()
            try await eventually("a commit hangs and is broken off") {
                try await server.run(killAll + "'\(test.name)' AND wait_event = 'SyncRep'").contains("t")
            }
            try await written
            #expect(runs.value == 1)
            #expect(try await database.count("items") == 1)
            await database.close()
        }
    }

    @Test func `Writers of several programs run one after the other`() async throws {
        try await withTestDatabase(.postgres) { test in
            let databases = try (0..<3).map { _ in try test.open() }
            try await databases[0].migrate(sampleTables)
            try await databases[0].write { try $0.execute("INSERT INTO items (id, name) VALUES (1, '0')") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<9 {
                    group.addTask {
                        for _ in 0..<20 {
                            // Read, then write: loses updates unless the writers exclude each other.
                            try await databases[task % 3].write { transaction in
                                let value = Int(try transaction.queryOne("SELECT name FROM items WHERE id = 1")?.text("name") ?? "") ?? -1
                                try transaction.execute("UPDATE items SET name = $1 WHERE id = 1", [.text("\(value + 1)")])
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let sum = try await databases[1].read { try $0.queryOne("SELECT name FROM items WHERE id = 1")?.text("name") }
            #expect(sum == "180")
            for database in databases { await database.close() }
        }
    }

    @Test func `A server that is not there is said so at once`() async {
        #expect(await storeError { _ = try openDatabase("postgresql:///x?host=/nowhere", options: .quiet) }?.kind == "connection")
    }
}
