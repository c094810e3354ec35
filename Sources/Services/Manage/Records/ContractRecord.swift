import CloudAPI
import Primitives
import Sourcing
import Store

/// Manage's copy of a contract its participant bought; the exchange is its one writer.
struct ContractRecord: Sendable {
    var view: ContractView
    /// It has no machine and is being given up: nothing new may be put on it.
    var isReleasing: Bool
    /// When its end was carried through here; nil before.
    var closed: Instant?

    var id: ContractID { view.id }
    var volume: Resources { view.lot * view.lots }

    /// A forward is not active before its delivery begins.
    func isActive(at now: Instant) -> Bool {
        now < view.period.end && (view.state == .delivering || view.state == .created && view.period.start <= now)
    }

    func mayBeConfirmed(at now: Instant) -> Bool {
        guard let confirmation = view.confirmation, confirmation.buyer == nil else { return false }
        return isActive(at: now) || view.state == .created && now < view.period.end && view.period.start <= now + .days(1)
    }

    /// True when it is over for good. A roll that is still on its way may be late by as much as a feed is interrupted.
    func isOver(at now: Instant) -> Bool {
        switch view.state {
        case .ended, .settled: true
        case .created, .delivering: view.period.end + (view.rolls ? .seconds(60) : .zero) <= now
        }
    }

    private static let columns = "body, releasing, closed"

    private init(_ row: Row) throws {
        view = try row.json("body")
        isReleasing = try row.bool("releasing")
        closed = try row.optionalInstant("closed")
    }

    static func load(_ id: ContractID, in context: any ReadContext) throws -> ContractRecord? {
        try context.queryOne("SELECT \(columns) FROM contracts WHERE id = $1", [SQLValue(id)]).map(ContractRecord.init)
    }

    static func all(in context: any ReadContext, open: Bool = false) throws -> [ContractRecord] {
        try context.query("SELECT \(columns) FROM contracts" + (open ? " WHERE closed IS NULL" : "") + " ORDER BY id").map(
            ContractRecord.init)
    }

    /// Newest first.
    static func page(limit: Int, before cursor: String?, in context: any ReadContext) throws -> [ContractRecord] {
        try context.query(
            "SELECT \(columns) FROM contracts WHERE ($1 = '' OR id < $1) ORDER BY id DESC LIMIT $2", [.text(cursor ?? ""), SQLValue(limit)]
        ).map(ContractRecord.init)
    }

    /// Views may arrive out of order; an older one does not replace a newer.
    static func save(_ view: ContractView, at now: Instant, in transaction: any WriteContext) throws {
        if let known = try load(view.id, in: transaction)?.view, known.isNewer(than: view) { return }
        try transaction.execute(
            """
            INSERT INTO contracts (id, state, period_end, body, releasing) VALUES ($1, $2, $3, $4, 0)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, period_end = excluded.period_end, body = excluded.body
            """, [SQLValue(view.id), SQLValue(view.state), SQLValue(view.period.end), .text(try WireJSON.text(view))])
        try transaction.appendChange(
            topic: ManageCore.contractTopic, subject: view.id.description, kind: view.state.rawValue, body: "{}", at: now)
    }

    /// What of the volume machines and disks hold; every machine that is not terminated counts whole, also before connect has it.
    func used(in context: any ReadContext) throws -> (resources: Resources, instances: Int64, volumes: Int64) {
        let row = try context.queryOne(
            """
            SELECT CAST(COALESCE(SUM(milli_cpu), 0) AS BIGINT) AS milli_cpu, CAST(COALESCE(SUM(memory_mib), 0) AS BIGINT) AS memory_mib, CAST(COALESCE(SUM(disk_mib), 0) AS BIGINT) AS disk_mib,
              COUNT(*) AS instances FROM instances WHERE contract = $1 AND state <> 'terminated'
            """, [SQLValue(id)])
        let disks = try VolumeRecord.used(of: id, in: context)
        guard let row else { return (disks.resources, 0, disks.volumes) }
        let used = Resources(
            milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib"))
        return (used + disks.resources, try row.integer("instances"), disks.volumes)
    }

    func capacity(in context: any ReadContext) throws -> ContractCapacity {
        let used = try used(in: context)
        return ContractCapacity(
            contract: id, lots: view.lots, total: volume, used: used.resources, instances: used.instances, volumes: used.volumes,
            period: view.period)
    }
}

extension ContractView {
    /// A contract's state only moves on, and within a state its end only moves on.
    fileprivate func isNewer(than other: ContractView) -> Bool {
        let (mine, others) = (state.order, other.state.order)
        return mine != others ? mine > others : period.end > other.period.end
    }
}

extension ContractState {
    fileprivate var order: Int {
        switch self {
        case .created: 0
        case .delivering: 1
        case .ended: 2
        case .settled: 3
        }
    }
}
