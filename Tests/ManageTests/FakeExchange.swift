import CloudAPI
import Foundation
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport

/// An exchange with a series of small machines and one of whole hosts, whose asks a test sets. It keeps the promises manage relies on: same key, same answer.
final class FakeExchange: Sendable {
    struct State {
        var asks: [SeriesID: [PriceLevel]] = [:]
        var cash: Int64 = 1_000_000_000
        var contracts: [ContractID: ContractView] = [:]
        var answers: [String: OrderView] = [:]
        var refuseOrders: Refusal?
        var peerAddress = ""
        var contractLength = Span.hours(1)
        var awaited: [DeliveryView] = []
        var reports: [(report: ReportDelivery, signer: PeerIdentity)] = []
    }

    let town: Town
    let interruptions: Interruptions
    let feed = FakeFeed()
    let state = Mutex(State())
    let port = BoundPort()
    let connect: FakeConnect

    init(_ town: Town, connect: FakeConnect, interruptions: Interruptions) {
        self.town = town
        self.connect = connect
        self.interruptions = interruptions
    }

    var contracts: [ContractView] { state.withLock { $0.contracts.values.sorted { $0.id < $1.id } } }
    var orders: [OrderView] { state.withLock { $0.answers.values.sorted { $0.id < $1.id } } }

    func offer(_ asks: (price: Int64, lots: Int64)...) {
        offer(asks, of: town.series)
    }

    func offerHosts(_ asks: (price: Int64, lots: Int64)...) { offer(asks, of: Self.hosts) }

    private func offer(_ asks: [(price: Int64, lots: Int64)], of series: SeriesID) {
        state.withLock { $0.asks[series] = asks.map { PriceLevel(price: $0.price, lots: $0.lots, orders: 1) } }
    }

    private static let hosts = SeriesID(bits: 901)
    private static let host = Resources(milliCPU: 16_000, memoryMiB: 65_536, diskMiB: 409_600)

    /// Ends a contract, as its period's end or an operator would.
    func end(_ id: ContractID, _ reason: String) {
        state.withLock { state in
            state.contracts[id]?.state = .ended
            state.contracts[id]?.reason = reason
            state.contracts[id]?.rolls = false
        }
        connect.contractEnded(id)
        feed.append("contract", id.description, kind: "ended")
    }

    func service(database: any Database) throws -> any Service {
        let tls = try town.peerTLS(.ofExchange(Town.exchange))
        let router = ProgramRouter(database: database, metrics: Metrics(), peers: tls)
        addMarket(to: router)
        addContracts(to: router)
        return try router.listen(host: "127.0.0.1", port: 0, security: .mutual(tls), bound: port, logger: town.logger)
    }

    // MARK: Market

    private func addMarket(to router: ProgramRouter) {
        router.on(ExchangeAPI.listProducts) { [self] _ in CloudAPI.Page([town.series, Self.hosts].map(product)) }
        router.on(ExchangeAPI.listSeries) { [self] _ in CloudAPI.Page(series) }
        router.on(ExchangeAPI.book) { [self] call in
            let series = try call.id("series", as: SeriesID.self)
            return BookView(series: series, bids: [], asks: state.withLock { $0.asks[series] ?? [] })
        }
        router.on(ExchangeAPI.listBalances) { [self] _ in
            let cash = state.withLock { $0.cash }
            return CloudAPI.Page([BalanceView(participant: town.buyer, account: "cash", amount: Money(microUnits: cash, .eur))])
        }
        router.on(ExchangeAPI.listDatacenters) { [self] _ in
            let address = state.withLock { $0.peerAddress }
            return CloudAPI.Page([
                DatacenterView(
                    id: town.datacenter, owner: town.seller, name: "north", region: Town.region, zones: [Town.zone], peerAddress: address)
            ])
        }
        router.on(ExchangeAPI.placeOrder) { [self] call in
            try await interruptions.around("placeOrder") { try place(call.body, key: call.idempotency?.key ?? "") }
        }
    }

    /// What a series delivers.
    private func product(_ series: SeriesID) -> ProductView {
        let isHosts = series == Self.hosts
        let definition = ProductDefinition(
            name: isHosts ? "metal-r7.demo-1a" : "general.demo-1a", unitClass: isHosts ? "metal-r7" : "general",
            lot: isHosts ? Self.host : Town.lot, region: Town.region, zone: Town.zone, jurisdiction: "DE", tenancy: .shared, storage: .das,
            firmness: .firm, slaProfile: "basic", largestOversubscription: isHosts ? 1_000 : 8_000, currency: .eur, spotPeriodSeconds: 3_600
        )
        return ProductView(
            id: isHosts ? ProductID(bits: 901) : town.product, definition: definition, termsHash: "00", created: .zero)
    }

    /// That of whole hosts is there once some are offered.
    private var series: [SeriesView] {
        let now = SystemTime().now()
        let asks = state.withLock { $0.asks }
        return [town.series, Self.hosts].filter { $0 == town.series || asks[$0] != nil }.map { series in
            let product = product(series)
            return SeriesView(
                id: series, product: product.id, productName: product.definition.name, kind: "spot",
                period: Period(start: now, end: now + .hours(1)),
                state: "open", bestBid: nil, bestAsk: asks[series]?.first?.price, lastPrice: nil)
        }
    }

    private func place(_ order: PlaceOrder, key: String) throws -> OrderView {
        let now = SystemTime().now()
        let (view, contract) = try state.withLock { state -> (OrderView, ContractView?) in
            if let again = state.answers[key] { return (again, nil) }
            if let refusal = state.refuseOrders { throw refusal }
            var filled: Int64 = 0
            var price: Int64 = 0
            var asks = state.asks[order.series] ?? []
            while let best = asks.first, best.price <= order.price, filled < order.lots {
                let lots = min(best.lots, order.lots - filled)
                (filled, price) = (filled + lots, best.price)
                asks[0].lots -= lots
                if asks[0].lots == 0 { asks.removeFirst() }
            }
            state.asks[order.series] = asks
            let number = UInt64(state.answers.count + 1)
            let contract = filled > 0 ? self.contract(number, of: order.series, lots: filled, price: price, at: now, state: state) : nil
            if let contract { state.contracts[contract.id] = contract }
            let view = OrderView(
                id: OrderID(bits: number), participant: town.buyer, series: order.series, side: .buy, type: order.type, price: order.price,
                lots: order.lots, filled: filled, state: filled == order.lots ? .filled : .partiallyFilledAndCancelled, datacenter: nil,
                clientOrderID: order.clientOrderID, created: now, contracts: contract.map { [$0.id] } ?? [])
            state.answers[key] = view
            return (view, contract)
        }
        if let contract {
            try connect.learn(contract)
            feed.append("contract", contract.id.description, kind: "created")
        }
        return view
    }

    private func contract(
        _ number: UInt64, of series: SeriesID, lots: Int64, price: Int64, at now: Instant, state: State
    ) -> ContractView {
        let product = product(series)
        return ContractView(
            id: ContractID(bits: number), state: .delivering, reason: nil, buyer: town.buyer, buyerName: "Acme", seller: town.seller,
            sellerName: "North", product: product.id, productName: product.definition.name, series: series, trade: TradeID(bits: number),
            datacenter: town.datacenter, region: Town.region, zone: Town.zone, peerAddress: state.peerAddress, lots: lots,
            lot: product.definition.lot,
            price: price, currency: .eur, period: Period(start: now - .seconds(1), end: now + state.contractLength), rolls: true,
            termsHash: "00", settledMicroUnits: 0)
    }

    /// A contract that begins to deliver later.
    func sellAhead(_ number: UInt64, lots: Int64, from start: Instant) throws {
        let view = state.withLock { state -> ContractView in
            var view = contract(number, of: town.series, lots: lots, price: 1, at: start, state: state)
            (view.state, view.rolls, view.period) = (.created, false, Period(start: start, end: start + .hours(24)))
            view.confirmation = ConfirmationView(deadline: start, buyer: nil, seller: start)
            state.contracts[view.id] = view
            return view
        }
        try connect.learn(view)
        feed.append("contract", view.id.description, kind: "created")
    }

    // MARK: Contracts

    private func addContracts(to router: ProgramRouter) {
        router.on(ExchangeAPI.changes) { [self] call in try await feed.page(after: try call.query.after(), wait: try call.query.wait()) }
        router.on(ExchangeAPI.awaitedDeliveries) { [self] _ in CloudAPI.Page(state.withLock { $0.awaited }) }
        router.on(ExchangeAPI.reportDelivery) { [self] call in
            let contract = try call.id("contract", as: ContractID.self)
            let signer = try await town.authority.trustBundle().signer(
                of: call.body.signedText(contract: contract, side: .buyer), signature: call.body.signature,
                chainPEM: call.body.certificate, now: SystemTime().now())
            return try state.withLock { state in
                guard let place = state.awaited.firstIndex(where: { $0.contract == contract && $0.period == call.body.period }) else {
                    throw Refusal("market.report-stretch", .conflict, "Nobody waits for it.")
                }
                state.reports.append((call.body, signer.identity))
                return state.awaited.remove(at: place)
            }
        }
        router.on(ExchangeAPI.listContracts) { [self] _ in CloudAPI.Page(contracts) }
        router.on(ExchangeAPI.showContract) { [self] call in
            let id = try call.id("contract", as: ContractID.self)
            return try await interruptions.around("showContract") { try contract(id) }
        }
        router.on(ExchangeAPI.stopContract) { [self] call in
            let id = try call.id("contract", as: ContractID.self)
            state.withLock { state in
                guard state.contracts[id] != nil else { return }
                state.contracts[id]?.rolls = false
            }
            feed.append("contract", id.description, kind: "stopping")
            return try contract(id)
        }
        router.on(ExchangeAPI.issueContractCertificate) { [self] call in
            let view = try contract(try call.id("contract"))
            return try await interruptions.around("issueContractCertificate") {
                guard view.state == .delivering || view.state == .created else {
                    throw Refusal("contract.over", .conflict, "The contract is over.")
                }
                let issued = try town.authority.issueContract(csrPEM: call.body.csr, terms: view.terms(.buyer), now: SystemTime().now())
                state.withLock { $0.contracts[view.id]?.confirmation?.buyer = SystemTime().now() }
                return IssuedCertificateView(chain: issued.chainPEM, serial: issued.serial, notAfter: issued.notAfter)
            }
        }
        router.on(ExchangeAPI.revocationList) { [self] _ in
            let now = SystemTime().now()
            let der = try town.authority.revocationList(number: 1, revoked: [], now: now, nextUpdate: now + .hours(1))
            return RevocationListView(number: 1, der: Data(der).base64EncodedString())
        }
    }

    private func contract(_ id: ContractID) throws -> ContractView {
        guard let view = state.withLock({ $0.contracts[id] }) else {
            throw Refusal("contract.unknown", .notFound, "There is no contract \(id).")
        }
        return view
    }
}

extension ContractView {
    func terms(_ side: ContractSide) -> ContractTerms {
        ContractTerms(contract: id, side: side, product: product, lots: lots, period: period)
    }
}
