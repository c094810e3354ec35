import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Store
import TestSupport
import Testing

/// Forwards with fees, halts and busts over the API, and what of them a restart must find again.
@Suite struct ForwardRiskAPITests {
    private static let risk = ProductRisk(
        collarThousandths: 500, bandThousandths: 100, haltSeconds: 30, takerFeeMillionths: 10_000, makerFeeMillionths: 5_000)
    private static let deposit: Int64 = 1_000_000_000

    /// Hours ahead of a product with fees, soonest first, sold by the town's connect.
    private func hours(_ town: Town) async throws -> [SeriesView] {
        let admin = try town.exchange.operator
        var definition = Town.definition("hours", spotPeriodSeconds: 3_600, risk: Self.risk)
        definition.forwards = ForwardDefinition(calendar: [.hour])
        let product = try await admin.call(ExchangeAPI.createProduct, body: definition)
        _ = try await town.connect.exchange.call(
            ExchangeAPI.declareCapacity, path: ["datacenter": town.connect.id], body: DeclareCapacity(product: product.id, lots: 10))
        let transfer = Transfer(amount: Money(microUnits: Self.deposit, .eur), reference: "bonds")
        _ = try await admin.call(ExchangeAPI.transfer, path: ["participant": town.seller.description], body: transfer)
        let query = ["product": product.id.description, "kind": "hour"]
        return try await admin.items(of: ExchangeAPI.listSeries, query: query).sorted { $0.period.start < $1.period.start }
    }

    private func ask(_ town: Town, _ lots: Int64, in series: SeriesView, at price: Int64 = Town.price) async throws {
        let order = PlaceOrder(
            series: series.id, side: .sell, type: .limit, price: price, lots: lots, datacenter: DatacenterID(town.connect.id))
        _ = try await town.connect.exchange.call(ExchangeAPI.placeOrder, body: order)
    }

    private func bid(_ town: Town, _ lots: Int64, in series: SeriesView, at price: Int64 = Town.price) async throws -> OrderView {
        let order = PlaceOrder(series: series.id, side: .buy, type: .limit, price: price, lots: lots)
        return try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: order)
    }

    /// Three lots of an hour, the seller's order resting, ten minutes before delivery: the hour is paid for.
    private func funded(_ town: Town, _ hour: SeriesView) async throws -> ContractView {
        try await ask(town, 3, in: hour)
        let contract = try await town.contract(try #require(try await bid(town, 3, in: hour).contracts.first))
        for program in [town.manage, town.connect] { try await town.certificate(of: contract.id, program) }
        #expect(contract.marginMicroUnits == 1_080_000 && contract.bondMicroUnits == 540_000)
        town.exchange.clock.set(hour.period.start - .minutes(5))
        try await eventually("the hour is paid for") { try await town.balance(of: town.buyer, "held-for-contracts") == 10_800_000 }
        #expect(try await town.balance(of: town.buyer, "fees") == 108_000)
        return contract
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A forward with fees and a halted series survive a restart and end as they should`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let (hash, contract, halted, parties) = try await withExchange(home) { exchange in
                let town = try await Town(exchange, deposit: Self.deposit)
                let hours = try await hours(town)
                let contract = try await funded(town, hours[2])
                let opening = SetReferencePrice(price: Town.price, reason: "opening")
                _ = try await exchange.operator.call(
                    ExchangeAPI.setReferencePrice, path: ["series": hours[5].id.description], body: opening)
                try await ask(town, 1, in: hours[5], at: 4_500_000)
                #expect(try await bid(town, 1, in: hours[5], at: 4_600_000).reason == "volatility")
                let query = ["product": hours[5].product.description, "state": "halted"]
                let halted = try await exchange.operator.items(of: ExchangeAPI.listSeries, query: query)
                #expect(halted.map(\.id) == [hours[5].id] && halted[0].haltedUntil == exchange.clock.now + .seconds(30))
                #expect(halted[0].referencePrice == 3_960_000 && halted[0].closes == hours[5].period.start - .minutes(15))
                #expect(try await exchange.problems() == [])
                await town.leave()
                return (await exchange.service.stateHash(), contract, hours[5].id, (buyer: town.buyer, seller: town.seller))
            }
            try await withExchange(home, instance: "two") { exchange in
                try await eventually("it has the market") { await exchange.service.stateHash() == hash }
                #expect(try await exchange.problems() == [])
                let admin = try exchange.operator
                exchange.clock.advance(by: .seconds(31))
                try await eventually("the halt ends") {
                    try await admin.call(ExchangeAPI.showSeries, path: ["series": halted.description]).state == "open"
                }
                exchange.clock.set(contract.period.end + .minutes(6))
                let path = ["contract": contract.id.description]
                try await eventually("it is settled") { try await admin.call(ExchangeAPI.showContract, path: path).state == .settled }
                let settlement = try await admin.call(ExchangeAPI.showSettlement, path: path)
                #expect(settlement.charged.microUnits == 10_800_000 && settlement.paid.microUnits == 10_746_000)
                #expect(settlement.buyerFee.microUnits == 108_000 && settlement.sellerFee.microUnits == 54_000)
                #expect(settlement.remaining == nil && settlement.nextSettlement == nil)
                #expect(try await exchange.problems() == [])
                try await checkStatements(of: parties, contract, exchange)
            }
        }
    }

    /// What the days of a contract brought each side, by account.
    private func checkStatements(
        of parties: (buyer: ParticipantID, seller: ParticipantID), _ contract: ContractView, _ exchange: RunningExchange
    ) async throws {
        let expected: [(ParticipantID, [String: Int64], Set<String>)] = [
            (
                parties.buyer, ["cash": -10_908_000, "margin": 0, "held-for-contracts": 0, "fees": 0],
                ["stretch-hold", "settlement", "fee"]
            ),
            // A lot of another hour rests.
            (parties.seller, ["cash": 10_746_000 - 225_000, "bond": 225_000], ["settlement", "fee", "contract-release"]),
        ]
        let first = String(contract.period.start.description.prefix(10))
        let last = String(exchange.clock.now.description.prefix(10))
        for (participant, sums, reasons) in expected {
            var found: [String: Int64] = [:]
            var seen: Set<String> = []
            for day in Set([first, last, String((contract.period.start - .hours(3)).description.prefix(10))]) {
                let path = ["participant": participant.description, "day": day]
                let statement = try await exchange.operator.call(ExchangeAPI.showStatement, path: path)
                for line in statement.lines where line.reason != "deposit" {
                    found[line.account, default: 0] += line.amountMicroUnits
                    seen.insert(line.reason)
                }
            }
            for (account, sum) in sums { #expect(found[account] == sum, "\(account): \(found)") }
            #expect(reasons.isSubset(of: seen), "\(seen)")
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A busted forward gives margin and bond back`(_ kind: DatabaseKind) async throws {
        try await withTown(kind, deposit: Self.deposit) { town in
            let hour = try await hours(town)[2]
            let contract = try await funded(town, hour)
            town.exchange.clock.set(hour.period.start + .minutes(1))
            try await eventually("delivery has begun") { try await town.contract(contract.id).state == .delivering }
            let busted = try await town.exchange.operator.call(
                ExchangeAPI.bustTrade, path: ["trade": contract.trade.description], body: BustTrade(reason: "a slip of the keyboard"))
            #expect(busted.busted?.paidBackMicroUnits == 0)
            let over = try await town.contract(contract.id)
            #expect(over.state == .settled && over.marginMicroUnits == 0 && over.bondMicroUnits == 0)
            for participant in [town.buyer, town.seller] {
                #expect(try await town.balance(of: participant, "cash") == Self.deposit)
                for account in ["margin", "bond", "fees", "held-for-contracts"] {
                    #expect(try await town.balance(of: participant, account) == 0)
                }
            }
            let shown = try await town.exchange.operator.call(ExchangeAPI.showSeries, path: ["series": hour.id.description])
            #expect(shown.lastPrice == nil && shown.referencePrice == nil && shown.state == "closed")
            #expect(try await town.exchange.problems() == [])
        }
    }
}
