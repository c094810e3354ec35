import CloudAPI
import Crypto
import Foundation
import Market
import Primitives
import ServiceKit
import Store

// Products, series, books and datacenters.

extension ExchangeCore {
    func createProduct(_ call: Call<ProductDefinition>) async throws -> ProductView {
        let hash = SHA256.hash(data: try WireJSON.encode(call.body)).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }
            .joined()
        let command = MarketCommand.addProduct(Product.Terms(call.body), termsHash: hash)
        return try await desk.perform(try DeskRequest(command, for: call, status: 201)) { _, changes in
            changes.first { if case .product(let product) = $0 { product.view } else { nil } }
        }
    }

    func products(_ call: Call<Empty>) async throws -> CloudAPI.Page<ProductView> {
        try await database.read { context in
            try context.page(call.query, "SELECT * FROM products WHERE id > $1 AND $2 = '' ORDER BY id", filter: "", key: "id") {
                try Product(row: $0).view
            }
        }
    }

    func series(_ call: Call<Empty>) async throws -> CloudAPI.Page<SeriesView> {
        let now = time.now()
        return try await database.read { context in
            try context.page(
                call.query, "\(Self.seriesColumns) WHERE s.id > $1 AND $2 = '' ORDER BY s.id", filter: "", key: "series_id"
            ) { row in try SeriesView(row, in: context, at: now) }
        }
    }

    private static let seriesColumns =
        """
        SELECT s.id AS series_id, s.kind AS series_kind, s.product AS series_product, s.halted, s.halted_until, s.reference_price, s.reference_after, p.*
        FROM series s JOIN products p ON p.id = s.product
        """

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
            guard let series = market.series(id), let product = market.product(series.product) else {
                throw Refusal("market.unknown-series", .notFound, "There is no series \(id).", facts: ["series": .text(id.description)])
            }
            return SeriesView(
                series, product, at: now, bestBid: market.bestPrice(of: id, side: .buy), bestAsk: market.bestPrice(of: id, side: .sell),
                lastPrice: nil, reference: market.referencePrice(of: id))
        }
    }

    func book(of series: SeriesID) async throws -> BookView {
        try await database.read { context in
            guard try context.queryOne("SELECT id FROM series WHERE id = $1", [SQLValue(series)]) != nil else {
                throw Refusal(
                    "market.unknown-series", .notFound, "There is no series \(series).", facts: ["series": .text(series.description)])
            }
            return BookView(
                series: series, bids: try context.depth(of: series, .buy, levels: 1_000),
                asks: try context.depth(of: series, .sell, levels: 1_000))
        }
    }

    // MARK: Datacenters

    func registerDatacenter(_ call: Call<RegisterDatacenter>) async throws -> DatacenterView {
        let (id, owner) = try ownDatacenter(call)
        let body = call.body
        let datacenter = Datacenter(
            id: id, owner: owner, name: body.name, region: body.region, zones: body.zones, peerAddress: body.peerAddress)
        return try await desk.perform(try DeskRequest(.registerDatacenter(datacenter), for: call, status: 200)) { _, _ in
            DatacenterView(datacenter)
        }
    }

    func declareCapacity(_ call: Call<DeclareCapacity>) async throws -> DeclareCapacity {
        let (id, owner) = try ownDatacenter(call)
        let body = call.body
        let command = MarketCommand.declareCapacity(id, body.product, lots: body.lots, by: owner)
        return try await desk.perform(try DeskRequest(command, for: call, status: 200)) { _, _ in body }
    }

    /// A connect speaks for its own datacenter only, whose identifier is its own.
    private func ownDatacenter<Body>(_ call: Call<Body>) throws -> (DatacenterID, ParticipantID) {
        let id = try call.id("datacenter", as: DatacenterID.self)
        guard case .datacenter(id, let owner) = try Scope(call.principal) else {
            throw Refusal(
                "market.unknown-datacenter", .notFound, "There is no datacenter \(id) of this connect.",
                facts: ["datacenter": .text(id.description)])
        }
        return (id, owner)
    }

    func datacenters(_ call: Call<Empty>) async throws -> CloudAPI.Page<DatacenterView> {
        try await database.read { context in
            try context.page(call.query, "SELECT * FROM datacenters WHERE id > $1 AND $2 = '' ORDER BY id", filter: "", key: "id") {
                DatacenterView(try Datacenter(row: $0))
            }
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

    fileprivate func lastPrice(of series: SeriesID) throws -> Int64? {
        try queryOne(
            """
            SELECT price FROM trades t WHERE series = $1 AND NOT EXISTS (SELECT 1 FROM busts b WHERE b.trade = t.id)
            ORDER BY number DESC LIMIT 1
            """, [SQLValue(series)])?.integer("price")
    }
}

extension SeriesView {
    fileprivate init(_ row: Row, in context: any ReadContext, at now: Instant) throws {
        let product = try Product(row: row)
        let series = try Series(row: row, id: "series_id", product: "series_product", kind: "series_kind")
        let reference = try context.referencePrice(of: series.id, product.terms.risk.reference, setting: series.reference)
        self.init(
            series, product, at: now, bestBid: try context.depth(of: series.id, .buy, levels: 1).first?.price,
            bestAsk: try context.depth(of: series.id, .sell, levels: 1).first?.price, lastPrice: try context.lastPrice(of: series.id),
            reference: reference.price)
    }

    fileprivate init(
        _ series: Series, _ product: Product, at now: Instant, bestBid: Int64?, bestAsk: Int64?, lastPrice: Int64?, reference: Int64?
    ) {
        let terms = product.terms
        self.init(
            id: series.id, product: product.id, productName: terms.name, kind: series.kind.rawValue, period: product.spotPeriod(at: now),
            state: series.halted == nil ? "open" : "halted", reason: series.halted, haltedUntil: series.haltedUntil, bestBid: bestBid,
            bestAsk: bestAsk, lastPrice: lastPrice, referencePrice: reference, collar: terms.range(terms.risk.collar, around: reference),
            volatilityBand: terms.range(terms.risk.band, around: reference))
    }
}
