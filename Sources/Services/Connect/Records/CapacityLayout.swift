import CloudAPI
import Fleet
import Primitives
import Store

/// Everything set aside now, laid out on the hosts that are up: sold lots first, then the others, older reservations before newer.
struct CapacityLayout: Sendable {
    struct Piece: Sendable {
        var reservation: Int
        var holding: Reservation.Holding
        var lots: Int64
        var outcome: Packing.Outcome
    }

    var reservations: [Reservation]
    private(set) var pieces: [Piece]
    private(set) var packing: Packing
    private let rooms: [HostID: Packing.Room]
    private let site: SiteFacts

    init(in context: any ReadContext) throws {
        let reservations = try Reservation.open(in: context)
        rooms = try Self.rooms(in: context)
        let site = try SiteFacts(in: context)
        let products = try ProductRecord.all(in: context)
        let pods = Dictionary(
            reservations.map { ($0.product, products[$0.product].map(site.pods(for:)) ?? .all) }, uniquingKeysWith: { first, _ in first })
        self.site = site
        var packing = Packing(rooms: rooms)
        let held = reservations.indices.flatMap { index in reservations[index].holdings.map { (index, $0.key, $0.value) } }
            .sorted { Self.rank($0.0, $0.1) < Self.rank($1.0, $1.1) }
        // What is sold takes the room it needs before anything that can be withdrawn.
        let outcomes = [true, false].flatMap { isSold in
            packing.arrange(
                held.filter { ($0.1.state == .sold) == isSold }.map { index, holding, lots in
                    Packing.Claim(
                        lot: reservations[index].lot, lots: lots, period: reservations[index].period, host: holding.host,
                        pods: pods[reservations[index].product] ?? .all)
                })
        }
        pieces = zip(held, outcomes).map { Piece(reservation: $0.0, holding: $0.1, lots: $0.2, outcome: $1) }
        self.reservations = reservations
        self.packing = packing
    }

    private static func rank(_ reservation: Int, _ holding: Reservation.Holding) -> (Int, Int, UInt64) {
        let state = holding.state == .sold ? 0 : holding.state == .offered ? 1 : 2
        return (state == 0 ? 0 : 1, reservation << 2 + state, holding.host?.bits ?? .max)
    }

    /// What the hosts that are up have to give: what is promised, less what machines and volumes hold whose contract is over.
    private static func rooms(in context: any ReadContext) throws -> [HostID: Packing.Room] {
        let leftover = try context.query(
            """
            SELECT host, CAST(SUM(CASE WHEN state <> 'stopped' THEN milli_cpu ELSE 0 END) AS BIGINT) AS milli_cpu,
              CAST(SUM(CASE WHEN state <> 'stopped' THEN memory_mib ELSE 0 END) AS BIGINT) AS memory_mib,
              CAST(SUM(disk_mib) AS BIGINT) AS disk_mib
            FROM instances
            WHERE contract IN (SELECT id FROM contracts WHERE enforced IS NOT NULL OR state IN ('ended', 'settled'))
              AND state <> 'terminated' GROUP BY host
            """)
        var rooms = try HostRecord.promised(in: context)
        for row in leftover {
            let host = try row.id("host", as: HostID.self)
            // Bare metal is free when nothing is on it.
            if rooms[host]?.isWhole == true { rooms[host]?.resources = .zero }
            rooms[host]?.resources -= Resources(
                milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib"))
        }
        let disks = try VolumeRecord.held(
            where: "contract IN (SELECT id FROM contracts WHERE enforced IS NOT NULL OR state IN ('ended', 'settled'))", in: context)
        for (host, held) in disks { rooms[host]?.resources -= held }
        return rooms
    }

    // MARK: Reading

    /// What lies where no host that is up has room for it.
    func left(_ isMeant: (Piece) -> Bool) -> Int64 { pieces.filter(isMeant).map(\.outcome.left).reduce(0, +) }

    /// What the exchange is to be told of each product: all that is set aside for it, but for lots not sold that no host has room for.
    var declared: [ProductID: Int64] {
        Dictionary(grouping: pieces) { reservations[$0.reservation].product }.mapValues { pieces in
            Packing.peak(
                of: pieces.map { piece in
                    (piece.holding.state == .sold ? piece.lots : piece.lots - piece.outcome.left, reservations[piece.reservation].period)
                })
        }
    }

    /// How many more lots fit on hosts that may deliver them.
    func free(of product: ProductDefinition, during period: Period?) -> Int64 {
        packing.room(for: product.lot, during: period, on: site.pods(for: product))
    }

    /// How many would fit if nothing were set aside.
    func held(of product: ProductDefinition) -> Int64 {
        Packing(rooms: rooms).room(for: product.lot, during: nil, on: site.pods(for: product))
    }

    /// The newest order, on offer, of which some lots have no room.
    var newestUnplaced: Reservation? {
        pieces.filter { $0.outcome.left > 0 && $0.holding.state == .offered }.map { reservations[$0.reservation] }
            .filter { $0.order != nil }.max { $0.number < $1.number }
    }

    // MARK: Writing

    /// Where lots of a piece go. What has no room on a host that is up lies on none; on one that is down it waits for it.
    private func destinations(_ piece: Piece) -> [(host: HostID?, lots: Int64)] {
        let isCrowdedOut = piece.outcome.left > 0 && piece.holding.host.map { rooms[$0] != nil } ?? false
        return piece.outcome.moved.map { ($0.host, $0.lots) } + (isCrowdedOut ? [(nil, piece.outcome.left)] : [])
    }

    /// Notes what moves from host to host.
    mutating func settle(_ ledger: ReservationLedger) throws {
        for piece in pieces { try ledger.move(piece.holding, of: &reservations[piece.reservation], to: destinations(piece)) }
    }

    var isSettled: Bool { pieces.allSatisfy { destinations($0).isEmpty } }

    /// Takes room for lots of a new reservation; nil: they do not fit.
    mutating func take(_ lots: Int64, of product: ProductDefinition, during period: Period?) -> [Packing.Share]? {
        guard lots <= free(of: product, during: period) else { return nil }
        return packing.place(lots, of: product.lot, during: period, on: site.pods(for: product))
    }
}
