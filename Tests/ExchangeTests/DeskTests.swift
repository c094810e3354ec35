import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Store
import Testing
import TestSupport

@Suite struct DeskTests {
    /// Many clients at once, a clock that runs, and an auditor of the tables afterwards.
    @Test(arguments: DatabaseKind.allCases)
    func `A crowd trades, and the tables and the memory tell the same true story`(_ kind: DatabaseKind) async throws {
        try await withTown(kind, capacity: 60, deposit: 20_000_000) { town in
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask { await Self.trade(town, seed: UInt64(number)) }
                }
                group.addTask {
                    for _ in 0..<12 {
                        try? await Task.sleep(for: .milliseconds(60))
                        town.exchange.clock.advance(by: .seconds(17))
                    }
                }
            }
            try await eventually("nothing is under way") { try await town.exchange.problems() == [] }
            #expect(try await town.exchange.problems() == [])
            let contracts = try await town.exchange.operator.call(ExchangeAPI.listContracts, query: ["limit": "1000"]).items
            #expect(contracts.count > 10)
            for contract in contracts.prefix(3) {
                _ = try await town.exchange.operator.call(
                    ExchangeAPI.stopContract, path: ["contract": contract.id.description], body: StopContract(reason: "enough"))
            }
            try await town.exchange.advance(.seconds(900))
            try await eventually("what was stopped is settled") {
                try await town.contract(contracts[0].id).state == .settled
            }
            #expect(try await town.exchange.problems() == [])

            // A new process on the same tables has the same market.
            #expect(try await town.exchange.service.storedStateHash() == town.exchange.service.stateHash())
        }
    }

    private static func trade(_ town: Town, seed: UInt64) async {
        var random = SeededGenerator(seed: seed)
        var orders: [OrderView] = []
        for _ in 0..<36 {
            let sells = Bool.random(using: &random)
            let client = sells ? town.connect.exchange : (Bool.random(using: &random) ? town.manage.exchange : town.strangerClient)
            let type = Int.random(in: 0..<3, using: &random) == 0 ? OrderType.allCases.randomElement(using: &random) ?? .limit : .limit
            let conditions = OrderConditionsView(
                expires: type == .goodTillDate ? town.exchange.clock.now + .seconds(Int64.random(in: 1...60, using: &random)) : nil,
                display: Int.random(in: 0..<4, using: &random) == 0 ? 1 : nil,
                allOrNone: Int.random(in: 0..<10, using: &random) == 0 ? true : nil,
                selfMatch: SelfMatchMode.allCases.randomElement(using: &random))
            let order = PlaceOrder(
                series: town.series, side: sells ? .sell : .buy, type: type,
                price: Town.price + Int64.random(in: -3...3, using: &random) * 1_000, lots: Int64.random(in: 1...5, using: &random),
                datacenter: sells ? DatacenterID(town.connect.id) : nil, conditions: conditions)
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<6: if let placed = try? await client.call(ExchangeAPI.placeOrder, body: order) { orders.append(placed) }
            case 6:
                guard let changed = orders.randomElement(using: &random) else { continue }
                let lots = Int64.random(in: 1...6, using: &random)
                _ = try? await client.call(
                    ExchangeAPI.replaceOrder, path: ["order": changed.id.description], body: ReplaceOrder(lots: lots))
            case 7:
                guard let victim = orders.popLast() else { continue }
                _ = try? await client.call(ExchangeAPI.cancelOrder, path: ["order": victim.id.description])
            case 8..<10:
                guard let contract = orders.randomElement(using: &random)?.contracts.first else { continue }
                for program in [town.connect, town.manage] { _ = try? await town.certificate(of: contract, program) }
                await report(town, &random)
            default:
                guard let contract = orders.last?.contracts.first else { continue }
                _ = try? await client.call(
                    ExchangeAPI.stopContract, path: ["contract": contract.description], body: StopContract(reason: "enough"))
            }
        }
    }

    /// Both sides report, mostly the same, and have words about what they see differently.
    static func report(_ town: Town, _ random: inout SeededGenerator) async {
        for program in [town.connect, town.manage] {
            guard let stretches = try? await program.exchange.call(ExchangeAPI.awaitedDeliveries).items else { continue }
            for stretch in stretches.prefix(3) where Int.random(in: 0..<6, using: &random) > 0 {
                let missing: Int64 = Int.random(in: 0..<3, using: &random) == 0 ? Int64.random(in: 0...1_000, using: &random) : 0
                _ = try? await town.report(stretch, program, missing: missing)
            }
        }
        guard let disputes = try? await town.exchange.operator.call(ExchangeAPI.listDisputes, query: ["open": "true"]).items,
            let dispute = disputes.randomElement(using: &random)
        else { return }
        let path = ["dispute": dispute.id.description]
        let body = AnswerDispute(toBuyerMicroUnits: Int64.random(in: 0...dispute.amount.microUnits, using: &random), note: "so it was")
        _ = try? await town.manage.exchange.call(ExchangeAPI.answerDispute, path: path, body: body)
        _ = try? await town.connect.exchange.call(ExchangeAPI.answerDispute, path: path, body: body)
    }

    @Test(arguments: DatabaseKind.allCases)
    func `An exchange started again has the same market`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let (hash, contract) = try await withExchange(home) { exchange in
                let town = try await Town(exchange)
                let contract = try await town.trade(2)
                try await town.ask(5)
                _ = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(3, at: 10))
                await town.leave()
                return (await exchange.service.stateHash(), contract)
            }
            home.clock.advance(by: .seconds(30))
            try await withExchange(home) { exchange in
                #expect(await exchange.service.stateHash() == hash)
                let admin = try exchange.operator
                #expect(try await admin.call(ExchangeAPI.showContract, path: ["contract": contract.id.description]).state == .delivering)
                _ = try await admin.call(
                    ExchangeAPI.stopContract, path: ["contract": contract.id.description],
                    body: StopContract(reason: "over", immediately: true))
                #expect(try await exchange.problems() == [])
            }
        }
    }

    @Test func `One process runs the market; another takes over when it stops`() async throws {
        try await withHome(.postgres) { home in
            try await withExchange(home, instance: "one") { first in
                let town = try await Town(first)
                try await town.ask(5)
                try await withExchange(home, instance: "two") { second in
                    let token = try await first.operator.call(
                        ExchangeAPI.createParticipantToken, path: ["participant": town.buyer.description],
                        body: CreateToken(description: "two")
                    ).token
                    let standby = try await problem {
                        try await second.client(token: token).call(ExchangeAPI.placeOrder, body: town.bid(1))
                    }
                    #expect(standby.status == 503 && standby.rule == "exchange.standby")
                    #expect(
                        try await second.operator.call(ExchangeAPI.book, path: ["series": town.series.description]).asks.map(\.lots) == [5])
                    #expect(try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1)).state == .filled)

                    // The first one goes silent, as far as the lease says.
                    let outside = try openDatabase(home.url, options: .quiet)
                    let stolen = try await outside.write {
                        try $0.acquireLease("market", holder: "three", for: .seconds(3_600), now: Instant(seconds: 4_000_000_000))
                    }
                    let lease = try #require(stolen)
                    let fenced = try await problem { try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1)) }
                    // By the order's own write, or by the lease's renewal if that came first.
                    #expect(fenced.status == 503 && ["store.lease", "exchange.standby"].contains(fenced.rule), "\(fenced.rule)")
                    #expect(try await first.operator.call(ExchangeAPI.listContracts).items.count == 1)
                    try await outside.write { try $0.releaseLease(lease) }
                    await outside.close()

                    try await eventually("one of them has the market again") {
                        let taken = try? await second.client(token: token).call(ExchangeAPI.placeOrder, body: town.bid(1))
                        let kept = try? await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1))
                        return taken?.state == .filled || kept?.state == .filled
                    }
                }
                await town.leave()
            }
        }
    }

    @Test(.enabled(if: SmallDisk.isAvailable, "needs root, to mount a small disk and fill it"))
    func `A full disk refuses orders clearly, and is over when there is space again`() async throws {
        try await withSmallDisk(mebibytes: 24) { disk in
            let directory = try TemporaryDirectory("exchange")
            let home = ExchangeHome(url: "sqlite:\(disk.path)/exchange.db", directory: directory.path)
            try await withExchange(home) { exchange in
                let town = try await Town(exchange)
                try disk.addBallast(mebibytes: 9)
                var placed = 0
                var refusal: ProblemDocument?
                while refusal == nil, placed < 20_000 {
                    refusal = await withTaskGroup(of: ProblemDocument?.self) { group in
                        for _ in 0..<64 {
                            group.addTask {
                                await AccessTests.refusal {
                                    _ = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: 1))
                                }
                            }
                        }
                        return await group.reduce(into: nil) { $0 = $0 ?? $1 }
                    }
                    placed += 64
                }
                #expect(refusal?.status == 503 && refusal?.rule == "store.full", "after \(placed): \(String(describing: refusal))")
                #expect(try await exchange.operator.call(ExchangeAPI.listProducts).items.count == 1)
                try disk.removeBallast()
                try await eventually("orders are taken again") {
                    (try? await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: 1)))?.state == .resting
                }
                #expect(try await exchange.problems() == [])
                await town.leave()
            }
        }
    }

    @Test func `The feed wakes whoever waits for what is theirs`() async throws {
        try await withTown(.sqlite) { town in
            let before = try await town.manage.exchange.call(ExchangeAPI.changes).latest
            async let waiting = town.manage.exchange.call(ExchangeAPI.changes, query: ["after": String(before), "wait": "10"])
            try await Task.sleep(for: .milliseconds(50))
            let order = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: 1))
            let page = try await waiting
            #expect(page.changes.map(\.topic) == ["order"] && page.changes.map(\.subject) == [order.id.description])
            #expect(page.latest > before)
            let others = try await town.strangerClient.call(ExchangeAPI.changes, query: ["after": String(before)])
            #expect(others.changes.isEmpty && others.latest >= page.latest)
            _ = try await town.trade(1)
            let all = try await town.exchange.operator.call(ExchangeAPI.changes, query: ["after": String(before)]).changes
            #expect(
                all.filter { $0.topic == "contract" }.map(\.kind) == ["created", "delivering", "confirmed", "confirmed"],
                "the operator sees each once")
            #expect(all.contains { $0.topic == "trade" })
        }
    }
}
