import Primitives
import Store
import Testing
import TestSupport

@Suite struct AnswerTests {
    @Test(arguments: DatabaseKind.allCases)
    func `A remembered answer is given again, per scope, until forgotten`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind) { database in
            try await database.write { transaction in
                try transaction.rememberAnswer(scope: "par-1", key: "k", requestHash: "h1", status: 201, body: #"{"id":1}"#, at: start)
                try transaction.rememberAnswer(scope: "par-2", key: "k", requestHash: "h2", status: 409, body: "", at: start + .hours(1))
            }
            #expect(
                try await database.read { try $0.answer(scope: "par-1", key: "k") }
                    == StoredAnswer(requestHash: "h1", status: 201, body: #"{"id":1}"#))
            #expect(try await database.read { try $0.answer(scope: "par-2", key: "k") }?.status == 409)
            #expect(try await database.read { try $0.answer(scope: "par-3", key: "k") } == nil)
            #expect(try await database.write { try $0.forgetAnswers(before: start + .minutes(1)) } == 1)
            #expect(try await database.read { try $0.answer(scope: "par-1", key: "k") } == nil)
            #expect(try await database.read { try $0.answer(scope: "par-2", key: "k") } != nil)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Old answers are forgotten all, in pieces`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind) { database in
            try await database.write { transaction in
                for number in 0..<25 {
                    try transaction.rememberAnswer(
                        scope: "s", key: "k\(number)", requestHash: "h", status: 200, body: "", at: start + .minutes(Int64(number)))
                }
            }
            #expect(try await database.write { try $0.forgetAnswers(before: start + .minutes(20), limit: 7) } == 7)
            try await database.forgetAnswers(before: start + .minutes(20))
            let left = try await database.read { context in
                try (0..<25).filter { try context.answer(scope: "s", key: "k\($0)") != nil }
            }
            #expect(left == [20, 21, 22, 23, 24])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Of many requests with one key, one does the work and all get its answer`(_ kind: DatabaseKind) async throws {
        try await withDatabase(kind, migrations: sampleTables) { database in
            let bodies = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        try await database.write { transaction in
                            if let answer = try transaction.answer(scope: "s", key: "k") { return answer.body }
                            try transaction.execute("INSERT INTO items (id) VALUES ($1)", [SQLValue(number)])
                            try transaction.rememberAnswer(
                                scope: "s", key: "k", requestHash: "h", status: 200, body: "by \(number)", at: start)
                            return "by \(number)"
                        }
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(bodies.count == 1)
            #expect(try await database.count("items") == 1)
            let error = await storeError {
                try await database.write { try $0.rememberAnswer(scope: "s", key: "k", requestHash: "h", status: 200, body: "", at: start) }
            }
            #expect(error?.kind == "unique")
        }
    }
}
