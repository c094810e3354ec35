import CloudAPI
import Fleet
import Foundation
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

    var placeable: Fleet.Host {
        Fleet.Host(id: id, zone: zone, state: state, promised: oversubscription.promised(of: hardware), allocated: allocated)
    }

    var view: HostView {
        HostView(
            id: id, name: name, zone: zone, pod: podName, state: state.rawValue, capacity: oversubscription.promised(of: hardware),
            allocated: allocated, instances: instances, hypervisor: hypervisor, lastSeen: lastSeen)
    }

    /// All hosts that are not retired. Allocations are summed from the instances themselves, so there is no second number that could drift:
    /// a stopped instance holds its disk only.
    static func all(in context: any ReadContext) throws -> [HostRecord] {
        let rows = try context.query(
            """
            SELECT h.id, h.pod, p.name AS pod_name, h.name, h.zone, h.state, h.hardware, p.oversubscription, h.hypervisor, h.guest_network, h.last_seen,
              COALESCE(SUM(CASE WHEN i.state <> 'terminated' AND i.state <> 'stopped' THEN i.milli_cpu ELSE 0 END), 0) AS milli_cpu,
              COALESCE(SUM(CASE WHEN i.state <> 'terminated' AND i.state <> 'stopped' THEN i.memory_mib ELSE 0 END), 0) AS memory_mib,
              COALESCE(SUM(CASE WHEN i.state <> 'terminated' THEN i.disk_mib ELSE 0 END), 0) AS disk_mib,
              COALESCE(SUM(CASE WHEN i.state <> 'terminated' THEN 1 ELSE 0 END), 0) AS instances
            FROM hosts h JOIN pods p ON p.id = h.pod LEFT JOIN instances i ON i.host = h.id
            WHERE h.state <> 'retired'
            GROUP BY h.id, h.pod, p.name, h.name, h.zone, h.state, h.hardware, p.oversubscription, h.hypervisor, h.guest_network, h.last_seen ORDER BY h.id
            """, [])
        return try rows.map(HostRecord.init)
    }

    private init(_ row: Row) throws {
        id = try row.id("id")
        pod = try row.id("pod")
        podName = try row.text("pod_name")
        name = try row.text("name")
        zone = try row.text("zone")
        state = try row.value("state")
        hardware = try WireJSON.decode(Resources.self, from: Data(try row.text("hardware").utf8))
        oversubscription = try WireJSON.decode(Oversubscription.self, from: Data(try row.text("oversubscription").utf8))
        hypervisor = try row.text("hypervisor")
        guestNetwork = try row.text("guest_network")
        lastSeen = try row.instant("last_seen")
        allocated = Resources(
            milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib"))
        instances = try row.integer("instances")
    }
}
