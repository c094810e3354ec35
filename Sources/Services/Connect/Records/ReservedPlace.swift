import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// Room that is held on a host for one instance of a reservation.
struct ReservedPlace: Sendable {
    var reservation: InstanceReservationID
    /// In the reservation, from 0.
    var position: Int64
    var spec: CreateInstance
    var contract: ContractID
    var host: HostID
    var zone: String
    var address: String
    var termsText: String?
    var spot: PlacementSpot
    var until: Instant

    var instance: InstanceID { spec.id }

    /// As much of the resources as instances hold.
    private var resources: Resources {
        Resources(
            milliCPU: spec.resources.milliCPU, memoryMiB: spec.resources.memoryMiB, diskMiB: spec.resources.diskMiB,
            milliGPU: spec.resources.milliGPU)
    }

    private static let columns = "instance, reservation, position, contract, host, zone, spec, address, terms, spot, until"

    static func all(in context: any ReadContext) throws -> [ReservedPlace] {
        try context.query("SELECT \(columns) FROM reserved_places ORDER BY instance").map(ReservedPlace.init)
    }

    static func of(_ reservation: InstanceReservationID, in context: any ReadContext) throws -> [ReservedPlace] {
        try context.query(
            "SELECT \(columns) FROM reserved_places WHERE reservation = $1 ORDER BY position", [SQLValue(reservation)]
        ).map(ReservedPlace.init)
    }

    func holding(by party: ParticipantID) throws -> Occupancy.Holding {
        Occupancy.Holding(
            contract: contract, party: party, host: host, resources: resources, address: GuestNetwork.address(address), desired: .running,
            state: .pending, generation: 0, executed: nil, terms: try HeldTermsTexts.shared.value(termsText, of: party), spot: spot,
            reservedUntil: until, network: spec.network)
    }

    func insert(in transaction: FleetTransaction) throws {
        let size = resources
        try transaction.execute(
            """
            INSERT INTO reserved_places (\(Self.columns), milli_cpu, memory_mib, disk_mib, milli_gpu)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            """,
            [
                SQLValue(instance), SQLValue(reservation), .integer(position), SQLValue(contract), SQLValue(host), .text(zone),
                .text(try WireJSON.text(spec)), .text(address), SQLValue(termsText), .integer(spot.number), SQLValue(until),
                .integer(size.milliCPU), .integer(size.memoryMiB), .integer(size.diskMiB), .integer(size.milliGPU),
            ])
        let party = transaction.reading { $0.party(of: contract) }
        try transaction.note(instance, try holding(by: party), on: host)
    }

    /// Gives the room back.
    func delete(in transaction: FleetTransaction) throws {
        try transaction.execute("DELETE FROM reserved_places WHERE instance = $1", [SQLValue(instance)])
        try transaction.note(instance, nil, on: host)
    }

    private init(_ row: Row) throws {
        self.init(
            reservation: try row.id("reservation"), position: try row.integer("position"),
            spec: try WireJSON.decode(CreateInstance.self, from: Data(try row.text("spec").utf8)), contract: try row.id("contract"),
            host: try row.id("host"), zone: try row.text("zone"), address: try row.text("address"),
            termsText: try row.optionalText("terms"), spot: PlacementSpot(number: try row.integer("spot")) ?? .anywhere,
            until: try row.instant("until"))
    }

    init(
        reservation: InstanceReservationID, position: Int64, spec: CreateInstance, contract: ContractID, host: HostID, zone: String,
        address: String, termsText: String?, spot: PlacementSpot, until: Instant
    ) {
        self.reservation = reservation
        self.position = position
        self.spec = spec
        self.contract = contract
        self.host = host
        self.zone = zone
        self.address = address
        self.termsText = termsText
        self.spot = spot
        self.until = until
    }
}
