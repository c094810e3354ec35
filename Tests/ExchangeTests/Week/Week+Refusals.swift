import CloudAPI
import CloudClient
import Foundation
import Primitives

// Every day, everything that must be refused.

extension Week {
    func refusals() async throws {
        let (series, price) = (cast.spot[WeekCast.general], middle(WeekCast.general))
        let acme = WeekCast.acme
        try await refused("market.cash") { try await place(acme, bid(900_000, at: price - 40_000, in: series)) }
        try await refused("market.capacity") { try await place(WeekCast.nordlicht, ask(0, 61, at: price + 40_000)) }
        try await refused("market.collar") { try await place(acme, bid(1, at: price * 2, in: series)) }
        try await refused("market.price") { try await place(acme, bid(1, at: 0, in: series)) }
        try await refused("market.lots") { try await place(acme, bid(0, at: price, in: series)) }
        try await refused("market.role") {
            try await place(
                acme, PlaceOrder(series: series, side: .sell, type: .limit, price: price, lots: 1, datacenter: cast.sites[0].datacenter))
        }
        try await refused("market.unknown-datacenter") { try await place(WeekCast.rheinrechen, ask(0, 1, at: price + 40_000)) }
        try await refused("market.unknown-series") { try await place(acme, bid(1, at: price, in: SeriesID(bits: 1))) }
        try await refused("market.expires") {
            try await place(acme, bid(1, at: price - 40_000, in: series, conditions: OrderConditionsView(expires: now)))
        }
        try await refused("market.display") {
            try await place(acme, bid(1, at: price - 40_000, in: series, conditions: OrderConditionsView(display: 2)))
        }
        try await refusedMatches(series, price)
        try await refusedRests(series, price)
        try await refusedMoney()
    }

    /// Orders whose conditions the book does not meet.
    private func refusedMatches(_ series: SeriesID, _ price: Int64) async throws {
        let resell = WeekCast.resell
        // Where nobody else is.
        let quiet = price + 30_000
        for member in cast.members.indices where cast.members[member].sells {
            _ = try await must("cancel all") {
                try await stage.clients[member].call(ExchangeAPI.cancelOrders, body: CancelOrders(series: series, side: .sell))
            }
        }
        let own = try await must("ask") { try await place(resell, ask(4, 2, at: quiet)) }
        try await refused("market.self-trade") { try await place(resell, bid(1, at: quiet, in: series)) }
        try await refused("market.post-only") {
            try await place(WeekCast.acme, bid(1, at: quiet, in: series, conditions: OrderConditionsView(postOnly: true)))
        }
        try await refused("market.fill-or-kill") { try await place(WeekCast.acme, bid(3, at: quiet, in: series, type: .fillOrKill)) }
        try await refused("market.minimum") {
            try await place(WeekCast.acme, bid(4, at: quiet, in: series, conditions: OrderConditionsView(minimumLots: 3)))
        }
        let path = ["order": own.id.description]
        try await refused("market.unknown-order") { try await stage.clients[WeekCast.acme].call(ExchangeAPI.cancelOrder, path: path) }
        _ = try await must("cancel") { try await stage.clients[resell].call(ExchangeAPI.cancelOrder, path: path) }
        try await refused("market.order-over") { try await stage.clients[resell].call(ExchangeAPI.cancelOrder, path: path) }
    }

    private func refusedRests(_ series: SeriesID, _ price: Int64) async throws {
        var named = bid(1, at: price - 30_000, in: series)
        named.clientOrderID = "day-\(day)"
        let order = try await must("bid") { [named] in try await place(WeekCast.acme, named) }
        try await refused("market.client-order-id") { [named] in try await place(WeekCast.acme, named) }
        try await refused("market.cash") {
            try await stage.clients[WeekCast.acme].call(
                ExchangeAPI.replaceOrder, path: ["order": order.id.description], body: ReplaceOrder(lots: 800_000))
        }
        let closed = try await stage.admin.items(
            of: ExchangeAPI.listSeries, query: ["product": cast.products[WeekCast.general].description, "state": "closed"])
        guard let over = closed.first(where: { $0.kind == "hour" }) else { return }
        try await refused("market.closed") { try await place(WeekCast.acme, bid(1, at: price, in: over.id)) }
    }

    private func refusedMoney() async throws {
        let path = ["participant": cast.members[WeekCast.borealis].id.description]
        try await refused("market.amount") {
            try await stage.admin.call(
                ExchangeAPI.transfer, path: path, body: Transfer(amount: Money(microUnits: 0, .eur), reference: "nothing"))
        }
        let used = -auditor.balance(of: cast.members[WeekCast.borealis].id.description, "cash")
        guard used > 0 else { return }
        try await refused("market.credit-used") {
            try await stage.admin.call(
                ExchangeAPI.grantCreditLine, path: path,
                body: GrantCreditLine(amount: Money(microUnits: used - 1, .eur), reason: "less"))
        }
    }

    func refusedContracts() async throws {
        guard let forward = auditor.open.first(where: { $0.isForward && $0.state != "ended" }),
            let member = cast.member(forward.buyer), let manage = stage.manages[member]
        else { return }
        let path = ["contract": forward.id]
        try await refused("market.forward-fixed") {
            try await manage.exchange.call(ExchangeAPI.stopContract, path: path, body: StopContract(reason: "no"))
        }
        try await refused("market.unknown-contract") {
            try await stage.clients[WeekCast.alpin].call(ExchangeAPI.showContract, path: path)
        }
    }
}
