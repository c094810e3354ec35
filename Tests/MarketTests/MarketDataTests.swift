import Market
import Primitives
import Testing

@Suite struct MarketDataTests {
    private struct Fact {
        var price: Int64
        var lots: Int64
        var at: Instant
    }

    private func facts(_ count: Int, seed: UInt64) -> [Fact] {
        var random = SeededGenerator(seed: seed)
        var at = Instant(seconds: 1_767_225_600)
        return (0..<count).map { _ in
            at = at + .seconds(Int64.random(in: 0...400, using: &random))
            return Fact(price: .random(in: 1...10_000_000_000, using: &random), lots: .random(in: 1...1_000_000, using: &random), at: at)
        }
    }

    /// Bars put together trade by trade, against what a look at all trades at once says.
    @Test(arguments: BarInterval.allCases, 1...5 as ClosedRange<UInt64>)
    func barsSayWhatWasTraded(_ interval: BarInterval, _ seed: UInt64) {
        let facts = facts(2_000, seed: seed)
        var bars: [Instant: Bar] = [:]
        for fact in facts {
            let one = Bar(price: fact.price, lots: fact.lots, at: fact.at, interval)
            if bars[one.start]?.append(one) == nil { bars[one.start] = one }
        }
        let width = interval.span.microseconds
        let groups = Dictionary(grouping: facts) { $0.at.microseconds / width }
        #expect(groups.count == bars.count && groups.count > 1)
        for (number, group) in groups {
            let bar = bars[Instant(microseconds: number * width)]
            let turnover = group.reduce(Int128(0)) { $0 + Int128($1.price) * Int128($1.lots) }
            let lots = group.map(\.lots).reduce(0, +)
            #expect(bar?.open == group.first?.price && bar?.close == group.last?.price)
            #expect(bar?.high == group.map(\.price).max() && bar?.low == group.map(\.price).min())
            #expect(bar?.lots == lots && bar?.turnover == turnover && bar?.trades == Int64(group.count))
            let average = Int128(bar?.averagePrice ?? 0)
            #expect((turnover - average * Int128(lots)).magnitude * 2 <= Int128(lots).magnitude, "the nearest whole number")
        }
    }

    @Test func theReferencePriceIsTheAverageOfTheNewestLots() throws {
        let now = Instant(seconds: 1_767_225_600)
        let rule = PublishedReference.Rule(minimumLots: 10, window: .hours(1))
        func prints(_ list: [(Int64, Int64, Int64)]) -> [PublishedReference.Print] {
            list.map { .init(price: $0.0, lots: $0.1, at: now - .minutes($0.2)) }
        }
        #expect(PublishedReference(prints([]), at: now, rule) == nil)
        #expect(PublishedReference(prints([(100, 9, 1)]), at: now, rule) == nil, "a lot too few")
        #expect(PublishedReference(prints([(100, 10, 1)]), at: now, rule)?.price == 100)
        let two = try #require(PublishedReference(prints([(100, 4, 1), (200, 100, 2), (900, 50, 3)]), at: now, rule))
        #expect(two.price == 160, "four at 100, six of the hundred at 200")
        #expect(two.since == now - .minutes(2))
        #expect(PublishedReference(prints([(100, 4, 1), (200, 6, 60)]), at: now, rule)?.price == 160, "an hour ago is in the hour")
        #expect(PublishedReference(prints([(100, 4, 1), (200, 6, 61)]), at: now, rule) == nil)
        #expect(PublishedReference(prints([(1, 5, 1), (2, 5, 1)]), at: now, rule)?.price == 2, "1.5, half to even")
        #expect(PublishedReference(prints([(2, 5, 1), (3, 5, 1)]), at: now, rule)?.price == 2, "2.5, half to even")
        let largest = prints([(10_000_000_000, 1_000_000, 1)])
        #expect(PublishedReference(largest, at: now, .init(minimumLots: 1_000_000, window: .hours(1)))?.price == 10_000_000_000)
    }
}
