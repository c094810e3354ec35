import CloudAPI
import CloudClient
import Connect
import Fleet
import Foundation
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// Capacity is set aside at connect before an ask rests at the exchange, and given back when it is not needed any more.
@Suite struct CapacityTests {
    /// An exchange and a connect with so many hosts.
    private func withHosts(
        _ kind: DatabaseKind, _ hosts: UInt64, _ adjust: (inout ConnectConfiguration) -> Void = { _ in },
        _ body: (SellingTown) async throws -> Void
    ) async throws {
        try await withSellingHome(kind) { home in
            try await withSelling(home, adjust) { town in
                for number in 1...hosts { try await town.addHost(number) }
                try await body(town)
            }
        }
    }

    private func quiet(_ town: SellingTown) async throws {
        let auditor = CapacityAuditor(town: town)
        do {
            try await eventually("what is set aside is what the exchange has, and it was told so", within: .seconds(180)) {
                try await auditor.differences().isEmpty
            }
        } catch is DidNotHappen {
            #expect(try await auditor.differences() == [])
        }
        #expect(try await auditor.problems() == [])
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func `What is promised to one product is not there for another`(_ kind: DatabaseKind) async throws {
        try await withHosts(kind, 1) { town in
            try await town.ask(2, of: town.largeSeries)
            let no = await problem { try await town.ask(3) }
            #expect(no?.rule == "ask.capacity")
            #expect(no?.status == 507)
            #expect(no?.facts?["free"] == .number(2))
            #expect(no?.facts?["lots"] == .number(3))
            #expect(no?.facts?["held"] == .number(8))
            #expect(no?.facts?["reserved"] == .text("2 of large"))
            #expect(no?.nearest == "2 lots")
            let small = try await town.ask(2)
            #expect(await problem { try await town.ask(1, of: town.largeSeries) }?.facts?["free"] == .number(0))
            #expect(try await town.capacity(of: town.large).offered == 2)
            #expect(try await town.capacity(of: town.small).free == 0)
            try await quiet(town)
            #expect(try await town.declared(town.small)?.declared == 2)
            #expect(try await town.declared(town.large)?.declared == 2)
            let view = try #require(try await town.reservations().first)
            #expect(view.order == small.id)
            #expect(view.state == .offered)
            #expect(view.offered == 2)
            #expect(view.cause == "ask")
            #expect(view.hosts == [ReservedShare(host: HostID(bits: 1), lots: 2)])
        }
    }

    /// Both products are delivered on the hosts' own disks.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func `Lots are set aside only on hosts that may deliver them`(_ kind: DatabaseKind) async throws {
        try await withHosts(kind, 1) { town in
            let pod = PodSettings(
                zone: "demo-1a", kind: .virtual, storage: .nas,
                oversubscription: OversubscriptionRatios(cpu: 1_000, memory: 1_000, disk: 1_000))
            _ = try await town.connect.call(ConnectAPI.putPod, path: ["pod": "pod-nas"], body: pod)
            try await town.addHost(2, pod: "pod-nas")
            let no = await problem { try await town.ask(9) }
            #expect(no?.rule == "ask.capacity")
            #expect(no?.facts?["held"] == .number(8), "the other host has shared storage")
            #expect(no?.nearest == "8 lots")
            try await town.ask(3)
            #expect(try await town.capacity(of: town.small).free == 5)
            #expect(try await town.reservations().flatMap(\.hosts) == [ReservedShare(host: HostID(bits: 1), lots: 3)])
            try await quiet(town)

            try await town.setStorage(.nas, ofPod: "pod-1")
            try await eventually("the offer is taken back") { try await town.capacity(of: town.small).reserved == 0 }
            let never = await problem { try await town.ask(1) }
            #expect(never?.rule == "ask.storage")
            #expect(never?.nearest == "a product on nas, or a pod on das")
            try await quiet(town)
        }
    }

    /// A lot is a host of that profile, however much more it has, and nothing else lies beside it.
    @Test(.timeLimit(.minutes(5))) func `Bare metal is sold by the host`() async throws {
        try await withHosts(.sqlite, 1) { town in
            let definition = ProductDefinition(
                name: "metal", unitClass: "metal-r7", lot: Resources(milliCPU: 3_000, memoryMiB: 8_192, diskMiB: 20_480), region: "demo",
                zone: "demo-1a", jurisdiction: "DE", tenancy: .shared, storage: .das, firmness: .firm, slaProfile: "standard",
                largestOversubscription: 1_000, currency: .eur, spotPeriodSeconds: 3_600, forwards: .spotOnly)
            let metal = try await town.admin.call(ExchangeAPI.createProduct, body: definition)
            let series = try #require(
                try await town.admin.items(of: ExchangeAPI.listSeries, query: ["product": metal.id.description, "kind": "spot"]).first
            ).id
            #expect(await problem { try await town.ask(1, of: series) }?.rule == "ask.kind")
            var pod = PodSettings(
                zone: "demo-1a", kind: .metal, storage: .das,
                oversubscription: OversubscriptionRatios(cpu: 1_000, memory: 1_000, disk: 1_000), profile: PodProfile(name: "r9"))
            _ = try await town.connect.call(ConnectAPI.putPod, path: ["pod": "pod-m"], body: pod)
            for number in [2, 3] as [UInt64] { try await town.addHost(number, pod: "pod-m") }
            let other = await problem { try await town.ask(1, of: series) }
            #expect(other?.rule == "ask.profile" && other?.nearest?.contains("r7") == true)
            pod.profile = PodProfile(name: "r7")
            _ = try await town.connect.call(ConnectAPI.putPod, path: ["pod": "pod-m"], body: pod)
            let much = await problem { try await town.ask(3, of: series) }
            #expect(much?.rule == "ask.capacity" && much?.facts?["held"] == .number(2) && much?.nearest == "2 lots")
            try await town.ask(2, of: series)
            #expect(Set(try await town.reservations().flatMap(\.hosts).map(\.host)) == [HostID(bits: 2), HostID(bits: 3)])
            #expect(try await town.capacity(of: town.small).free == 8, "those are for whole machines")
            try await quiet(town)
        }
    }

    /// The order is cancelled past connect, by token, all at once, by the kill switch, and made smaller.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func `An order that leaves the book gives its capacity back`(_ kind: DatabaseKind) async throws {
        try await withHosts(kind, 1) { town in
            let order = try await town.ask(6)
            _ = try await town.seller.call(ExchangeAPI.replaceOrder, path: ["order": order.id.description], body: ReplaceOrder(lots: 4))
            try await eventually("it is smaller") { try await town.capacity(of: town.small).reserved == 4 }
            try await quiet(town)
            try await town.cancel(order)
            try await eventually("it is given back") { try await town.capacity(of: town.small).free == 8 }
            try await quiet(town)
            #expect(try await town.declared(town.small)?.declared == 0)
            let view = try #require(try await town.connect.items(of: ConnectAPI.listReservations).first)
            #expect(view.state == .released)
            #expect(view.released == 6)
            #expect(view.reason == "asked")

            try await town.ask(8)
            _ = try await town.seller.call(ExchangeAPI.cancelOrders, body: CancelOrders())
            try await eventually("all are given back") { try await town.capacity(of: town.small).free == 8 }
            try await town.ask(8)
            _ = try await town.admin.call(
                ExchangeAPI.suspendParticipant, path: ["participant": town.sellerID.description], body: Suspension(reason: "test"))
            try await eventually("the kill switch gives back") { try await town.capacity(of: town.small).free == 8 }
            try await quiet(town)
            #expect(await problem { try await town.ask(1) }?.rule == "market.suspended")
            try await eventually("a refused ask keeps nothing") { try await town.reservations().isEmpty }
            try await quiet(town)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func `Sold lots stay set aside until their contract is over`(_ kind: DatabaseKind) async throws {
        try await withHosts(kind, 1) { town in
            let order = try await town.ask(8)
            let bought = try await town.buy(3)
            let contract = try #require(bought.contracts.first)
            try await eventually("the sale is known") { try await town.capacity(of: town.small).sold == 3 }
            try await town.cancel(order)
            try await quiet(town)
            #expect(try await town.capacity(of: town.small).free == 5)
            #expect(try await town.declared(town.small)?.declared == 3)
            #expect(await problem { try await town.ask(6) }?.rule == "ask.capacity")
            try await town.ask(5)
            try await town.end(contract)
            try await eventually("the contract's end gives back") { try await town.capacity(of: town.small).free == 3 }
            try await quiet(town)
            #expect(try await town.reservations().map(\.offered) == [5])
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func `The same key asks once, also when it comes many times at once`(_ kind: DatabaseKind) async throws {
        try await withHosts(kind, 1) { town in
            let orders = try await withThrowingTaskGroup(of: OrderID.self) { group in
                for _ in 0..<6 { group.addTask { try await town.ask(3, key: "one").id } }
                return try await group.reduce(into: Set<OrderID>()) { $0.insert($1) }
            }
            #expect(orders.count == 1)
            #expect(await problem { try await town.ask(4, key: "one") }?.rule == "idempotency.reused")
            try await quiet(town)
            #expect(try await town.capacity(of: town.small).reserved == 3)
            // Many at once, with keys of their own: as many as fit.
            let rest = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 { group.addTask { await problem { try await town.ask(1) } == nil } }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(rest == 5)
            try await quiet(town)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func `When a host goes, what is sold stays and the newest offers are withdrawn`(_ kind: DatabaseKind) async throws {
        try await withHosts(kind, 2) { town in
            let sold = try await town.ask(6)
            try await town.buy(6)
            let older = try await town.ask(5)
            let newer = try await town.ask(5)
            try await quiet(town)
            let first = try #require(try await town.reservations().first { $0.order == sold.id }?.hosts.first).host
            try await town.set(first.bits, .cordoned)
            // Eight lots are left: six sold, so two; both offers are larger.
            try await eventually("offers are withdrawn") {
                let states = [try await town.order(older), try await town.order(newer)]
                return states.allSatisfy { $0.state == .cancelled && $0.reason == "capacityWithdrawn" }
            }
            try await quiet(town)
            #expect(try await town.capacity(of: town.small).sold == 6)
            #expect(try await town.capacity(of: town.small).short == 0)
            #expect(try await town.capacity(of: town.small).free == 2)
            try await town.ask(2)
            // None is left: sold lots are owed, and nothing can be offered.
            try await town.set(3 - first.bits, .cordoned)
            try await eventually("the rest is withdrawn") { try await town.capacity(of: town.small).offered == 0 }
            try await quiet(town)
            #expect(try await town.capacity(of: town.small).short == 6)
            #expect(await problem { try await town.ask(1) }?.facts?["held"] == .number(0))
            try await town.set(first.bits, .up)
            try await eventually("the host is back") { try await town.capacity(of: town.small).free == 2 }
            try await quiet(town)
        }
    }

    /// By the seller's token: what connect has declared can be offered past it, and connect sets it aside when it learns of it.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func `An order that came another way is found and counted`(_ kind: DatabaseKind) async throws {
        try await withHosts(kind, 1, { $0.comparisonSeconds = 1 }) { town in
            let order = try await town.ask(5)
            _ = try await town.seller.call(ExchangeAPI.replaceOrder, path: ["order": order.id.description], body: ReplaceOrder(lots: 2))
            let other = PlaceOrder(
                series: town.smallSeries, side: .sell, type: .limit, price: SellingTown.price, lots: 3, datacenter: town.datacenter)
            // Connect may have lowered what it declares by now.
            if let placed = try? await town.seller.call(ExchangeAPI.placeOrder, body: other) {
                try await quiet(town)
                let state = try await town.order(placed).state
                try await eventually("it is counted") { try await town.capacity(of: town.small).reserved == (state == .resting ? 5 : 2) }
            }
            try await quiet(town)
            let reserved = try await town.capacity(of: town.small).reserved
            let more = PlaceOrder(
                series: town.smallSeries, side: .sell, type: .limit, price: SellingTown.price, lots: 1, datacenter: town.datacenter)
            #expect(await problem { _ = try await town.seller.call(ExchangeAPI.placeOrder, body: more) }?.rule == "market.capacity")
            #expect(try await town.capacity(of: town.small).reserved == reserved)
        }
    }

    /// Forwards take up their period only; the exchange is told of the busiest moment.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func `Forwards are set aside for their period`(_ kind: DatabaseKind) async throws {
        try await withHosts(kind, 1, { $0.comparisonSeconds = 1 }) { town in
            let days = try await town.admin.items(
                of: ExchangeAPI.listSeries, query: ["product": town.small.id.description, "kind": "day"]
            ).filter { $0.state == "open" }.sorted { $0.period.start < $1.period.start }
            let (first, second) = (try #require(days.first), try #require(days.dropFirst().first))
            try await town.ask(8, of: first.id)
            let tomorrow = try await town.ask(6, of: second.id)
            #expect(await problem { try await town.ask(3, of: second.id) }?.facts?["free"] == .number(2))
            #expect(await problem { try await town.ask(1) }?.facts?["free"] == .number(0), "spot goes on into both days")
            #expect(await problem { try await town.ask(1, of: town.largeSeries) }?.facts?["free"] == .number(0))
            try await quiet(town)
            #expect(try await town.declared(town.small)?.declared == 8)
            // Declared is as much as the first day needs, so the second has two lots that nobody set aside: they fit, and are.
            let found = PlaceOrder(
                series: second.id, side: .sell, type: .limit, price: SellingTown.price, lots: 2, datacenter: town.datacenter)
            _ = try await town.seller.call(ExchangeAPI.placeOrder, body: found)
            try await town.cancel(tomorrow)
            try await quiet(town)
        }
    }

    /// Another process, killed between two steps of an ask; a new one finds what it left.
    @Test(
        .timeLimit(.minutes(3)),
        arguments: [
            "connect.ask.reserved", "connect.capacity.declared", "connect.ask.declared", "connect.ask.placed", "exchange.order.committed",
        ],
        DatabaseKind.allCases)
    func `Killed at any point nothing is lost and nothing set aside twice`(point: String, _ kind: DatabaseKind) async throws {
        for asksAgain in [true, false] {
            try await withSellingHome(kind) { home in
                await #expect(processExitsWith: .signal(SIGKILL)) {
                    [
                        exchange = home.exchange as String, connect = home.connect as String, directory = home.directory as String,
                        point = point as String
                    ] in
                    setenv("BOURSE_FAULT", point, 1)
                    try await withSelling(SellingHome(exchange: exchange, connect: connect, directory: directory)) { town in
                        try await town.addHost(1)
                        try await town.ask(5, key: "ask")
                    }
                }
                try await withSelling(home, { $0.pendingSeconds = 3 }) { town in
                    if asksAgain {
                        try await eventually("the ask is answered", within: .seconds(180)) {
                            await problem { try await town.ask(5, key: "ask") } == nil
                        }
                    }
                    try await quiet(town)
                    let resting = try await town.admin.items(of: ExchangeAPI.listOrders, query: ["state": "resting"])
                    let wasPlaced = asksAgain || point == "connect.ask.placed" || point == "exchange.order.committed"
                    #expect(resting.map(\.lots) == (wasPlaced ? [5] : []))
                    #expect(try await town.capacity(of: town.small).free == (wasPlaced ? 3 : 8))
                    #expect(try await town.ask(3).state == .resting)
                }
            }
        }
    }
}

/// The problem a call ends in; nil when it does not.
func problem<T>(_ call: () async throws -> T) async -> ProblemDocument? {
    do {
        _ = try await call()
        return nil
    } catch let problem as ProblemDocument {
        return problem
    } catch {
        Issue.record("no answer at all: \(error)")
        return nil
    }
}
