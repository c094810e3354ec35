import Foundation
import Store
import Testing
import TestSupport

@Suite struct DurabilityTests {
    @Test(arguments: DatabaseKind.allCases)
    func `What was acknowledged before kill -9 is there, and nothing half`(_ kind: DatabaseKind) async throws {
        try await withTestDatabase(kind) { test in
            try await withTemporaryDirectory { directory in
                let log = directory + "/acknowledged"
                await #expect(processExitsWith: .signal(SIGKILL)) { [url = test.url as String, log = log as String] in
                    try await writeUntilKilled(url, log)
                }
                let acknowledged = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").compactMap { Int64($0) }
                #expect(acknowledged.count >= 500)
                let database = try test.open()
                let (items, parts, changes, head) = try await database.read { context in
                    (
                        try context.query("SELECT id FROM items").map { try $0.integer("id") },
                        try context.query("SELECT id FROM parts").map { try $0.integer("id") },
                        try context.changes(topics: nil, after: 0, limit: .max).map(\.revision), try context.latestRevision()
                    )
                }
                #expect(Set(acknowledged).subtracting(items).isEmpty)
                #expect(Set(items) == Set(parts))
                #expect(changes == Array(1...Int64(items.count)))
                #expect(head == Int64(items.count))
                #expect(try await database.read { try $0.verifyAudit() }.problem == nil)
                // And it goes on.
                try await database.write { try $0.execute("INSERT INTO items (id) VALUES (-1)") }
                await database.close()
            }
        }
    }
}

/// Sixteen writers; each notes what was acknowledged. After the 500th note the process kills itself, in the middle of other writes.
private func writeUntilKilled(_ url: String, _ log: String) async throws {
    let database = try openDatabase(url, options: .quiet)
    try await database.migrate(sampleTables)
    let notes = open(log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<16 {
            group.addTask {
                for round in 0..<100_000 {
                    let id = round * 16 + writer
                    try await database.write { transaction in
                        try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(id)])
                        try transaction.execute("INSERT INTO parts (id, item) VALUES ($1, $1)", [SQLValue(id)])
                        _ = try transaction.appendChange(topic: "t", subject: "\(id)", kind: "k", body: "{}", at: start)
                        try transaction.appendAudit(actor: "a", action: "b", subject: "\(id)", detail: "{}", at: start)
                    }
                    let note = "\(id)\n"
                    _ = note.withCString { write(notes, $0, strlen($0)) }
                    if round * 16 >= 560 { kill(getpid(), SIGKILL) }
                }
            }
        }
    }
}
