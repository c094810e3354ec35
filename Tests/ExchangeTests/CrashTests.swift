import CloudAPI
import CloudClient
import Exchange
import Foundation
import Logging
import PKI
import Primitives
import ServiceKit
import Store
import Synchronization
import Testing
import TestSupport

/// A database whose commits fail when told to.
final class UnreliableDatabase: Database {
    enum Mood { case well, refusing(StoreError), losingAnswers }

    let base: any Database
    let mood = Mutex(Mood.well)

    init(_ base: any Database) { self.base = base }

    /// The journal of the exchange at home: on PostgreSQL in its one database, on SQLite a file of its own.
    static func journal(of home: ExchangeHome) throws -> UnreliableDatabase {
        UnreliableDatabase(try openDatabase(home.url.hasPrefix("sqlite:") ? home.url + ".journal" : home.url, options: .quiet))
    }

    var dialect: SQLDialect { base.dialect }
    var changes: ChangeSignal { base.changes }
    var statistics: StoreStatistics { base.statistics }
    func close() async { await base.close() }
    func read<T: Sendable>(_ body: @escaping @Sendable (any ReadContext) throws -> T) async throws -> T { try await base.read(body) }

    func write<T: Sendable>(_ body: @escaping @Sendable (any WriteContext) throws -> T) async throws -> T {
        switch mood.withLock({ $0 }) {
        case .well: return try await base.write(body)
        case .refusing(let error):
            // As on a full disk: the statements run, the commit does not happen.
            return try await base.write { transaction in
                _ = try body(transaction)
                throw error
            }
        case .losingAnswers:
            _ = try await base.write(body)
            throw StoreError.connection("outcome unknown")
        }
    }
}

@Suite struct CrashTests {
    @Test(arguments: DatabaseKind.allCases)
    func `When the commit fails everybody is told so, and nothing happened`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let database = try UnreliableDatabase.journal(of: home)
            try await withExchange(home, journal: database) { exchange in
                let town = try await Town(exchange)
                try await town.ask(50)
                let hash = await exchange.service.stateHash()
                database.mood.withLock { $0 = .refusing(.full("no space")) }
                let problems = await withTaskGroup(of: ProblemDocument?.self) { group in
                    for number in 0..<10 {
                        group.addTask {
                            await AccessTests.refusal {
                                _ = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1), idempotencyKey: "k\(number)")
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                for problem in problems { #expect(problem?.status == 503 && problem?.rule == "store.full") }
                #expect(try await exchange.service.storedStateHash() == hash)
                #expect(try await exchange.operator.call(ExchangeAPI.listProducts).items.count == 1, "reads go on")

                database.mood.withLock { $0 = .well }
                for number in 0..<10 {
                    let order = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1), idempotencyKey: "k\(number)")
                    #expect(order.state == .filled)
                }
                #expect(try await exchange.operator.call(ExchangeAPI.listContracts).items.count == 10)
                #expect(try await exchange.problems() == [])
                await town.leave()
            }
            await database.close()
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `When only the answer is lost, asking again gives it`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let database = try UnreliableDatabase.journal(of: home)
            try await withExchange(home, journal: database) { exchange in
                let town = try await Town(exchange)
                try await town.ask(50)
                database.mood.withLock { $0 = .losingAnswers }
                let lost = try await problem {
                    try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(4), idempotencyKey: "k")
                }
                #expect(lost.status == 503 && lost.rule == "store.connection")
                database.mood.withLock { $0 = .well }
                let order = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(4), idempotencyKey: "k")
                #expect(order.filled == 4 && order.contracts.count == 1)
                // One more command, so that the value in memory is the rebuilt one.
                try await town.ask(1)
                #expect(try await exchange.operator.call(ExchangeAPI.listContracts).items.map(\.lots) == [4])
                #expect(try await exchange.problems() == [])
                await town.leave()
            }
            await database.close()
        }
    }

    /// The real thing: a process of its own, killed at each step of each command, and a new one on what it left.
    @Test(
        arguments: [
            "exchange.order.applied", "exchange.order.written", "exchange.order.committed", "exchange.cancel.applied",
            "exchange.cancel.written",
            "exchange.cancel.committed", "exchange.stop.applied", "exchange.stop.written", "exchange.stop.committed",
            "exchange.tick.applied",
            "exchange.tick.written", "exchange.tick.committed", "exchange.transfer.written", "exchange.transfer.committed",
            "exchange.listing.written", "exchange.listing.committed", "exchange.enrol.written", "exchange.enrol.committed",
            "exchange.confirm.applied", "exchange.confirm.written", "exchange.confirm.committed", "exchange.certificate.written",
            "exchange.certificate.committed", "exchange.proposal.applied", "exchange.proposal.written", "exchange.proposal.committed",
        ], DatabaseKind.allCases)
    func `Killed at any point it loses nothing that was answered and does nothing twice`(point: String, _ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let start = home.clock.now.microseconds
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [url = home.url as String, directory = home.directory as String, start = start as Int64, point = point as String] in
                setenv("BOURSE_FAULT", point, 1)
                let home = ExchangeHome(url: url, directory: directory)
                home.clock.set(Instant(microseconds: start))
                try await withExchange(home) { exchange in
                    try await Story(exchange).prepare()
                    try await Story(exchange).run()
                }
            }
            try await withExchange(home) { exchange in
                try await Story(exchange).prepare()
                try await Story(exchange).run()
                #expect(try await exchange.problems() == [])
                let admin = try exchange.operator
                #expect(try await admin.call(ExchangeAPI.listParticipants).items.count == 3)
                #expect(try await admin.call(ExchangeAPI.listProducts).items.count == 2)
                #expect(try await admin.call(ExchangeAPI.listDatacenters).items.count == 1)
                let contracts = try await admin.call(ExchangeAPI.listContracts).items
                #expect(contracts.map(\.lots) == [3] && contracts.first?.state == .settled && contracts.first?.settledMicroUnits == 180_000)
                #expect(
                    try await admin.call(ExchangeAPI.listOrders).items.map(\.state).map(\.rawValue).sorted() == [
                        "cancelled", "filled", "partiallyFilledAndCancelled",
                    ])
                #expect(try await admin.call(ExchangeAPI.listProposals).items.map(\.state) == [.refused])
                let cash = try await admin.call(ExchangeAPI.listBalances).items.filter { $0.account == "cash" }.map(\.amount.microUnits)
                    .sorted()
                #expect(cash == [180_000, 1_000_000 + 5_000 - 180_000])
            }
        }
    }
}

/// A fixed sequence of requests with fixed keys: run again after a crash it carries on where it was.
private struct Story {
    let exchange: RunningExchange

    init(_ exchange: RunningExchange) { self.exchange = exchange }

    /// Participants, money, a product, and the seller's datacenter.
    func prepare() async throws {
        let admin = try exchange.operator
        let seller = try await admin.call(
            ExchangeAPI.createParticipant, body: CreateParticipant(name: "S", roles: [.seller], currency: .eur), idempotencyKey: "s")
        let buyer = try await admin.call(
            ExchangeAPI.createParticipant, body: CreateParticipant(name: "B", roles: [.buyer], currency: .eur), idempotencyKey: "b")
        _ = try await transfer(1_000_000, to: buyer.id, key: "d")
        _ = try await admin.call(ExchangeAPI.createProduct, body: Town.definition(), idempotencyKey: "p")
        try await withConnect(of: seller.id) { connect in
            let path = ["datacenter": connect.identity.record.id]
            let product = try #require(
                try await admin.call(ExchangeAPI.listProducts).items.first { $0.definition.name == Town.definition().name })
            _ = try await connect.exchange.call(
                ExchangeAPI.registerDatacenter, path: path,
                body: RegisterDatacenter(name: "DC", region: "demo", zones: ["demo-1a"], peerAddress: "127.0.0.1:1"), idempotencyKey: "r")
            _ = try await connect.exchange.call(
                ExchangeAPI.declareCapacity, path: path, body: DeclareCapacity(product: product.id, lots: 10), idempotencyKey: "c")
        }
    }

    func run() async throws {
        let admin = try exchange.operator
        let participants = try await admin.call(ExchangeAPI.listParticipants).items
        let seller = try #require(participants.first { $0.name == "S" }).id
        let buyer = try #require(participants.first { $0.name == "B" }).id
        let series = try #require(try await admin.call(ExchangeAPI.listSeries).items.first { $0.productName == Town.definition().name }).id
        _ = try await admin.call(
            ExchangeAPI.createParticipant, body: CreateParticipant(name: "T", roles: [.buyer], currency: .eur), idempotencyKey: "t")
        _ = try await admin.call(ExchangeAPI.createProduct, body: Town.definition("second"), idempotencyKey: "p2")
        _ = try await transfer(5_000, to: buyer, key: "d2")
        let sellers = try await Town.client(exchange, seller)
        let buyers = try await Town.client(exchange, buyer)
        let datacenter = try #require(try await admin.call(ExchangeAPI.listDatacenters).items.first).id
        let ask = PlaceOrder(series: series, side: .sell, type: .limit, price: Town.price, lots: 5, datacenter: datacenter)
        let asked = try await sellers.call(ExchangeAPI.placeOrder, body: ask, idempotencyKey: "ask")
        let bid = PlaceOrder(series: series, side: .buy, type: .limit, price: Town.price, lots: 3)
        let bought = try await buyers.call(ExchangeAPI.placeOrder, body: bid, idempotencyKey: "bid")
        let low = PlaceOrder(series: series, side: .buy, type: .limit, price: 1, lots: 1)
        let resting = try await buyers.call(ExchangeAPI.placeOrder, body: low, idempotencyKey: "low")
        let offer = CreateProposal(counterparty: "S", series: series, side: .buy, price: Town.price, lots: 1)
        let proposal = try await buyers.call(ExchangeAPI.propose, body: offer, idempotencyKey: "o")
        _ = try await sellers.call(
            ExchangeAPI.refuseProposal, path: ["proposal": proposal.id.description], body: RefuseProposal(reason: "no"), idempotencyKey: "n"
        )
        _ = try await buyers.call(ExchangeAPI.cancelOrder, path: ["order": resting.id.description], idempotencyKey: "x1")
        _ = try await sellers.call(ExchangeAPI.cancelOrder, path: ["order": asked.id.description], idempotencyKey: "x2")
        let contract = ["contract": try #require(bought.contracts.first).description]
        if try await admin.call(ExchangeAPI.showContract, path: contract).state == .delivering {
            try await confirm(try #require(bought.contracts.first), seller, datacenter, buyer)
        }
        _ = try await buyers.call(ExchangeAPI.stopContract, path: contract, body: StopContract(reason: "end"), idempotencyKey: "stop")
        let period = try await admin.call(ExchangeAPI.showContract, path: contract).period
        exchange.clock.set(max(exchange.clock.now, period.end + .seconds(5)))
        try await eventually("the contract is settled") { try await admin.call(ExchangeAPI.showContract, path: contract).state == .settled }
    }

    /// Both sides enrol, perhaps anew, and pull their certificates.
    private func confirm(
        _ contract: ContractID, _ seller: ParticipantID, _ datacenter: DatacenterID, _ buyer: ParticipantID
    ) async throws {
        let programs = [
            try await Town.enrol(exchange, seller, .connect, id: datacenter.description), try await Town.enrol(exchange, buyer, .manage),
        ]
        for program in programs {
            _ = try await program.exchange.call(
                ExchangeAPI.issueContractCertificate, path: ["contract": contract.description],
                body: CertificateRequest(csr: try CredentialKey().csrPEM()))
            await program.exchange.shutdown()
        }
    }

    private func transfer(_ units: Int64, to participant: ParticipantID, key: String) async throws -> PostingView {
        try await exchange.operator.call(
            ExchangeAPI.transfer, path: ["participant": participant.description],
            body: Transfer(amount: Money(microUnits: units, .eur), reference: "bank"), idempotencyKey: key)
    }

    /// The seller's connect, for as long as its datacenter is not known.
    private func withConnect(of seller: ParticipantID, _ body: (Town.Program) async throws -> Void) async throws {
        let known = try await exchange.operator.call(ExchangeAPI.listDatacenters).items.first
        guard known == nil else { return }
        let connect = try await Town.enrol(exchange, seller, .connect)
        let result: Result<Void, any Error>
        do { result = .success(try await body(connect)) } catch { result = .failure(error) }
        await connect.exchange.shutdown()
        try result.get()
    }
}
