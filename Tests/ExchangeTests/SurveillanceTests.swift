import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Store
import TestSupport
import Testing

@Suite struct SurveillanceTests {
    private func conduct(_ town: Town, _ participant: ParticipantID) async throws -> ConductView? {
        try await town.exchange.operator.call(ExchangeAPI.listConduct, query: ["participant": participant.description]).items.first
    }

    @Test(arguments: DatabaseKind.allCases) func ordersThatWereNotThereToTradeStandOut(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            _ = try await town.trade(2)
            for (price, pause) in [(Int64(1_000), Int64(0)), (1_000, 30), (999_000, 0), (1_000_000, 5)] {
                let order = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: price))
                if price == 1_000 { _ = try await town.strangerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: 2_000)) }
                town.exchange.clock.advance(by: .seconds(pause))
                _ = try await town.buyerClient.call(ExchangeAPI.cancelOrder, path: ["order": order.id.description])
                try await eventually("it has been looked at") {
                    try await town.exchange.service.isSurveillanceCurrent()
                }
            }
            let buyer = try #require(try await conduct(town, town.buyer))
            #expect(buyer.orders == 5 && buyer.withdrawn == 4 && buyer.fleeting == 2 && buyer.trades == 1)
            #expect(buyer.farFromTouch == 2, "1000 is half of 2000; the others were better than the best that is left")
            #expect(buyer.fleetingShare == 400 && buyer.ordersPerTrade == 5_000 && buyer.participantName == "Acme")
            let seller = try #require(try await conduct(town, town.seller))
            #expect(seller.orders == 1 && seller.withdrawn == 0 && seller.trades == 1)
            #expect(try await conduct(town, town.stranger) == nil, "its orders still rest")
        }
    }

    @Test func selfMatchesLeaveATrace() async throws {
        try await withTown(.sqlite) { town in
            let admin = try town.exchange.operator
            let both = try await admin.call(
                ExchangeAPI.createParticipant, body: CreateParticipant(name: "Both", roles: [.buyer, .seller], currency: .eur)
            ).id
            _ = try await admin.call(
                ExchangeAPI.transfer, path: ["participant": both.description],
                body: Transfer(amount: Money(microUnits: 1_000_000_000, .eur), reference: "bank"))
            let connect = try await Town.enrol(town.exchange, both, .connect)
            let datacenter = ["datacenter": connect.id]
            _ = try await connect.exchange.call(
                ExchangeAPI.registerDatacenter, path: datacenter,
                body: RegisterDatacenter(name: "DC B", region: "demo", zones: ["demo-1a"], peerAddress: "127.0.0.1:7421"))
            _ = try await connect.exchange.call(
                ExchangeAPI.declareCapacity, path: datacenter, body: DeclareCapacity(product: town.product.id, lots: 5))
            let ask = try await connect.exchange.call(
                ExchangeAPI.placeOrder,
                body: PlaceOrder(
                    series: town.series, side: .sell, type: .limit, price: Town.price, lots: 2, datacenter: DatacenterID(connect.id)))
            let client = try await Town.client(town.exchange, both)
            #expect(try await problem { try await client.call(ExchangeAPI.placeOrder, body: town.bid(2)) }.rule == "market.self-trade")
            var second = town.bid(1)
            second.conditions = OrderConditionsView(selfMatch: .cancelOldest)
            _ = try await client.call(ExchangeAPI.placeOrder, body: second)
            try await eventually("both are recorded") {
                try await admin.call(ExchangeAPI.listSelfMatches).items.map(\.outcome) == [.prevented, .refused]
            }
            let found = try await admin.call(ExchangeAPI.listSelfMatches, query: ["participant": both.description]).items
            #expect(found.map(\.order) == [ask.id.description, ask.id.description])
            #expect(found.map(\.side) == [.sell, .buy] && found[1].lots == 2)
            // Again and again is one line a minute.
            _ = try await client.call(ExchangeAPI.cancelOrders, body: CancelOrders())
            town.exchange.clock.advance(by: .minutes(1))
            _ = try await connect.exchange.call(
                ExchangeAPI.placeOrder,
                body: PlaceOrder(
                    series: town.series, side: .sell, type: .limit, price: Town.price, lots: 2, datacenter: DatacenterID(connect.id)))
            for minute in 0..<2 {
                for _ in 0..<5 {
                    #expect(
                        try await problem { try await client.call(ExchangeAPI.placeOrder, body: town.bid(1)) }.rule == "market.self-trade")
                }
                try await eventually("they are counted") {
                    try await admin.call(ExchangeAPI.listSelfMatches).items.map(\.times) == Array(repeating: 5, count: minute + 1) + [1, 1]
                }
                town.exchange.clock.advance(by: .minutes(1))
            }
            #expect(try await admin.call(ExchangeAPI.listSelfMatches, query: ["participant": town.buyer.description]).items.isEmpty)
            await connect.exchange.shutdown()
        }
    }

    @Test(arguments: DatabaseKind.allCases) func theAuditTrailIsCheckedAndSaysWhereItBreaks(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let admin = try town.exchange.operator
            let before = try await admin.call(ExchangeAPI.verifyAudit)
            #expect(before.intact && before.firstBroken == nil && before.checked > 5)
            let all = try await admin.items(of: ExchangeAPI.listAudit)
            #expect(all.map(\.sequence) == Array(1...before.headSequence) && all.last?.hash == before.headHash)
            let known = ["sequence": "\(before.headSequence)", "hash": before.headHash]
            _ = try await town.trade(1)
            let later = try await admin.call(ExchangeAPI.verifyAudit, query: known)
            #expect(later.intact && later.checked == later.headSequence - before.headSequence)

            // Somebody who owns the database takes the guard away and changes a line.
            try await town.exchange.database.write { transaction in
                switch transaction.dialect {
                case .sqlite: try transaction.execute("DROP TRIGGER audit_no_update")
                case .postgres: try transaction.execute("DROP TRIGGER audit_append_only ON audit")
                }
                try transaction.execute("UPDATE audit SET actor = 'somebody else' WHERE sequence = 3")
            }
            let broken = try await admin.call(ExchangeAPI.verifyAudit)
            #expect(!broken.intact && broken.firstBroken == 3 && broken.checked == 3)
            #expect(try await admin.call(ExchangeAPI.verifyAudit, query: known).intact, "what came after an entry known to be good")
            #expect(try await problem { try await admin.call(ExchangeAPI.verifyAudit, query: ["sequence": "3"]) }.status == 422)
        }
    }
}
