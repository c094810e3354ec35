import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Store
import TestSupport
import Testing

/// Reference prices, halts, busts and credit lines over the API, and what of them a restart must find again.
@Suite struct RiskAPITests {
    private static let risk = ProductRisk(
        collarThousandths: 500, bandThousandths: 100, haltSeconds: 30, referenceTrades: 3, referenceMinimumLots: 2,
        takerFeeMillionths: 10_000,
        makerFeeMillionths: 5_000)

    private func series(_ town: Town) async throws -> SeriesView {
        try #require(try await town.exchange.operator.call(ExchangeAPI.listSeries).items.first)
    }

    private func buy(_ town: Town, _ lots: Int64, at price: Int64) async throws -> OrderView {
        try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: town.bid(lots, at: price))
    }

    private func agrees(_ town: Town) async throws -> Bool {
        try await town.exchange.service.storedStateHash() == town.exchange.service.stateHash()
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A series halts by itself, reopens by itself, and says what orders may cost`(_ kind: DatabaseKind) async throws {
        try await withTown(kind, risk: Self.risk) { town in
            #expect(town.product.definition.risk == Self.risk)
            #expect(try await series(town).referencePrice == nil)
            let path = ["series": town.series.description]
            let set = try await town.exchange.operator.call(
                ExchangeAPI.setReferencePrice, path: path, body: SetReferencePrice(price: 1_000_000, reason: "opening"))
            #expect(set.referencePrice == 1_000_000 && set.collar == PriceRange(lowest: 500_000, highest: 1_500_000))
            #expect(set.volatilityBand == PriceRange(lowest: 900_000, highest: 1_100_000))
            let refused = try await problem { try await town.ask(1, at: 1_600_000) }
            #expect(refused.rule == "market.collar" && refused.nearest == "1500000" && refused.status == 422)

            for price in [1_000_000, 1_050_000, 1_200_000] as [Int64] { try await town.ask(1, at: price) }
            let bought = try await buy(town, 3, at: 1_300_000)
            #expect(bought.filled == 2 && bought.state == .partiallyFilledAndCancelled && bought.reason == "volatility")
            let halted = try await series(town)
            #expect(halted.state == "halted" && halted.haltedUntil == town.exchange.clock.now + .seconds(30))
            #expect(halted.reason?.contains("1.20 EUR") == true && halted.referencePrice == 1_100_000)
            #expect(try await agrees(town))
            #expect(try await problem { try await buy(town, 1, at: 1_200_000) }.rule == "market.halted")
            try await town.exchange.advance(.seconds(30))
            try await eventually("it reopens") { try await series(town).state == "open" }
            #expect(try await buy(town, 1, at: 1_210_000).filled == 1)
            #expect(try await town.exchange.problems() == [])
            let feed = try await town.exchange.operator.call(ExchangeAPI.changes).changes.filter { $0.topic == "series" }.map(\.kind)
            #expect(feed == ["open", "open", "halted", "open"])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A busted trade gives everything back and counts no more`(_ kind: DatabaseKind) async throws {
        try await withTown(kind, risk: Self.risk) { town in
            let admin = try town.exchange.operator
            let contract = try await town.trade(2)
            for program in [town.manage, town.connect] { try await town.certificate(of: contract.id, program) }
            try await town.exchange.advance(.seconds(66))
            try await eventually("the first minute is paid") { try await town.balance(of: town.seller, "cash") == 119_400 }
            let settlement = try await town.connect.exchange.call(
                ExchangeAPI.showSettlement, path: ["contract": contract.id.description])
            #expect(settlement.charged.microUnits == 120_000 && settlement.paid.microUnits == 119_400)
            #expect(settlement.buyerFee.microUnits == 1_200 && settlement.sellerFee.microUnits == 600)
            #expect(settlement.held.microUnits == 120_000 && settlement.feesHeld.microUnits == 1_200)
            #expect(settlement.nextSettlement == contract.period.end + .minutes(1) && settlement.remaining?.length == .minutes(1))

            let path = ["trade": contract.trade.description]
            let body = BustTrade(reason: "a slip of the keyboard")
            let busted = try await admin.call(ExchangeAPI.bustTrade, path: path, body: body, idempotencyKey: "b1")
            #expect(busted.busted?.reason == body.reason && busted.busted?.paidBackMicroUnits == 120_000)
            #expect(try await admin.call(ExchangeAPI.bustTrade, path: path, body: body, idempotencyKey: "b1").id == busted.id)
            #expect(try await problem { try await admin.call(ExchangeAPI.bustTrade, path: path, body: body) }.rule == "market.trade-busted")
            #expect(try await town.balance(of: town.buyer, "cash") == 1_000_000_000)
            #expect(try await town.balance(of: town.seller, "cash") == 0)
            let over = try await town.contract(contract.id)
            #expect(over.state == .settled && over.settledMicroUnits == 0)
            #expect(over.reason == "its trade was declared void: a slip of the keyboard")
            let seen = try await town.strangerClient.call(ExchangeAPI.listTrades).items.first
            #expect(seen?.busted?.reason == body.reason && seen?.busted?.paidBackMicroUnits == nil && seen?.contract == nil)
            #expect(try await series(town).lastPrice == nil)
            #expect(try await series(town).referencePrice == nil)
            #expect(try await town.exchange.problems() == [])

            let other = try await town.trade(1)
            _ = try await admin.call(
                ExchangeAPI.stopContract, path: ["contract": other.id.description], body: StopContract(reason: "over", immediately: true))
            let late = try await problem {
                try await admin.call(ExchangeAPI.bustTrade, path: ["trade": other.trade.description], body: body)
            }
            #expect(late.status == 409 && late.rule == "market.trade-settled")
            #expect(
                try await problem {
                    try await admin.call(ExchangeAPI.bustTrade, path: ["trade": TradeID(bits: 1).description], body: body)
                }.status == 404)
            #expect(try await agrees(town))
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Credit pays for contracts and never for withdrawals`(_ kind: DatabaseKind) async throws {
        try await withTown(kind, deposit: 100_000) { town in
            let admin = try town.exchange.operator
            let path = ["participant": town.buyer.description]
            try await town.ask(2)
            #expect(try await problem { try await buy(town, 2, at: Town.price) }.rule == "market.cash")
            let grant = GrantCreditLine(amount: Money(microUnits: 150_000, .eur), reason: "annual review")
            let line = try await admin.call(ExchangeAPI.grantCreditLine, path: path, body: grant)
            #expect(line.available.microUnits == 150_000 && line.changes.map(\.reason) == ["annual review"])
            #expect(try await buy(town, 2, at: Town.price).filled == 2)
            let used = try await town.buyerClient.call(ExchangeAPI.showCreditLine, path: path)
            #expect(used.used.microUnits == 20_000 && used.available.microUnits == 130_000)
            let cash = try await town.buyerClient.call(ExchangeAPI.listBalances).items.first { $0.account == "cash" }
            #expect(cash?.amount.microUnits == -20_000 && cash?.creditLineMicroUnits == 150_000)
            let less = GrantCreditLine(amount: Money(microUnits: 19_999, .eur), reason: "less")
            let refused = try await problem { try await admin.call(ExchangeAPI.grantCreditLine, path: path, body: less) }
            #expect(refused.status == 409 && refused.rule == "market.credit-used" && refused.nearest == "0.02 EUR")
            let out = Transfer(amount: Money(microUnits: -1, .eur), reference: "out")
            #expect(try await problem { try await admin.call(ExchangeAPI.transfer, path: path, body: out) }.rule == "market.cash")
            #expect(try await problem { try await town.strangerClient.call(ExchangeAPI.showCreditLine, path: path) }.status == 404)
            #expect(try await admin.items(of: ExchangeAPI.listParticipants).first { $0.id == town.buyer }?.creditLineMicroUnits == 150_000)
            #expect(try await town.exchange.problems() == [])
            let trial = try await admin.call(ExchangeAPI.trialBalance)
            #expect(trial.totals == [.zero(.eur)] && trial.unequal.isEmpty)
            let proof = try #require(trial.proof.first)
            #expect(proof.creditMicroUnits == 220_000 && proof.debitMicroUnits == -220_000 && proof.entriesMicroUnits == 0)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A restart finds lines, halts, references and fees again`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let (before, series) = try await withExchange(home) { exchange in
                let town = try await Town(exchange, deposit: 10_000, risk: Self.risk)
                let admin = try exchange.operator
                _ = try await admin.call(
                    ExchangeAPI.grantCreditLine, path: ["participant": town.buyer.description],
                    body: GrantCreditLine(amount: Money(microUnits: 9_000_000, .eur), reason: "annual review"))
                let bad = try await town.trade(3)
                _ = try await town.trade(2)
                _ = try await admin.call(
                    ExchangeAPI.bustTrade, path: ["trade": bad.trade.description], body: BustTrade(reason: "a slip"))
                try await town.ask(1, at: 4_500_000)
                _ = try await buy(town, 1, at: 4_600_000)
                #expect(try await self.series(town).state == "halted")
                await town.leave()
                return (await exchange.service.stateHash(), town.series)
            }
            try await withExchange(home, instance: "two") { exchange in
                try await eventually("it has the market") { try await exchange.service.storedStateHash() == exchange.service.stateHash() }
                #expect(await exchange.service.stateHash() == before)
                #expect(try await exchange.problems() == [])
                exchange.clock.advance(by: .seconds(31))
                try await eventually("the halt that was under way ends") {
                    try await exchange.operator.items(of: ExchangeAPI.listSeries).first { $0.id == series }?.state == "open"
                }
            }
        }
    }
}
