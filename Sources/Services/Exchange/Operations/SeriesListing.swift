import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

// Series and their books.

extension ExchangeCore {
    func series(_ call: Call<Empty>) async throws -> CloudAPI.Page<SeriesView> {
        let now = time.now()
        var conditions = ["s.id > $1", "$2 = ''"]
        if let product = try call.query.id("product", as: ProductID.self) { conditions.append("s.product = '\(product)'") }
        if let kind = try call.query.value("kind", of: Series.Kind.self) { conditions.append("s.kind = '\(kind.rawValue)'") }
        let state = try call.query.value("state", of: Series.State.self)
        conditions.append(state?.condition ?? "s.stage <> 'expired'")
        return try await database.read { [conditions] context in
            try context.page(
                call.query, "\(SeriesView.columns) WHERE \(conditions.joined(separator: " AND ")) ORDER BY s.id", filter: "", key: "id"
            ) { row in try SeriesView(row, in: context, at: now) }
        }
    }

    func showSeries(_ call: Call<Empty>) async throws -> SeriesView {
        let id = try call.id("series", as: SeriesID.self)
        let now = time.now()
        return try await database.read { try $0.series(id, at: now) }
    }

    func haltSeries(_ call: Call<Suspension>) async throws -> SeriesView {
        let id = try call.id("series", as: SeriesID.self)
        return try await changed(id, .halt(id, reason: call.body.reason), call)
    }

    func reopenSeries(_ call: Call<Empty>) async throws -> SeriesView {
        let id = try call.id("series", as: SeriesID.self)
        return try await changed(id, .reopen(id), call)
    }

    func changed<Body>(_ id: SeriesID, _ command: MarketCommand, _ call: Call<Body>) async throws -> SeriesView {
        let now = time.now()
        return try await desk.perform(try DeskRequest(command, for: call, status: 200)) { market, _ in
            guard let series = market.series(id), let product = market.product(series.product) else { throw Refusal.unknownSeries(id) }
            return SeriesView(
                series, product, at: now, bestBid: market.bestPrice(of: id, side: .buy), bestAsk: market.bestPrice(of: id, side: .sell),
                lastPrice: nil, reference: market.referencePrice(of: id))
        }
    }

    func book(of series: SeriesID) async throws -> BookView {
        try await database.read { context in
            try context.checkSeries(series)
            return BookView(
                series: series, bids: try context.depth(of: series, .buy, levels: 1_000),
                asks: try context.depth(of: series, .sell, levels: 1_000))
        }
    }
}

extension ReadContext {
    /// Shown volume and orders by price, best first.
    func depth(of series: SeriesID, _ side: Side, levels: Int) throws -> [PriceLevel] {
        try query(
            """
            SELECT price, CAST(SUM(COALESCE(shown, lots - filled)) AS BIGINT) AS lots, COUNT(*) AS orders FROM orders
            WHERE state = 'resting' AND series = $1 AND side = $2 GROUP BY price ORDER BY price \(side == .buy ? "DESC" : "ASC") LIMIT $3
            """, [SQLValue(series), SQLValue(side), SQLValue(levels)]
        ).map { PriceLevel(price: try $0.integer("price"), lots: try $0.integer("lots"), orders: try $0.integer("orders")) }
    }

    fileprivate func series(_ id: SeriesID, at now: Instant) throws -> SeriesView {
        guard let row = try queryOne("\(SeriesView.columns) WHERE s.id = $1", [SQLValue(id)]) else { throw Refusal.unknownSeries(id) }
        return try SeriesView(row, in: self, at: now)
    }
}

extension SeriesView {
    fileprivate static let columns = """
        SELECT s.*, p.name, p.definition, p.tick, p.largest_price, p.largest_lots, p.terms_hash, p.created, p.closed,
          (SELECT MAX(price) FROM orders o WHERE o.state = 'resting' AND o.series = s.id AND o.side = 'buy') AS best_bid,
          (SELECT MIN(price) FROM orders o WHERE o.state = 'resting' AND o.series = s.id AND o.side = 'sell') AS best_ask,
          (SELECT price FROM trades t WHERE t.series = s.id AND t.proposal IS NULL AND NOT EXISTS (SELECT 1 FROM busts b WHERE b.trade = t.id)
            ORDER BY number DESC LIMIT 1) AS last_price
        FROM series s JOIN products p ON p.id = s.product
        """

    fileprivate init(_ row: Row, in context: any ReadContext, at now: Instant) throws {
        let (series, product) = (try Series(row: row), try Product(row: row, id: "product"))
        let lastPrice = try row.optionalInteger("last_price")
        // Without a trade that counts it is what was set.
        let reference =
            lastPrice == nil
            ? series.reference?.price
            : try context.referencePrice(of: series.id, product.terms.risk.reference, setting: series.reference).price
        self.init(
            series, product, at: now, bestBid: try row.optionalInteger("best_bid"), bestAsk: try row.optionalInteger("best_ask"),
            lastPrice: lastPrice, reference: reference)
    }

    fileprivate init(
        _ series: Series, _ product: Product, at now: Instant, bestBid: Int64?, bestAsk: Int64?, lastPrice: Int64?, reference: Int64?
    ) {
        let terms = product.terms
        self.init(
            id: series.id, product: product.id, productName: terms.name, kind: series.kind.rawValue,
            period: series.delivery ?? product.spotPeriod(at: now), state: series.state.rawValue, closes: series.closes,
            reason: series.halted, haltedUntil: series.haltedUntil, bestBid: bestBid, bestAsk: bestAsk, lastPrice: lastPrice,
            referencePrice: reference, collar: terms.range(terms.risk.collar, around: reference),
            volatilityBand: terms.range(terms.risk.band, around: reference))
    }
}

extension Series.State {
    fileprivate var condition: String {
        switch self {
        case .open: "s.stage = 'trading' AND s.halted IS NULL"
        case .halted: "s.stage = 'trading' AND s.halted IS NOT NULL"
        case .closed: "s.stage = 'closed'"
        case .expired: "s.stage = 'expired'"
        }
    }
}

extension Refusal {
    static func unknownSeries(_ id: SeriesID) -> Refusal {
        Refusal("market.unknown-series", .notFound, "There is no series \(id).", facts: ["series": .text(id.description)])
    }
}
