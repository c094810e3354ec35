import CloudAPI
import Fleet
import Primitives
import Store

/// What lots of a product are to be set aside for.
struct ReservationTerms: Sendable {
    var product: ProductID
    var definition: ProductDefinition
    var series: SeriesID
    /// Nil: spot.
    var period: Period?

    var productName: String { definition.name }
    var lot: Resources { definition.lot }
}

/// Changes reservations within one transaction. Everything is a movement whose lines add up to zero; none is ever changed.
struct ReservationLedger {
    enum Kind: String {
        /// Set aside for an ask.
        case reserve
        /// Found at the exchange, where it came by another way.
        case find
        case offer, sell
        /// Given back, for a reason of ours or because a contract is over.
        case release
        /// Given back because the order left its book.
        case leave
        /// From host to host.
        case move
    }

    struct Line {
        var state: String
        var host: HostID?
        var lots: Int64
    }

    let transaction: any WriteContext
    let now: Instant
    private let up: Set<HostID>

    init(_ transaction: any WriteContext, at now: Instant) throws {
        self.transaction = transaction
        self.now = now
        up = Set(try transaction.query("SELECT id FROM hosts WHERE state = 'up'").map { try $0.id("id") })
    }

    /// A reservation with nothing in it yet.
    func make(
        _ id: CapacityReservationID, _ terms: ReservationTerms, cause: Reservation.Cause, askKey: String? = nil, askHash: String? = nil
    ) throws -> Reservation {
        let last = try transaction.queryOne("SELECT COALESCE(MAX(number), 0) AS number FROM reservations")?.integer("number") ?? 0
        let reservation = Reservation(
            id: id, number: last + 1, product: terms.product, productName: terms.productName, lot: terms.lot, series: terms.series,
            period: terms.period, cause: cause, made: now)
        try transaction.execute(
            """
            INSERT INTO reservations (id, number, product, product_name, lot, series, period_start, period_end, cause, ask_key, ask_hash, made)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            """,
            [
                SQLValue(id), .integer(reservation.number), SQLValue(terms.product), .text(terms.productName),
                .text(try WireJSON.text(terms.lot)), SQLValue(terms.series), SQLValue(terms.period?.start), SQLValue(terms.period?.end),
                SQLValue(cause), SQLValue(askKey), SQLValue(askHash), SQLValue(now),
            ])
        try transaction.execute("INSERT INTO open_reservations (reservation) VALUES ($1)", [SQLValue(id)])
        return reservation
    }

    /// Sets lots aside on hosts; host nil: on none yet.
    func add(
        _ shares: [(host: HostID?, lots: Int64)], as state: ReservationState, to reservation: inout Reservation, _ kind: Kind,
        reference: String, note: String
    ) throws {
        let lots = shares.map(\.lots).reduce(0, +)
        guard lots > 0 else { return }
        for share in shares { reservation.holdings[.init(state: state, host: share.host), default: 0] += share.lots }
        let lines = shares.map { Line(state: state.rawValue, host: $0.host, lots: $0.lots) }
        try post([Line(state: "free", lots: -lots)] + lines, of: reservation, kind, reference: reference, note: note)
    }

    /// Lots pass from some states to another, where they lie; given back, from hosts that are not up first.
    func shift(
        _ lots: Int64, of reservation: inout Reservation, from states: [ReservationState], to state: ReservationState, _ kind: Kind,
        reference: String, note: String
    ) throws {
        var left = lots
        var lines: [Line] = []
        for holding in order(of: reservation, states, giveBack: state == .released) where left > 0 {
            let taken = min(left, reservation.holdings[holding] ?? 0)
            guard taken > 0 else { continue }
            reservation.holdings[holding, default: 0] -= taken
            if reservation.holdings[holding] == 0 { reservation.holdings[holding] = nil }
            lines.append(Line(state: holding.state.rawValue, host: holding.host, lots: -taken))
            lines.append(Line(state: state.rawValue, host: state == .released ? nil : holding.host, lots: taken))
            if state != .released { reservation.holdings[.init(state: state, host: holding.host), default: 0] += taken }
            left -= taken
        }
        guard !lines.isEmpty else { return }
        try post(lines, of: reservation, kind, reference: reference, note: note)
        if reservation.lots == 0 {
            try transaction.execute("DELETE FROM open_reservations WHERE reservation = $1", [SQLValue(reservation.id)])
        }
    }

    /// Lots go from one host to others.
    func move(_ holding: Reservation.Holding, of reservation: inout Reservation, to shares: [(host: HostID?, lots: Int64)]) throws {
        let lots = shares.map(\.lots).reduce(0, +)
        guard lots > 0 else { return }
        reservation.holdings[holding, default: 0] -= lots
        if reservation.holdings[holding] == 0 { reservation.holdings[holding] = nil }
        for share in shares { reservation.holdings[.init(state: holding.state, host: share.host), default: 0] += share.lots }
        try post(
            [Line(state: holding.state.rawValue, host: holding.host, lots: -lots)]
                + shares.map { Line(state: holding.state.rawValue, host: $0.host, lots: $0.lots) },
            of: reservation, .move, reference: holding.host?.description ?? "",
            note: holding.host == nil ? "a host has room" : "its host has no room for it")
    }

    private func order(of reservation: Reservation, _ states: [ReservationState], giveBack: Bool) -> [Reservation.Holding] {
        states.flatMap { state in
            reservation.holdings.keys.filter { $0.state == state }.sorted { a, b in
                let (aUp, bUp) = (a.host.map(up.contains) ?? false, b.host.map(up.contains) ?? false)
                if aUp != bUp { return giveBack ? bUp : aUp }
                return (a.host?.bits ?? 0) < (b.host?.bits ?? 0)
            }
        }
    }

    private func post(_ lines: [Line], of reservation: Reservation, _ kind: Kind, reference: String, note: String) throws {
        precondition(lines.map(\.lots).reduce(0, +) == 0, "what leaves one place comes to another")
        let last = try transaction.queryOne("SELECT COALESCE(MAX(movement), 0) AS movement FROM reservation_entries")?.integer("movement")
        let movement = (last ?? 0) + 1
        try transaction.executeMany(
            """
            INSERT INTO reservation_entries (movement, line, reservation, state, host, lots, kind, reference, note, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            lines.enumerated().map { number, line in
                [
                    .integer(movement), SQLValue(number), SQLValue(reservation.id), .text(line.state), .text(line.host?.description ?? ""),
                    .integer(line.lots), SQLValue(kind), .text(reference), .text(note), SQLValue(now),
                ]
            })
        try transaction.appendChange(
            topic: ConnectCore.capacityTopic, subject: reservation.id.description, kind: kind.rawValue, body: "{}", at: now)
    }
}

// MARK: - What the exchange says

extension ReservationLedger {
    /// Makes a reservation what its order and the contracts of it are. Older news than it has had changes nothing.
    func takeIn(_ order: OrderView, _ reservation: inout Reservation) throws {
        let name = order.id.description
        try transaction.execute(
            "INSERT INTO reservation_orders (reservation, market_order) VALUES ($1, $2) ON CONFLICT (reservation) DO NOTHING",
            [SQLValue(reservation.id), .text(name)])
        reservation.order = order.id
        let (sold, left) = try history(of: reservation)
        guard order.filled >= sold, !left || order.state != .resting else { return }
        let more = order.filled - sold
        let held = reservation.lots(.pending) + reservation.lots(.offered)
        let rest = order.state == .resting ? order.lots - order.filled : 0
        // More than was set aside: it was made larger, or found.
        try add([(nil, max(0, more + rest - held))], as: .offered, to: &reservation, .find, reference: name, note: "found in the book")
        for contract in order.contracts { try takeOver(contract, reservation) }
        try shift(more, of: &reservation, from: [.offered, .pending], to: .sold, .sell, reference: name, note: "traded")
        let surplus = reservation.lots(.pending) + reservation.lots(.offered) - rest
        try shift(
            surplus, of: &reservation, from: [.pending, .offered], to: .released, order.state == .resting ? .release : .leave,
            reference: name, note: order.state == .resting ? "the order was made smaller" : order.reason ?? order.state.rawValue)
        try shift(
            reservation.lots(.pending), of: &reservation, from: [.pending], to: .offered, .offer, reference: name, note: "the order rests")
        try giveBackEnded(&reservation)
    }

    func link(_ contract: ContractID, to reservation: Reservation) throws {
        try transaction.execute(
            "INSERT INTO reservation_contracts (contract, reservation) VALUES ($1, $2) ON CONFLICT (contract, reservation) DO NOTHING",
            [SQLValue(contract), SQLValue(reservation.id)])
    }

    /// A contract that was found alone turns out to be an order's: what was set aside for it alone is given back.
    private func takeOver(_ contract: ContractID, _ reservation: Reservation) throws {
        for id in try Reservation.ids(of: contract, in: transaction) where id != reservation.id {
            guard var other = try Reservation.load(id, in: transaction), other.cause == .contract else { continue }
            try shift(
                other.lots, of: &other, from: [.sold], to: .released, .release, reference: contract.description,
                note: "it is counted with \(reservation.id)")
        }
        try link(contract, to: reservation)
    }

    /// Gives back what contracts took up that are over.
    func giveBackEnded(_ reservation: inout Reservation) throws {
        let rows = try transaction.query(
            """
            SELECT c.body FROM reservation_contracts l JOIN contracts c ON c.id = l.contract
            WHERE l.reservation = $1 AND c.state IN ('ended', 'settled') AND NOT EXISTS (
              SELECT 1 FROM reservation_entries e WHERE e.reservation = $1 AND e.kind = 'release' AND e.reference = l.contract)
            ORDER BY c.id
            """, [SQLValue(reservation.id)])
        for contract in try rows.map(ContractRecord.view) {
            try shift(
                contract.lots, of: &reservation, from: [.sold], to: .released, .release, reference: contract.id.description,
                note: contract.reason ?? "the contract is over")
        }
    }

    /// How many lots were ever sold, and whether the order has left its book.
    private func history(of reservation: Reservation) throws -> (sold: Int64, left: Bool) {
        let row = try transaction.queryOne(
            """
            SELECT CAST(COALESCE(SUM(CASE WHEN kind = 'sell' AND state = 'sold' THEN lots ELSE 0 END), 0) AS BIGINT) AS sold,
              CAST(COALESCE(SUM(CASE WHEN kind = 'leave' THEN 1 ELSE 0 END), 0) AS BIGINT) AS departures
            FROM reservation_entries WHERE reservation = $1
            """, [SQLValue(reservation.id)])
        return (try row?.integer("sold") ?? 0, try row?.integer("departures") ?? 0 > 0)
    }
}
