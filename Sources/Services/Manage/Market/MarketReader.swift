import CloudAPI
import CloudClient
import Primitives
import ServiceKit
import Sourcing
import Store

/// What the exchange offers at one moment, and what the buyer can pay.
struct MarketSnapshot: Sendable {
    var offers: [Offer]
    /// End of the delivery period in progress, by series.
    var periodEnds: [SeriesID: Instant]
    /// What the participant can spend, cash and credit: micro-units by currency; nil when the exchange did not say.
    var cash: [Currency: Int64]?

    static let empty = MarketSnapshot(offers: [], periodEnds: [:], cash: nil)
}

extension ManageCore {
    /// How long a user waits for the exchange before being told that it does not answer.
    private static let marketDeadline = Duration.seconds(4)
    /// Books read for one question, and as many of whole hosts, whose lots cost more: the series with the best asks.
    private static let mostBooks = 16

    /// Asks the exchange for the books of series that could serve this region, and for the buyer's cash.
    func market(region: String) async throws -> MarketSnapshot {
        // Machines that are to run now are sourced from what is delivered now.
        let all = try await identity.exchange.items(of: ExchangeAPI.listSeries, query: ["kind": "spot"], deadline: Self.marketDeadline)
        let products = try await products(covering: Set(all.map(\.product)))
        let candidates = all.filter { $0.bestAsk != nil && products[$0.product]?.definition.region == region }
            .sorted { ($0.bestAsk ?? 0, $0.id) < ($1.bestAsk ?? 0, $1.id) }
        var snapshot = MarketSnapshot.empty
        for series in all {
            snapshot.periodEnds[series.id] = series.period.end
            // Series without an ask are kept: a refusal can tell "no product" from "nothing on offer".
            guard series.bestAsk == nil, let product = products[series.product] else { continue }
            snapshot.offers.append(Offer(series: series.id, terms: Terms(product), asks: []))
        }
        let isMetal = { (series: SeriesView) in products[series.product]?.definition.hosting == .metal }
        let chosen = candidates.filter { !isMetal($0) }.prefix(Self.mostBooks) + candidates.filter(isMetal).prefix(Self.mostBooks)
        for series in chosen {
            guard let product = products[series.product] else { continue }
            let book = try await identity.exchange.call(
                ExchangeAPI.book, path: ["series": series.id.description], deadline: Self.marketDeadline)
            snapshot.offers.append(
                Offer(series: series.id, terms: Terms(product), asks: book.asks.map { Offer.Ask(price: $0.price, lots: $0.lots) }))
        }
        snapshot.cash = try await cash()
        return snapshot
    }

    private func cash() async throws -> [Currency: Int64] {
        let balances = try await identity.exchange.call(ExchangeAPI.listBalances, deadline: Self.marketDeadline).items
        var cash: [Currency: Int64] = [:]
        for balance in balances where balance.account == "cash" && balance.participant == identity.record.participant {
            let (sum, overflow) = balance.amount.microUnits.addingReportingOverflow(balance.creditLineMicroUnits ?? 0)
            cash[balance.amount.currency] = overflow ? .max : sum
        }
        return cash
    }

    /// The known products; asks the exchange only when one is new. A product never changes.
    private func products(covering wanted: Set<ProductID>) async throws -> [ProductID: ProductView] {
        let known = try await database.read { try SiteRecords.products(in: $0) }
        guard !wanted.isSubset(of: known.keys) else { return known }
        let views = try await identity.exchange.items(of: ExchangeAPI.listProducts, deadline: Self.marketDeadline)
        try await database.write { try SiteRecords.save(views, in: $0) }
        return Dictionary(views.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }
}

extension Terms {
    init(_ product: ProductView) {
        let definition = product.definition
        self.init(
            product: product.id, name: definition.name, lot: definition.lot, region: definition.region, zone: definition.zone,
            jurisdiction: definition.jurisdiction, tenancy: definition.tenancy.rawValue, storage: definition.storage.rawValue,
            isFirm: definition.firmness == .firm, largestOversubscription: definition.largestOversubscription,
            currency: definition.currency,
            metal: definition.hosting == .metal ? definition.unitClass : nil)
    }
}
