import CloudAPI
import CloudClient
import Exchange
import Foundation
import Glibc
import Primitives
import ServiceKit
import Store
import Synchronization
import TestSupport
import Testing

/// A book made from a stream's events and nothing else, the simplest way there is.
private struct NaiveStreamBook {
    var bids: [Int64: PriceLevel] = [:]
    var asks: [Int64: PriceLevel] = [:]
    var trades: [TradePrint] = []
    var sequence: Int64?
    var state = ""
    var faults: [String] = []
    var snapshots = 0
    var changes = 0

    mutating func take(_ event: SeriesEvent) {
        switch event.kind {
        case .gap: sequence = nil
        case .snapshot:
            (bids, asks) = ([:], [:])
            snapshots += 1
            sequence = event.sequence
        case .change:
            changes += 1
            if event.sequence != sequence.map({ $0 + 1 }) { faults.append("\(event.sequence) after \(sequence ?? -1)") }
            sequence = event.sequence
            trades += event.trades
        }
        for level in event.bids { bids[level.price] = level.lots == 0 ? nil : level }
        for level in event.asks { asks[level.price] = level.lots == 0 ? nil : level }
        state = event.state
    }

    func equals(_ book: BookView) -> Bool {
        bids.values.sorted { $0.price > $1.price } == book.bids && asks.values.sorted { $0.price < $1.price } == book.asks
    }
}

/// Counts what tasks of a test do.
final class Tally: Sendable {
    private let number = Mutex(0)
    var count: Int { number.withLock { $0 } }
    func add() { number.withLock { $0 += 1 } }
}

@Suite struct StreamTests {
    /// Reads a stream into a naive book, breaking off and coming back again and again, until told to stop.
    private final class Follower: Sendable {
        let book = Mutex(NaiveStreamBook())
        let stop = Mutex(false)
        let resumed = Mutex(0)

        func follow(_ town: Town, seed: UInt64) async {
            var random = SeededGenerator(seed: seed)
            var last: String?
            while !stop.withLock({ $0 }), !Task.isCancelled {
                var left = Int.random(in: 1...40, using: &random)
                do {
                    try await town.exchange.client(token: nil).events(
                        ExchangeAPI.streamSeries, path: ["series": town.series.description], after: last
                    ) { event, id in
                        book.withLock { $0.take(event) }
                        last = id
                        left -= 1
                        return left > 0
                    }
                    resumed.withLock { $0 += 1 }
                } catch { try? await Task.sleep(for: .milliseconds(20)) }
            }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A book made from the stream is the book, through breaks and thousands of orders`(_ kind: DatabaseKind) async throws {
        try await withTown(kind, capacity: 100_000, deposit: 1_000_000_000_000_000) { town in
            let followers = (0..<3).map { _ in Follower() }
            await withTaskGroup(of: Void.self) { group in
                for (number, follower) in followers.enumerated() {
                    group.addTask { await follower.follow(town, seed: UInt64(number)) }
                }
                await withTaskGroup(of: Void.self) { traders in
                    for number in 0..<6 { traders.addTask { await Self.trade(town, seed: UInt64(100 + number), rounds: 350) } }
                }
                do {
                    for follower in followers { try await Self.agree(follower, town) }
                } catch { Issue.record(error) }
                for follower in followers { follower.stop.withLock { $0 = true } }
                group.cancelAll()
            }
            for follower in followers {
                let book = follower.book.withLock { $0 }
                #expect(book.faults == [])
                #expect(book.changes > 50, "\(book.changes) changes, \(book.snapshots) snapshots")
                #expect(book.snapshots < 5, "what was missed is made up for from what is kept")
                #expect(follower.resumed.withLock { $0 } > 1)
                let known = try await town.exchange.operator.call(ExchangeAPI.listTrades, query: ["limit": "1000"]).items.reversed()
                #expect(book.trades.suffix(20).map(\.price) == known.suffix(20).map(\.price))
            }
        }
    }

    private static func agree(_ follower: Follower, _ town: Town) async throws {
        try await eventually("the book of the stream is the book") {
            let book = try await town.exchange.operator.call(
                ExchangeAPI.showDepth, path: ["series": town.series.description], query: ["levels": "1000"])
            return follower.book.withLock { $0.equals(book) && !$0.bids.isEmpty }
        }
    }

    private static func trade(_ town: Town, seed: UInt64, rounds: Int) async {
        var random = SeededGenerator(seed: seed)
        var own: [OrderView] = []
        let sells = seed % 2 == 0
        let client = sells ? town.connect.exchange : town.manage.exchange
        for _ in 0..<rounds {
            if own.count > 3, Int.random(in: 0..<3, using: &random) == 0 {
                let victim = own.remove(at: Int.random(in: 0..<own.count, using: &random))
                _ = try? await client.call(ExchangeAPI.cancelOrder, path: ["order": victim.id.description])
                continue
            }
            let shift = Int64.random(in: -20...60, using: &random) * 1_000
            let order = PlaceOrder(
                series: town.series, side: sells ? .sell : .buy, type: .limit, price: Town.price + (sells ? shift : -shift),
                lots: .random(in: 1...9, using: &random), datacenter: sells ? DatacenterID(town.connect.id) : nil,
                conditions: Int.random(in: 0..<5, using: &random) == 0 ? OrderConditionsView(display: 1) : nil)
            if let placed = try? await client.call(ExchangeAPI.placeOrder, body: order) { own.append(placed) }
        }
    }

    @Test func aStandbyStreamsAndHaltsAreSeen() async throws {
        try await withHome(.postgres) { home in
            try await withExchange(home, instance: "one") { first in
                let town = try await Town(first)
                try await withExchange(home, instance: "two") { second in
                    try await town.ask(5)
                    let seen = Mutex<[SeriesEvent]>([])
                    let client = try second.client(token: nil)
                    try await client.events(ExchangeAPI.streamSeries, path: ["series": town.series.description]) { event, _ in
                        seen.withLock { $0.append(event) }
                        switch event.kind {
                        case .snapshot: _ = try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: town.bid(2))
                        case .change where event.state == "open":
                            _ = try await first.operator.call(
                                ExchangeAPI.haltSeries, path: ["series": town.series.description], body: Suspension(reason: "a test"))
                        default: return false
                        }
                        return true
                    }
                    let events = seen.withLock { $0 }
                    #expect(events.map(\.kind) == [.snapshot, .change, .change])
                    #expect(events[0].asks.map(\.lots) == [5])
                    #expect(events[1].asks.map(\.lots) == [3] && events[1].trades.map(\.lots) == [2])
                    #expect(events[2].state == "halted" && events[2].reason == "a test")
                }
                await town.leave()
            }
        }
    }

    @Test func whoComesBackTooLateIsToldSo() async throws {
        try await withTown(.sqlite) { town in
            try await town.ask(5)
            let seen = Mutex<[SeriesEvent]>([])
            try await town.exchange.client(token: nil).events(
                ExchangeAPI.streamSeries, path: ["series": town.series.description], after: "elsewhere-17"
            ) { event, _ in
                seen.withLock { $0.append(event) }
                return event.kind == .gap
            }
            #expect(seen.withLock { $0.map(\.kind) } == [.gap, .snapshot])
        }
    }

    @Test func streamsAreBounded() async throws {
        try await withHome(.sqlite) { home in
            var limits = StreamLimits()
            limits.perCaller = 2
            try await withExchange(home, streams: limits) { exchange in
                let town = try await Town(exchange)
                let path = ["series": town.series.description]
                let open = Tally()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<2 {
                        group.addTask {
                            try await exchange.client(token: nil).events(ExchangeAPI.streamSeries, path: path) { _, _ in
                                open.add()
                                return true
                            }
                        }
                    }
                    try await eventually("both are open") { open.count == 2 }
                    let refused = try await problem {
                        try await exchange.client(token: nil).events(ExchangeAPI.streamSeries, path: path) { _, _ in false }
                    }
                    #expect(refused.rule == "stream.too-many" && refused.status == 429)
                    // Somebody else still gets one.
                    try await town.buyerClient.events(ExchangeAPI.streamSeries, path: path) { _, _ in false }
                    group.cancelAll()
                }
                await town.leave()
            }
        }
    }

    /// A connection that asks for the stream and never reads: the kernel's buffers are made small, so that they are full soon.
    private final class Sleeper {
        let socket: Int32

        init(port: Int, series: SeriesID) throws {
            socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var (buffer, segment) = (Int32(2_048), Int32(536))
            setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &buffer, 4)
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_MAXSEG, &segment, 4)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            try #require(status == 0)
            let request = "GET /v1/series/\(series)/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            #expect(request.withCString { send(socket, $0, strlen($0), 0) } == request.utf8.count)
        }

        deinit { close(socket) }
    }

    @Test func aReaderThatStopsReadingIsDroppedAndNobodyElseNotices() async throws {
        try await withHome(.sqlite) { home in
            var limits = StreamLimits()
            limits.pendingBytes = 16 << 10
            try await withExchange(home, streams: limits) { exchange in
                let town = try await Town(exchange, capacity: 10_000)
                let follower = Follower()
                let sleeper = try Sleeper(port: await exchange.service.publicPort.value(), series: town.series)
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await follower.follow(town, seed: 1) }
                    do {
                        try await eventually("the sleeper is dropped", within: .seconds(180)) {
                            // Each time many levels come and go.
                            for price in 0..<40 { try await town.ask(1, at: Town.price + Int64(price)) }
                            _ = try await town.connect.exchange.call(ExchangeAPI.cancelOrders, body: CancelOrders())
                            return try await Self.metrics(exchange).contains("bourse_stream_readers_dropped_total 1")
                        }
                        _ = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: 1_000))
                        try await Self.agree(follower, town)
                    } catch { Issue.record(error) }
                    follower.stop.withLock { $0 = true }
                    group.cancelAll()
                }
                withExtendedLifetime(sleeper) {}
                #expect(follower.book.withLock { $0.faults } == [])
                await town.leave()
            }
        }
    }

    private static func metrics(_ exchange: RunningExchange) async throws -> String {
        let answer = try await exchange.client(token: nil).exchange(.get, path: "/metrics", headers: [], body: Data())
        return String(decoding: answer.body, as: UTF8.self)
    }

    /// Nobody waits for a stream to end by itself: it would not.
    @Test(.timeLimit(.minutes(10))) func streamsEndWhenTheProgramStops() async throws {
        let ended = Tally()
        try await withHome(.sqlite) { home in
            try await withThrowingTaskGroup(of: Void.self) { group in
                try await withExchange(home) { exchange in
                    let town = try await Town(exchange)
                    let open = Tally()
                    let client = try CloudClient(base: exchange.base)
                    let path = ["series": town.series.description]
                    group.addTask {
                        try await client.closing {
                            try? await $0.events(ExchangeAPI.streamSeries, path: path) { _, _ in
                                open.add()
                                return true
                            }
                        }
                        ended.add()
                    }
                    try await eventually("it is open") { open.count > 0 }
                    await town.leave()
                }
                try await group.waitForAll()
            }
        }
        #expect(ended.count == 1)
    }
}
