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

    @Test(arguments: ["", "sqlite:", "sqlite::memory:", "/tmp/x.db", "mysql://x/y", "file:/tmp/x.db"])
    func `A URL of neither kind is refused`(_ url: String) async {
        #expect(await storeError { _ = try openDatabase(url, options: .quiet) }?.kind == "other")
    }
}
