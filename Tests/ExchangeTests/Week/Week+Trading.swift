import CloudAPI
import CloudClient
import Foundation
import Primitives

// What traders do by chance.

extension Week {
    private static let step: Int64 = 2_000
    /// More than this many contracts at a time would only be more of the same.
    private static let mostContracts = 16

    /// The day's middle price of a product.
    func middle(_ product: Int) -> Int64 { WeekCast.prices[product] + day * 4_000 }

    func place(_ member: Int, _ order: PlaceOrder) async throws -> OrderView {
        try await stage.clients[member].call(ExchangeAPI.placeOrder, body: order)
    }

    func ask(_ site: Int, _ lots: Int64, at price: Int64, in series: SeriesID? = nil, conditions: OrderConditionsView? = nil) -> PlaceOrder
    {
        let (datacenter, product) = (cast.sites[site].datacenter, cast.sites[site].product)
        return PlaceOrder(
            series: series ?? cast.spot[product], side: .sell, type: conditions?.expires == nil ? .limit : .goodTillDate, price: price,
            lots: lots, datacenter: datacenter, conditions: conditions)
    }

    func bid(_ lots: Int64, at price: Int64, in series: SeriesID, type: OrderType = .limit, conditions: OrderConditionsView? = nil)
        -> PlaceOrder
    {
        PlaceOrder(
            series: series, side: .buy, type: conditions?.expires == nil ? type : .goodTillDate, price: price, lots: lots,
            conditions: conditions)
    }

    /// Open series of one kind of forward, in the order of their periods.
    func forwards(_ kind: ForwardKind) async throws -> [SeriesView] {
        let query = ["product": cast.products[WeekCast.general].description, "kind": kind.rawValue, "state": "open"]
        return try await stage.admin.items(of: ExchangeAPI.listSeries, query: query).sorted { $0.period.start < $1.period.start }
    }

    var liveContracts: Int { auditor.open.filter { $0.state != "ended" }.count }

    func trade(_ actions: Int) async throws {
        for _ in 0..<actions {
            switch random(20) {
            case 0...4: try await offer()
            case 5...8: try await bid()
            case 9...12: try await take()
            case 13...15: try await replace()
            case 16, 17: try await cancel()
            case 18: try await forward()
            default: try await withdraw()
            }
        }
    }

    /// Conditions for an order that rests, most often none.
    private func conditions(lots: Int64) -> OrderConditionsView? {
        switch random(10) {
        case 0 where lots > 1: OrderConditionsView(display: max(1, lots / 2))
        case 1: OrderConditionsView(allOrNone: true)
        case 2: OrderConditionsView(postOnly: true)
        case 3: OrderConditionsView(expires: now + .minutes(Int64(30 + random(300))))
        case 4: OrderConditionsView(selfMatch: SelfMatchMode.allCases[random(4)])
        default: nil
        }
    }

    private func offer() async throws {
        let site = random(cast.sites.count)
        let lots = Int64(1 + random(5))
        let price = middle(cast.sites[site].product) + Int64(1 + random(8)) * Self.step
        try await ask("ask") { try await place(cast.sites[site].owner, ask(site, lots, at: price, conditions: conditions(lots: lots))) }
    }

    private func bid() async throws {
        let (member, product) = (3 + random(3), random(2))
        let lots = Int64(1 + random(4))
        let price = middle(product) - Int64(1 + random(8)) * Self.step
        try await ask("bid") { try await place(member, bid(lots, at: price, in: cast.spot[product], conditions: conditions(lots: lots))) }
    }

    /// Trades at once what somebody left in the book.
    private func take() async throws {
        guard liveContracts < Self.mostContracts else { return }
        let product = random(2)
        let reach = Int64(4 + random(6)) * Self.step
        let type = [OrderType.immediateOrCancel, .market, .fillOrKill, .limit][random(4)]
        let lots = Int64(1 + random(3))
        if random(4) == 0 {
            let sites = cast.sites.indices.filter { cast.sites[$0].product == product }
            let site = sites[random(sites.count)]
            var order = ask(site, lots, at: middle(product) - reach)
            order.type = type
            try await ask("sell at once") { [order] in try await place(cast.sites[site].owner, order) }
        } else {
            let order = bid(lots, at: middle(product) + reach, in: cast.spot[product], type: type)
            let member = 3 + random(3)
            try await ask("buy at once") { try await place(member, order) }
        }
    }

    /// The orders that rest, oldest first: the same in every run.
    private var ownOrders: [BookEntry] { auditor.resting.values.sorted { $0.priority < $1.priority } }

    private func replace() async throws {
        let all = ownOrders
        guard !all.isEmpty else { return }
        let order = all[random(all.count)]
        guard let member = cast.member(order.participant) else { return }
        let way = random(3)
        let change =
            switch way {
            case 0: ReplaceOrder(lots: order.filled + max(1, order.lots - 1))
            case 1: ReplaceOrder(price: order.price + (order.isBuy ? -1 : 1) * Self.step)
            default: ReplaceOrder(price: order.price + (order.isBuy ? 1 : -1) * Self.step, lots: order.filled + order.lots + 1)
            }
        try await ask("replace") {
            try await stage.clients[member].call(ExchangeAPI.replaceOrder, path: ["order": order.id], body: change)
        }
    }

    private func cancel() async throws {
        let all = ownOrders
        guard !all.isEmpty else { return }
        let order = all[random(all.count)]
        guard let member = cast.member(order.participant) else { return }
        try await ask("cancel") { try await stage.clients[member].call(ExchangeAPI.cancelOrder, path: ["order": order.id]) }
    }

    private func withdraw() async throws {
        let (member, product) = (random(6), random(2))
        let body = CancelOrders(series: cast.spot[product], side: random(2) == 0 ? .buy : .sell)
        try await ask("cancel all") { try await stage.clients[member].call(ExchangeAPI.cancelOrders, body: body) }
    }

    /// An hour, or a day, some time ahead; now and then both sides meet.
    private func forward() async throws {
        let kind: ForwardKind = random(3) == 0 ? .day : .hour
        let series = try await forwards(kind)
        guard series.count > 8 else { return }
        let one = series[random(kind == .day ? 2 : 8)].id
        let (site, price) = ([0, 2, 4][random(3)], middle(WeekCast.general) + Int64(random(5)) * Self.step)
        try await ask("forward ask") { try await place(cast.sites[site].owner, ask(site, 1 + Int64(random(2)), at: price, in: one)) }
        guard liveContracts < Self.mostContracts, random(2) == 0 else { return }
        let buyer = 3 + random(2)
        try await ask("forward bid") { try await place(buyer, bid(1, at: price + Self.step, in: one)) }
    }

    /// Buyers and sellers stop what has run for some hours.
    func stopSome() async throws {
        let old = auditor.open.filter {
            $0.state == "delivering" && !$0.isForward && !$0.isClosing && now.microseconds - $0.created > Span.hours(5).microseconds
        }
        for contract in old where random(4) == 0 {
            let side = random(2) == 0 ? contract.buyer : contract.seller
            guard let member = cast.member(side) else { continue }
            try await ask("stop") {
                try await stage.clients[member].call(
                    ExchangeAPI.stopContract, path: ["contract": contract.id], body: StopContract(reason: "enough"))
            }
        }
    }
}
