import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

extension ExchangeCore {
    /// From the books in memory where the market runs; elsewhere from the tables. The market is looked at only for a moment: it is solved
    /// beside it.
    func quote(_ call: Call<Empty>) async throws -> QuoteView {
        let request = try quoteRequest(call)
        let now = time.now()
        let datacenter = try Scope(call.principal).datacenter
        if let problem = try await desk.reading({ try $0.quoteProblem(request, at: max(now, $0.clock)) }) {
            return QuoteView(try problem.solve(), of: problem.product, at: problem.at, datacenter)
        }
        let (snapshot, clock, _) = try await database.read { try MarketTables.load(from: $0) }
        let problem = try Market(restoring: snapshot, clock: clock).quoteProblem(request, at: max(now, clock))
        return QuoteView(try problem.solve(), of: problem.product, at: problem.at, datacenter)
    }

    private func quoteRequest(_ call: Call<Empty>) throws -> QuoteRequest {
        guard let product = try call.query.id("product", as: ProductID.self) else { throw Refusal.missingQuery("product", "prd-…") }
        let (start, end) = (try call.query.moment("start"), try call.query.moment("end"))
        guard start < end else {
            throw Refusal(
                "quote.window", .invalid, "The window would end at \(end), not after its start at \(start).",
                facts: ["start": .text("\(start)"), "end": .text("\(end)")], nearest: "\(start) to \(start + .hours(1))")
        }
        let side = try call.query.value("side", of: OrderSide.self) ?? .buy
        return QuoteRequest(
            product: product, window: Period(start: start, end: end),
            lots: try call.query.integer("lots", in: 1...1_000_000, default: 1), side: side == .buy ? .buy : .sell,
            asker: try Scope(call.principal).participant)
    }
}

extension QueryValues {
    /// A moment that must be given.
    fileprivate func moment(_ name: String) throws -> Instant {
        guard let text = text(name) else { throw Refusal.missingQuery(name, "2026-11-21T12:00:00Z") }
        guard let moment = Instant(text) else {
            throw Refusal(
                "request.query", .invalid, "The query parameter '\(name)' is '\(text)', which is no time in UTC.",
                facts: ["parameter": .text(name)], nearest: "2026-11-21T12:00:00Z")
        }
        return moment
    }
}

extension Refusal {
    fileprivate static func missingQuery(_ name: String, _ example: String) -> Refusal {
        Refusal(
            "request.query", .invalid, "The query parameter '\(name)' is missing.", facts: ["parameter": .text(name)],
            nearest: "\(name)=\(example)")
    }
}

extension QuoteView {
    /// - Parameter datacenter: the caller's own, for orders to sell.
    fileprivate init(_ quote: Quote, of product: Product, at: Instant, _ datacenter: DatacenterID?) {
        let request = quote.request
        let side: OrderSide = request.side == .buy ? .buy : .sell
        self.init(
            product: product.id, productName: product.terms.name, side: side, window: request.window, lots: request.lots, at: at,
            currency: product.terms.currency, totalMicroUnits: quote.total, average: quote.average, depth: quote.depth,
            legs: quote.legs.map { leg in
                QuoteLegView(
                    series: leg.series, kind: leg.kind.rawValue, period: leg.period, lots: leg.lots,
                    levels: leg.levels.map { PriceLevel(price: $0.price, lots: $0.lots, orders: $0.orders) }, costMicroUnits: leg.cost,
                    order: PlaceOrder(
                        series: leg.series, side: side, type: .fillOrKill, price: leg.limit, lots: leg.lots,
                        datacenter: side == .sell ? datacenter : nil))
            })
    }
}
