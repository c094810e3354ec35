import CloudAPI
import CloudClient
import Exchange
import Foundation
import PKI
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// Forward series, contracts and quotes over HTTP, on real databases.
@Suite struct ForwardTests {
    /// A product with all forwards, sold by the town's connect, and cash for the seller's bonds.
    private struct ForwardTown: Sendable {
        let town: Town
        let product: ProductView

        init(_ town: Town) async throws {
            self.town = town
            let admin = try town.exchange.operator
            var definition = Town.definition("forwards", spotPeriodSeconds: 3_600)
            definition.forwards = nil
            product = try await admin.call(ExchangeAPI.createProduct, body: definition)
            _ = try await town.connect.exchange.call(
                ExchangeAPI.declareCapacity, path: ["datacenter": town.connect.id], body: DeclareCapacity(product: product.id, lots: 10))
            for id in [town.seller, town.buyer] {
                _ = try await admin.call(
                    ExchangeAPI.transfer, path: ["participant": id.description],
                    body: Transfer(amount: Money(microUnits: 1_000_000_000_000, .eur), reference: "margins"))
            }
        }

        func series(_ kind: String, state: String? = nil) async throws -> [SeriesView] {
            var query = ["product": product.id.description, "kind": kind]
            if let state { query["state"] = state }
            return try await town.buyerClient.items(of: ExchangeAPI.listSeries, query: query).sorted { $0.period.start < $1.period.start }
        }

        @discardableResult
        func ask(_ lots: Int64, in series: SeriesID, at price: Int64 = Town.price) async throws -> OrderView {
            try await town.connect.exchange.call(
                ExchangeAPI.placeOrder,
                body: PlaceOrder(
                    series: series, side: .sell, type: .limit, price: price, lots: lots, datacenter: DatacenterID(town.connect.id)))
        }

        func bid(_ lots: Int64, in series: SeriesID) async throws -> OrderView {
            try await town.manage.exchange.call(
                ExchangeAPI.placeOrder, body: PlaceOrder(series: series, side: .buy, type: .limit, price: Town.price, lots: lots))
        }
    }

    private func withForwards(_ kind: DatabaseKind, _ body: (ForwardTown) async throws -> Void) async throws {
        try await withTown(kind, deposit: 1_000_000) { town in try await body(try await ForwardTown(town)) }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Series of the whole calendar are listed, and shown with period and state`(_ kind: DatabaseKind) async throws {
        try await withForwards(kind) { forwards in
            #expect(forwards.product.definition.forwards?.calendar == ForwardKind.allCases)
            var counts: [Int] = []
            for kind in ["spot", "hour", "day", "week", "month"] { counts.append(try await forwards.series(kind).count) }
            // One less of each shortly before its next period.
            #expect(zip(counts, [1, 48, 14, 8, 12]).allSatisfy { $0 == $1 || $0 == $1 - 1 } && counts[0] == 1, "\(counts)")
            let day = try await forwards.series("day")[1]
            let shown = try await forwards.town.buyerClient.call(ExchangeAPI.showSeries, path: ["series": day.id.description])
            #expect(shown.period == day.period && shown.state == "open" && shown.closes == day.period.start - .hours(1))
            let unknown = ["series": SeriesID(bits: 3).description]
            #expect(
                try await problem { try await forwards.town.buyerClient.call(ExchangeAPI.showSeries, path: unknown) }.rule
                    == "market.unknown-series")
            #expect(try await forwards.series("month", state: "halted").isEmpty)
            #expect(try await forwards.town.exchange.problems() == [])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A forward is bought, delivered and settled, and survives a restart on the way`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let (hash, contract, seller) = try await withExchange(home) { exchange in
                let town = try await Town(exchange, deposit: 1_000_000)
                let forwards = try await ForwardTown(town)
                let hour = try await forwards.series("hour")[2]
                try await forwards.ask(4, in: hour.id)
                let order = try await forwards.bid(3, in: hour.id)
                let contract = try await town.contract(try #require(order.contracts.first))
                #expect(contract.state == .created && contract.period == hour.period && !contract.rolls)
                #expect(contract.confirmation?.deadline == contract.period.start && contract.next?.kind == .confirmation)
                for program in [town.manage, town.connect] { try await town.certificate(of: contract.id, program) }
                #expect(contract.marginMicroUnits == 1_080_000 && contract.bondMicroUnits == 540_000)
                #expect(try await town.balance(of: town.buyer, "margin") == 1_080_000)
                #expect(try await town.balance(of: town.seller, "bond") == 720_000, "a lot still rests")
                let stop = try await problem {
                    try await town.buyerClient.call(
                        ExchangeAPI.stopContract, path: ["contract": contract.id.description], body: StopContract(reason: "no"))
                }
                #expect(stop.rule == "market.forward-fixed" && stop.status == 409)
                #expect(try await exchange.problems() == [])
                await town.leave()
                return (await exchange.service.stateHash(), contract, town.seller)
            }
            try await withExchange(home) { exchange in
                #expect(await exchange.service.stateHash() == hash)
                let admin = try exchange.operator
                let path = ["contract": contract.id.description]
                home.clock.set(contract.period.start + .minutes(1))
                try await eventually("delivery has begun") {
                    try await admin.call(ExchangeAPI.showContract, path: path).state == .delivering
                }
                #expect(try await admin.call(ExchangeAPI.showSeries, path: ["series": contract.series.description]).state == "closed")
                #expect(try await exchange.problems() == [])
                home.clock.set(contract.period.end + .minutes(6))
                try await eventually("it is settled") { try await admin.call(ExchangeAPI.showContract, path: path).state == .settled }
                let settled = try await admin.call(ExchangeAPI.showContract, path: path)
                #expect(settled.settledMicroUnits == 3 * Town.price && settled.reason == "its delivery period is over")
                #expect(settled.marginMicroUnits == 0 && settled.bondMicroUnits == 0)
                let balances = try await admin.call(ExchangeAPI.listBalances).items.filter { $0.participant == seller }
                #expect(balances.first { $0.account == "cash" }?.amount.microUnits == 1_000_000_000_000 + 3 * Town.price)
                #expect(try await admin.call(ExchangeAPI.showSeries, path: ["series": contract.series.description]).state == "expired")
                #expect(await exchange.service.stateHash() == (try await exchange.service.storedStateHash()))
                #expect(try await exchange.problems() == [])
            }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A quote's orders trade at its prices`(_ kind: DatabaseKind) async throws {
        try await withForwards(kind) { forwards in
            let town = forwards.town
            let days = try await forwards.series("day")
            try await forwards.ask(2, in: days[1].id, at: 10_000)
            try await forwards.ask(3, in: days[1].id, at: 20_000)
            try await forwards.ask(5, in: days[2].id, at: 15_000)
            let window = Period(start: days[1].period.start, end: days[2].period.end)
            func query(_ lots: Int64) -> [String: String] {
                [
                    "product": forwards.product.id.description, "start": window.start.description, "end": window.end.description,
                    "lots": String(lots), "side": "buy",
                ]
            }
            let quote = try await town.buyerClient.call(ExchangeAPI.quote, query: query(4))
            #expect(quote.legs.map(\.kind) == ["day", "day"] && quote.depth == 5)
            #expect(quote.totalMicroUnits == 24 * (2 * 10_000 + 2 * 20_000 + 4 * 15_000) && quote.average == 15_000)
            #expect(quote.legs[0].levels.map(\.price) == [10_000, 20_000] && quote.legs[0].levels.map(\.lots) == [2, 2])
            let no = try await problem { try await town.buyerClient.call(ExchangeAPI.quote, query: query(9)) }
            #expect(no.rule == "quote.uncovered" && no.nearest == "5 lots for the whole window")
            var gap = query(1)
            gap["end"] = (window.end + .days(1)).description
            #expect(try await problem { try await town.buyerClient.call(ExchangeAPI.quote, query: gap) }.detail.contains("without a gap"))
            gap["end"] = nil
            #expect(try await problem { try await town.buyerClient.call(ExchangeAPI.quote, query: gap) }.rule == "request.query")
            var contracts: [ContractView] = []
            for leg in quote.legs {
                let order = try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: leg.order)
                #expect(order.state == .filled)
                for id in order.contracts { contracts.append(try await town.contract(id)) }
            }
            let paid = contracts.map { $0.price * $0.lots * ($0.period.length.seconds / 3_600) }.reduce(0, +)
            #expect(paid == quote.totalMicroUnits)
            #expect(try await town.exchange.problems() == [])
        }
    }

    /// Many at once, who confirm, report and dispute; a clock that runs through hours, and an auditor of the tables afterwards.
    @Test(arguments: DatabaseKind.allCases)
    func `A crowd trades forwards and spot while series open, close and expire`(_ kind: DatabaseKind) async throws {
        try await withForwards(kind) { forwards in
            let town = forwards.town
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    group.addTask { await Self.trade(forwards, seed: UInt64(number)) }
                }
                group.addTask {
                    for _ in 0..<55 {
                        try? await Task.sleep(for: .milliseconds(25))
                        town.exchange.clock.advance(by: .minutes(4))
                    }
                }
            }
            try await eventually("nothing is under way") { try await town.exchange.problems() == [] }
            #expect(try await town.exchange.problems() == [])
            #expect(try await town.exchange.service.storedStateHash() == town.exchange.service.stateHash())
            let contracts = try await town.exchange.operator.items(of: ExchangeAPI.listContracts)
            #expect(contracts.contains { $0.marginMicroUnits != nil } && contracts.contains { $0.marginMicroUnits == nil })
        }
    }

    private static func trade(_ forwards: ForwardTown, seed: UInt64) async {
        var random = SeededGenerator(seed: seed)
        let town = forwards.town
        for _ in 0..<25 {
            let kind = ["spot", "hour", "hour", "day"].randomElement(using: &random) ?? "hour"
            guard let series = try? await forwards.series(kind, state: "open").prefix(3).randomElement(using: &random) else { continue }
            let sells = Bool.random(using: &random)
            let order = PlaceOrder(
                series: series.id, side: sells ? .sell : .buy, type: .limit,
                price: Town.price + Int64.random(in: -2...2, using: &random) * 1_000, lots: Int64.random(in: 1...3, using: &random),
                datacenter: sells ? DatacenterID(town.connect.id) : nil)
            let placed = try? await (sells ? town.connect.exchange : town.manage.exchange).call(ExchangeAPI.placeOrder, body: order)
            for contract in placed?.contracts ?? [] where Int.random(in: 0..<4, using: &random) > 0 {
                for program in [town.connect, town.manage] { _ = try? await town.certificate(of: contract, program) }
            }
            await DeskTests.report(town, &random)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A buyer without cash loses the margin's share, and both sides read why`(_ kind: DatabaseKind) async throws {
        try await withForwards(kind) { forwards in
            let town = forwards.town
            let admin = try town.exchange.operator
            let day = try await forwards.series("day")[1]
            try await forwards.ask(1, in: day.id)
            let contract = try await town.contract(try #require(try await forwards.bid(1, in: day.id).contracts.first))
            for program in [town.manage, town.connect] { try await town.certificate(of: contract.id, program) }
            let cash = try await town.balance(of: town.buyer, "cash")
            _ = try await admin.call(
                ExchangeAPI.transfer, path: ["participant": town.buyer.description],
                body: Transfer(amount: Money(microUnits: 2 * Town.price - cash, .eur), reference: "all but two hours"))
            town.exchange.clock.set(day.period.start + .hours(3))
            try await eventually("it is settled") { try await town.contract(contract.id).state == .settled }
            let over = try await town.contract(contract.id)
            #expect(over.period.end == day.period.start + .hours(2) && over.settledMicroUnits == 2 * Town.price)
            #expect(over.reason?.contains("7.92 EUR of the margin") == true, "\(over.reason ?? "")")
            let penalty = try await admin.items(of: ExchangeAPI.listPostings).filter { $0.reason == "penalty" }
            #expect(penalty.count == 1 && penalty[0].entries.map(\.amount.microUnits).max() == 7_920_000)
            #expect(try await town.balance(of: town.buyer, "cash") == 720_000, "what is left of a margin of 8.64")
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test func `Certificates of a forward are given ahead and work from its start on`() async throws {
        try await withForwards(.sqlite) { forwards in
            let town = forwards.town
            let day = try await forwards.series("day")[2]
            let month = try #require(try await forwards.series("month").last)
            try await forwards.ask(1, in: day.id)
            try await forwards.ask(1, in: month.id)
            func certificate(of order: OrderView) async throws -> IssuedCertificateView {
                try await town.manage.exchange.call(
                    ExchangeAPI.issueContractCertificate, path: ["contract": try #require(order.contracts.first).description],
                    body: CertificateRequest(csr: try CredentialKey().csrPEM()))
            }
            let issued = try await certificate(of: try await forwards.bid(1, in: day.id))
            #expect(issued.notAfter > day.period.start && issued.notAfter < day.period.end)
            let farAway = try await certificate(of: try await forwards.bid(1, in: month.id))
            #expect(farAway.notAfter > month.period.start && farAway.notAfter <= month.period.start + .hours(24), "for its first day")
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test func `Whoever does not run the market quotes the same from the tables`() async throws {
        try await withHome(.postgres) { home in
            try await withExchange(home, instance: "one") { first in
                let town = try await Town(first, deposit: 1_000_000)
                let forwards = try await ForwardTown(town)
                let day = try await forwards.series("day")[1]
                try await forwards.ask(3, in: day.id, at: 7_000)
                let query = [
                    "product": forwards.product.id.description, "start": day.period.start.description, "end": day.period.end.description,
                    "lots": "2",
                ]
                let quote = try await first.operator.call(ExchangeAPI.quote, query: query)
                try await withExchange(home, instance: "two") { second in
                    let other = try await second.operator.call(ExchangeAPI.quote, query: query)
                    #expect(other.totalMicroUnits == quote.totalMicroUnits && other.legs.map(\.series) == [day.id])
                    #expect(quote.totalMicroUnits == 2 * 24 * 7_000 && other.depth == 3)
                }
                await town.leave()
            }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `What is in the feed of a series is its life`(_ kind: DatabaseKind) async throws {
        try await withForwards(kind) { forwards in
            let town = forwards.town
            let day = try await forwards.series("day")[1]
            let order = try await forwards.ask(1, in: day.id)
            let before = try await town.buyerClient.call(ExchangeAPI.changes).latest
            town.exchange.clock.set(day.period.end + .minutes(1))
            try await eventually("the series has expired") {
                try await town.buyerClient.call(ExchangeAPI.showSeries, path: ["series": day.id.description]).state == "expired"
            }
            var kinds: [String] = []
            var after = before
            while true {
                let page = try await town.buyerClient.call(ExchangeAPI.changes, query: ["after": String(after)])
                kinds += page.changes.filter { $0.subject == day.id.description }.map(\.kind)
                if page.changes.isEmpty { break }
                after = page.latest
            }
            #expect(kinds == ["closed", "expired"])
            let view = try await town.connect.exchange.call(ExchangeAPI.showOrder, path: ["order": order.id.description])
            #expect(view.state == .cancelled && view.reason == "seriesClosed")
            #expect(try await town.balance(of: town.seller, "bond") == 0)
            #expect(try await town.exchange.problems() == [])
        }
    }
}
