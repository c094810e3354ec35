import CloudAPI
import CloudClient
import Fleet
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Reservations, newest first; the cursor is the number of the last one of the page before.
    func reservations(_ call: Call<Empty>) async throws -> CloudAPI.Page<CapacityReservationView> {
        let limit = try call.query.limit()
        let cursor = call.query.text("cursor")
        guard let before = cursor.map(Int64.init) ?? .max else { throw Refusal.cursor(cursor ?? "") }
        let state = call.query.text("state")
        guard state == nil || state == "open" else {
            throw Refusal("request.query", .invalid, "The query parameter 'state' is '\(state ?? "")'.", nearest: "open")
        }
        let open = state == nil ? "" : "AND id IN (SELECT reservation FROM open_reservations)"
        return try await database.read { context in
            let rows = try context.query(
                "SELECT id, number FROM reservations WHERE number < $1 \(open) ORDER BY number DESC LIMIT $2",
                [.integer(before), SQLValue(limit + 1)])
            let views = try rows.prefix(limit).compactMap { try CapacityReservationView(id: try $0.id("id"), in: context) }
            return CloudAPI.Page(views, next: rows.count > limit ? try rows.prefix(limit).last.map { "\(try $0.integer("number"))" } : nil)
        }
    }

    /// Every product this datacenter can deliver, or has something set aside for.
    func productCapacity() async throws -> [ProductCapacityView] {
        let products = try await identity.exchange.items(of: ExchangeAPI.listProducts)
        let (layout, site) = try await database.read { (try CapacityLayout(in: $0), try SiteFacts(in: $0)) }
        let declared = layout.declared
        return products.compactMap { product in
            let mine = layout.reservations.filter { $0.product == product.id }
            guard !mine.isEmpty || undeliverable(product.definition, at: site) == nil else { return nil }
            let sums = [ReservationState.pending, .offered, .sold].map { state in mine.map { $0.lots(state) }.reduce(0, +) }
            return ProductCapacityView(
                product: product.id, productName: product.definition.name, held: layout.held(of: product.definition),
                reserved: declared[product.id] ?? 0, pending: sums[0], offered: sums[1], sold: sums[2],
                short: layout.left { layout.reservations[$0.reservation].product == product.id },
                free: layout.free(of: product.definition, during: nil))
        }
    }
}

extension CapacityReservationView {
    fileprivate init?(id: CapacityReservationID, in context: any ReadContext) throws {
        guard let reservation = try Reservation.load(id, in: context) else { return nil }
        let last = try context.queryOne(
            "SELECT at, note FROM reservation_entries WHERE reservation = $1 ORDER BY movement DESC, line LIMIT 1", [SQLValue(id)])
        let released = try context.queryOne(
            "SELECT CAST(COALESCE(SUM(lots), 0) AS BIGINT) AS lots FROM reservation_entries WHERE reservation = $1 AND state = 'released'",
            [SQLValue(id)])
        let lots = [ReservationState.pending, .offered, .sold].map { ($0, reservation.lots($0)) }
        let hosts = Dictionary(grouping: reservation.holdings.filter { $0.key.host != nil }, by: \.key.host)
        self.init(
            id: id, state: lots.first { $0.1 > 0 }?.0 ?? .released, product: reservation.product, productName: reservation.productName,
            series: reservation.series, period: reservation.period, order: reservation.order, pending: lots[0].1, offered: lots[1].1,
            sold: lots[2].1, released: try released?.integer("lots") ?? 0,
            hosts: hosts.compactMap { host, held in host.map { ReservedShare(host: $0, lots: held.map(\.value).reduce(0, +)) } }
                .sorted { $0.host < $1.host },
            cause: reservation.cause.rawValue, made: reservation.made, changed: try last?.instant("at") ?? reservation.made,
            reason: try last?.text("note") ?? "")
    }
}
