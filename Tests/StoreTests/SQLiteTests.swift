import Foundation
import Store
import Testing
import TestSupport

/// What only SQLite has: one file, one process.
@Suite struct SQLiteTests {
    @Test func `A file in use is refused with the reason, and free again after closing`() async throws {
        try await withTestDatabase(.sqlite) { test in
            let first = try test.open()
            let error = await storeError { _ = try test.open() }
            guard case .other(code: "in-use", let text) = error else { Issue.record("not refused: \(String(describing: error))"); return }
            #expect(text.contains("process \(getpid())"))
            await first.close()
            #expect(
                !FileManager.default.fileExists(atPath: test.url.dropFirst("sqlite:".count) + "-wal"), "the log was emptied into the file")
            let second = try test.open()
            try await second.migrate([])
            await second.close()
        }
    }

    @Test func `A database nobody closes is freed when nobody holds it`() async throws {
        try await withTestDatabase(.sqlite) { test in
            do { try await test.open().migrate([]) }
            try await eventually("the file can be opened again") {
                guard let again = try? test.open() else { return false }
                await again.close()
                return true
            }
        }
    }

    @Test func `A file that is no database is called damaged`() async throws {
        try await withTemporaryDirectory { directory in
            try Data(repeating: 0x5A, count: 8_192).write(to: URL(fileURLWithPath: directory + "/x.db"))
            #expect(await storeError { _ = try openDatabase("sqlite:\(directory)/x.db", options: .quiet) }?.kind == "corrupted")
            #expect(await storeError { _ = try openDatabase("sqlite:\(directory)/no/x.db", options: .quiet) }?.kind == "connection")
        }
    }

    /// As after a crash of the machine: only the files are there, as they were after a commit.
    @Test func `A log made ahead of time keeps its size, and what is in it is found again`() async throws {
        try await withTestDatabase(.sqlite) { test in
            var options = DatabaseOptions.quiet
            options.reservedLog = 1 << 20
            let path = String(test.url.dropFirst("sqlite:".count))
            let database = try test.open(options)
            try await database.migrate(sampleTables)
            let size = try Self.size(path + "-wal")
            #expect(size >= 1 << 20)
            for turn in 0..<3 {
                for number in 0..<40 {
                    let id = turn * 40 + number
                    let data = [UInt8](repeating: UInt8(number), count: 10_000)
                    try await database.write {
                        try $0.execute(
                            "INSERT INTO items (id, name, data) VALUES ($1, $2, $3)", [SQLValue(id), .text("\(id)"), SQLValue(data)])
                    }
                }
                #expect(try Self.size(path + "-wal") == size, "every commit overwrites")
                let copy = path + "-copy\(turn)"
                for part in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + part, toPath: copy + part) }
                let found = try openDatabase("sqlite:\(copy)", options: options)
                #expect(try await found.count("items") == (turn + 1) * 40)
                await found.close()
            }
            await database.close()
            #expect(!FileManager.default.fileExists(atPath: path + "-wal"))
        }
    }

    private static func size(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    }

    @Test(arguments: ["", "sqlite:", "sqlite::memory:", "/tmp/x.db", "mysql://x/y", "file:/tmp/x.db"])
    func `A URL of neither kind is refused`(_ url: String) async {
        #expect(await storeError { _ = try openDatabase(url, options: .quiet) }?.kind == "other")
    }
}
