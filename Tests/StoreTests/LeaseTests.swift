import Primitives
import Store
import Testing
import TestSupport

@Suite struct LeaseTests {
    @Test(arguments: DatabaseKind.allCases)
    func `A lease is held by one, renewed, and taken over when it has run out`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind) { database in
            let clock = ManualClock()
            func acquire(_ holder: String) async throws -> Lease? {
                let now = clock.now
                return try await database.write { try $0.acquireLease("book", holder: holder, for: .seconds(10), now: now) }
            }
            func renew(_ lease: Lease) async throws -> Lease? {
                let now = clock.now
                return try await database.write { try $0.renewLease(lease, for: .seconds(10), now: now) }
            }
            let first = try #require(try await acquire("a"))
            #expect(first == Lease(name: "book", holder: "a", fencing: 1, expires: clock.now + .seconds(10)))
            #expect(try await acquire("b") == nil)
            clock.advance(by: .seconds(9))
            let renewed = try #require(try await renew(first))
            #expect(renewed.fencing == 1 && renewed.expires == clock.now + .seconds(10))
            clock.advance(by: .seconds(9))
            #expect(try await acquire("b") == nil)
            clock.advance(by: .seconds(1))
            let taken = try #require(try await acquire("b"))
            #expect(taken.fencing == 2 && taken.holder == "b")
            #expect(try await renew(renewed) == nil)
            // Not the old holder's to release.
            try await database.write { try $0.releaseLease(renewed) }
            #expect(try await acquire("a") == nil)
            try await database.write { try $0.releaseLease(taken) }
            #expect(try await acquire("a")?.fencing == 3)
            #expect(try await database.read { try $0.lease("book") }?.holder == "a")
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `The write of a holder that was taken over fails, and changes nothing`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let stale = try #require(try await database.write { try $0.acquireLease("book", holder: "a", for: .seconds(10), now: start) })
            func write(_ lease: Lease, _ id: Int) async throws {
                try await database.write { transaction in
                    try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(id)])
                    try transaction.checkFencing(lease)
                }
            }
            try await write(stale, 1)
            // The same program after a restart, within its lease.
            let restarted = try #require(
                try await database.write { try $0.acquireLease("book", holder: "a", for: .seconds(10), now: start) })
            #expect(restarted.fencing == 2)
            await #expect(throws: LeaseLost(lease: stale, current: 2)) { try await write(stale, 2) }
            try await write(restarted, 3)
            let other = try #require(
                try await database.write { try $0.acquireLease("book", holder: "b", for: .seconds(10), now: start + .seconds(10)) })
            await #expect(throws: LeaseLost(lease: restarted, current: 3)) { try await write(restarted, 4) }
            try await write(other, 5)
            try await database.write { try $0.releaseLease(other) }
            await #expect(throws: LeaseLost.self) { try await write(other, 6) }
            #expect(try await database.count("items") == 3)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Of many that try at once one gets it, and fencing only grows`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind) { database in
            var last: Int64 = 0
            for round in 0..<5 {
                let now = start + .seconds(Int64(round) * 10)
                let leases = try await withThrowingTaskGroup(of: Lease?.self) { group in
                    for number in 0..<20 {
                        group.addTask {
                            try await database.write {
                                try $0.acquireLease("one", holder: "h\(round)-\(number)", for: .seconds(10), now: now)
                            }
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }.compactMap { $0 }
                }
                #expect(leases.count == 1)
                #expect(leases[0].fencing > last)
                last = leases[0].fencing
            }
        }
    }
}
