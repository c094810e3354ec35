import CloudAPI
import Fleet
import Primitives
import Store

/// Hosts page by page, in the order of their identifiers: what is allocated is summed for the hosts of the page only.
enum HostListing {
    struct Filter: Sendable {
        var pod: String?
        var rack: String?
        var state: String?
    }

    static let states = ["expected"] + Host.State.allCases.map(\.rawValue)

    private static let select = """
        SELECT p.host, p.name, p.rack, o.name AS pod_name, o.zone, o.oversubscription, COALESCE(h.state, 'expected') AS state, h.hardware,
          h.hypervisor, h.last_seen
        FROM host_places p JOIN pods o ON o.id = p.pod LEFT JOIN hosts h ON h.id = p.host
        """

    static func page(_ filter: Filter, after cursor: String, limit: Int, in context: any ReadContext) throws -> CloudAPI.Page<HostView> {
        let rows = try context.query(
            """
            \(select) WHERE p.host > $1 AND ($2 = '' OR o.name = $2) AND ($3 = '' OR p.rack = $3)
              AND ($4 = '' OR COALESCE(h.state, 'expected') = $4) ORDER BY p.host LIMIT \(limit + 1)
            """, [.text(cursor), .text(filter.pod ?? ""), .text(filter.rack ?? ""), .text(filter.state ?? "")])
        let views = try Self.views(Array(rows.prefix(limit)), in: context)
        return CloudAPI.Page(views, next: rows.count > limit ? views.last?.id.description : nil)
    }

    static func view(of host: HostID, in context: any ReadContext) throws -> HostView? {
        try views(try context.query("\(select) WHERE p.host = $1", [SQLValue(host)]), in: context).first
    }

    private static func views(_ rows: [Row], in context: any ReadContext) throws -> [HostView] {
        guard let first = rows.first, let last = rows.last else { return [] }
        var held: [HostID: (resources: Resources, instances: Int64)] = [:]
        let sums = try context.query(
            """
            SELECT host, CAST(SUM(CASE WHEN state <> 'stopped' THEN milli_cpu ELSE 0 END) AS BIGINT) AS milli_cpu,
              CAST(SUM(CASE WHEN state <> 'stopped' THEN memory_mib ELSE 0 END) AS BIGINT) AS memory_mib,
              CAST(SUM(disk_mib) AS BIGINT) AS disk_mib, COUNT(*) AS instances
            FROM instances WHERE host >= $1 AND host <= $2 AND state <> 'terminated' GROUP BY host
            """, [first["host"], last["host"]])
        for row in sums {
            held[try row.id("host")] = (
                Resources(
                    milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib")),
                try row.integer("instances")
            )
        }
        let disks = try VolumeRecord.held(where: "host >= $1 AND host <= $2", [first["host"], last["host"]], in: context)
        return try rows.map { row in
            let id = try row.id("host", as: HostID.self)
            let hardware = try row.json("hardware", Resources.self) ?? .zero
            let ratios = try row.json("oversubscription", OversubscriptionRatios.self) ?? .init(cpu: 1_000, memory: 1_000, disk: 1_000)
            return HostView(
                id: id, name: try row.text("name"), zone: try row.text("zone"), pod: try row.text("pod_name"),
                rack: try row.optionalText("rack"), state: try row.text("state"),
                capacity: Oversubscription(ratios).promised(of: hardware), allocated: (held[id]?.resources ?? .zero) + (disks[id] ?? .zero),
                instances: held[id]?.instances ?? 0, hypervisor: try row.optionalText("hypervisor") ?? "",
                lastSeen: try row.optionalInstant("last_seen"))
        }
    }
}
