import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// Connect's copy of a contract it delivers; the exchange is its one writer.
struct ContractRecord: Sendable {
    var view: ContractView
    /// When connect began to enforce the contract's end; nil before.
    var enforced: Instant?

    var id: ContractID { view.id }
    var volume: Resources { view.lot * view.lots }

    func isActive(at now: Instant) -> Bool { (view.state == .created || view.state == .delivering) && view.period.contains(now) }

    static func load(_ id: ContractID, in context: any ReadContext) throws -> ContractRecord? {
        try context.queryOne("SELECT body, enforced FROM contracts WHERE id = $1", [SQLValue(id)]).map(ContractRecord.init)
    }

    static func all(in context: any ReadContext, unfinished: Bool = false) throws -> [ContractRecord] {
        try context.query("SELECT body, enforced FROM contracts" + (unfinished ? " WHERE enforced IS NULL" : "") + " ORDER BY id", [])
            .map(ContractRecord.init)
    }

    static func view(_ row: Row) throws -> ContractView {
        try WireJSON.decode(ContractView.self, from: Data(try row.text("body").utf8))
    }

    private init(view: ContractView, enforced: Instant?) {
        self.view = view
        self.enforced = enforced
    }

    private init(_ row: Row) throws {
        view = try Self.view(row)
        enforced = try row.optionalInstant("enforced")
    }

    static func save(_ view: ContractView, in transaction: FleetTransaction) throws {
        try transaction.execute(
            """
            INSERT INTO contracts (id, state, period_end, body) VALUES ($1, $2, $3, $4)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, period_end = excluded.period_end, body = excluded.body
            """, [SQLValue(view.id), SQLValue(view.state), SQLValue(view.period.end), .text(try WireJSON.text(view))])
        let known = transaction.memory.contract(view.id)
        transaction.note(ContractRecord(view: view, enforced: known?.enforced))
    }

    /// Notes that connect has begun to enforce its end.
    func enforce(in transaction: FleetTransaction, at now: Instant) throws {
        try transaction.execute("UPDATE contracts SET enforced = $2 WHERE id = $1", [SQLValue(id), SQLValue(now)])
        transaction.note(ContractRecord(view: transaction.memory.contract(id)?.view ?? view, enforced: now))
    }

    /// What of the volume its instances and disks hold, summed from the rows: what audits compare the sums in memory with. Every instance
    /// that is not terminated counts whole, and so does every volume that is not deleted.
    func used(in context: any ReadContext) throws -> Occupancy.Usage {
        let row = try context.queryOne(
            """
            SELECT COALESCE(SUM(milli_cpu), 0) AS milli_cpu, COALESCE(SUM(memory_mib), 0) AS memory_mib, COALESCE(SUM(disk_mib), 0) AS disk_mib,
              COALESCE(SUM(milli_gpu), 0) AS milli_gpu, COUNT(*) AS instances
            FROM (SELECT milli_cpu, memory_mib, disk_mib, milli_gpu FROM instances WHERE contract = $1 AND state <> 'terminated'
              UNION ALL SELECT milli_cpu, memory_mib, disk_mib, milli_gpu FROM reserved_places WHERE contract = $1) AS held
            """, [SQLValue(id)])
        let disks = try VolumeRecord.used(of: id, in: context)
        var used = Occupancy.Usage()
        used.resources = disks.resources
        used.volumes = disks.volumes
        guard let row else { return used }
        used.resources += Resources(
            milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib"),
            milliGPU: try row.integer("milli_gpu"))
        used.instances = try row.integer("instances")
        return used
    }
}
