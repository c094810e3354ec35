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
    var site: HostSite
    /// Its power, network and facility domain, as placement knows them.
    var power: String
    var network: String
    var facility: String
    /// Its fencing token, and whether it is known to run nothing.
    var epoch: Int64
    var isFenced: Bool
    /// Other hosts reach it through a tunnel.
    var hasTunnel: Bool

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
        "h.id, h.pod, p.name AS pod_name, h.name, h.zone, h.state, h.hardware, p.oversubscription, h.hypervisor, h.guest_network, h.last_seen, h.meter_sequence, p.kind, p.profile, p.storage, p.policy, z.jurisdiction, l.rack, l.domains, l.parts, r.domains AS rack_domains, COALESCE(f.epoch, 0) AS epoch, f.proof, h.tunnel_address"
    private static let tables =
        "hosts h JOIN pods p ON p.id = h.pod LEFT JOIN host_places l ON l.host = h.id LEFT JOIN racks r ON r.name = l.rack LEFT JOIN zones z ON z.name = h.zone LEFT JOIN host_lives f ON f.host = h.id"

    /// All hosts that are not retired. Allocations are summed from the instances and volumes themselves, and from what is reserved: what
    /// audits compare the sums in memory with. A stopped instance holds its disk only.
    static func all(in context: any ReadContext) throws -> [HostRecord] {
        let rows = try context.query(
            """
            SELECT \(columns),
              CAST(COALESCE(s.milli_cpu, 0) AS BIGINT) AS milli_cpu, CAST(COALESCE(s.memory_mib, 0) AS BIGINT) AS memory_mib,
              CAST(COALESCE(s.disk_mib, 0) AS BIGINT) AS disk_mib, CAST(COALESCE(s.milli_gpu, 0) AS BIGINT) AS milli_gpu,
              COALESCE(s.instances, 0) AS instances
            FROM \(tables) LEFT JOIN (
              SELECT host, SUM(CASE WHEN state <> 'stopped' THEN milli_cpu ELSE 0 END) AS milli_cpu,
                SUM(CASE WHEN state <> 'stopped' THEN memory_mib ELSE 0 END) AS memory_mib, SUM(disk_mib) AS disk_mib,
                SUM(CASE WHEN state <> 'stopped' THEN milli_gpu ELSE 0 END) AS milli_gpu, COUNT(*) AS instances
              FROM (SELECT host, state, milli_cpu, memory_mib, disk_mib, milli_gpu FROM instances WHERE state <> 'terminated'
                UNION ALL SELECT host, 'reserved', milli_cpu, memory_mib, disk_mib, milli_gpu FROM reserved_places
                UNION ALL SELECT target, 'reserved', milli_cpu, memory_mib, disk_mib, milli_gpu FROM moves WHERE place IS NOT NULL) AS held
              GROUP BY host) s ON s.host = h.id
            WHERE h.state <> 'retired' ORDER BY h.id
            """, [])
        let (kinds, disks) = (try HostSite.domainKinds(in: context), try VolumeRecord.held(in: context))
        return try rows.map { row in
            var host = try HostRecord(row, kinds)
            host.allocated += disks[host.id] ?? .zero
            return host
        }
    }

    /// All hosts, or some, without their allocations.
    static func plain(
        where condition: String? = nil, _ arguments: [SQLValue] = [], in context: any ReadContext
    ) throws -> [HostRecord] {
        let rows = try context.query(
            """
            SELECT \(columns), 0 AS milli_cpu, 0 AS memory_mib, 0 AS disk_mib, 0 AS milli_gpu, 0 AS instances
            FROM \(tables) \(condition.map { "WHERE " + $0 } ?? "") ORDER BY h.id
            """, arguments)
        let kinds = try HostSite.domainKinds(in: context)
        return try rows.map { try HostRecord($0, kinds) }
    }

    static func plain(_ id: HostID, in context: any ReadContext) throws -> HostRecord? {
        try plain(where: "h.id = $1", [SQLValue(id)], in: context).first
    }

    /// What each host that is up promises.
    static func promised(in context: any ReadContext) throws -> [HostID: Packing.Room] {
        let rows = try context.query(
            "SELECT h.id, h.pod, h.hardware, p.kind, p.oversubscription FROM hosts h JOIN pods p ON p.id = h.pod WHERE h.state = 'up'")
        return Dictionary(
            uniqueKeysWithValues: try rows.map { row in
                let ratio = try oversubscriptionTexts.value(try row.text("oversubscription"))
                let promised = ratio.promised(of: try hardwareTexts.value(try row.text("hardware")))
                let room = Packing.Room(
                    pod: try row.id("pod"), resources: promised, isWhole: try row.text("kind") == HostingKind.metal.rawValue)
                return (try row.id("id"), room)
            })
    }

    private init(_ row: Row, _ kinds: [String: Topology.FaultDomain.Kind]) throws {
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
        epoch = try row.integer("epoch")
        isFenced = try row.optionalText("proof") != nil
        hasTunnel = try row.optionalText("tunnel_address") != nil
        allocated = Resources(
            milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib"),
            milliGPU: try row.integer("milli_gpu"))
        site = try HostSite(row)
        if hardware.milliGPU == 0 { hardware.milliGPU = site.parts.gpus * 1_000 }
        power = site.domain(.power, kinds)
        network = site.domain(.network, kinds)
        facility = site.domain(.facility, kinds)
        instances = try row.integer("instances")
    }
}
