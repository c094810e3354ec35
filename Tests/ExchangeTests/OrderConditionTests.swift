import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Testing
import TestSupport

/// Order conditions and controls over the API, and what of them a restart must find again.
@Suite struct OrderConditionTests {
    private func place(
        _ town: Town, _ side: OrderSide, _ lots: Int64, type: OrderType = .limit, _ conditions: OrderConditionsView? = nil,
        at price: Int64 = Town.price
    ) async throws -> OrderView {
        let client = side == .sell ? town.connect.exchange : town.manage.exchange
        return try await client.call(
            ExchangeAPI.placeOrder,
            body: PlaceOrder(
                series: town.series, side: side, type: type, price: price, lots: lots,
                datacenter: side == .sell ? DatacenterID(town.connect.id) : nil, conditions: conditions))
    }

    private func asks(_ town: Town) async throws -> [Int64] {
        try await town.manage.exchange.call(ExchangeAPI.book, path: ["series": town.series.description]).asks.map(\.lots)
    }

    @Test(arguments: DatabaseKind.allCases) func conditionsAreKept(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let iceberg = try await place(town, .sell, 6, OrderConditionsView(display: 2))
            #expect(iceberg.conditions?.display == 2)
            #expect(try await asks(town) == [2], "the book shows what is up")
            #expect(try await place(town, .buy, 3).filled == 3)
            #expect(try await asks(town) == [1])
            #expect(try await town.exchange.service.storedStateHash() == town.exchange.service.stateHash())

            let until = town.exchange.clock.now + .seconds(20)
            let dated = try await place(town, .buy, 1, type: .goodTillDate, OrderConditionsView(expires: until), at: 1_000)
            try await town.exchange.advance(.seconds(21))
            try await eventually("it expires") {
                try await town.manage.exchange.call(ExchangeAPI.showOrder, path: ["order": dated.id.description]).state == .expired
            }
            let refused = try await problem { try await place(town, .buy, 50, type: .fillOrKill) }
            #expect(refused.rule == "market.fill-or-kill" && refused.nearest == "1 lots", "what is hidden stays hidden")
        }
    }

    @Test func ordersAreReplacedAndTakenBackTogether() async throws {
        try await withTown(.sqlite) { town in
            let ask = try await place(town, .sell, 5)
            let path = ["order": ask.id.description]
            let fewer = try await town.connect.exchange.call(ExchangeAPI.replaceOrder, path: path, body: ReplaceOrder(lots: 2))
            #expect(fewer.lots == 2 && fewer.state == .resting)
            let dearer = try await town.connect.exchange.call(
                ExchangeAPI.replaceOrder, path: path, body: ReplaceOrder(price: Town.price * 2))
            #expect(dearer.price == Town.price * 2 && dearer.id == ask.id)
            #expect(
                try await problem { try await town.manage.exchange.call(ExchangeAPI.replaceOrder, path: path, body: ReplaceOrder(lots: 1)) }
                    .status
                    == 404, "somebody else's")
            _ = try await place(town, .sell, 1)
            let cancelled = try await town.connect.exchange.call(ExchangeAPI.cancelOrders, body: CancelOrders(series: town.series))
            #expect(cancelled.orders.count == 2)
            #expect(try await asks(town).isEmpty)
        }
    }

    /// A program cancels and changes its own side's orders, a connect those of its own datacenter, whatever else its company has.
    @Test func programsLeaveTheOthersOrdersAlone() async throws {
        try await withTown(.sqlite) { town in
            let other = try await Town.enrol(town.exchange, town.seller, .connect)
            _ = try await place(town, .sell, 2)
            #expect(try await other.exchange.call(ExchangeAPI.cancelOrders, body: CancelOrders()).orders.isEmpty)
            #expect(try await asks(town) == [2], "another datacenter's")
            let refused = try await problem { try await other.exchange.call(ExchangeAPI.cancelOrders, body: CancelOrders(side: .buy)) }
            #expect(refused.rule == "order.program")
        }
    }

    /// A reseller has both sides: its manage cannot touch what its connect offers.
    @Test func aResellersManageLeavesItsOffersAlone() async throws {
        try await withTown(.sqlite) { town in
            let admin = try town.exchange.operator
            let reseller = try await admin.call(
                ExchangeAPI.createParticipant, body: CreateParticipant(name: "Reseller", roles: [.buyer, .seller], currency: .eur)
            ).id
            let connect = try await Town.enrol(town.exchange, reseller, .connect)
            let manage = try await Town.enrol(town.exchange, reseller, .manage)
            let datacenter = ["datacenter": connect.id]
            _ = try await connect.exchange.call(
                ExchangeAPI.registerDatacenter, path: datacenter,
                body: RegisterDatacenter(name: "DC R", region: "demo", zones: ["demo-1a"], peerAddress: "127.0.0.1:7421"))
            _ = try await connect.exchange.call(
                ExchangeAPI.declareCapacity, path: datacenter, body: DeclareCapacity(product: town.product.id, lots: 5))
            let ask = try await connect.exchange.call(
                ExchangeAPI.placeOrder,
                body: PlaceOrder(
                    series: town.series, side: .sell, type: .limit, price: Town.price, lots: 2, datacenter: DatacenterID(connect.id)))
            let path = ["order": ask.id.description]
            #expect(try await manage.exchange.call(ExchangeAPI.cancelOrders, body: CancelOrders()).orders.isEmpty)
            let rules = [
                try await problem { try await manage.exchange.call(ExchangeAPI.cancelOrders, body: CancelOrders(side: .sell)) }.rule,
                try await problem { try await manage.exchange.call(ExchangeAPI.cancelOrder, path: path) }.rule,
                try await problem { try await manage.exchange.call(ExchangeAPI.replaceOrder, path: path, body: ReplaceOrder(lots: 1)) }
                    .rule,
            ]
            #expect(rules == ["order.program", "order.program", "order.program"])
            #expect(try await asks(town) == [2])
        }
    }

    @Test func haltsAndTheKillSwitchSayWhy() async throws {
        try await withTown(.sqlite) { town in
            let admin = try town.exchange.operator
            let series = ["series": town.series.description]
            let halted = try await admin.call(ExchangeAPI.haltSeries, path: series, body: Suspension(reason: "price in doubt"))
            #expect(halted.state == "halted" && halted.reason == "price in doubt")
            let refused = try await problem { try await place(town, .sell, 1) }
            #expect(refused.rule == "market.halted" && refused.detail.contains("price in doubt"))
            #expect(try await admin.call(ExchangeAPI.reopenSeries, path: series).state == "open")
            _ = try await place(town, .sell, 1)
            let seller = try await admin.items(of: ExchangeAPI.listParticipants).first { $0.roles.contains(.seller) }
            let path = ["participant": try #require(seller).id.description]
            let suspended = try await admin.call(ExchangeAPI.suspendParticipant, path: path, body: Suspension(reason: "runaway program"))
            #expect(suspended.suspended == "runaway program")
            #expect(try await asks(town).isEmpty)
            #expect(try await problem { try await place(town, .sell, 1) }.rule == "market.suspended")
            #expect(try await town.exchange.service.storedStateHash() == town.exchange.service.stateHash())
            #expect(try await admin.call(ExchangeAPI.resumeParticipant, path: path).suspended == nil)
            _ = try await place(town, .sell, 1)
        }
    }
}
