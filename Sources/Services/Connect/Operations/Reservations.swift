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
        let products = try await listedProducts()
        let (layout, site) = try await database.read { (try CapacityLayout(in: $0), try SiteFacts(in: $0)) }
        let declared = layout.declared
        func view(_ id: ProductID, _ name: String, _ lot: Resources, _ pods: Packing.Pods) -> ProductCapacityView {
            let mine = layout.reservations.filter { $0.product == id }
            let sums = [ReservationState.pending, .offered, .sold].map { state in mine.map { $0.lots(state) }.reduce(0, +) }
            return ProductCapacityView(
                product: id, productName: name, held: layout.held(of: lot, on: pods), reserved: declared[id] ?? 0, pending: sums[0],
                offered: sums[1], sold: sums[2], short: layout.left { layout.reservations[$0.reservation].product == id },
                free: layout.free(of: lot, during: nil, on: pods))
        }
        let reserved = Dictionary(layout.reservations.map { ($0.product, $0) }) { first, _ in first }
        let listed = products.filter { reserved[$0.id] != nil || undeliverable($0.definition, at: site) == nil }
        let others = reserved.keys.filter { id in !listed.contains { $0.id == id } }.sorted().compactMap { reserved[$0] }
        return listed.map { view($0.id, $0.definition.name, $0.definition.lot, site.pods(for: $0.definition)) }
            + others.map { view($0.product, $0.productName, $0.lot, .all) }
    }

    /// The products of the exchange, which are kept here as well: while it does not answer, those are what is known.
    private func listedProducts() async throws -> [(id: ProductID, definition: ProductDefinition)] {
        do {
            let listed = try await identity.exchange.items(of: ExchangeAPI.listProducts, deadline: Self.listDeadline)
            let missing = memory.reading { state in listed.filter { state.products[$0.id] == nil } }
            if !missing.isEmpty {
                try await write { transaction in
                    for product in missing { try ProductRecord.save(product, in: transaction) }
                }
            }
            return listed.map { ($0.id, $0.definition) }
        } catch is ClientError {
            return memory.reading { state in state.products.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
        }
    }

    private static let listDeadline = Duration.seconds(3)

    /// What the hosts have to give, pod by pod.
    func podCapacity() async throws -> [PodCapacityView] {
        let rows = try await database.read { context in
            try context.query("SELECT id, name, zone FROM pods WHERE removed IS NULL ORDER BY name").map {
                (id: try $0.id("id", as: PodID.self), name: try $0.text("name"), zone: try $0.text("zone"))
            }
        }
        var views: [PodID: PodCapacityView] = [:]
        for row in rows {
            views[row.id] = PodCapacityView(
                pod: row.name, zone: row.zone, hosts: 0, open: 0, promised: .zero, allocated: .zero, free: .zero)
        }
        let hosts = memory.reading { state in
            state.occupancy.hostIDs.compactMap { id in
                state.occupancy.host(id).map {
                    ($0.placement.pod, $0.state, $0.promised, state.occupancy.placeable(id)?.allocated ?? .zero)
                }
            }
        }
        for (pod, state, promised, allocated) in hosts where state != .retired {
            views[pod]?.hosts += 1
            views[pod]?.allocated += allocated
            guard state == .up else { continue }
            views[pod]?.open += 1
            views[pod]?.promised += promised
            views[pod]?.free += promised - allocated
        }
        return rows.compactMap { views[$0.id] }
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
