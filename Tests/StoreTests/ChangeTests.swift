import Foundation
import Primitives
import Store
import Testing
import TestSupport

@Suite struct ChangeTests {
    @Test(arguments: DatabaseKind.allCases)
    func `A follower sees every revision once and in order while many write and some roll back`(_ kind: DatabaseKind) async throws {
        try await withTestDatabase(kind) { test in
            // Two programs on PostgreSQL, one on SQLite; the follower belongs to the last.
            let databases = try (0..<(kind == .postgres ? 2 : 1)).map { _ in try test.open() }
            for database in databases { try await database.migrate([]) }
            let follower = databases[databases.count - 1]
            let appended = Tally()
            async let seen = Self.follow(follower, until: 300)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<12 {
                    let database = databases[writer % databases.count]
                    group.addTask {
                        for round in 0..<40 {
                            let fails = (writer + round) % 8 < 3
                            do {
                                try await database.write { transaction in
                                    _ = try transaction.appendChange(
                                        topic: "t\(writer % 3)", subject: "w\(writer)", kind: "k", body: "{}", at: start)
                                    if fails { throw Deliberate() }
                                }
                                appended.up()
                            } catch is Deliberate {}
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(appended.value == 300)
            #expect(try await seen == Array(1...300))
            for database in databases { await database.close() }
        }
    }

    /// Reads as an API's long poll does: what is new, else wait.
    private static func follow(_ database: any Database, until last: Int64) async throws -> [Int64] {
        var seen: [Int64] = []
        let deadline = ContinuousClock.now + .seconds(60)
        while seen.last ?? 0 < last, ContinuousClock.now < deadline {
            let after = seen.last ?? 0
            let fresh = try await database.read { try $0.changes(topics: nil, after: after, limit: 7) }
            seen += fresh.map(\.revision)
            if fresh.isEmpty { await database.changes.wait(after: after, timeout: .seconds(5)) }
        }
        return seen
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Changes carry what was said and are found by topic`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind) { database in
            let last = try await database.write { transaction in
                let first = try transaction.appendChange(topic: "a", subject: "s1", kind: "made", body: #"{"x":1}"#, at: start)
                let more = ["b", "a", "c"].map { NewChange(topic: $0, subject: "s2", kind: "gone", body: "{}", at: start) }
                return [first, try transaction.appendChanges(more)]
            }
            #expect(last == [1, 4])
            let all = try await database.read { try $0.changes(topics: nil, after: 0, limit: 10) }
            #expect(all[0] == Change(revision: 1, topic: "a", subject: "s1", kind: "made", body: #"{"x":1}"#, at: start))
            let cases: [([String]?, Int64, Int, [Int64])] = [
                (nil, 1, 2, [2, 3]), (["a"], 0, 10, [1, 3]), (["a", "c"], 1, 10, [3, 4]), (["a"], 3, 10, []), ([], 0, 10, []),
                (nil, 4, 10, []),
            ]
            for (topics, after, limit, expected) in cases {
                #expect(try await database.read { try $0.changes(topics: topics, after: after, limit: limit).map(\.revision) } == expected)
            }
            #expect(try await database.read { try $0.latestRevision() } == 4)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A waiter wakes soon after a commit, by this or another program`(_ kind: DatabaseKind) async throws {
        try await withTestDatabase(kind) { test in
            let waiting = try test.open()
            let writing = kind == .postgres ? try test.open() : waiting
            try await waiting.migrate([])
            let clock = ContinuousClock()
            let begun = clock.now
            async let woken: Void = waiting.changes.wait(after: 0, timeout: .seconds(60))
            try await Task.sleep(for: .milliseconds(100))
            #expect(waiting.changes.latest == 0)
            try await writing.write { _ = try $0.appendChange(topic: "t", subject: "s", kind: "k", body: "{}", at: start) }
            await woken
            #expect(clock.now - begun < .seconds(20))
            #expect(waiting.changes.latest == 1)
            await waiting.close()
            await writing.close()
            // Opened again, it knows what was committed before.
            let again = try test.open()
            try await eventually("the signal knows the revision") { again.changes.latest == 1 }
            await again.close()
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Waiting ends at its time, when cancelled, and at once for what is known`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind) { database in
            let clock = ContinuousClock()
            let timed = await clock.measure { await database.changes.wait(after: 0, timeout: .milliseconds(50)) }
            #expect(timed >= .milliseconds(50) && timed < .seconds(20))
            let cancelled = await clock.measure {
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await database.changes.wait(after: 0, timeout: .seconds(60)) }
                    try? await Task.sleep(for: .milliseconds(20))
                    group.cancelAll()
                }
            }
            #expect(cancelled < .seconds(20))
            // A rolled back append wakes nobody.
            _ = try? await database.write { transaction in
                _ = try transaction.appendChange(topic: "t", subject: "s", kind: "k", body: "{}", at: start)
                throw Deliberate()
            }
            #expect(database.changes.latest == 0)
            try await database.write { _ = try $0.appendChange(topic: "t", subject: "s", kind: "k", body: "{}", at: start) }
            let known = await clock.measure { await database.changes.wait(after: 0, timeout: .seconds(60)) }
            #expect(known < .seconds(20))
        }
    }
}
