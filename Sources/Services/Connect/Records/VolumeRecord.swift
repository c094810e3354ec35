import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// A volume as the database keeps it.
struct VolumeRecord: Sendable {
    let id: VolumeID
    let contract: ContractID
    let request: CreateVolume
    let created: Instant
    var pod: PodID
    var podName: String
    var storage: StorageArchitecture
    /// The host that keeps it, or serves it from shared storage: all intents go there.
    var host: HostID
    var zone: String
    /// As wanted, and as counted.
    var sizeMiB: Int64
    /// As its host last said.
    var actualMiB: Int64
    var iops: Int64
    /// Its host has said that its file is there: it is never made again.
    var isMade: Bool
    /// No instance ever had it.
    var isBlank: Bool
    var life: VolumeLifecycle

    var resources: Resources { Resources(diskMiB: sizeMiB, iops: iops) }

    /// What it holds; nil once it is deleted.
    var holding: Occupancy.VolumeHolding? {
        guard life.holdsDisk else { return nil }
        return Occupancy.VolumeHolding(
            contract: contract, host: host, resources: resources, state: life.state, generation: life.generation)
    }
}

// MARK: - Rows

extension VolumeRecord {
    private static let select = """
        SELECT v.id, v.contract, v.pod, p.name AS pod_name, p.storage, v.host, v.zone, v.request, v.size_mib, v.actual_mib, v.iops, v.made,
          v.blank, v.instance, v.device, v.desired, v.state, v.generation, v.reason_code, v.reason_message, v.created, v.state_changed, v.wanted
        FROM volumes v JOIN pods p ON p.id = v.pod
        """

    private init(_ row: Row) throws {
        id = try row.id("id")
        contract = try row.id("contract")
        request = try WireJSON.decode(CreateVolume.self, from: Data(try row.text("request").utf8))
        created = try row.instant("created")
        (pod, podName, storage) = (try row.id("pod"), try row.text("pod_name"), try row.value("storage"))
        (host, zone) = (try row.id("host"), try row.text("zone"))
        (sizeMiB, actualMiB, iops) = (try row.integer("size_mib"), try row.integer("actual_mib"), try row.integer("iops"))
        (isMade, isBlank) = (try row.bool("made"), try row.bool("blank"))
        let code = try row.optionalText("reason_code")
        let instance = try row.optionalID("instance", as: InstanceID.self)
        life = VolumeLifecycle(
            desired: try row.value("desired"), state: try row.value("state"), generation: try row.integer("generation"),
            attachment: try instance.map { VolumeLifecycle.Attachment(instance: $0, device: try row.text("device")) },
            reason: try code.map { VolumeLifecycle.Reason($0, try row.text("reason_message")) },
            stateChanged: try row.instant("state_changed"), wanted: try row.instant("wanted"))
    }

    static func load(_ id: VolumeID, in context: any ReadContext) throws -> VolumeRecord? {
        try context.queryOne("\(select) WHERE v.id = $1", [SQLValue(id)]).map(VolumeRecord.init)
    }

    /// Those that are not deleted and keep to a condition on `v`, by identifier.
    static func all(_ condition: String, _ arguments: [SQLValue], limit: Int? = nil, in context: any ReadContext) throws -> [VolumeRecord] {
        try context.query(
            "\(select) WHERE v.state <> 'deleted' AND (\(condition)) ORDER BY v.id" + (limit.map { " LIMIT \($0)" } ?? ""), arguments
        ).map(VolumeRecord.init)
    }

    /// Those that an instance has or is about to have.
    static func of(_ instance: InstanceID, in context: any ReadContext) throws -> [VolumeRecord] {
        try all("v.instance = $1", [SQLValue(instance)], in: context)
    }

    func insert(in transaction: FleetTransaction) throws {
        try transaction.execute(
            """
            INSERT INTO volumes (id, contract, account, request, created, zone, pod, host, size_mib, actual_mib, iops, made, blank, instance,
              device, desired, state, generation, reason_code, reason_message, state_changed, wanted)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
            """,
            [SQLValue(id), SQLValue(contract), SQLValue(request.account), .text(try WireJSON.text(request)), SQLValue(created)] + changing)
        try transaction.note(self)
    }

    private func update(in transaction: FleetTransaction) throws {
        try transaction.execute(
            """
            UPDATE volumes SET zone = $2, pod = $3, host = $4, size_mib = $5, actual_mib = $6, iops = $7, made = $8, blank = $9, instance = $10,
              device = $11, desired = $12, state = $13, generation = $14, reason_code = $15, reason_message = $16, state_changed = $17,
              wanted = $18
            WHERE id = $1
            """, [SQLValue(id)] + changing)
        try transaction.note(self)
    }

    private var changing: [SQLValue] {
        [
            .text(zone), SQLValue(pod), SQLValue(host), .integer(sizeMiB), .integer(actualMiB), .integer(iops), SQLValue(isMade),
            SQLValue(isBlank),
            SQLValue(life.attachment?.instance), SQLValue(life.attachment?.device), SQLValue(life.desired), SQLValue(life.state),
            .integer(life.generation), SQLValue(life.reason?.code), SQLValue(life.reason?.message), SQLValue(life.stateChanged),
            SQLValue(life.wanted),
        ]
    }

    /// Saves what changed and tells whom it concerns: the buyer, the host when something else is wanted of it, and the host that had the
    /// volume before when another one serves it now.
    func save(since old: VolumeRecord, in transaction: FleetTransaction, at now: Instant) throws {
        try update(in: transaction)
        let hosts = life.generation == old.life.generation ? [] : Set([host, old.host]).sorted()
        try announce(toHosts: hosts, in: transaction, at: now)
    }

    func announce(toHosts hosts: [HostID], in transaction: FleetTransaction, at now: Instant) throws {
        let changes =
            hosts.map {
                NewChange(topic: ConnectCore.hostTopic($0), subject: id.description, kind: "volume", body: "{}", at: now)
            } + [NewChange(topic: ConnectCore.contractTopic(contract), subject: id.description, kind: "volume", body: "{}", at: now)]
        let revision = try transaction.appendChanges(changes)
        for host in hosts { transaction.noteIntent(of: host, revision: revision) }
    }
}

// MARK: - Sums, from the rows: what audits compare the sums in memory with

extension VolumeRecord {
    static func holdings(in context: any ReadContext) throws -> [(VolumeID, Occupancy.VolumeHolding)] {
        try context.query("SELECT id, contract, host, size_mib, iops, state, generation FROM volumes WHERE state <> 'deleted'").map { row in
            (
                try row.id("id"),
                Occupancy.VolumeHolding(
                    contract: try row.id("contract"), host: try row.id("host"),
                    resources: Resources(diskMiB: try row.integer("size_mib"), iops: try row.integer("iops")),
                    state: try row.value("state"), generation: try row.integer("generation"))
            )
        }
    }

    /// What volumes hold of each host; with a condition on the rows, only those.
    static func held(
        where condition: String = "1 = 1", _ arguments: [SQLValue] = [], in context: any ReadContext
    ) throws -> [HostID: Resources] {
        let rows = try context.query(
            """
            SELECT host, CAST(SUM(size_mib) AS BIGINT) AS size_mib, CAST(SUM(iops) AS BIGINT) AS iops FROM volumes
            WHERE state <> 'deleted' AND (\(condition)) GROUP BY host
            """, arguments)
        return Dictionary(
            uniqueKeysWithValues: try rows.map { row in
                (try row.id("host"), Resources(diskMiB: try row.integer("size_mib"), iops: try row.integer("iops")))
            })
    }

    static func used(of contract: ContractID, in context: any ReadContext) throws -> (resources: Resources, volumes: Int64) {
        let row = try context.queryOne(
            """
            SELECT CAST(COALESCE(SUM(size_mib), 0) AS BIGINT) AS size_mib, CAST(COALESCE(SUM(iops), 0) AS BIGINT) AS iops, COUNT(*) AS volumes
            FROM volumes WHERE contract = $1 AND state <> 'deleted'
            """, [SQLValue(contract)])
        guard let row else { return (.zero, 0) }
        return (Resources(diskMiB: try row.integer("size_mib"), iops: try row.integer("iops")), try row.integer("volumes"))
    }
}

// MARK: - Views

extension VolumeRecord {
    func view(hostName: String?) -> VolumeView {
        VolumeView(
            id: id, contract: contract, state: VolumeState(rawValue: life.state.rawValue) ?? .error,
            reason: life.reason.map { StateReason(code: $0.code, message: $0.message) }, generation: life.generation, sizeMiB: sizeMiB,
            actualMiB: actualMiB, iops: iops, zone: zone, pod: podName, storage: storage, host: host, hostName: hostName,
            instance: life.attachment?.instance, device: life.attachment?.device, isBlank: isBlank, account: request.account,
            created: created, stateChanged: life.stateChanged)
    }

    /// What is wanted of a host. One that does not serve it any more lets go: on a disk of its own the file was blank and goes, on shared
    /// storage it is another host's now.
    func intent(for asked: HostID) -> VolumeIntent {
        let desired: VolumeDesired =
            if asked == host {
                switch life.desired {
                case .available: .available
                case .attached: .attached
                case .absent: .absent
                }
            } else {
                storage == .das ? .absent : .released
            }
        return VolumeIntent(
            volume: id, generation: life.generation, desired: desired, sizeMiB: sizeMiB, iops: iops, mayCreate: !isMade && asked == host,
            instance: asked == host ? life.attachment?.instance : nil,
            slot: asked == host ? life.attachment.flatMap { VolumeDevice($0.device)?.slot } : nil)
    }
}

/// A name under which a guest sees a volume: `vdb` is the first place beside the root disk.
struct VolumeDevice: Hashable, Sendable {
    /// 1 to 20.
    let slot: Int64

    static let slots: ClosedRange<Int64> = 1...20
    static let all = slots.map(VolumeDevice.init(slot:))

    init(slot: Int64) {
        precondition(Self.slots.contains(slot), "a place that machines do not have")
        self.slot = slot
    }

    /// `vdb` to `vdu`, with `/dev/` or without.
    init?(_ text: String) {
        guard let found = Self.all.first(where: { text == $0.name || text == "/dev/" + $0.name }) else { return nil }
        self = found
    }

    var name: String { "vd" + String(UnicodeScalar(UInt8(ascii: "a") + UInt8(slot))) }
}
