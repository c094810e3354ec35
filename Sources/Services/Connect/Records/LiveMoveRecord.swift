import CloudAPI
import Fleet
import Primitives
import Store

/// A live move as the database keeps it, with the room that is held for it on the target.
struct LiveMoveRecord: Sendable {
    /// Room on the target, held under an identifier of its own: the instance itself counts where it runs.
    struct Place: Hashable, Sendable {
        var id: InstanceID
        var zone: String
        var address: String
        var spot: PlacementSpot
    }

    var instance: InstanceID
    var cause: InstanceMove.Cause
    var move: LiveMove
    /// Nil once it is over.
    var place: Place?
    /// How often in a row it came to nothing.
    var failures: Int64
    var ended: Instant?

    private static let columns =
        "instance, cause, phase, source, target, began, ended, why, attempt, deadline, endpoint, source_said, target_said, done_mib, left_mib, downtime, place, zone, address, spot, failures"

    static func underWay(_ instance: InstanceID, in context: any ReadContext) throws -> LiveMoveRecord? {
        try context.queryOne(
            "SELECT \(columns) FROM moves WHERE instance = $1 AND mode = 'live' AND ended IS NULL", [SQLValue(instance)]
        ).map(LiveMoveRecord.init)
    }

    static func allUnderWay(in context: any ReadContext) throws -> [LiveMoveRecord] {
        try context.query("SELECT \(columns) FROM moves WHERE mode = 'live' AND ended IS NULL ORDER BY instance").map(LiveMoveRecord.init)
    }

    /// Instances on their way to a host.
    static func arrivals(at host: HostID, in context: any ReadContext) throws -> [InstanceID] {
        try context.query(
            "SELECT instance FROM moves WHERE target = $1 AND mode = 'live' AND ended IS NULL ORDER BY instance", [SQLValue(host)]
        ).map { try $0.id("instance") }
    }

    /// How often in a row live moves of it came to nothing, and why the last did.
    static func failures(of instance: InstanceID, in context: any ReadContext) throws -> (count: Int64, why: String)? {
        try context.queryOne("SELECT failures, why FROM moves WHERE instance = $1 AND failures > 0", [SQLValue(instance)]).map {
            (try $0.integer("failures"), try $0.optionalText("why") ?? "")
        }
    }

    private init(_ row: Row) throws {
        func said(_ column: String) throws -> MoveDecision.Said? {
            try row.optionalText(column).flatMap(MoveDecision.Said.init)
        }
        instance = try row.id("instance")
        cause = try row.value("cause")
        move = LiveMove(
            attempt: try row.integer("attempt"), phase: try row.value("phase"), source: try row.id("source"), target: try row.id("target"),
            began: try row.instant("began"), deadline: try row.instant("deadline"), endpoint: try row.optionalText("endpoint"),
            sourceSaid: try said("source_said"), targetSaid: try said("target_said"),
            progress: LiveMove.Progress(
                doneMiB: try row.integer("done_mib"), leftMiB: try row.integer("left_mib"),
                downtimeMilliseconds: try row.optionalInteger("downtime")), why: try row.optionalText("why"))
        if let place = try row.optionalText("place").flatMap(InstanceID.init) {
            self.place = Place(
                id: place, zone: try row.text("zone"), address: try row.text("address"),
                spot: PlacementSpot(number: try row.integer("spot")) ?? .anywhere)
        }
        failures = try row.integer("failures")
        ended = try row.optionalInstant("ended")
    }

    init(_ instance: InstanceID, _ cause: InstanceMove.Cause, _ move: LiveMove, place: Place, failures: Int64) {
        (self.instance, self.cause, self.move, self.place, self.failures) = (instance, cause, move, place, failures)
    }

    // MARK: Writing

    /// In place of its former move; takes the room.
    func insert(of record: InstanceRecord, in transaction: FleetTransaction) throws {
        guard let place else { preconditionFailure("a move that begins has room on its target") }
        let size = record.resources
        try transaction.execute("DELETE FROM moves WHERE instance = $1", [SQLValue(instance)])
        try transaction.execute(
            """
            INSERT INTO moves (\(Self.columns), mode, milli_cpu, memory_mib, disk_mib, milli_gpu)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, 'live', $22, $23, $24, $25)
            """,
            [
                SQLValue(instance), SQLValue(cause), SQLValue(move.phase), SQLValue(move.source), SQLValue(move.target),
                SQLValue(move.began), SQLValue(ended), SQLValue(move.why), .integer(move.attempt), SQLValue(move.deadline),
                SQLValue(move.endpoint), SQLValue(move.sourceSaid?.rawValue), SQLValue(move.targetSaid?.rawValue),
                .integer(move.progress.doneMiB), .integer(move.progress.leftMiB), SQLValue(move.progress.downtimeMilliseconds),
                SQLValue(place.id), .text(place.zone), .text(place.address), .integer(place.spot.number), .integer(failures),
                .integer(size.milliCPU), .integer(size.memoryMiB), .integer(size.diskMiB), .integer(size.milliGPU),
            ])
        let party = transaction.reading { $0.party(of: record.contract) }
        try transaction.note(place.id, try holding(of: record, by: party), on: move.target)
    }

    /// Once it is over the room is given back.
    func update(in transaction: FleetTransaction) throws {
        try transaction.execute(
            """
            UPDATE moves SET phase = $2, ended = $3, why = $4, endpoint = $5, source_said = $6, target_said = $7, done_mib = $8,
              left_mib = $9, downtime = $10, failures = $11 WHERE instance = $1
            """,
            [
                SQLValue(instance), SQLValue(move.phase), SQLValue(ended), SQLValue(move.why), SQLValue(move.endpoint),
                SQLValue(move.sourceSaid?.rawValue), SQLValue(move.targetSaid?.rawValue), .integer(move.progress.doneMiB),
                .integer(move.progress.leftMiB), SQLValue(move.progress.downtimeMilliseconds), .integer(failures),
            ])
        guard ended != nil, let place else { return }
        try transaction.execute("UPDATE moves SET place = NULL WHERE instance = $1", [SQLValue(instance)])
        try transaction.note(place.id, nil, on: move.target)
    }

    // MARK: The room on the target

    func holding(of record: InstanceRecord, by party: ParticipantID) throws -> Occupancy.Holding {
        var holding = Occupancy.Holding(
            contract: record.contract, party: party, host: move.target, resources: record.resources,
            address: place.flatMap { GuestNetwork.address($0.address) }, desired: .running, state: .pending, generation: 0, executed: nil,
            terms: try HeldTermsTexts.shared.value(record.termsText, of: party), spot: place?.spot ?? .anywhere)
        (holding.isArriving, holding.network) = (true, record.spec.network)
        return holding
    }

    /// What all moves under way hold on their targets.
    static func holdings(in context: any ReadContext, party: (ContractID) -> ParticipantID) throws -> [(InstanceID, Occupancy.Holding)] {
        try allUnderWay(in: context).compactMap { move in
            guard let place = move.place, let record = try InstanceRecord.load(move.instance, in: context) else { return nil }
            return (place.id, try move.holding(of: record, by: party(record.contract)))
        }
    }
}

/// A cold move, kept so that it can be told why it is one.
enum ColdMove {
    static func insert(
        _ record: InstanceRecord, _ cause: InstanceMove.Cause, from source: HostID, to target: HostID, why: String?, failures: Int64,
        in transaction: FleetTransaction, at now: Instant
    ) throws {
        try transaction.execute("DELETE FROM moves WHERE instance = $1", [SQLValue(record.id)])
        try transaction.execute(
            """
            INSERT INTO moves (instance, mode, cause, phase, source, target, began, why, attempt, deadline, done_mib, left_mib, spot,
              failures, milli_cpu, memory_mib, disk_mib, milli_gpu)
            VALUES ($1, 'cold', $2, 'restarting', $3, $4, $5, $6, 0, 0, 0, 0, 0, $7, 0, 0, 0, 0)
            """,
            [
                SQLValue(record.id), SQLValue(cause), SQLValue(source), SQLValue(target), SQLValue(now), SQLValue(why), .integer(failures),
            ])
    }
}

extension MoveView {
    init(_ row: Row, hostName: (HostID) -> String?, in context: any ReadContext) throws {
        let (source, target) = (try row.id("source", as: HostID.self), try row.id("target", as: HostID.self))
        let instance = try row.id("instance", as: InstanceID.self)
        let mode: MoveMode = try row.value("mode")
        var phase = try row.text("phase")
        if mode == .cold, let record = try InstanceRecord.load(instance, in: context), record.life.move == nil {
            phase = record.host == target ? "arrived" : "stayed"
        }
        // Where the target has it before the source has counted to the end, the last count says nothing.
        let left = try row.integer("left_mib")
        let isLive = mode == .live && (phase != "arrived" || left == 0)
        self.init(
            instance: instance, mode: mode, cause: try row.text("cause"), phase: phase, source: source, target: target,
            sourceName: hostName(source), targetName: hostName(target), began: try row.instant("began"),
            ended: try row.optionalInstant("ended"), deadline: mode == .live ? try row.instant("deadline") : nil,
            doneMiB: isLive ? try row.integer("done_mib") : nil, leftMiB: isLive ? left : nil,
            downtimeMilliseconds: isLive ? try row.optionalInteger("downtime") : nil, why: try row.optionalText("why"))
    }
}
