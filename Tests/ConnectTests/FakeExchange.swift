import CloudAPI
import Foundation
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport

/// An exchange that has the contracts a test gives it, signs for them, and revokes what it is told to.
final class FakeExchange: Sendable {
    struct State {
        var contracts: [ContractID: ContractView] = [:]
        var revoked: [String] = []
        /// Beside the one that `sell` sells.
        var products: [ProductView] = []
        var registered: [DatacenterID: RegisterDatacenter] = [:]
        var lists: Int64 = 0
        /// Stretches whose reports are awaited, and those that came, each with who signed it.
        var awaited: [DeliveryView] = []
        var reports: [(report: ReportDelivery, signer: PeerIdentity)] = []
    }

    let town: Town
    let feed = FakeFeed()
    let port = BoundPort()
    let state = Mutex(State())

    init(_ town: Town) { self.town = town }

    func service(database: any Database) throws -> any Service {
        let tls = try town.peerTLS(.ofExchange(Town.exchange))
        let router = ProgramRouter(database: database, metrics: Metrics(), peers: tls)
        router.on(ExchangeAPI.changes) { [self] call in try await feed.page(after: try call.query.after(), wait: try call.query.wait()) }
        router.on(ExchangeAPI.listContracts) { [self] _ in CloudAPI.Page(state.withLock { $0.contracts.values.sorted { $0.id < $1.id } }) }
        router.on(ExchangeAPI.showContract) { [self] call in try contract(try call.id("contract")) }
        router.on(ExchangeAPI.listProducts) { [self] _ in CloudAPI.Page([Self.product(town)] + state.withLock { $0.products }) }
        router.on(ExchangeAPI.issueContractCertificate) { [self] call in
            let view = try contract(try call.id("contract"))
            let issued = try town.authority.issueContract(
                csrPEM: call.body.csr, terms: Self.terms(view, .seller), now: SystemTime().now())
            return IssuedCertificateView(chain: issued.chainPEM, serial: issued.serial, notAfter: issued.notAfter)
        }
        router.on(ExchangeAPI.awaitedDeliveries) { [self] _ in CloudAPI.Page(state.withLock { $0.awaited }) }
        router.on(ExchangeAPI.reportDelivery) { [self] call in
            let contract = try call.id("contract", as: ContractID.self)
            let signer = try await town.authority.trustBundle().signer(
                of: call.body.signedText(contract: contract, side: .seller), signature: call.body.signature,
                chainPEM: call.body.certificate, now: SystemTime().now())
            return try state.withLock { state in
                guard let place = state.awaited.firstIndex(where: { $0.contract == contract && $0.period == call.body.period }) else {
                    throw Refusal("market.report-stretch", .conflict, "Nobody waits for it.")
                }
                state.reports.append((call.body, signer.identity))
                return state.awaited.remove(at: place)
            }
        }
        router.on(ExchangeAPI.registerDatacenter) { [self] call in
            let id = try call.id("datacenter", as: DatacenterID.self)
            state.withLock { $0.registered[id] = call.body }
            return DatacenterView(
                id: id, owner: town.seller, name: call.body.name, region: call.body.region, zones: call.body.zones,
                peerAddress: call.body.peerAddress)
        }
        router.on(ExchangeAPI.signNode) { [self] call in
            let identity = PeerIdentity.program(
                exchange: Town.exchange, participant: town.seller, role: .node, id: call.body.host.description)
            let issued = try town.authority.issueIdentity(csrPEM: call.body.csr, identity: identity, now: SystemTime().now())
            return IdentityView(
                exchange: Town.exchange, participant: town.seller, role: .node, id: call.body.host.description, chain: issued.chainPEM,
                root: town.authority.rootPEM, peerAddress: "", peerName: "")
        }
        router.on(ExchangeAPI.revocationList) { [self] _ in
            let (number, revoked) = state.withLock { state in
                state.lists += 1
                return (state.lists, state.revoked)
            }
            let now = SystemTime().now()
            let der = try town.authority.revocationList(
                number: number, revoked: revoked.map { ($0, now) }, now: now, nextUpdate: now + .hours(1))
            return RevocationListView(number: number, der: Data(der).base64EncodedString())
        }
        return try router.listen(host: "127.0.0.1", port: 0, security: .mutual(tls), bound: port, logger: town.logger)
    }

    private func contract(_ id: ContractID) throws -> ContractView {
        guard let view = state.withLock({ $0.contracts[id] }) else {
            throw Refusal("contract.unknown", .notFound, "There is no contract \(id).")
        }
        return view
    }

    static func terms(_ view: ContractView, _ side: ContractSide) -> ContractTerms {
        ContractTerms(contract: view.id, side: side, product: view.product, lots: view.lots, period: view.period)
    }

    /// A product of the town: shared, firm, direct attached disks, as far as the test does not say otherwise.
    static func product(_ town: Town, _ change: (inout ProductDefinition) -> Void = { _ in }) -> ProductView {
        var definition = ProductDefinition(
            name: "general.demo-1a", unitClass: "general", lot: Town.lot, region: Town.region, zone: Town.zone, jurisdiction: "DE",
            tenancy: .shared, storage: .das, firmness: .firm, slaProfile: "standard", largestOversubscription: 16_000, currency: .eur,
            spotPeriodSeconds: 3_600)
        change(&definition)
        return ProductView(id: town.product, definition: definition, termsHash: "00", created: .zero)
    }

    /// Defines another product.
    func define(_ number: UInt64, _ change: (inout ProductDefinition) -> Void) -> ProductView {
        var product = Self.product(town, change)
        product.id = ProductID(bits: number)
        state.withLock { $0.products.append(product) }
        return product
    }

    /// A contract of `lots` lots that is being delivered.
    @discardableResult
    func sell(_ number: UInt64, lots: Int64 = 2, length: Span = .hours(1), of product: ProductView? = nil, to buyer: ParticipantID? = nil)
        -> ContractView
    {
        let now = SystemTime().now()
        let definition = product?.definition
        let view = ContractView(
            id: ContractID(bits: number), state: .delivering, reason: nil, buyer: buyer ?? town.buyer, buyerName: "Acme",
            seller: town.seller,
            sellerName: "North", product: product?.id ?? town.product,
            productName: definition?.name ?? "general.demo-1a", series: town.series, trade: TradeID(bits: number),
            datacenter: town.datacenter, region: Town.region, zone: definition.map(\.zone) ?? Town.zone, peerAddress: "127.0.0.1:1",
            lots: lots,
            lot: definition?.lot ?? Town.lot,
            price: 40_000, currency: .eur, period: Period(start: now - .seconds(1), end: now + length), rolls: true, termsHash: "00",
            settledMicroUnits: 0)
        state.withLock { $0.contracts[view.id] = view }
        feed.append("contract", view.id.description, kind: "created")
        return view
    }

    /// Waits for a report on a stretch.
    func await(_ contract: ContractView, _ period: Period, due: Instant) {
        let view = DeliveryView(
            contract: contract.id, period: period, lots: contract.lots, state: .waiting, due: due, currency: .eur, chargeMicroUnits: 1,
            paidMicroUnits: 0, creditedMicroUnits: 0, heldMicroUnits: 1, basis: nil, availabilityThousandths: nil, buyerReport: nil,
            sellerReport: nil, dispute: nil)
        state.withLock { $0.awaited.append(view) }
    }

    func end(_ id: ContractID, because reason: String) {
        state.withLock { state in
            state.contracts[id]?.state = .ended
            state.contracts[id]?.reason = reason
        }
        feed.append("contract", id.description, kind: "ended")
    }
}
