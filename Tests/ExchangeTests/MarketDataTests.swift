import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Store
import TestSupport
import Testing

@Suite struct MarketDataTests {
    private func path(_ town: Town) -> [String: String] { ["series": town.series.description] }

    /// Trades at random prices and times; the bars of each interval against the trades' own rows, and against bars made anew.
    @Test(arguments: DatabaseKind.allCases) func barsAreKeptWithTheTrades(_ kind: DatabaseKind) async throws {
        try await withTown(kind, capacity: 1_000) { town in
            var random = SeededGenerator(seed: 7)
            for round in 0..<40 {
                let (price, lots) = (Town.price + Int64.random(in: -5...5, using: &random) * 1_000, Int64.random(in: 1...4, using: &random))
                try await town.ask(lots, at: price)
                _ = try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: town.bid(lots, at: price))
                if round % 3 == 0 { try await town.exchange.advance(.seconds(Int64.random(in: 1...200, using: &random))) }
            }
            let trades =
                try await town.exchange.operator.call(ExchangeAPI.listTrades, query: ["limit": "1000"]).items.reversed() as [TradeView]
            #expect(trades.count == 40)
            let anyone = try town.exchange.client(token: nil)
            for (interval, seconds) in [("1m", Int64(60)), ("5m", 300), ("1h", 3_600), ("1d", 86_400)] {
                let groups = Dictionary(grouping: trades) { $0.at.microseconds / (seconds * 1_000_000) }
                let bars = try await anyone.items(
                    of: ExchangeAPI.listBars, path: path(town),
                    query: ["interval": interval, "start": "\(trades[0].at - .days(1))", "end": "\(town.exchange.clock.now + .days(1))"])
                #expect(bars.map(\.start) == groups.keys.sorted().map { Instant(seconds: $0 * seconds) })
                for (bar, key) in zip(bars, groups.keys.sorted()) {
                    let group = groups[key] ?? []
                    #expect(bar.open == group.first?.price && bar.close == group.last?.price)
                    #expect(bar.high == group.map(\.price).max() && bar.low == group.map(\.price).min())
                    #expect(bar.lots == group.map(\.lots).reduce(0, +) && bar.trades == group.count)
                    #expect(bar.turnover == group.map { $0.price * $0.lots }.reduce(0, +))
                }
            }
            let kept = try await Self.bars(town.exchange.database)
            try await town.exchange.service.rebuildBars()
            #expect(try await Self.bars(town.exchange.database) == kept)
            #expect(kept.count > 8)
        }
    }

    private static func bars(_ database: any Database) async throws -> [String] {
        try await database.read { context in
            try context.query("SELECT * FROM bars ORDER BY series, span, start").map { row in
                (0..<row.count).map { "\(row[$0])" }.joined(separator: " ")
            }
        }
    }

    @Test func pagesOfBarsFollowEachOther() async throws {
        try await withTown(.sqlite, capacity: 100) { town in
            for _ in 0..<5 {
                _ = try await town.trade(1)
                try await town.exchange.advance(.minutes(2))
            }
            let anyone = try town.exchange.client(token: nil)
            let query = ["interval": "1m", "limit": "2", "start": "\(town.exchange.clock.now - .hours(1))"]
            let first = try await anyone.call(ExchangeAPI.listBars, path: path(town), query: query)
            #expect(first.items.count == 2)
            let cursor = try #require(first.next)
            let second = try await anyone.call(
                ExchangeAPI.listBars, path: path(town), query: query.merging(["cursor": cursor]) { $1 })
            #expect(second.items.count == 2 && second.items[0].start > first.items[1].start)
            #expect(
                try await problem { try await anyone.call(ExchangeAPI.listBars, path: path(town), query: ["interval": "7m"]) }.nearest
                    == "1m, 5m, 1h, 1d")
            #expect(
                try await problem { try await anyone.call(ExchangeAPI.listBars, path: path(town), query: ["start": "noon"]) }.rule
                    == "request.query")
            let nowhere = ["series": SeriesID(bits: 3).description]
            #expect(try await problem { try await anyone.call(ExchangeAPI.showTicker, path: nowhere) }.status == 404)
        }
    }

    @Test func theTickerSaysWhatEverybodyMayKnow() async throws {
        try await withTown(.sqlite, capacity: 500, deposit: 100_000_000_000) { town in
            let anyone = try town.exchange.client(token: nil)
            let empty = try await anyone.call(ExchangeAPI.showTicker, path: path(town))
            #expect(empty.last == nil && empty.day == nil && empty.reference == nil && empty.bid == nil)
            _ = try await town.trade(99)
            #expect(try await anyone.call(ExchangeAPI.showTicker, path: path(town)).reference == nil, "a lot too few")
            try await town.ask(3, at: Town.price * 2)
            _ = try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: town.bid(2, at: Town.price * 2))
            let ticker = try await anyone.call(ExchangeAPI.showTicker, path: path(town))
            #expect(ticker.last?.price == Town.price * 2 && ticker.last?.lots == 2)
            #expect(ticker.ask == PriceLevel(price: Town.price * 2, lots: 1, orders: 1))
            #expect(ticker.day?.lots == 101 && ticker.day?.open == Town.price && ticker.day?.high == Town.price * 2)
            #expect(ticker.reference?.price == (Town.price * 98 + Town.price * 4) / 100)
            let depth = try await anyone.call(ExchangeAPI.showDepth, path: path(town), query: ["levels": "1"])
            #expect(depth.asks == [PriceLevel(price: Town.price * 2, lots: 1, orders: 1)])
        }
    }
}
