import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Store
import Testing

// The turning points: what happens in every week, and when.

extension Week {
    static let days: Int64 = 7
    static let seed: UInt64 = 20_260_104

    /// Trades hour by hour up to, and not including, an hour of the week.
    func run(to end: Int64) async throws {
        while hour < end {
            try await begin()
            do { try await turn() } catch is ProblemDocument {}
            try await report()
            try await settleDisputes()
            try await stopSome()
            try await trade(2 + random(3))
            try await pass(to: now + .seconds(Int64(300 + random(1_200))))
            try await trade(1 + random(2))
            try await confirm()
            hour += 1
        }
    }

    private func begin() async throws {
        try await pass(to: start + .hours(hour))
        if hour > 0, hour % 24 == 0 { try await closeDay() }
    }

    /// No more trades; whatever runs is stopped, delivered, reported on and settled.
    func wind() async throws {
        try await begin()
        for member in cast.members.indices {
            _ = try await must("cancel all") { try await stage.clients[member].call(ExchangeAPI.cancelOrders, body: CancelOrders()) }
        }
        for contract in auditor.open where contract.state != "ended" && !contract.isForward && !contract.isClosing {
            _ = try await must("stop") {
                try await stage.admin.call(
                    ExchangeAPI.stopContract, path: ["contract": contract.id], body: StopContract(reason: "the week is over"))
            }
        }
        while !auditor.open.isEmpty || hour % 24 != 0, hour < 14 * 24 {
            hour += 1
            try await begin()
            try await report()
            try await settleDisputes()
        }
    }

    private func turn() async throws {
        let spot = ["series": cast.spot[WeekCast.general].description]
        switch (day, hour % 24) {
        case (0, 1): try await buyTheWeek()
        case (_, 2): try await refusals()
        case (0, 20): try await refusedContracts()
        case (1, 9):
            _ = try await must("operator halt") {
                try await stage.admin.call(ExchangeAPI.haltSeries, path: spot, body: Suspension(reason: "odd prices"))
            }
            try await refused("market.halted") {
                try await place(WeekCast.acme, bid(1, at: middle(WeekCast.general), in: cast.spot[WeekCast.general]))
            }
        case (1, 11): _ = try await must("operator reopens") { try await stage.admin.call(ExchangeAPI.reopenSeries, path: spot) }
        case (1, 15), (5, 15): try await volatility()
        case (2, 10): try await killSwitch()
        case (2, 16):
            let path = ["participant": cast.members[WeekCast.resell].id.description]
            _ = try await must("resumed") { try await stage.admin.call(ExchangeAPI.resumeParticipant, path: path) }
        case (2, 13): try await buyFrom(3, WeekCast.acme, 2)
        case (3, 5): try await bust()
        case (4, 7):
            try await buyFrom(3, WeekCast.resell, 2)
            try await confirm()
            try await takeOut(WeekCast.resell)
        case (4, 8...18): try await takeOut(WeekCast.resell)
        case (4, 20): try await payIn(WeekCast.resell, 300)
        case (5, 10): try await endOne()
        case (6, 6): try await lessCapacity()
        case (6, 12): try await declare(0, 60)
        default: break
        }
    }

    // MARK: Trades that are sure to happen

    /// A seller's datacenter and a buyer, at a price better than any in the book.
    private func buyFrom(_ site: Int, _ buyer: Int, _ lots: Int64) async throws {
        let product = cast.sites[site].product
        let series = cast.spot[product]
        for member in cast.members.indices {
            _ = try await must("cancel all") {
                try await stage.clients[member].call(ExchangeAPI.cancelOrders, body: CancelOrders(series: series))
            }
        }
        let price = middle(product)
        _ = try await must("ask") { try await place(cast.sites[site].owner, ask(site, lots, at: price)) }
        let order = try await must("buy at once") { try await place(buyer, bid(lots, at: price, in: series, type: .fillOrKill)) }
        #expect(order.filled == lots)
    }

    private func buyTheWeek() async throws {
        let week = try #require(try await forwards(.week).first)
        let days = try await forwards(.day)
        #expect(week.period.start == start + .days(1), "the week begins on Monday")
        let price = middle(WeekCast.general)
        for (series, lots) in [(week.id, Int64(4)), (days[0].id, 3), (days[3].id, 2)] {
            _ = try await must("forward ask") { try await place(WeekCast.nordlicht, ask(0, lots, at: price, in: series)) }
        }
        for (series, member) in [
            (week.id, WeekCast.acme), (week.id, WeekCast.resell), (days[0].id, WeekCast.acme), (days[3].id, WeekCast.borealis),
        ] {
            let order = try await must("forward bid") { try await place(member, bid(1, at: price, in: series)) }
            #expect(order.filled == 1)
        }
    }

    // MARK: Trouble

    private func volatility() async throws {
        let series = cast.spot[WeekCast.general]
        try await buyFrom(2, WeekCast.acme, 2)
        let reference = try #require(
            try await stage.admin.call(ExchangeAPI.showSeries, path: ["series": series.description]).referencePrice)
        _ = try await must("ask") { try await place(WeekCast.nordlicht, ask(0, 1, at: reference + reference / 50)) }
        _ = try await must("ask") { try await place(WeekCast.rheinrechen, ask(2, 2, at: reference + reference / 10)) }
        let order = try await must("buy at once") {
            try await place(WeekCast.acme, bid(3, at: reference + reference / 8, in: series, type: .immediateOrCancel))
        }
        #expect(order.filled == 1 && order.state == .partiallyFilledAndCancelled)
        try await refused("market.halted") { try await place(WeekCast.acme, bid(1, at: reference, in: series)) }
        try await pass(to: now + .minutes(31))
        let now = try await stage.admin.call(ExchangeAPI.showSeries, path: ["series": series.description])
        #expect(now.state == "open" && now.haltedUntil == nil)
    }

    private func killSwitch() async throws {
        let path = ["participant": cast.members[WeekCast.resell].id.description]
        _ = try await must("bid") { try await place(WeekCast.resell, bid(1, at: middle(1) - 50_000, in: cast.spot[1])) }
        _ = try await must("suspended") {
            try await stage.admin.call(ExchangeAPI.suspendParticipant, path: path, body: Suspension(reason: "a robot gone wild"))
        }
        #expect(!auditor.resting.values.contains { cast.member($0.participant) == WeekCast.resell })
        try await refused("market.suspended") { try await place(WeekCast.resell, bid(1, at: middle(1), in: cast.spot[1])) }
    }

    /// Of a trade some of whose delivery is paid, or else of one that was just made.
    private func bust() async throws {
        let seller = cast.members[WeekCast.nordlicht].id.description
        let rows = try await exchange.service.read { context in
            try context.query(
                """
                SELECT trade FROM contracts WHERE state = 'delivering' AND delivery_start IS NULL AND seller = $1 AND settled > 0
                ORDER BY number
                """, [.text(seller)])
        }
        if rows.isEmpty { try await buyFrom(1, WeekCast.acme, 2) }
        let open = try #require(auditor.open.last { $0.state == "delivering" && !$0.isForward })
        let last = try await stage.admin.call(ExchangeAPI.showContract, path: ["contract": open.id]).trade.description
        let trade = try rows.first?.text("trade") ?? last
        _ = try await must("bust") {
            try await stage.admin.call(ExchangeAPI.bustTrade, path: ["trade": trade], body: BustTrade(reason: "a slip of the keyboard"))
        }
        try await refused("market.trade-busted") {
            try await stage.admin.call(ExchangeAPI.bustTrade, path: ["trade": trade], body: BustTrade(reason: "again"))
        }
    }

    private func endOne() async throws {
        try await buyFrom(2, WeekCast.acme, 1)
        try await confirm()
        let contract = try #require(auditor.open.last { $0.state == "delivering" && !$0.isForward })
        _ = try await must("ended by the operator") {
            try await stage.admin.call(
                ExchangeAPI.stopContract, path: ["contract": contract.id], body: StopContract(reason: "fire", immediately: true))
        }
    }

    // MARK: Money and capacity

    /// All its free cash goes back to its bank, and nothing rests that could give some back.
    private func takeOut(_ member: Int) async throws {
        let (id, client) = (cast.members[member].id.description, stage.clients[member])
        _ = try await must("cancel all") { try await client.call(ExchangeAPI.cancelOrders, body: CancelOrders()) }
        let cash = auditor.balance(of: id, "cash")
        guard cash > 0 else { return }
        try await refused("market.cash") { try await move(member, -cash - 1) }
        _ = try await must("money out") { try await move(member, -cash) }
    }

    private func payIn(_ member: Int, _ euros: Int64) async throws {
        _ = try await must("money in") { try await move(member, euros * 1_000_000) }
    }

    private func move(_ member: Int, _ amount: Int64) async throws -> PostingView {
        try await stage.admin.call(
            ExchangeAPI.transfer, path: ["participant": cast.members[member].id.description],
            body: Transfer(amount: Money(microUnits: amount, .eur), reference: "bank"))
    }

    private func lessCapacity() async throws {
        try await buyFrom(0, WeekCast.acme, 1)
        _ = try await must("cancel all") {
            try await stage.clients[WeekCast.nordlicht].call(ExchangeAPI.cancelOrders, body: CancelOrders())
        }
        let sold = auditor.open.filter { $0.datacenter == cast.sites[0].datacenter.description && $0.state != "ended" }.map(\.lots).reduce(
            0, +)
        _ = try await must("ask") { try await place(WeekCast.nordlicht, ask(0, 60 - sold, at: middle(0) + 60_000)) }
        try await refused("market.capacity-sold") { try await declareLots(0, 0) }
        try await declare(0, sold + 1)
    }

    private func declare(_ site: Int, _ lots: Int64) async throws {
        _ = try await must("capacity") { try await declareLots(site, lots) }
    }

    private func declareLots(_ site: Int, _ lots: Int64) async throws -> Empty {
        _ = try await stage.connects[site].exchange.call(
            ExchangeAPI.declareCapacity, path: ["datacenter": cast.sites[site].datacenter.description],
            body: DeclareCapacity(product: cast.products[cast.sites[site].product], lots: lots))
        return Empty()
    }
}
