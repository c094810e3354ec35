import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// An instance as the database keeps it.
struct InstanceRecord: Sendable {
    var spec: CreateInstance
    var contract: ContractID
    var host: HostID
    var zone: String
    var address: String?
    var mac: String
    var life: InstanceLifecycle
    /// JSON of the terms it is under, as `FleetState.terms` made them; nil: none but its contract's volume.
    var termsText: String?
    var spot = PlacementSpot.anywhere

    var id: InstanceID { spec.id }

    /// What counts under its contract and on its host.
    var resources: Resources {
        Resources(
            milliCPU: spec.resources.milliCPU, memoryMiB: spec.resources.memoryMiB, diskMiB: spec.resources.diskMiB,
            milliGPU: spec.resources.milliGPU)
    }

    private static let termsTexts = DecodedTexts<PlacementTerms>()
    /// Nil also when the text is none of ours.
    var terms: PlacementTerms? { termsText.flatMap { try? Self.termsTexts.value($0) } }
}

extension InstanceRecord {
    static let columns =
        "id, contract, host, zone, spec, address, mac, desired, state, generation, reboots, grace, reason_code, reason_message, accepted, executed, state_changed, wanted, interruption, move, terms, spot"

    init(_ row: Row) throws {
        let code = try row.optionalText("reason_code")
        self.init(
            spec: try WireJSON.decode(CreateInstance.self, from: Data(try row.text("spec").utf8)), contract: try row.id("contract"),
            host: try row.id("host"), zone: try row.text("zone"), address: try row.optionalText("address"), mac: try row.text("mac"),
            life: InstanceLifecycle(
                desired: try row.value("desired"), state: try row.value("state"), generation: try row.integer("generation"),
                reboots: try row.integer("reboots"), graceSeconds: try row.integer("grace"),
                reason: try code.map { InstanceLifecycle.Reason($0, try row.text("reason_message")) },
                accepted: try row.instant("accepted"),
                executed: try row.optionalInstant("executed"), stateChanged: try row.instant("state_changed"),
                wanted: try row.optionalInstant("wanted"), interruption: try row.optionalInstant("interruption"),
                move: try row.optionalText("move").map { try WireJSON.decode(StoredMove.self, from: Data($0.utf8)).move }),
            termsText: try row.optionalText("terms"), spot: PlacementSpot(number: try row.integer("spot")) ?? .anywhere)
        if spec.network != nil, life.holdsDisk { address = spec.address }
    }

    /// - Parameter outlook: how long it is expected to live.
    func insert(in transaction: FleetTransaction, outlook: LifetimeOutlook? = nil) throws {
        try transaction.execute(
            """
            INSERT INTO instances (\(Self.columns), milli_cpu, memory_mib, disk_mib, milli_gpu, launch_index, interruptible, launch_count)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)
            """,
            [
                SQLValue(id), SQLValue(contract), SQLValue(host), .text(zone), .text(try WireJSON.text(spec)), SQLValue(hostAddress),
                .text(mac),
            ]
                + lifeValues() + [SQLValue(termsText), .integer(spot.number)] + [
                    .integer(resources.milliCPU), .integer(resources.memoryMiB), .integer(resources.diskMiB), .integer(resources.milliGPU),
                    .integer(spec.launchIndex), .integer(spec.interruptible == true ? 1 : 0), .integer(spec.batch),
                ])
        try insertNetwork(in: transaction)
        try transaction.note(self, outlook: outlook)
    }

    func update(in transaction: FleetTransaction) throws {
        try transaction.execute(
            """
            UPDATE instances SET address = $2, desired = $3, state = $4, generation = $5, reboots = $6, grace = $7, reason_code = $8,
              reason_message = $9, accepted = $10, executed = $11, state_changed = $12, wanted = $13, interruption = $14, move = $15, host = $16,
              zone = $17, spot = $18 WHERE id = $1
            """,
            [SQLValue(id), SQLValue(life.holdsDisk ? hostAddress : nil)] + lifeValues() + [
                SQLValue(host), .text(zone), .integer(spot.number),
            ])
        try updateNetwork(in: transaction)
        try transaction.note(self)
    }

    private func lifeValues() throws -> [SQLValue] {
        [
            SQLValue(life.desired), SQLValue(life.state), .integer(life.generation), .integer(life.reboots), .integer(life.graceSeconds),
            SQLValue(life.reason?.code), SQLValue(life.reason?.message), SQLValue(life.accepted), SQLValue(life.executed),
            SQLValue(life.stateChanged), SQLValue(life.wanted), SQLValue(life.interruption),
            SQLValue(try life.move.map { try WireJSON.text(StoredMove($0)) }),
        ]
    }

    static func load(_ id: InstanceID, in context: any ReadContext) throws -> InstanceRecord? {
        try context.queryOne("SELECT \(columns) FROM instances WHERE id = $1", [SQLValue(id)]).map(InstanceRecord.init)
    }

    func view(hostName: String?, at now: Instant? = nil) -> InstanceView {
        InstanceView(
            id: id, contract: contract, state: InstanceState(rawValue: life.state.rawValue) ?? .pending,
            reason: life.reason.map { StateReason(code: $0.code, message: $0.message) }, generation: life.generation, image: spec.image,
            offering: spec.offering, resources: spec.resources, zone: zone, host: host, hostName: hostName, privateAddress: address,
            macAddress: mac, accepted: life.accepted, executed: life.executed, stateChanged: life.stateChanged,
            stuck: now.flatMap { life.stuck(at: $0) }.map(StuckView.init), interruption: life.interruption, placement: terms,
            gpus: spot.gpus == 0 ? nil : spot.gpuNumbers.map(Int64.init), cell: spot.cell < 0 ? nil : Int64(spot.cell),
            network: spec.network)
    }

    func intent(image: ImageManifest) -> InstanceIntent {
        InstanceIntent(
            instance: id, generation: life.generation, desired: DesiredState(rawValue: life.desired.rawValue) ?? .absent,
            reboots: life.reboots,
            graceSeconds: life.graceSeconds, contract: contract, account: spec.account, reservation: spec.reservation,
            launchIndex: spec.launchIndex, offering: spec.offering, resources: spec.resources, image: image, address: address ?? "",
            macAddress: mac, hostName: "ip-" + (address ?? "0").replacingOccurrences(of: ".", with: "-"), keys: spec.keys,
            userData: spec.userData, tags: spec.tags, interruption: life.interruption, interruptible: spec.interruptible,
            network: spec.network, cell: spot.cell < 0 ? nil : Int64(spot.cell),
            gpus: spot.gpus == 0 ? nil : spot.gpuNumbers.map(Int64.init))
    }

    /// Saves a changed life and tells whom it concerns: the buyer, and the host when something else is wanted of it now.
    func saveChange(kind: String, since old: InstanceLifecycle, in transaction: FleetTransaction, at now: Instant) throws {
        try update(in: transaction)
        if life.state != old.state { try RunningSpans.note(self, in: transaction) }
        if life.desired == .absent, old.desired != .absent { try VolumeRecord.detachAll(from: id, in: transaction, at: now) }
        try announce(toHost: life.generation != old.generation ? kind : nil, in: transaction, at: now)
    }

    /// Tells the buyer that it changed, and the host what became of it when it is to do something.
    func announce(toHost kind: String?, in transaction: FleetTransaction, at now: Instant) throws {
        var changes: [NewChange] = []
        if let kind {
            changes.append(
                NewChange(topic: ConnectCore.hostTopic(host), subject: id.description, kind: kind, body: "{}", at: now))
        }
        changes.append(
            NewChange(topic: ConnectCore.contractTopic(contract), subject: id.description, kind: "instance", body: "{}", at: now))
        let revision = try transaction.appendChanges(changes)
        if kind != nil { transaction.noteIntent(of: host, revision: revision) }
    }
}

extension StuckView {
    init(_ stuck: StuckInstance) {
        self.init(
            reason: StateReason(code: stuck.reason.code, message: stuck.reason.message), since: stuck.since, nearest: stuck.nearest)
    }
}

/// A move as the database keeps it.
private struct StoredMove: Codable {
    var kind: String
    var cause: String
    var phase: String
    var source: HostID
    var target: HostID
    var resumes: Bool

    init(_ move: InstanceMove) {
        (kind, cause, phase) = (move.kind.rawValue, move.cause.rawValue, move.phase.rawValue)
        (source, target, resumes) = (move.source, move.target, move.resumes)
    }

    var move: InstanceMove {
        get throws {
            guard let kind = InstanceMove.Kind(rawValue: kind), let cause = InstanceMove.Cause(rawValue: cause),
                let phase = InstanceMove.Phase(rawValue: phase)
            else { throw StoreError.corrupted("a move is \(kind), \(cause), \(phase)") }
            return InstanceMove(kind: kind, cause: cause, phase: phase, source: source, target: target, resumes: resumes)
        }
    }
}
