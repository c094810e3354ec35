import Foundation
import Primitives
import Store
import Synchronization
import TestSupport

let start = Instant(seconds: 1_767_225_600)

/// Two tables most tests make do with.
let sampleTables = [
    Migration("test/0001") { dialect in
        [
            "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT UNIQUE, data \(dialect.blob))",
            "CREATE TABLE parts (id BIGINT PRIMARY KEY, item BIGINT NOT NULL REFERENCES items (id))",
        ]
    }
]

struct Deliberate: Error, Equatable { var number = 0 }

/// Keeps the writer busy, so that what is written meanwhile waits and becomes one group.
final class Gate: Sendable {
    private let opened = DispatchSemaphore(value: 0)
    private let entered = DispatchSemaphore(value: 0)

    /// Starts `calls` while the writer is held, waits until as many writes queue, runs `whileHeld`, lets go, and returns the results
    /// of `calls` in their order.
    func hold<Value: Sendable>(
        _ database: any Database, calls: [@Sendable () async throws -> Value], waiting: Int? = nil,
        whileHeld: @Sendable () async throws -> Void = {}
    ) async throws -> [Result<Value, any Error>] {
        try await withThrowingTaskGroup(of: Void.self) { holders in
            holders.addTask {
                try await database.write { _ in
                    self.entered.signal()
                    self.opened.wait()
                }
            }
            while entered.wait(timeout: .now()) == .timedOut { try await Task.sleep(for: .milliseconds(1)) }
            let results = try await withThrowingTaskGroup(of: (Int, Result<Value, any Error>).self) { group in
                for (index, call) in calls.enumerated() {
                    group.addTask {
                        do { return (index, .success(try await call())) } catch { return (index, .failure(error)) }
                    }
                }
                try await eventually("all writes wait") { database.statistics.waitingWrites == waiting ?? calls.count }
                try await whileHeld()
                self.opened.signal()
                var results: [(Int, Result<Value, any Error>)] = []
                for try await result in group { results.append(result) }
                return results.sorted { $0.0 < $1.0 }.map(\.1)
            }
            try await holders.waitForAll()
            return results
        }
    }
}

extension Database {
    func count(_ table: String) async throws -> Int {
        try await read { Int(try $0.queryOne("SELECT COUNT(*) AS n FROM \(table)")?.integer("n") ?? -1) }
    }
}

/// The `StoreError` that `body` throws, nil when it throws none.
func storeError<Value>(_ body: () async throws -> Value) async -> StoreError? {
    do { _ = try await body() } catch { return error as? StoreError ?? .other(code: "not a StoreError", "\(error)") }
    return nil
}

extension StoreError {
    /// The case without its text.
    var kind: String {
        switch self {
        case .unique: "unique"
        case .foreignKey: "foreignKey"
        case .busy: "busy"
        case .full: "full"
        case .connection: "connection"
        case .corrupted: "corrupted"
        case .other: "other"
        }
    }
}

/// A number that many may raise.
final class Tally: Sendable {
    private let number = Mutex(0)

    var value: Int { number.withLock { $0 } }

    /// Raises it by one and returns it.
    @discardableResult
    func up() -> Int {
        number.withLock { number in
            number += 1
            return number
        }
    }
}
