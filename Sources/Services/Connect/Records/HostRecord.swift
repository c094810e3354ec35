import CloudAPI
import Fleet
import Primitives
import Store

/// A host with what is promised and allocated on it.
struct HostRecord: Sendable {
    var id: HostID
    var pod: PodID
    var podName: String
    var name: String
    var zone: String
    var state: Fleet.Host.State
    var hardware: Resources
    var oversubscription: Oversubscription
    var allocated: Resources
    var instances: Int64
    var hypervisor: String
    var guestNetwork: String
    var lastSeen: Instant
    var meterSequence: Int64

    var placeable: Fleet.Host {
        Fleet.Host(id: id, zone: zone, state: state, promised: oversubscription.promised(of: hardware), allocated: allocated)
    }

    var view: HostView {
        HostView(
            id: id, name: name, zone: zone, pod: podName, state: state.rawValue, capacity: oversubscription.promised(of: hardware),
            allocated: allocated, instances: instances, hypervisor: hypervisor, lastSeen: lastSeen)
    }

    private static let hardwareTexts = DecodedTexts<Resources>()
    private static let oversubscriptionTexts = DecodedTexts<Oversubscription>()
    private static let columns =
        "h.id, h.pod, p.name AS pod_name, h.name, h.zone, h.state, h.hardware, p.oversubscription, h.hypervisor, h.guest_network, h.last_seen, h.meter_sequence"

    /// All hosts that are not retired. Allocations are summed from the instances and volumes themselves: what audits compare the sums in
    /// memory with. A stopped instance holds its disk only.
    static func all(in context: any ReadContext) throws -> [HostRecord] {
        let rows = try context.query(
            """
            SELECT \(columns),
              CAST(COALESCE(s.milli_cpu, 0) AS BIGINT) AS milli_cpu, CAST(COALESCE(s.memory_mib, 0) AS BIGINT) AS memory_mib,
              CAST(COALESCE(s.disk_mib, 0) AS BIGINT) AS disk_mib, COALESCE(s.instances, 0) AS instances
            FROM hosts h JOIN pods p ON p.id = h.pod LEFT JOIN (
              SELECT host, SUM(CASE WHEN state <> 'stopped' THEN milli_cpu ELSE 0 END) AS milli_cpu,
                SUM(CASE WHEN state <> 'stopped' THEN memory_mib ELSE 0 END) AS memory_mib, SUM(disk_mib) AS disk_mib, COUNT(*) AS instances
              FROM instances WHERE state <> 'terminated' GROUP BY host) s ON s.host = h.id
            WHERE h.state <> 'retired' ORDER BY h.id
            """, [])
        let disks = try VolumeRecord.held(in: context)
        return try rows.map { row in
            var host = try HostRecord(row)
            host.allocated += disks[host.id] ?? .zero
            return host
        }
    }

    /// All hosts, or one, without their allocations.
    static func plain(_ id: HostID? = nil, in context: any ReadContext) throws -> [HostRecord] {
        let rows = try context.query(
            """
            SELECT \(columns), 0 AS milli_cpu, 0 AS memory_mib, 0 AS disk_mib, 0 AS instances
            FROM hosts h JOIN pods p ON p.id = h.pod \(id == nil ? "" : "WHERE h.id = $1") ORDER BY h.id
            """, id.map { [SQLValue($0)] } ?? [])
        return try rows.map(HostRecord.init)
    }

    static func plain(_ id: HostID, in context: any ReadContext) throws -> HostRecord? { try plain(Optional(id), in: context).first }

    /// What each host that is up promises.
    static func promised(in context: any ReadContext) throws -> [HostID: Resources] {
        let rows = try context.query(
            "SELECT h.id, h.hardware, p.oversubscription FROM hosts h JOIN pods p ON p.id = h.pod WHERE h.state = 'up'")
        return Dictionary(
            uniqueKeysWithValues: try rows.map { row in
                let ratio = try oversubscriptionTexts.value(try row.text("oversubscription"))
                return (try row.id("id"), ratio.promised(of: try hardwareTexts.value(try row.text("hardware"))))
            })
    }

    private init(_ row: Row) throws {
        id = try row.id("id")
        pod = try row.id("pod")
        podName = try row.text("pod_name")
        name = try row.text("name")
        zone = try row.text("zone")
        state = try row.value("state")
        hardware = try Self.hardwareTexts.value(try row.text("hardware"))
        oversubscription = try Self.oversubscriptionTexts.value(try row.text("oversubscription"))
        hypervisor = try row.text("hypervisor")
        guestNetwork = try row.text("guest_network")
        lastSeen = try row.instant("last_seen")
        meterSequence = try row.integer("meter_sequence")
        allocated = Resources(
            milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib"))
        instances = try row.integer("instances")
    }
}
