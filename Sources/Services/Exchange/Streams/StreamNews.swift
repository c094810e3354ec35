import CloudAPI
import Market
import Primitives
import Store

/// What the tables have to say about some series, all of one moment.
struct StreamNews: Sendable {
    /// Everything up to this revision is in it.
    var latest: Int64
    /// By series: orders that changed, nil when they do not rest any more.
    var orders: [SeriesID: [OrderID: BookMirror.Resting?]] = [:]
    /// By series: all that rests.
    var books: [SeriesID: [OrderID: BookMirror.Resting]] = [:]
    var trades: [SeriesID: [NumberedPrint]] = [:]
    /// By series: trades that were declared void.
    var busted: [SeriesID: [TradePrint]] = [:]
    /// By series: the last trade that stands, where some were declared void.
    var standing: [SeriesID: TradePrint?] = [:]
    var states: [SeriesID: SeriesState] = [:]

    struct SeriesState: Sendable, Hashable {
        var state: Series.State
        /// Why it is halted.
        var reason: String?
    }

    struct NumberedPrint: Sendable {
        var number: Int64
        var trade: TradePrint
    }

    /// What is asked for.
    struct Query: Sendable {
        /// What happened up to this revision is known, for the series followed.
        var after: Int64
        /// The number of the last trade known of each series followed.
        var followed: [SeriesID: Int64]
        /// Series of which nothing is known yet.
        var fresh: [SeriesID]
    }

    /// With more changes than this, reading whole books is less work.
    static let mostChanges = 20_000
}

extension ReadContext {
    /// On the process that runs the market as on any other: from the change feed and the rows it speaks of.
    func streamNews(_ query: StreamNews.Query) throws -> StreamNews {
        var news = StreamNews(latest: try latestRevision())
        for series in query.fresh { try readWhole(series, lastTrade: nil, into: &news) }
        guard !query.followed.isEmpty, news.latest > query.after else { return news }
        guard let changed = try changedSubjects(after: query.after) else {
            for (series, last) in query.followed { try readWhole(series, lastTrade: last, into: &news) }
            return news
        }
        try readOrders(changed.orders, of: query.followed, into: &news)
        for (series, last) in query.followed {
            if changed.hasTrades { news.trades[series] = try trades(of: series, after: last) }
            if changed.series.contains(series.description) { news.states[series] = try state(of: series) }
        }
        try readBusts(changed.busted, of: query.followed, into: &news)
        return news
    }

    private func readWhole(_ series: SeriesID, lastTrade: Int64?, into news: inout StreamNews) throws {
        let resting = "SELECT id, side, price, COALESCE(shown, lots - filled) AS lots FROM orders WHERE state = 'resting' AND series = $1"
        var book: [OrderID: BookMirror.Resting] = [:]
        for row in try query(resting, [SQLValue(series)]) { book[try row.id("id")] = try BookMirror.Resting(row: row) }
        news.books[series] = book
        news.trades[series] = try lastTrade.map { try trades(of: series, after: $0) } ?? lastTrades(of: series)
        news.states[series] = try state(of: series)
    }

    /// Identifiers of what changed; nil when it is too much.
    private func changedSubjects(after: Int64) throws -> Changed? {
        var changed = Changed()
        var after = after
        while true {
            let page = try changes(topics: nil, after: after, limit: 2_000)
            guard let last = page.last else { return changed }
            for change in page {
                if change.kind.hasPrefix("order.") { changed.orders.insert(change.subject) }
                if change.kind.hasPrefix("series.") { changed.series.insert(change.subject) }
                if change.kind == "trade.created" { changed.hasTrades = true }
                if change.kind == "trade.busted" { changed.busted.append(change.subject) }
            }
            guard changed.orders.count <= StreamNews.mostChanges else { return nil }
            after = last.revision
        }
    }

    private func readOrders(_ ids: Set<String>, of followed: [SeriesID: Int64], into news: inout StreamNews) throws {
        let all = Array(ids)
        for start in stride(from: 0, to: all.count, by: 500) {
            let some = all[start..<min(start + 500, all.count)]
            let places = some.indices.map { "$\($0 - start + 1)" }.joined(separator: ", ")
            let rows = try query(
                "SELECT id, series, side, price, COALESCE(shown, lots - filled) AS lots, state FROM orders WHERE id IN (\(places))",
                some.map { .text($0) })
            for row in rows {
                let series: SeriesID = try row.id("series")
                guard followed[series] != nil else { continue }
                let rests = try row.text("state") == Order.State.resting.rawValue
                news.orders[series, default: [:]][try row.id("id")] = .some(rests ? try BookMirror.Resting(row: row) : nil)
            }
        }
    }

    private func trades(of series: SeriesID, after number: Int64) throws -> [StreamNews.NumberedPrint] {
        try query(
            "SELECT number, price, lots, at FROM trades WHERE series = $1 AND number > $2 AND proposal IS NULL ORDER BY number",
            [SQLValue(series), SQLValue(number)]
        ).map(StreamNews.NumberedPrint.init(row:))
    }

    private func lastTrades(of series: SeriesID) throws -> [StreamNews.NumberedPrint] {
        try query("\(standingTrades) ORDER BY number DESC LIMIT 1", [SQLValue(series)]).map(StreamNews.NumberedPrint.init(row:))
    }

    private func readBusts(_ ids: [String], of followed: [SeriesID: Int64], into news: inout StreamNews) throws {
        for id in ids {
            let sql = "SELECT series, number, price, lots, at FROM trades WHERE id = $1 AND proposal IS NULL"
            guard let row = try queryOne(sql, [.text(id)]) else { continue }
            let series: SeriesID = try row.id("series")
            guard followed[series] != nil else { continue }
            news.busted[series, default: []].append(try StreamNews.NumberedPrint(row: row).trade)
            news.standing[series] = .some(try lastTrades(of: series).first?.trade)
        }
    }

    private func state(of series: SeriesID) throws -> StreamNews.SeriesState? {
        guard let row = try queryOne("SELECT halted, stage FROM series WHERE id = $1", [SQLValue(series)]) else { return nil }
        let reason = try row.optionalText("halted")
        let state = Series.State(stage: try row.value("stage"), isHalted: reason != nil)
        return StreamNews.SeriesState(state: state, reason: state == .halted ? reason : nil)
    }
}

/// What the change feed speaks of, by identifiers.
private struct Changed {
    var orders: Set<String> = []
    var series: Set<String> = []
    var hasTrades = false
    var busted: [String] = []
}

extension BookMirror.Resting {
    fileprivate init(row: Row) throws {
        self.init(side: try row.value("side"), price: try row.integer("price"), lots: try row.integer("lots"))
    }
}

extension StreamNews.NumberedPrint {
    fileprivate init(row: Row) throws {
        self.init(
            number: try row.integer("number"),
            trade: TradePrint(price: try row.integer("price"), lots: try row.integer("lots"), at: try row.instant("at")))
    }
}
