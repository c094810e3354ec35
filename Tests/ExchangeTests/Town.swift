import CloudAPI
import CloudClient
import Foundation
import Logging
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// A seller with a connect, a buyer with a manage, a stranger, and a product with a one-minute spot period.
struct Town: Sendable {
    let exchange: RunningExchange
    let seller: ParticipantID
    let buyer: ParticipantID
    let stranger: ParticipantID
    let product: ProductView
    let series: SeriesID
    let connect: Program
    let manage: Program
    /// By bearer token.
    let buyerClient: CloudClient
    let strangerClient: CloudClient

    /// An enrolled program, its directory and its clients.
    struct Program: Sendable {
        let identity: ProgramIdentity
        let directory: TemporaryDirectory
        var exchange: CloudClient { identity.exchange }
        var id: String { identity.record.id }
    }

    static let price: Int64 = 3_600_000

    init(
        _ exchange: RunningExchange, capacity: Int64 = 100, deposit: Int64 = 1_000_000_000, spotPeriodSeconds: Int64 = 60,
        risk: ProductRisk? = nil
    ) async throws {
        self.exchange = exchange
        let admin = try exchange.operator
        seller = try await Self.participant("Nordlicht", .seller, admin)
        buyer = try await Self.participant("Acme", .buyer, admin)
        stranger = try await Self.participant("Stranger", .buyer, admin)
        for id in [buyer, stranger] {
            let transfer = Transfer(amount: Money(microUnits: deposit, .eur), reference: "bank")
            _ = try await admin.call(ExchangeAPI.transfer, path: ["participant": id.description], body: transfer)
        }
        product = try await admin.call(ExchangeAPI.createProduct, body: Self.definition(spotPeriodSeconds: spotPeriodSeconds, risk: risk))
        series = try #require(try await admin.call(ExchangeAPI.listSeries).items.first).id
        connect = try await Self.enrol(exchange, seller, .connect)
        manage = try await Self.enrol(exchange, buyer, .manage)
        buyerClient = try await Self.client(exchange, buyer)
        strangerClient = try await Self.client(exchange, stranger)
        let datacenter = ["datacenter": connect.id]
        _ = try await connect.exchange.call(
            ExchangeAPI.registerDatacenter, path: datacenter,
            body: RegisterDatacenter(name: "DC 1", region: "demo", zones: ["demo-1a"], peerAddress: "127.0.0.1:7421"))
        _ = try await connect.exchange.call(
            ExchangeAPI.declareCapacity, path: datacenter, body: DeclareCapacity(product: product.id, lots: capacity))
    }

    static func definition(
        _ name: String = "general.demo-1a.das", spotPeriodSeconds: Int64 = 60, risk: ProductRisk? = nil
    ) -> ProductDefinition {
        ProductDefinition(
            name: name, unitClass: "general", lot: Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480), region: "demo",
            zone: "demo-1a",
            jurisdiction: "DE", tenancy: .shared, storage: .das, firmness: .firm, slaProfile: "standard", largestOversubscription: 8_000,
            currency: .eur, spotPeriodSeconds: spotPeriodSeconds, forwards: .spotOnly, risk: risk)
    }

    private static func participant(_ name: String, _ role: ParticipantRole, _ admin: CloudClient) async throws -> ParticipantID {
        try await admin.call(ExchangeAPI.createParticipant, body: CreateParticipant(name: name, roles: [role], currency: .eur)).id
    }

    static func client(_ exchange: RunningExchange, _ participant: ParticipantID) async throws -> CloudClient {
        let token = try await exchange.operator.call(
            ExchangeAPI.createParticipantToken, path: ["participant": participant.description], body: CreateToken(description: "test"))
        return try exchange.client(token: token.token)
    }

    static func enrol(
        _ exchange: RunningExchange, _ participant: ParticipantID, _ role: ProgramRole, id: String? = nil
    ) async throws -> Program {
        let token = try await exchange.operator.call(
            ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: participant, role: role, id: id)
        ).token
        let directory = try TemporaryDirectory("program")
        let identity = try await ProgramIdentity.loadOrEnrol(
            directory: directory.path, exchangeURL: exchange.base, token: token, names: ["127.0.0.1"],
            time: TestTime(clock: exchange.clock),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        return Program(identity: identity, directory: directory)
    }

    /// Must be called before the exchange stops.
    func leave() async {
        await connect.exchange.shutdown()
        await manage.exchange.shutdown()
    }

    // MARK: Trading

    @discardableResult
    func ask(_ lots: Int64, at price: Int64 = price, key: String? = nil) async throws -> OrderView {
        let order = PlaceOrder(series: series, side: .sell, type: .limit, price: price, lots: lots, datacenter: DatacenterID(connect.id))
        return try await connect.exchange.call(ExchangeAPI.placeOrder, body: order, idempotencyKey: key)
    }

    func bid(_ lots: Int64, at price: Int64 = price) -> PlaceOrder {
        PlaceOrder(series: series, side: .buy, type: .limit, price: price, lots: lots)
    }

    /// A contract of so many lots, confirmed by these sides.
    func trade(_ lots: Int64, confirmed: [DeliverySide] = DeliverySide.allCases) async throws -> ContractView {
        try await ask(lots)
        let order = try await manage.exchange.call(ExchangeAPI.placeOrder, body: bid(lots))
        let contract = try #require(order.contracts.first)
        for side in confirmed { try await certificate(of: contract, side == .buyer ? manage : connect) }
        return try await self.contract(contract)
    }

    @discardableResult
    func certificate(of contract: ContractID, _ program: Program) async throws -> IssuedCertificateView {
        try await program.exchange.call(
            ExchangeAPI.issueContractCertificate, path: ["contract": contract.description],
            body: CertificateRequest(csr: try CredentialKey().csrPEM()))
    }

    /// One side's signed report on a stretch, of whose lot-time so many thousandths were missing.
    func report(_ stretch: DeliveryView, _ program: Program, missing thousandths: Int64) async throws -> DeliveryView {
        try await program.exchange.call(
            ExchangeAPI.reportDelivery, path: ["contract": stretch.contract.description],
            body: try Self.signed(stretch, program, missing: thousandths))
    }

    static func signed(_ stretch: DeliveryView, _ program: Program, missing: Int64) throws -> ReportDelivery {
        try signed(
            stretch, program.identity.tls.credential, program.identity.record.role == .manage ? .buyer : .seller, missing: missing)
    }

    static func signed(_ stretch: DeliveryView, _ credential: Credential, _ side: DeliverySide, missing: Int64) throws -> ReportDelivery {
        let contracted = stretch.lots * stretch.period.length.microseconds
        let gone = contracted / 1_000 * missing
        var body = ReportDelivery(
            period: stretch.period, demandedLotMicroseconds: contracted, deliveredLotMicroseconds: contracted - gone,
            unavailable: gone == 0 ? [] : [UnavailabilityView(cause: .host, lotMicroseconds: gone)],
            evidenceHash: String(repeating: "5f", count: 32))
        body.signature = try credential.signature(of: body.signedText(contract: stretch.contract, side: side))
        body.certificate = credential.chainPEM
        return body
    }

    func contract(_ id: ContractID) async throws -> ContractView {
        try await exchange.operator.call(ExchangeAPI.showContract, path: ["contract": id.description])
    }

    func balance(of participant: ParticipantID, _ account: String) async throws -> Int64 {
        let all = try await exchange.operator.call(ExchangeAPI.listBalances).items
        return all.first { $0.participant == participant && $0.account == account }?.amount.microUnits ?? 0
    }
}

/// Starts an exchange with a town in it.
func withTown<Result: Sendable>(
    _ kind: DatabaseKind, capacity: Int64 = 100, deposit: Int64 = 1_000_000_000, risk: ProductRisk? = nil,
    _ body: (Town) async throws -> Result
) async throws -> Result {
    try await withExchange(kind) { exchange in
        let town = try await Town(exchange, capacity: capacity, deposit: deposit, risk: risk)
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(town)) } catch { result = .failure(error) }
        await town.leave()
        return try result.get()
    }
}
