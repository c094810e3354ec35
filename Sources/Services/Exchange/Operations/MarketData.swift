import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

// Market data: public and anonymous, for whoever asks.

extension ExchangeCore {
    func bars(_ call: Call<Empty>) async throws -> CloudAPI.Page<BarView> {
        let series = try call.id("series", as: SeriesID.self)
        let interval = try call.query.value("interval", of: BarInterval.self) ?? .hour
        let limit = try call.query.limit()
        let end = try call.query.instant("end") ?? time.now()
        let start = try call.query.instant("start") ?? end - interval.span * Int64(limit)
        let from = try call.query.instant("cursor") ?? start.floored(to: interval.span)
        return try await database.read { context in
            try context.checkSeries(series)
            let bars = try context.bars(of: series, interval, from: from, to: end, limit: limit + 1)
            return CloudAPI.Page(bars.prefix(limit).map(BarView.init), next: bars.count > limit ? "\(bars[limit].start)" : nil)
        }
    }

    func ticker(_ call: Call<Empty>) async throws -> TickerView {
        let series = try call.id("series", as: SeriesID.self)
        let now = time.now()
        return try await database.read { context in
            try context.checkSeries(series)
            return try context.ticker(of: series, at: now)
        }
    }

    func depth(_ call: Call<Empty>) async throws -> BookView {
        let levels = Int(try call.query.integer("levels", in: 1...1_000, default: 10))
        let series = try call.id("series", as: SeriesID.self)
        return try await database.read { context in
            try context.checkSeries(series)
            return BookView(
                series: series, bids: try context.depth(of: series, .buy, levels: levels),
                asks: try context.depth(of: series, .sell, levels: levels))
        }
    }
}

extension ReadContext {
    fileprivate func ticker(of series: SeriesID, at now: Instant) throws -> TickerView {
        let rule = PublishedReference.Rule.standard
        let prints = try prints(of: series, most: rule.minimumLots)
        let minutes = try bars(of: series, .minute, from: (now - .hours(24)).floored(to: .minutes(1)), to: now + .minutes(1), limit: 1_500)
        var day = minutes.first
        for bar in minutes.dropFirst() { day?.append(bar) }
        return TickerView(
            series: series, at: now, last: prints.first.map { TradePrint(price: $0.price, lots: $0.lots, at: $0.at) },
            bid: try depth(of: series, .buy, levels: 1).first, ask: try depth(of: series, .sell, levels: 1).first,
            day: day.map(BarView.init), reference: PublishedReference(prints, at: now, rule).map { ReferenceView($0, rule) })
    }
}

extension QueryValues {
    /// A moment in RFC 3339, nil when absent.
    func instant(_ name: String) throws -> Instant? {
        guard let text = text(name) else { return nil }
        guard let instant = Instant(text) else {
            throw Refusal(
                "request.query", .invalid, "The query parameter '\(name)' is '\(text)'; it must be a time in RFC 3339 and UTC.",
                facts: ["parameter": .text(name)], nearest: "2026-01-31T12:00:00Z")
        }
        return instant
    }
}

extension BarView {
    init(_ bar: Bar) {
        self.init(
            start: bar.start, open: bar.open, high: bar.high, low: bar.low, close: bar.close, lots: bar.lots,
            turnover: Int64(clamping: bar.turnover), average: bar.averagePrice, trades: bar.trades)
    }
}

extension ReferenceView {
    fileprivate init(_ reference: PublishedReference, _ rule: PublishedReference.Rule) {
        self.init(price: reference.price, lots: rule.minimumLots, since: reference.since)
    }
}
