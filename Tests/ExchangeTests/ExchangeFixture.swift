import CloudAPI
import CloudClient
import Exchange
import Foundation
import Logging
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport
import Testing

/// The manual clock as programs know time.
struct TestTime: TimeSource {
    let clock: ManualClock
    func now() -> Instant { clock.now }
}

/// Where an exchange keeps everything, so that another one can take over from it.
struct ExchangeHome: Sendable {
    let url: String
    let directory: String
    let clock: ManualClock

    /// The clock starts at the full minute: certificates must also be valid by the real time, which clients go by.
    init(url: String, directory: String) {
        self.url = url
        self.directory = directory
        clock = ManualClock(SystemTime().now().floored(to: .minutes(1)))
    }

    static let operatorToken = "bt_operator"

    func configuration(instance: String = "one") -> ExchangeConfiguration {
        var configuration = ExchangeConfiguration(name: "demo", dataDirectory: directory, databaseURL: url)
        configuration.operatorToken = Self.operatorToken
        configuration.publicPort = 0
        configuration.peerPort = 0
        configuration.instance = instance
        configuration.publicName = "exchange.example.org"
        return configuration
    }
}

/// A running exchange and clients of it.
final class RunningExchange: Sendable {
    let home: ExchangeHome
    let service: ExchangeService
    let database: any Database
    let base: String
    private let clients = Mutex<[CloudClient]>([])

    init(_ home: ExchangeHome, _ service: ExchangeService, _ database: any Database) async {
        self.home = home
        self.service = service
        self.database = database
        base = "http://127.0.0.1:\(await service.publicPort.value())"
        _ = await service.peerPort.value()
    }

    var clock: ManualClock { home.clock }
    var `operator`: CloudClient { get throws { try client(token: ExchangeHome.operatorToken) } }

    /// Nil: without a token.
    func client(token: String?) throws -> CloudClient {
        let client = try CloudClient(base: base, authentication: token.map { .bearer($0) } ?? .none)
        clients.withLock { $0.append(client) }
        return client
    }

    fileprivate func shutdownClients() async {
        for client in clients.withLock({ $0 }) { await client.shutdown() }
    }

    /// Moves the clock and waits until the market has done what is due.
    func advance(_ span: Span) async throws {
        clock.advance(by: span)
        try await eventually("the market has caught up with the clock") {
            if let due = await self.service.nextDue(), due <= self.clock.now { return false }
            return try await self.service.stateHash() == self.service.storedStateHash()
        }
    }

    /// Every table as text, to look for what must not be in it.
    func storedText() async throws -> String {
        try await database.read { context in
            let names =
                context.dialect == .sqlite
                ? "SELECT name FROM sqlite_master WHERE type = 'table'"
                : "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
            return try context.query(names).map { try $0.text("name") }.map { name in
                let rows = try context.query("SELECT * FROM \(name)")
                return name + "\n" + rows.map { row in (0..<row.count).map { "\(row[$0])" }.joined(separator: " ") }.joined(separator: "\n")
            }.joined(separator: "\n")
        }
    }

    /// Everything the independent auditor of the tables finds wrong, and whether memory and tables agree.
    func problems() async throws -> [String] {
        // The tables come a moment after the answers.
        for _ in 0..<200 where try await service.storedStateHash() != service.stateHash() { try await Task.sleep(for: .milliseconds(50)) }
        let stored = try await service.storedStateHash()
        let found = try await database.read { try TableAuditor.problems(in: $0) }
        return found + (await service.stateHash() == stored ? [] : ["memory and tables differ"])
    }
}

/// Runs an exchange while the body runs, and stops it in order.
func withExchange<Result: Sendable>(
    _ home: ExchangeHome, instance: String = "one", database: (any Database)? = nil, journal: (any Database)? = nil,
    streams: StreamLimits = StreamLimits(), fairness: FairnessLimits = FairnessLimits(),
    _ body: (RunningExchange) async throws -> Result
) async throws -> Result {
    var logger = Logger(label: "exchange") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .critical
    let opened = try database ?? openDatabase(home.url, options: .quiet)
    var configuration = home.configuration(instance: instance)
    configuration.streams = streams
    configuration.fairness = fairness
    let service = try await ExchangeService(
        configuration, database: opened, journal: journal, time: TestTime(clock: home.clock), logger: logger)
    let group = ServiceGroup(services: service.services, logger: logger)
    async let running: Void = group.run()
    let exchange = await RunningExchange(home, service, opened)
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(exchange)) } catch { result = .failure(error) }
    await exchange.shutdownClients()
    await group.triggerGracefulShutdown()
    try await running
    if database == nil { await opened.close() }
    return try result.get()
}

/// An exchange with an empty database of its own.
func withExchange<Result: Sendable>(_ kind: DatabaseKind, _ body: (RunningExchange) async throws -> Result) async throws -> Result {
    try await withHome(kind) { home in try await withExchange(home, body) }
}

func withHome<Result: Sendable>(_ kind: DatabaseKind, _ body: (ExchangeHome) async throws -> Result) async throws -> Result {
    try await withTestDatabase(kind) { database in
        let directory = try TemporaryDirectory("exchange")
        defer { withExtendedLifetime(directory) {} }
        return try await body(ExchangeHome(url: database.url, directory: directory.path))
    }
}

/// The problem a call gives; fails the test when it gives none.
func problem<T>(
    _ call: () async throws -> T, sourceLocation: SourceLocation = #_sourceLocation
) async throws -> ProblemDocument {
    do {
        _ = try await call()
    } catch let problem as ProblemDocument {
        return problem
    }
    Issue.record("the call succeeded", sourceLocation: sourceLocation)
    throw NotRefused()
}

struct NotRefused: Error {}
