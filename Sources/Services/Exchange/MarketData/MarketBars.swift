import Market
import Primitives
import Store

/// The table of bars: what trades add to it, in the transaction that makes the trades durable.
struct MarketBars {
    private struct Key: Hashable {
        let series: SeriesID
        let interval: BarInterval
        let start: Instant
    }

    private var bars: [Key: Bar] = [:]

    init() {}

    /// Trades come in the order in which they were made.
    mutating func add(_ trade: Trade) { add(trade.price, trade.lots, trade.at, trade.series) }

    private mutating func add(_ price: Int64, _ lots: Int64, _ at: Instant, _ series: SeriesID) {
        for interval in BarInterval.allCases {
            let bar = Bar(price: price, lots: lots, at: at, interval)
            let key = Key(series: series, interval: interval, start: bar.start)
            if bars[key]?.append(bar) == nil { bars[key] = bar }
        }
    }

    /// Adds them to what the table has. A turnover is kept as two numbers, since it may pass 64 bits.
    func write(in transaction: any WriteContext) throws {
        try transaction.executeMany(
            """
            INSERT INTO bars (series, span, start, opening, high, low, closing, lots, turnover_high, turnover_low, trades)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (series, span, start) DO UPDATE SET
              high = CASE WHEN excluded.high > bars.high THEN excluded.high ELSE bars.high END,
              low = CASE WHEN excluded.low < bars.low THEN excluded.low ELSE bars.low END,
              closing = excluded.closing, lots = bars.lots + excluded.lots, trades = bars.trades + excluded.trades,
              turnover_high = bars.turnover_high + excluded.turnover_high + (bars.turnover_low + excluded.turnover_low) / \(Self.unit),
              turnover_low = (bars.turnover_low + excluded.turnover_low) % \(Self.unit)
            """, bars.map { $0.value.row($0.key.series, $0.key.interval) })
    }

    /// Of the two numbers of a turnover the higher counts these.
    static let unit: Int64 = 1_000_000_000_000_000_000

    /// Makes the whole table anew from the trades.
    static func rebuild(in transaction: any WriteContext) throws {
        try transaction.execute("DELETE FROM bars")
        var after: Int64 = 0
        while true {
            let rows = try transaction.query(
                "SELECT number, series, price, lots, at FROM trades WHERE number > $1 AND \(stands) ORDER BY number LIMIT 1000",
                [SQLValue(after)])
            guard let last = rows.last else { return }
            var bars = MarketBars()
            for row in rows {
                bars.add(try row.integer("price"), try row.integer("lots"), try row.instant("at"), try row.id("series"))
            }
            try bars.write(in: transaction)
            after = try last.integer("number")
        }
    }

    /// Makes the bars a trade is in anew, now that it is void.
    static func leaveOut(_ bust: Bust, in transaction: any WriteContext) throws {
        guard let trade = try transaction.queryOne("SELECT at FROM trades WHERE id = $1", [SQLValue(bust.trade)]) else { return }
        for interval in BarInterval.allCases {
            let start = try trade.instant("at").floored(to: interval.span)
            try transaction.execute(
                "DELETE FROM bars WHERE series = $1 AND span = $2 AND start = $3",
                [SQLValue(bust.series), SQLValue(interval.span), SQLValue(start)])
            var bar: Bar?
            let rows = try transaction.query(
                "SELECT price, lots, at FROM trades WHERE series = $1 AND at >= $2 AND at < $3 AND \(stands) ORDER BY number",
                [SQLValue(bust.series), SQLValue(start), SQLValue(start + interval.span)])
            for row in rows {
                let next = Bar(price: try row.integer("price"), lots: try row.integer("lots"), at: try row.instant("at"), interval)
                if bar?.append(next) == nil { bar = next }
            }
            guard let bar else { continue }
            var bars = MarketBars()
            bars.bars[Key(series: bust.series, interval: interval, start: start)] = bar
            try bars.write(in: transaction)
        }
    }

    /// Of the table of trades: it was made in the book, and not declared void.
    static let stands = "proposal IS NULL AND NOT EXISTS (SELECT 1 FROM busts b WHERE b.trade = trades.id)"

    /// For a database that had trades before it had bars.
    static func fill(_ database: any Database) async throws {
        let isMissing = try await database.read { context in
            try context.queryOne("SELECT trades FROM bars LIMIT 1") == nil
                && context.queryOne("SELECT number FROM trades WHERE proposal IS NULL LIMIT 1") != nil
        }
        if isMissing { try await database.write { try rebuild(in: $0) } }
    }
}

extension Bar {
    fileprivate func row(_ series: SeriesID, _ interval: BarInterval) -> [SQLValue] {
        let (high, low) = turnover.quotientAndRemainder(dividingBy: Int128(MarketBars.unit))
        return [
            SQLValue(series), SQLValue(interval.span), SQLValue(start), SQLValue(open), SQLValue(self.high), SQLValue(self.low),
            SQLValue(close), SQLValue(lots), SQLValue(Int64(clamping: high)), SQLValue(Int64(low)), SQLValue(trades),
        ]
    }

    init(row: Row) throws {
        self.init(
            start: try row.instant("start"), open: try row.integer("opening"), high: try row.integer("high"), low: try row.integer("low"),
            close: try row.integer("closing"), lots: try row.integer("lots"),
            turnover: Int128(try row.integer("turnover_high")) * Int128(MarketBars.unit) + Int128(try row.integer("turnover_low")),
            trades: try row.integer("trades"))
    }
}

extension ReadContext {
    /// Bars that begin in a stretch of time, oldest first.
    func bars(of series: SeriesID, _ interval: BarInterval, from start: Instant, to end: Instant, limit: Int) throws -> [Bar] {
        try query(
            "SELECT * FROM bars WHERE series = $1 AND span = $2 AND start >= $3 AND start < $4 ORDER BY start LIMIT $5",
            [SQLValue(series), SQLValue(interval.span), SQLValue(start), SQLValue(end), SQLValue(limit)]
        ).map(Bar.init(row:))
    }

    /// The trades of series $1 that were made in its book and not declared void.
    var standingTrades: String {
        "SELECT number, price, lots, at FROM trades WHERE series = $1 AND \(MarketBars.stands)"
    }

    /// The newest trades of a series, newest first.
    func prints(of series: SeriesID, most: Int64) throws -> [PublishedReference.Print] {
        try query(
            "\(standingTrades) ORDER BY number DESC LIMIT $2", [SQLValue(series), SQLValue(most)]
        ).map { .init(price: try $0.integer("price"), lots: try $0.integer("lots"), at: try $0.instant("at")) }
    }

    /// Refused as not found when there is no such series.
    func checkSeries(_ series: SeriesID) throws {
        guard try queryOne("SELECT id FROM series WHERE id = $1", [SQLValue(series)]) != nil else {
            throw Refusal(
                "market.unknown-series", .notFound, "There is no series \(series).", facts: ["series": .text(series.description)])
        }
    }
}
