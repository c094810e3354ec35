import Store
import Testing
import TestSupport

@Suite struct AuditTests {
    private func withTrail(_ kind: DatabaseKind, entries: Int = 10, _ body: (any Database) async throws -> Void) async throws {
        try await withDatabase(kind) { database in
            for number in 1...entries {
                try await database.write {
                    try $0.appendAudit(actor: "usr-\(number)", action: "act", subject: "s", detail: "{}", at: start)
                }
            }
            try await body(database)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `An untouched trail verifies, from its start and from a head seen before`(_ kind: DatabaseKind) async throws {
        try await withTrail(kind, entries: 4) { database in
            let early = try await database.read { try $0.auditHead() }
            // A body that rolls back leaves no hole, and two pages' worth of entries still chain.
            _ = try? await database.write { transaction in
                try transaction.appendAudit(actor: "x", action: "undone", subject: "s", detail: "{}", at: start)
                throw Deliberate()
            }
            try await database.write { transaction in
                for _ in 0..<1_100 { try transaction.appendAudit(actor: "a", action: "b", subject: "c", detail: #"{"n":1}"#, at: start) }
            }
            let report = try await database.read { try $0.verifyAudit() }
            #expect(report.problem == nil)
            #expect(report.checked == 1_104)
            #expect(report.head.sequence == 1_104)
            #expect(try await database.read { try $0.verifyAudit(from: early) }.problem == nil)
            #expect(try await database.read { try $0.verifyAudit(from: early) }.checked == 1_100)
            let entries = try await database.read { try $0.audit(after: 2, limit: 2) }
            #expect(entries.map(\.actor) == ["usr-3", "usr-4"])
            #expect(entries[1].previousHash == entries[0].hash)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `The trail refuses updates and deletes`(_ kind: DatabaseKind) async throws {
        try await withTrail(kind) { database in
            for sql in ["UPDATE audit SET actor = 'nobody' WHERE sequence = 1", "DELETE FROM audit WHERE sequence = 10"] {
                #expect(await storeError { try await database.write { try $0.execute(sql) } }?.kind == "other")
            }
            let report = try await database.read { try $0.verifyAudit() }
            #expect(report.problem == nil)
        }
    }

    struct Tampering: Sendable {
        var name: String
        var statements: [String]
        var problem: AuditProblem
    }

    static let tamperings = [
        Tampering(
            name: "altered", statements: ["UPDATE audit SET detail = '{\"n\":2}' WHERE sequence = 4"], problem: .altered(sequence: 4)),
        Tampering(name: "moved in time", statements: ["UPDATE audit SET at = at + 1 WHERE sequence = 1"], problem: .altered(sequence: 1)),
        Tampering(
            name: "text moved between fields", statements: ["UPDATE audit SET actor = 'usr', action = '-5act' WHERE sequence = 5"],
            problem: .altered(sequence: 5)),
        Tampering(name: "deleted inside", statements: ["DELETE FROM audit WHERE sequence = 4"], problem: .missing(sequence: 4)),
        Tampering(name: "deleted at the start", statements: ["DELETE FROM audit WHERE sequence = 1"], problem: .missing(sequence: 1)),
        Tampering(name: "deleted at the end", statements: ["DELETE FROM audit WHERE sequence >= 9"], problem: .missing(sequence: 9)),
        Tampering(
            name: "deleted and closed up",
            statements: ["DELETE FROM audit WHERE sequence = 4", "UPDATE audit SET sequence = 4 WHERE sequence = 10"],
            problem: .altered(sequence: 4)),
        Tampering(
            name: "reordered",
            statements: [
                "UPDATE audit SET sequence = 99 WHERE sequence = 6", "UPDATE audit SET sequence = 6 WHERE sequence = 7",
                "UPDATE audit SET sequence = 7 WHERE sequence = 99",
            ], problem: .altered(sequence: 6)),
    ]

    @Test(arguments: DatabaseKind.allCases, tamperings.indices)
    func `Tampering is found where it was done`(_ kind: DatabaseKind, _ index: Int) async throws {
        let tampering = Self.tamperings[index]
        try await withTrail(kind) { database in
            try await disarm(database)
            for sql in tampering.statements {
                let changed = try await database.write { try $0.execute(sql) }
                #expect(changed > 0)
            }
            #expect(try await database.read { try $0.verifyAudit() }.problem == tampering.problem, "\(tampering.name)")
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A shortened trail with a rewritten head is found by who remembers the old head`(_ kind: DatabaseKind) async throws {
        try await withTrail(kind) { database in
            let known = try await database.read { try $0.auditHead() }
            try await disarm(database)
            try await database.write { transaction in
                let entry = try transaction.audit(after: 7, limit: 1)[0]
                try transaction.execute("DELETE FROM audit WHERE sequence > 8")
                try transaction.execute("UPDATE audit_head SET sequence = 8, hash = $1", [.text(entry.hash)])
            }
            #expect(try await database.read { try $0.verifyAudit() }.problem == nil)
            #expect(try await database.read { try $0.verifyAudit(from: known) }.problem == .missing(sequence: 10))
        }
    }

    /// Takes away the triggers, as somebody with the run of the database could.
    private func disarm(_ database: any Database) async throws {
        try await database.write { transaction in
            if transaction.dialect == .postgres {
                try transaction.execute("ALTER TABLE audit DISABLE TRIGGER ALL")
            } else {
                try transaction.execute("DROP TRIGGER audit_no_update")
                try transaction.execute("DROP TRIGGER audit_no_delete")
            }
        }
    }
}
