import Primitives
import Store
import Testing
import TestSupport

@Suite struct ValueTests {
    static let values: [SQLValue] = [
        .null, 0, 1, -1, .integer(.max), .integer(.min), 1.5, -0.0, .real(.greatestFiniteMagnitude), .real(.leastNonzeroMagnitude), 0.1,
        .real(.infinity), "", "plain", "it's \"quoted\" \\ and $1", "žluťoučký 🐎 e\u{301} 漢字\u{202E}", "line\nline\ttab",
        .text(String(repeating: "x", count: 100_000)), .blob([]), .blob([0]), .blob([0, 255, 1, 92, 120, 0]),
        .blob((0..<100_000).map { UInt8($0 & 255) }),
    ]

    @Test(arguments: DatabaseKind.allCases)
    func `Values come back as they went in`(_ kind: DatabaseKind) async throws {
        let table = Migration("test/values") { dialect in
            ["CREATE TABLE kept (id BIGINT PRIMARY KEY, i BIGINT, r DOUBLE PRECISION, t TEXT, b \(dialect.blob))"]
        }
        try await withDatabase(kind, migrations: [table]) { database in
            for (id, value) in Self.values.enumerated() {
                let row: [SQLValue] =
                    switch value {
                    case .integer: [SQLValue(id), value, nil, nil, nil]
                    case .real: [SQLValue(id), nil, value, nil, nil]
                    case .text: [SQLValue(id), nil, nil, value, nil]
                    case .blob: [SQLValue(id), nil, nil, nil, value]
                    case .null: [SQLValue(id), nil, nil, nil, nil]
                    }
                let changed = try await database.write { transaction in
                    // Half through `executeMany`, which has its own way to the server.
                    if id % 2 == 0 { return try transaction.execute("INSERT INTO kept (id, i, r, t, b) VALUES ($1, $2, $3, $4, $5)", row) }
                    try transaction.executeMany("INSERT INTO kept (id, i, r, t, b) VALUES ($1, $2, $3, $4, $5)", [row])
                    return 1
                }
                #expect(changed == 1)
                let back = try await database.read { try $0.queryOne("SELECT id, i, r, t, b FROM kept WHERE id = $1", [SQLValue(id)]) }
                let found = (0..<5).map { back?[$0] }
                #expect(found == row, "value \(id)")
            }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Seeded random values come back as they went in`(_ kind: DatabaseKind) async throws {
        var generator = SeededGenerator(seed: 42)
        let rows: [[SQLValue]] = (0..<700).map { id in
            let scalars = (0..<Int.random(in: 0..<20, using: &generator)).compactMap { _ in
                Unicode.Scalar(UInt32.random(in: 1..<0x11_0000, using: &generator))
            }
            let blob = (0..<Int.random(in: 0..<40, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            return [
                SQLValue(id), .integer(Int64(bitPattern: generator.next())), .real(Double(Int64(bitPattern: generator.next())) / 1_000),
                .text(String(String.UnicodeScalarView(scalars))), .blob(blob),
            ]
        }
        let table = Migration("test/values") { dialect in
            ["CREATE TABLE kept (id BIGINT PRIMARY KEY, i BIGINT, r DOUBLE PRECISION, t TEXT, b \(dialect.blob))"]
        }
        try await withDatabase(kind, migrations: [table]) { database in
            try await database.write { try $0.executeMany("INSERT INTO kept (id, i, r, t, b) VALUES ($1, $2, $3, $4, $5)", rows) }
            let found = try await database.read { try $0.query("SELECT id, i, r, t, b FROM kept ORDER BY id") }
            #expect(found.map { row in (0..<5).map { row[$0] } } == rows)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Typed access takes what fits and refuses the rest`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let id = ContractID(bits: 0xAF31)
            try await database.write { try $0.execute("INSERT INTO items (id, name) VALUES ($1, $2)", [SQLValue(start), SQLValue(id)]) }
            let row = try #require(try await database.read { try $0.queryOne("SELECT id AS Moment, name, data FROM items") })
            #expect(row.columnNames == ["moment", "name", "data"])
            #expect(try row.instant("moment") == start)
            #expect(try row.id("name", as: ContractID.self) == id)
            #expect(try row.bool("moment"))
            #expect(try row.optionalBlob("data") == nil)
            #expect(try row.optionalID("data", as: ContractID.self) == nil)
            #expect(throws: StoreError.self) { try row.id("name", as: OrderID.self) }
            #expect(throws: StoreError.self) { try row.integer("name") }
            #expect(throws: StoreError.self) { try row.text("data") }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Placeholders go by their number, and sums of integers are integers`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            try await database.write { transaction in
                try transaction.execute("INSERT INTO items (name, id) VALUES ($2, $1)", [1, "one"])
                try transaction.execute("INSERT INTO items (id, name) VALUES ($2, $1)", ["two", 2])
                let found = try transaction.query(
                    "SELECT id FROM items WHERE name = $2 OR (id = $1 AND name <> $2) ORDER BY id", [1, "two"])
                #expect(try found.map { try $0.integer("id") } == [1, 2])
                #expect(try transaction.queryOne("SELECT SUM(id) AS total FROM items")?.integer("total") == 3)
                #expect(try transaction.execute("UPDATE items SET data = NULL") == 2)
                #expect(try transaction.execute("UPDATE items SET data = NULL WHERE id = 9") == 0)
            }
        }
    }

    static let refused: [(String, [SQLValue])] = [
        ("INSERT INTO items (id, name) VALUES ($1, $2)", [1, "nul \0 inside"]), ("INSERT INTO items (id, name) VALUES ($1, $2)", [1]),
        ("INSERT INTO items (id, name) VALUES ($1, $2)", [1, "x", 3]), ("SELECT $1 + 1.5", [.real(.nan)]),
        ("INSERT INTO items (id) VALUES (1); DELETE FROM items", []), ("SELEC 1", []), ("INSERT INTO nowhere (id) VALUES (1)", []),
    ]

    @Test(arguments: DatabaseKind.allCases, refused.indices)
    func `Statements and arguments that do not fit are refused`(_ kind: DatabaseKind, _ index: Int) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let (sql, arguments) = Self.refused[index]
            #expect(await storeError { try await database.write { try $0.execute(sql, arguments) } }?.kind == "other")
            #expect(await storeError { try await database.write { try $0.executeMany(sql, [arguments]) } }?.kind == "other")
            let count = try await database.count("items")
            #expect(count == 0)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A broken key or reference is told apart, in single and in many statements`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            try await database.write { try $0.execute("INSERT INTO items (id, name) VALUES (1, 'one')") }
            let cases: [(String, [[SQLValue]], String)] = [
                ("INSERT INTO items (id, name) VALUES ($1, $2)", [[1, "other"]], "unique"),
                ("INSERT INTO items (id, name) VALUES ($1, $2)", [[2, "one"]], "unique"),
                ("INSERT INTO parts (id, item) VALUES ($1, $2)", [[1, 99]], "foreignKey"),
                ("INSERT INTO parts (id, item) VALUES ($1, $2)", [[1, nil]], "other"),
            ]
            for (sql, rows, kind) in cases {
                #expect(await storeError { try await database.write { try $0.execute(sql, rows[0]) } }?.kind == kind)
                #expect(await storeError { try await database.write { try $0.executeMany(sql, rows) } }?.kind == kind)
            }
            try await database.write { try $0.execute("INSERT INTO parts (id, item) VALUES (1, 1)") }
            #expect(
                await storeError { try await database.write { try $0.execute("DELETE FROM items WHERE id = 1") } }?.kind == "foreignKey")
            // A failure in the third batch of a pipeline undoes all batches and leaves the connection usable.
            let rows = (0..<700).map { [SQLValue($0 == 650 ? 10 : $0 + 10)] }
            #expect(
                await storeError { try await database.write { try $0.executeMany("INSERT INTO items (id) VALUES ($1)", rows) } }?.kind
                    == "unique")
            #expect(try await database.count("items") == 1)
        }
    }
}
