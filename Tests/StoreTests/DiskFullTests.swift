import Foundation
import Primitives
import Store
import Testing
import TestSupport

@Suite(.enabled(if: SmallDisk.isAvailable, "needs root, to mount a small disk and fill it"))
struct DiskFullTests {
    @Test(arguments: DatabaseKind.allCases)
    func `A full disk refuses writes, keeps reads going, and is over when space returns`(_ kind: DatabaseKind) async throws {
        try await withDatabaseOnSmallDisk(kind) { database, disk in
            try await database.migrate(sampleTables)
            try disk.addBallast(mebibytes: 4)
            // Random, so that PostgreSQL cannot compress it.
            var generator = SeededGenerator(seed: 7)
            let blob = SQLValue.blob((0..<100_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
            let insert: @Sendable (Int) async throws -> Void = { id in
                try await database.write { transaction in
                    try transaction.execute("INSERT INTO items (id, data) VALUES ($1, $2)", [SQLValue(id), blob])
                    _ = try transaction.appendChange(topic: "t", subject: "\(id)", kind: "k", body: "{}", at: start)
                }
            }
            var kept = 0
            var refusal: StoreError?
            while refusal == nil, kept < 2_000 {
                let id = kept
                refusal = await storeError { try await insert(id) }
                if refusal == nil { kept += 1 }
            }
            #expect(refusal?.kind == "full", "after \(kept): \(String(describing: refusal))")
            #expect(kept > 5)

            // A whole group on a full disk: each is refused, by its own or with the group.
            let group = try await Gate().hold(database, calls: (0..<10).map { number in { try await insert(10_000 + number) } })
            for result in group {
                let error = #expect(throws: StoreError.self) { try result.get() }
                #expect(error?.kind == "full")
            }
            #expect(try await database.count("items") == kept)
            #expect(try await database.read { try $0.latestRevision() } == kept)
            #expect(
                try await database.read { try $0.query("SELECT data FROM items ORDER BY id LIMIT 3").map { $0["data"] } } == [
                    blob, blob, blob,
                ])

            try disk.removeBallast()
            try await insert(20_000)
            #expect(try await database.count("items") == kept + 1)
            #expect(
                try await database.read { try $0.changes(topics: nil, after: 0, limit: .max).map(\.revision) } == Array(1...Int64(kept + 1))
            )
        }
    }

    /// SQLite has its file there, PostgreSQL a tablespace.
    private func withDatabaseOnSmallDisk(_ kind: DatabaseKind, _ body: (any Database, SmallDisk) async throws -> Void) async throws {
        try await withSmallDisk(mebibytes: kind == .sqlite ? 16 : 40) { disk in
            switch kind {
            case .sqlite: try await run("sqlite:\(disk.path)/store.db", disk, body)
            case .postgres:
                let server = try PostgresServer.shared()
                let space = "small\(getpid())"
                try await runCommand(["install", "-d", "-m", "700", "-o", "postgres", disk.path + "/space"])
                try await server.run("CREATE TABLESPACE \(space) LOCATION '\(disk.path)/space'")
                let name = try await server.createDatabase(tablespace: space)
                let result: Result<Void, any Error>
                do { result = .success(try await run(server.url(of: name), disk, body)) } catch { result = .failure(error) }
                try await server.dropDatabase(name)
                try await server.run("DROP TABLESPACE \(space)")
                try result.get()
            }
        }
    }

    private func run(_ url: String, _ disk: SmallDisk, _ body: (any Database, SmallDisk) async throws -> Void) async throws {
        let database = try openDatabase(url, options: .quiet)
        let result: Result<Void, any Error>
        do { result = .success(try await body(database, disk)) } catch { result = .failure(error) }
        await database.close()
        try result.get()
    }
}
