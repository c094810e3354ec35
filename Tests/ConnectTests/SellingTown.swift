import CloudAPI
import CloudClient
import Connect
import Exchange
import Fleet
import Foundation
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport
import Testing

/// Where an exchange and a connect keep everything, so that others can take over from them.
struct SellingHome: Sendable {
    let exchange: String
    let connect: String
    let directory: String
}

func withSellingHome<Result: Sendable>(_ kind: DatabaseKind, _ body: (SellingHome) async throws -> Result) async throws -> Result {
    try await withTestDatabase(kind) { exchange in
        try await withTestDatabase(kind) { connect in
            let directory = try TemporaryDirectory("selling")
            defer { withExtendedLifetime(directory) {} }
            return try await body(SellingHome(exchange: exchange.url, connect: connect.url, directory: directory.path))
        }
    }
}

/// A real exchange with a seller, a buyer and two products, and the seller's connect: eight small lots fit on a host, or two large ones
/// and two small.
struct SellingTown: Sendable {
    let admin: CloudClient
    /// The seller and the buyer by token: another way to the exchange than by connect.
    let seller: CloudClient
    let buyer: CloudClient
    /// The operator of connect.
    let connect: CloudClient
    let datacenter: DatacenterID
    let sellerID: ParticipantID
    let small: ProductView
    let large: ProductView
    /// Spot.
    let smallSeries: SeriesID
    let largeSeries: SeriesID
    let database: any Database

    /// As the exchange defines a general lot.
    static let smallLot = Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480)
    static let hostHardware = Resources(milliCPU: 8_000, memoryMiB: 32_768, diskMiB: 200_000)
    static let price: Int64 = 40_000

    // MARK: Trading

    @discardableResult
    func ask(_ lots: Int64, of series: SeriesID? = nil, key: String? = nil) async throws -> OrderView {
        try await connect.call(
            ConnectAPI.createAsk, body: CreateAsk(series: series ?? smallSeries, lots: lots, price: Self.price), idempotencyKey: key)
    }

    @discardableResult
    func buy(_ lots: Int64, of series: SeriesID? = nil) async throws -> OrderView {
        let order = PlaceOrder(series: series ?? smallSeries, side: .buy, type: .immediateOrCancel, price: Self.price, lots: lots)
        return try await buyer.call(ExchangeAPI.placeOrder, body: order)
    }

    func cancel(_ order: OrderView) async throws {
        _ = try await seller.call(ExchangeAPI.cancelOrder, path: ["order": order.id.description])
    }

    func end(_ contract: ContractID) async throws {
        _ = try await admin.call(
            ExchangeAPI.stopContract, path: ["contract": contract.description], body: StopContract(reason: "over", immediately: true))
    }

    // MARK: Looking

    func reservations() async throws -> [CapacityReservationView] {
        try await connect.items(of: ConnectAPI.listReservations, query: ["state": "open"])
    }

    func capacity(of product: ProductView) async throws -> ProductCapacityView {
        try #require(try await connect.items(of: ConnectAPI.listProductCapacity).first { $0.product == product.id })
    }

    func declared(_ product: ProductView) async throws -> DeclaredCapacityView? {
        try await admin.items(of: ExchangeAPI.listDeclaredCapacity, path: ["datacenter": datacenter.description])
            .first { $0.product == product.id }
    }

    func order(_ order: OrderView) async throws -> OrderView {
        try await admin.call(ExchangeAPI.showOrder, path: ["order": order.id.description])
    }

    // MARK: Hosts

    func addHost(_ number: UInt64, _ hardware: Resources = hostHardware, pod name: String = "pod-1") async throws {
        let text = try WireJSON.text(hardware)
        try await database.write { transaction in
            let pod = try transaction.query("SELECT id FROM pods WHERE name = $1", [.text(name)]).map { try $0.text("id") }.first
            try transaction.execute(
                """
                INSERT INTO hosts (id, pod, name, zone, state, hardware, hypervisor, agent_version, guest_network, last_seen, meter_sequence)
                VALUES ($1, $5, $2, 'demo-1a', 'up', $3, 'test', '1', '10.77.0.1/16', $4, 0)
                """,
                [
                    SQLValue(HostID(bits: number)), .text("host-\(number)"), .text(text),
                    SQLValue(SystemTime().now() + .days(1)), SQLValue(pod),
                ])
        }
    }

    func setStorage(_ storage: StorageArchitecture, ofPod name: String) async throws {
        try await database.write { transaction in
            try transaction.execute("UPDATE pods SET storage = $2 WHERE name = $1", [.text(name), .text(storage.rawValue)])
        }
    }

    func set(_ number: UInt64, _ state: Fleet.Host.State) async throws {
        try await database.write { transaction in
            try transaction.execute("UPDATE hosts SET state = $2 WHERE id = $1", [SQLValue(HostID(bits: number)), SQLValue(state)])
        }
    }
}

/// Runs exchange and connect on what is there, while the body runs.
func withSelling<Result: Sendable>(
    _ home: SellingHome, _ adjust: (inout ConnectConfiguration) -> Void = { _ in }, _ body: (SellingTown) async throws -> Result
) async throws -> Result {
    var logger = Logger(label: "selling") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = ProcessInfo.processInfo.environment["BOURSE_TEST_LOG"].flatMap { Logger.Level(rawValue: $0) } ?? .critical
    let market = try openDatabase(home.exchange, options: .quiet)
    var configuration = ExchangeConfiguration(name: "demo", dataDirectory: home.directory + "/exchange", databaseURL: home.exchange)
    configuration.operatorToken = "bt_operator"
    // Programs that have enrolled find the exchange where it was.
    let portFile = home.directory + "/peer-port"
    let peerPort = (try? String(contentsOfFile: portFile, encoding: .utf8)).flatMap { Int($0) } ?? 0
    (configuration.publicPort, configuration.peerPort, configuration.instance) = (0, peerPort, "one")
    let exchange = try await ExchangeService(configuration, database: market, logger: logger)
    return try await running(exchange.services, logger) {
        let base = "http://127.0.0.1:\(await exchange.publicPort.value())"
        try String(await exchange.peerPort.value()).write(toFile: portFile, atomically: true, encoding: .utf8)
        let clients = try await SellingClients(base)
        let database = try openDatabase(home.connect, options: .quiet)
        var configuration = ConnectConfiguration(
            dataDirectory: home.directory + "/connect", databaseURL: home.connect, exchangeURL: base, name: "north", region: "demo",
            zone: "demo-1a")
        configuration.operatorToken = "bt_connect"
        configuration.enrolmentToken = try await clients.enrolmentToken()
        (configuration.publicPort, configuration.peerPort) = (0, 0)
        configuration.advertisedPeerAddress = "127.0.0.1:7421"
        configuration.oversubscription = Oversubscription(cpu: 1_000, memory: 1_000, disk: 1_000)
        adjust(&configuration)
        let service = try await ConnectService(configuration, database: database, logger: logger)
        return try await running(service.services, logger) {
            let connect = try CloudClient(
                base: "http://127.0.0.1:\(await service.publicPort.value())", authentication: .bearer("bt_connect"))
            return try await connect.closing { connect in
                try await body(try await clients.town(connect, database))
            }
        } finally: {
            await clients.shutdown()
        }
    } finally: {
    }
}

private func running<Result: Sendable>(
    _ services: [any Service], _ logger: Logger, _ body: () async throws -> Result, finally: () async -> Void
) async throws -> Result {
    let group = ServiceGroup(services: services, logger: logger)
    let task = Task { try await group.run() }
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    await finally()
    await group.triggerGracefulShutdown()
    _ = await task.result
    return try result.get()
}

/// The parties at the exchange; made once, found again after a restart.
private final class SellingClients: Sendable {
    let base: String
    let admin: CloudClient
    let seller: ParticipantID
    let buyer: ParticipantID
    private let opened = Mutex<[CloudClient]>([])

    init(_ base: String) async throws {
        self.base = base
        let admin = try CloudClient(base: base, authentication: .bearer("bt_operator"))
        self.admin = admin
        try await eventually("the market is open") { (try? await admin.call(ExchangeAPI.listParticipants)) != nil }
        func participant(_ name: String, _ role: ParticipantRole) async throws -> ParticipantID {
            let id = try await admin.call(
                ExchangeAPI.createParticipant, body: CreateParticipant(name: name, roles: [role], currency: .eur), idempotencyKey: name
            ).id
            _ = try await admin.call(
                ExchangeAPI.transfer, path: ["participant": id.description],
                body: Transfer(amount: Money(microUnits: 1_000_000_000_000, .eur), reference: "bank"), idempotencyKey: "money-" + name)
            return id
        }
        seller = try await participant("Nordlicht", .seller)
        buyer = try await participant("Acme", .buyer)
        opened.withLock { $0.append(admin) }
    }

    /// The datacenter keeps its identifier.
    func enrolmentToken() async throws -> String {
        let body = CreateEnrolment(participant: seller, role: .connect, id: DatacenterID(bits: 77).description)
        return try await admin.call(ExchangeAPI.createEnrolment, body: body).token
    }

    func town(_ connect: CloudClient, _ database: any Database) async throws -> SellingTown {
        let small = try await product("small", SellingTown.smallLot, .all)
        let large = try await product("large", Resources(milliCPU: 3_000, memoryMiB: 8_192, diskMiB: 20_480), .spotOnly)
        let admin = self.admin
        try await eventually("the datacenter is registered") { try await !admin.call(ExchangeAPI.listDatacenters).items.isEmpty }
        return SellingTown(
            admin: admin, seller: try await client(seller), buyer: try await client(buyer), connect: connect,
            datacenter: DatacenterID(bits: 77), sellerID: seller, small: small, large: large,
            smallSeries: try await spot(of: small), largeSeries: try await spot(of: large), database: database)
    }

    private func product(_ name: String, _ lot: Resources, _ forwards: ForwardDefinition) async throws -> ProductView {
        let definition = ProductDefinition(
            name: name, unitClass: lot == SellingTown.smallLot ? "general" : "gpu-large", lot: lot, region: "demo", zone: "demo-1a",
            jurisdiction: "DE", tenancy: .shared,
            storage: .das, firmness: .firm, slaProfile: "standard", largestOversubscription: 8_000, currency: .eur,
            spotPeriodSeconds: 3_600, forwards: forwards)
        return try await admin.call(ExchangeAPI.createProduct, body: definition, idempotencyKey: name)
    }

    private func spot(of product: ProductView) async throws -> SeriesID {
        let series = try await admin.items(of: ExchangeAPI.listSeries, query: ["product": product.id.description, "kind": "spot"])
        return try #require(series.first).id
    }

    private func client(_ participant: ParticipantID) async throws -> CloudClient {
        let token = try await admin.call(
            ExchangeAPI.createParticipantToken, path: ["participant": participant.description], body: CreateToken(description: "test"))
        let client = try CloudClient(base: base, authentication: .bearer(token.token))
        opened.withLock { $0.append(client) }
        return client
    }

    func shutdown() async {
        for client in opened.withLock({ $0 }) { await client.shutdown() }
    }
}
