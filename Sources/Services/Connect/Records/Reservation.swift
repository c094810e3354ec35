import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// Capacity set aside for one order, or for a contract that was found at the exchange.
struct Reservation: Sendable {
    enum Cause: String, Sendable { case ask, order, contract }

    /// What lots are for, and where they lie.
    struct Holding: Hashable, Sendable {
        var state: ReservationState
        /// Nil: on no host.
        var host: HostID?
    }

    let id: CapacityReservationID
    let number: Int64
    let product: ProductID
    let productName: String
    let lot: Resources
    let series: SeriesID
    /// Nil: spot, from now on without end.
    let period: Period?
    let cause: Cause
    let made: Instant
    var order: OrderID?
    /// Lots that are not given back.
    var holdings: [Holding: Int64] = [:]

    var lots: Int64 { holdings.values.reduce(0, +) }

    func lots(_ state: ReservationState) -> Int64 { holdings.filter { $0.key.state == state }.values.reduce(0, +) }
}

extension Reservation {
    private static let select =
        """
        SELECT r.id, r.number, r.product, r.product_name, r.lot, r.series, r.period_start, r.period_end, r.cause, r.made, o.market_order
        """

    /// Those not given back whole, in the order they were made.
    static func open(in context: any ReadContext) throws -> [Reservation] {
        let rows = try context.query(
            """
            \(select) FROM open_reservations w JOIN reservations r ON r.id = w.reservation
            LEFT JOIN reservation_orders o ON o.reservation = r.id ORDER BY r.number
            """)
        var holdings: [CapacityReservationID: [Holding: Int64]] = [:]
        let sums = try context.query(
            """
            SELECT e.reservation, e.state, e.host, CAST(SUM(e.lots) AS BIGINT) AS lots
            FROM open_reservations w JOIN reservation_entries e ON e.reservation = w.reservation
            WHERE e.state IN ('pending', 'offered', 'sold') GROUP BY e.reservation, e.state, e.host HAVING SUM(e.lots) <> 0
            """)
        for row in sums { holdings[try row.id("reservation"), default: [:]][try Holding(row)] = try row.integer("lots") }
        return try rows.map { row in
            var reservation = try Reservation(row)
            reservation.holdings = holdings[reservation.id] ?? [:]
            return reservation
        }
    }

    /// One, given back or not.
    static func load(_ id: CapacityReservationID, in context: any ReadContext) throws -> Reservation? {
        let row = try context.queryOne(
            "\(select) FROM reservations r LEFT JOIN reservation_orders o ON o.reservation = r.id WHERE r.id = $1", [SQLValue(id)])
        guard var reservation = try row.map(Reservation.init) else { return nil }
        let sums = try context.query(
            """
            SELECT state, host, CAST(SUM(lots) AS BIGINT) AS lots FROM reservation_entries
            WHERE reservation = $1 AND state IN ('pending', 'offered', 'sold') GROUP BY state, host HAVING SUM(lots) <> 0
            """, [SQLValue(id)])
        for row in sums { reservation.holdings[try Holding(row)] = try row.integer("lots") }
        return reservation
    }

    static func isOpen(_ id: CapacityReservationID, in context: any ReadContext) throws -> Bool {
        try context.queryOne("SELECT reservation FROM open_reservations WHERE reservation = $1", [SQLValue(id)]) != nil
    }

    /// The reservation an order belongs to.
    static func id(of order: OrderID, in context: any ReadContext) throws -> CapacityReservationID? {
        try context.queryOne("SELECT reservation FROM reservation_orders WHERE market_order = $1", [SQLValue(order)])?.id("reservation")
    }

    /// The reservations a contract counts for: one, or two of which one has been given back.
    static func ids(of contract: ContractID, in context: any ReadContext) throws -> [CapacityReservationID] {
        try context.query("SELECT reservation FROM reservation_contracts WHERE contract = $1 ORDER BY reservation", [SQLValue(contract)])
            .map { try $0.id("reservation") }
    }

    private init(_ row: Row) throws {
        let start = try row.optionalInstant("period_start")
        let end = try row.optionalInstant("period_end")
        self.init(
            id: try row.id("id"), number: try row.integer("number"), product: try row.id("product"),
            productName: try row.text("product_name"), lot: try WireJSON.decode(Resources.self, from: Data(try row.text("lot").utf8)),
            series: try row.id("series"), period: start.flatMap { start in end.map { Period(start: start, end: $0) } },
            cause: try row.value("cause"), made: try row.instant("made"), order: try row.optionalID("market_order"))
    }
}

extension Reservation.Holding {
    fileprivate init(_ row: Row) throws {
        let host = try row.text("host")
        self.init(state: try row.value("state"), host: host.isEmpty ? nil : try row.id("host"))
    }
}
