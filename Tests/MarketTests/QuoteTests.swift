import Market
import Primitives
import Testing

@Suite struct QuoteTests {
    private static let start = ForwardSeriesTests.start

    private static func window(_ from: Int64, _ hours: Int64) -> Period {
        Period(start: start + .hours(from), end: start + .hours(from + hours))
    }

    private func ask(_ fixture: MarketFixture, _ window: Period, _ lots: Int64 = 1, _ side: Side = .buy) throws(Refusal) -> Quote {
        try fixture.market.quote(
            QuoteRequest(product: fixture.product.id, window: window, lots: lots, side: side), at: fixture.now)
    }

    @Test func takesTheCheaperOfADayAndItsHours() throws {
        var fixture = try ForwardSeriesTests.fixture(capacity: 1_000, kinds: [.hour, .day])
        let day = try #require(fixture.listed(.day).first)
        let window = try #require(day.delivery)
        let hours = fixture.listed(.hour).filter { $0.delivery.map { window.start <= $0.start && $0.end <= window.end } ?? false }
        #expect(hours.count == 24)
        for hour in hours { try fixture.place(.sell, 2, at: 1_000, in: hour) }
        try fixture.place(.sell, 3, at: 1_500, in: day)
        let two = try ask(fixture, window, 2)
        #expect(two.legs.count == 24 && two.total == 48_000 && two.average == 1_000 && two.depth == 2)
        let four = try ask(fixture, window, 4)
        #expect(four.legs.count == 25 && four.total == 48_000 + 2 * 24 * 1_500 && four.depth == 5)
        #expect(four.legs.first { $0.kind == .day }?.lots == 2 && four.legs.first { $0.kind == .day }?.limit == 1_500)
        let no = try refusal { try ask(fixture, window, 6) }
        #expect(no.rule == "quote.uncovered" && no.nearest == "5 lots for the whole window" && no.facts["covered"] == 5)
    }

    @Test func theHourInProgressIsSpot() throws {
        var fixture = try ForwardSeriesTests.fixture(capacity: 1_000, kinds: [.hour])
        fixture.now = Self.start + .minutes(30)
        try fixture.sell(5, at: 2_000)
        try fixture.place(.sell, 5, at: 1_000, in: fixture.listed(.hour)[0])
        let quote = try ask(fixture, Self.window(0, 2), 2)
        #expect(quote.legs.map(\.kind) == [.spot, .hour] && quote.legs.map(\.cost) == [2_000, 2_000])
        #expect(quote.total == 4_000 && quote.average == 1_333)
    }

    @Test func anExplainedNo() throws {
        var fixture = try ForwardSeriesTests.fixture(capacity: 1_000, kinds: [.hour])
        let hours = fixture.listed(.hour)
        #expect(try refusal { try ask(fixture, Self.window(1, 3)) }.message.contains("Nothing of"))
        for hour in [hours[0], hours[2], hours[3]] { try fixture.place(.sell, 2, at: 1_000, in: hour) }
        let no = try refusal { try ask(fixture, Self.window(1, 5), 3) }
        #expect(no.nearest == "2 lots from 2026-11-21T15:00:00Z to 2026-11-21T17:00:00Z")
        let half = Period(start: Self.start + .minutes(30), end: Self.start + .hours(2))
        #expect(try refusal { try ask(fixture, half) }.rule == "quote.window")
        #expect(try refusal { try ask(fixture, Self.window(-1, 2)) }.rule == "quote.window")
        #expect(try refusal { try ask(fixture, Self.window(1, 24 * 500)) }.rule == "quote.window")
        #expect(try refusal { try ask(fixture, Self.window(1, 1), 0) }.rule == "market.lots")
    }

    @Test func whatCannotBeTakenDoesNotCount() throws {
        var fixture = try ForwardSeriesTests.fixture(capacity: 1_000, kinds: [.hour])
        let hour = fixture.listed(.hour)[0]
        try fixture.place(.sell, 2, at: 1_000, in: hour)
        let own = QuoteRequest(
            product: fixture.product.id, window: Self.window(1, 1), lots: 1, side: .buy, asker: fixture.seller)
        #expect(try refusal { try fixture.market.quote(own, at: fixture.now) }.rule == "quote.uncovered")
        try fixture.apply(.halt(hour.id, reason: "in doubt"))
        #expect(try refusal { try ask(fixture, Self.window(1, 1)) }.rule == "quote.uncovered")
        try fixture.apply(.reopen(hour.id))
        // What was quoted trades at the quoted price.
        let quote = try ask(fixture, Self.window(1, 1), 2)
        let leg = try #require(quote.legs.first)
        let placed = try fixture.place(.buy, leg.lots, at: leg.limit, in: hour, .fillOrKill)
        #expect(placed.trades.map(\.price) == [1_000] && placed.order.state == .filled)
    }

    /// Every series of a year, each with many prices: all of what there is, for the whole window.
    @Test func aYearInManyPrices() throws {
        var fixture = try ForwardSeriesTests.fixture(cash: 1_000_000_000_000_000, capacity: 1_000_000)
        try fixture.apply(.deposit(fixture.seller, Money(microUnits: 1_000_000_000_000_000, .eur), reference: "bonds"))
        let market = fixture.market
        var (busy, number) = (market, UInt64(1_000))
        for series in market.snapshot().series where series.kind != .spot {
            for price in Int64(1)...40 {
                let draft = OrderDraft(
                    participant: fixture.seller, series: series.id, side: .sell, lifetime: .limit,
                    price: 1_000 + price * (series.kind == .day ? 3 : 5), lots: 2, datacenter: fixture.datacenter)
                _ = try busy.apply(.placeOrder(draft), at: fixture.now, seed: number)
                number += 1
            }
        }
        let months = fixture.listed(.month).compactMap(\.delivery)
        let days = fixture.listed(.day).compactMap(\.delivery)
        let window = Period(start: months[0].start, end: months[11].end)
        let year = QuoteRequest(product: fixture.product.id, window: window, lots: 80, side: .buy)
        #expect(try busy.quote(year, at: fixture.now).legs.count >= 12)
        let fortnight = QuoteRequest(
            product: fixture.product.id, window: Period(start: days[1].start, end: days[13].end), lots: 80, side: .buy)
        let quote = try busy.quote(fortnight, at: fixture.now)
        let lotHours: Int64 = quote.legs.map { $0.lots * ($0.period.length.seconds / 3_600) }.reduce(0, +)
        #expect(lotHours == 24_960, "80 lots for 13 days")
        let more = QuoteRequest(product: fixture.product.id, window: window, lots: 1_000, side: .buy)
        #expect(try refusal { try busy.quote(more, at: fixture.now) }.rule == "quote.uncovered")
    }

    // MARK: Against brute force

    /// All ways through a window, and all ways to divide lots among them: the least cost, or the most proceeds.
    private struct BruteForce {
        var series: [(period: Period, levels: [DepthLevel])]
        let sign: Int64

        func ways(from start: Instant, to end: Instant) -> [[Int]] {
            if start == end { return [[]] }
            return series.indices.filter { series[$0].period.start == start && series[$0].period.end <= end }.flatMap { first in
                ways(from: series[first].period.end, to: end).map { [first] + $0 }
            }
        }

        /// Nil: more than there is.
        func cost(_ used: [Int64]) -> Int64? {
            var total: Int64 = 0
            for (number, lots) in used.enumerated() {
                var left = lots
                for level in series[number].levels {
                    let taken = min(left, level.lots)
                    total += taken * level.price * (series[number].period.length.seconds / 3_600)
                    left -= taken
                }
                if left > 0 { return nil }
            }
            return total * sign
        }

        func best(_ lots: Int, _ window: Period) -> Int64? {
            let ways = ways(from: window.start, to: window.end)
            func search(_ first: Int, _ left: Int, _ used: [Int64]) -> Int64? {
                guard cost(used) != nil else { return nil }
                if left == 0 { return cost(used) }
                var best: Int64?
                for way in first..<max(first, ways.count) {
                    var more = used
                    for number in ways[way] { more[number] += 1 }
                    if let found = search(way, left - 1, more), best.map({ found < $0 }) ?? true { best = found }
                }
                return best
            }
            return search(0, lots, [Int64](repeating: 0, count: series.count))
        }
    }

    @Test(arguments: Array(1...40) as [UInt64])
    func isTheBestThereIs(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var fixture = try ForwardSeriesTests.fixture(capacity: 1_000_000, kinds: [.day, .week])
        let side = Bool.random(using: &random) ? Side.buy : .sell
        let days = fixture.listed(.day)
        let week = try #require(fixture.listed(.week).first?.delivery)
        let window = Period(start: week.start, end: week.end + .days(Int64.random(in: 0...5, using: &random)))
        for series in days + fixture.listed(.week) {
            for _ in 0..<Int.random(in: seed % 4 == 0 ? 0...2 : 1...3, using: &random) {
                let price = series.kind == .day ? Int64.random(in: 50...150, using: &random) : Int64.random(in: 70...120, using: &random)
                try fixture.place(side.opposite, Int64.random(in: 1...2, using: &random), at: price, in: series)
            }
        }
        let inside = fixture.market.snapshot().series.compactMap { one -> (period: Period, levels: [DepthLevel])? in
            guard let period = one.delivery, window.start <= period.start, period.end <= window.end else { return nil }
            return (period, fixture.market.depth(of: one.id, side: side.opposite, levels: 100))
        }
        let naive = BruteForce(series: inside, sign: side == .buy ? 1 : -1)
        var before: Int64 = 0
        for lots in 1...5 {
            let expected = naive.best(lots, window)
            guard let quote = try? ask(fixture, window, Int64(lots), side) else {
                #expect(expected == nil, "there is a way for \(lots) lots")
                break
            }
            #expect(expected == quote.total * naive.sign, "\(lots) lots")
            #expect(quote.legs.allSatisfy { $0.levels.map(\.lots).reduce(0, +) == $0.lots })
            let lotHours = quote.legs.map { $0.lots * $0.period.length.seconds / 3_600 }.reduce(0, +)
            #expect(lotHours == Int64(lots) * window.length.seconds / 3_600, "every hour of the window is covered once")
            // Depth: one lot more than that costs more than the last of these did.
            let last = quote.total * naive.sign - before
            let deeper = try #require(naive.best(lots, window))
            let atDepth = quote.depth <= 7 ? naive.best(Int(quote.depth), window) : nil
            if let atDepth { #expect(atDepth == deeper + (quote.depth - Int64(lots)) * last) }
            if quote.depth < 6, let more = naive.best(Int(quote.depth) + 1, window), let atDepth { #expect(more - atDepth > last) }
            before = quote.total * naive.sign
        }
    }
}
