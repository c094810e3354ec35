import CloudAPI
import CloudClient
import Fleet
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Offers capacity: tells the exchange what the hosts here can deliver in all, then rests a sell order.
    func createAsk(_ call: Call<CreateAsk>) async throws -> OrderView {
        guard let datacenter else { throw Refusal("datacenter.identity", .unavailable, "This connect has no datacenter identity.") }
        let wanted = try await series(call.body.series)
        let lots = try await declareCapacity(of: wanted.product, at: datacenter)
        guard call.body.lots <= lots else {
            throw Refusal(
                "ask.capacity", .capacity,
                "The hosts here can deliver \(lots) lots of \(wanted.productName) in all, not \(call.body.lots).",
                facts: ["lots": .number(lots)], nearest: "\(lots) lots, or more hosts")
        }
        let order = PlaceOrder(
            series: call.body.series, side: .sell, type: .limit, price: call.body.price, lots: call.body.lots, datacenter: datacenter)
        return try await identity.exchange.call(
            ExchangeAPI.placeOrder, body: order, idempotencyKey: call.idempotency.map { "ask-" + $0.key })
    }

    private func series(_ id: SeriesID) async throws -> SeriesView {
        do {
            return try await identity.exchange.call(ExchangeAPI.showSeries, path: ["series": id.description])
        } catch let problem as ProblemDocument where problem.status == 404 {
            throw Refusal("series.unknown", .notFound, "There is no series \(id) on the exchange.")
        }
    }

    /// How many lots the hosts of this datacenter hold, host by host: a lot does not span hosts.
    private func declareCapacity(of product: ProductID, at datacenter: DatacenterID) async throws -> Int64 {
        let products = try await identity.exchange.call(ExchangeAPI.listProducts, query: ["limit": "1000"]).items
        guard let definition = products.first(where: { $0.id == product })?.definition else {
            throw Refusal("product.unknown", .notFound, "There is no product \(product) on the exchange.")
        }
        let zone = configuration.zone
        guard definition.region == configuration.region, definition.zone == nil || definition.zone == zone else {
            throw Refusal(
                "ask.place", .invalid,
                "\(definition.name) is delivered in \(definition.zone ?? definition.region), this datacenter is in \(zone).")
        }
        guard configuration.oversubscription.cpu <= definition.largestOversubscription else {
            throw Refusal(
                "ask.oversubscription", .invalid,
                "\(definition.name) allows \(definition.largestOversubscription)‰ oversubscription of processors, the pod has \(configuration.oversubscription.cpu)‰.",
                nearest: "a pod with at most \(definition.largestOversubscription)‰")
        }
        let hosts = try await database.read { try HostRecord.all(in: $0) }
        let lots = hosts.filter { $0.state == .up }.map { $0.placeable.promised.wholeLots(of: definition.lot) }.reduce(0, +)
        return try await identity.exchange.call(
            ExchangeAPI.declareCapacity, path: ["datacenter": datacenter.description], body: DeclareCapacity(product: product, lots: lots)
        ).lots
    }
}
