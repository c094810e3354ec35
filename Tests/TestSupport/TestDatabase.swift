import Foundation
import Logging
public import Store

/// Every store test runs on both.
public enum DatabaseKind: String, CaseIterable, Sendable {
    case sqlite, postgres
}

/// An empty database of one test, open or not.
public struct TestDatabase: Sendable {
    public let kind: DatabaseKind
    public let url: String
    /// PostgreSQL's name of it, for `PostgresServer.run`.
    public let name: String
    private let directory: TemporaryDirectory?

    public static func create(_ kind: DatabaseKind) async throws -> TestDatabase {
        switch kind {
        case .sqlite:
            let directory = try TemporaryDirectory("db")
            return TestDatabase(kind: kind, url: "sqlite:" + directory.file("store.db"), name: "", directory: directory)
        case .postgres:
            let server = try PostgresServer.shared()
            let name = try await server.createDatabase()
            return TestDatabase(kind: kind, url: server.url(of: name), name: name, directory: nil)
        }
    }

    public func open(_ options: DatabaseOptions = .quiet) throws -> any Database { try openDatabase(url, options: options) }

    public func remove() async throws {
        if kind == .postgres { try await PostgresServer.shared().dropDatabase(name) }
        withExtendedLifetime(directory) {}
    }
}

extension DatabaseOptions {
    /// For tests: what the database logs is not shown.
    public static var quiet: DatabaseOptions {
        var options = DatabaseOptions()
        options.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return options
    }
}

/// Gives the body an empty, closed database of its own and removes it afterwards.
public func withTestDatabase<Result>(_ kind: DatabaseKind, _ body: (TestDatabase) async throws -> Result) async throws -> Result {
    let database = try await TestDatabase.create(kind)
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(database)) } catch { result = .failure(error) }
    try await database.remove()
    return try result.get()
}

/// Gives the body an open, migrated database of its own; closes and removes it afterwards.
public func withDatabase<Result>(
    _ kind: DatabaseKind, migrations: [Migration] = [], options: DatabaseOptions = .quiet, _ body: (any Database) async throws -> Result
) async throws -> Result {
    try await withTestDatabase(kind) { test in
        let database = try test.open(options)
        let result: Swift.Result<Result, any Error>
        do {
            try await database.migrate(migrations)
            result = .success(try await body(database))
        } catch {
            result = .failure(error)
        }
        await database.close()
        return try result.get()
    }
}
