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

    var id: InstanceID { spec.id }
}

extension InstanceRecord {
    static let columns =
        "id, contract, host, zone, spec, address, mac, desired, state, generation, reboots, grace, reason_code, reason_message, accepted, executed, state_changed"

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
                executed: try row.optionalInstant("executed"), stateChanged: try row.instant("state_changed")))
    }

    func insert(in transaction: FleetTransaction) throws {
        let resources = spec.resources
        try transaction.execute(
            """
            INSERT INTO instances (\(Self.columns), milli_cpu, memory_mib, disk_mib)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
            """,
            [SQLValue(id), SQLValue(contract), SQLValue(host), .text(zone), .text(try WireJSON.text(spec)), SQLValue(address), .text(mac)]
                + lifeValues + [.integer(resources.milliCPU), .integer(resources.memoryMiB), .integer(resources.diskMiB)])
        try transaction.note(self)
    }

    func update(in transaction: FleetTransaction) throws {
        try transaction.execute(
            """
            UPDATE instances SET address = $2, desired = $3, state = $4, generation = $5, reboots = $6, grace = $7, reason_code = $8,
              reason_message = $9, accepted = $10, executed = $11, state_changed = $12 WHERE id = $1
            """, [SQLValue(id), SQLValue(life.holdsDisk ? address : nil)] + lifeValues)
        try transaction.note(self)
    }

    private var lifeValues: [SQLValue] {
        [
            SQLValue(life.desired), SQLValue(life.state), .integer(life.generation), .integer(life.reboots), .integer(life.graceSeconds),
            SQLValue(life.reason?.code), SQLValue(life.reason?.message), SQLValue(life.accepted), SQLValue(life.executed),
            SQLValue(life.stateChanged),
        ]
    }

    static func load(_ id: InstanceID, in context: any ReadContext) throws -> InstanceRecord? {
        try context.queryOne("SELECT \(columns) FROM instances WHERE id = $1", [SQLValue(id)]).map(InstanceRecord.init)
    }

    func view(hostName: String?) -> InstanceView {
        InstanceView(
            id: id, contract: contract, state: InstanceState(rawValue: life.state.rawValue) ?? .pending,
            reason: life.reason.map { StateReason(code: $0.code, message: $0.message) }, generation: life.generation, image: spec.image,
            offering: spec.offering, resources: spec.resources, zone: zone, host: host, hostName: hostName, privateAddress: address,
            macAddress: mac, accepted: life.accepted, executed: life.executed, stateChanged: life.stateChanged)
    }

    func intent(image: ImageManifest) -> InstanceIntent {
        InstanceIntent(
            instance: id, generation: life.generation, desired: DesiredState(rawValue: life.desired.rawValue) ?? .absent,
            reboots: life.reboots,
            graceSeconds: life.graceSeconds, contract: contract, account: spec.account, reservation: spec.reservation,
            launchIndex: spec.launchIndex, offering: spec.offering, resources: spec.resources, image: image, address: address ?? "",
            macAddress: mac, hostName: "ip-" + (address ?? "0").replacingOccurrences(of: ".", with: "-"), keys: spec.keys,
            userData: spec.userData, tags: spec.tags)
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
