import CloudAPI
import CloudClient
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport

/// A connect that has enrolled at a fake exchange, with its peers' certificates made by the same authority.
final class ConnectFixture: Sendable {
    let town: Town
    let exchange: FakeExchange
    let publicURL: String
    let peerPort: Int
    private let own: ConnectService?
    /// Where it runs in a process of its own.
    let program: ConnectProgram?
    static let operatorToken = "bt_operator"

    private init(
        _ town: Town, _ exchange: FakeExchange, _ service: ConnectService?, _ program: ConnectProgram? = nil, publicPort: Int, peerPort: Int
    ) {
        self.town = town
        (own, self.program) = (service, program)
        self.exchange = exchange
        publicURL = "http://127.0.0.1:\(publicPort)"
        self.peerPort = peerPort
    }

    /// Where it runs in this process.
    var service: ConnectService {
        guard let own else { preconditionFailure("this connect runs in a process of its own") }
        return own
    }

    /// Runs it, then the body, then stops it.
    static func with(
        on kind: DatabaseKind = .sqlite, _ adjust: (inout ConnectConfiguration) -> Void = { _ in },
        _ body: (ConnectFixture) async throws -> Void
    ) async throws {
        try await withTestDatabase(kind) { try await with(url: $0.url, adjust, body) }
    }

    /// The same on a database that is there.
    static func with(
        url: String, _ adjust: (inout ConnectConfiguration) -> Void = { _ in }, _ body: (ConnectFixture) async throws -> Void
    ) async throws {
        try await withExchange(url: url, adjust) { town, exchange, configuration in
            let service = try await ConnectService(configuration, logger: town.logger)
            let connect = Running(service.services, town)
            let fixture = ConnectFixture(
                town, exchange, service, publicPort: await service.publicPort.value(), peerPort: await service.peerPort.value())
            let result: Result<Void, any Error>
            do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
            await connect.stop()
            try result.get()
        }
    }

    /// The same in a process of its own, on the ports that `adjust` gives it. What it leaves is audited in the end.
    static func separate(
        url: String, _ adjust: (inout ConnectConfiguration) -> Void, _ body: (ConnectFixture) async throws -> Void
    ) async throws {
        try await withExchange(url: url, adjust) { town, exchange, configuration in
            let program = ConnectProgram(configuration)
            let result: Result<Void, any Error>
            do {
                try await program.start()
                try await body(
                    ConnectFixture(
                        town, exchange, nil, program, publicPort: configuration.publicPort, peerPort: configuration.peerPort))
                result = .success(())
            } catch {
                result = .failure(error)
            }
            try await program.stop()
            try result.get()
            let service = try await ConnectService(configuration, logger: town.logger)
            let successor = Running(service.services, town)
            let violations = try await service.violations()
            await successor.stop()
            guard violations.isEmpty else { throw DidNotHappen(description: "memory says what the tables say: \(violations)") }
        }
    }

    private static func withExchange(
        url: String, _ adjust: (inout ConnectConfiguration) -> Void,
        _ body: (Town, FakeExchange, ConnectConfiguration) async throws -> Void
    ) async throws {
        let town = try Town("connect")
        let exchange = FakeExchange(town)
        let database = try openDatabase("sqlite:" + town.directory.file("exchange.db"))
        try await database.migrate([Tokens.migration])
        let market = Running([try exchange.service(database: database)], town)
        let folder = town.directory.file("connect")
        try town.enrol(
            .program(exchange: Town.exchange, participant: town.seller, role: .connect, id: town.datacenter.description),
            in: folder + "/identity", peerAddress: "127.0.0.1:\(await exchange.port.value())")
        var configuration = ConnectConfiguration(
            dataDirectory: folder, databaseURL: url, exchangeURL: "http://127.0.0.1:1", name: "north",
            region: Town.region, zone: Town.zone)
        configuration.operatorToken = operatorToken
        (configuration.publicPort, configuration.peerPort) = (0, 0)
        configuration.contractGraceSeconds = 1
        // Hosts of tests speak when they are told to; where their silence is what is tested, the test says how long it may be.
        configuration.suspectSeconds = 600
        adjust(&configuration)
        let result: Result<Void, any Error>
        do { result = .success(try await body(town, exchange, configuration)) } catch { result = .failure(error) }
        await market.stop()
        await database.close()
        try result.get()
    }

    // MARK: Callers

    /// The name and address by which peers know this connect.
    private var name: String { IdentityName.dns(role: .connect, id: town.datacenter.description, exchange: Town.exchange) }
    private var address: String { "127.0.0.1:\(peerPort)" }

    /// A certificate of one side of a contract.
    func certificate(
        _ contract: ContractView, _ side: ContractSide = .buyer, from authority: CertificateAuthority? = nil, at now: Instant? = nil
    ) throws -> (credential: Credential, serial: String) {
        let key = CredentialKey()
        let issued = try (authority ?? town.authority).issueContract(
            csrPEM: try key.csrPEM(), terms: FakeExchange.terms(contract, side), now: now ?? SystemTime().now())
        return (try key.credential(chainPEM: issued.chainPEM), issued.serial)
    }

    /// A client of connect's peer listener with a certificate.
    func client(as credential: Credential?) throws -> CloudClient {
        try CloudClient(
            base: "https://\(name):\(peerPort)",
            authentication: .mutual(try clientTLS(credential: credential, trust: try town.authority.trustBundle())),
            dialing: [name: "127.0.0.1"])
    }

    /// Calls connect's peer listener with a certificate, on a connection of its own.
    func call<Body, Answer>(
        _ endpoint: Endpoint<Body, Answer>, as credential: Credential?, path: [String: String] = [:], query: [String: String] = [:],
        body: Body, idempotencyKey: String? = nil
    ) async throws -> Answer {
        try await client(as: credential).closing {
            try await $0.call(endpoint, path: path, query: query, body: body, idempotencyKey: idempotencyKey)
        }
    }

    func capacity(as credential: Credential?) async throws -> ContractCapacity {
        try await call(ConnectAPI.contractCapacity, as: credential, body: Empty())
    }

    /// Calls the public listener as the operator.
    func manage<Body, Answer>(
        _ endpoint: Endpoint<Body, Answer>, path: [String: String] = [:], query: [String: String] = [:], body: Body
    ) async throws -> Answer {
        let client = try CloudClient(base: publicURL, authentication: .bearer(Self.operatorToken))
        return try await client.closing { try await $0.call(endpoint, path: path, query: query, body: body) }
    }

    /// Waits until connect has a contract of the exchange.
    func know(_ contract: ContractView, _ credential: Credential) async throws {
        try await eventually("connect knows \(contract.id)") { (try? await self.capacity(as: credential)) != nil }
    }
}

/// Services that run until they are stopped.
final class Running: Sendable {
    private let group: ServiceGroup
    private let task: Task<Void, any Error>

    init(_ services: [any Service], _ town: Town) {
        let group = ServiceGroup(services: services, logger: town.logger)
        self.group = group
        task = Task { try await group.run() }
    }

    func stop() async {
        await group.triggerGracefulShutdown()
        _ = await task.result
    }
}

/// The rule of the refusal that a call ends in; nil when it does not, `unreachable` when there was no answer at all.
func refusal(_ body: () async throws -> Void) async -> String? {
    do {
        try await body()
        return nil
    } catch let problem as ProblemDocument {
        return problem.rule
    } catch {
        return "unreachable"
    }
}
