import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

enum MaintenanceRecord {
    static func all(_ condition: String, _ arguments: [SQLValue], in context: any ReadContext) throws -> [MaintenanceView] {
        try context.query(
            """
            SELECT w.id, w.host, w.starts, w.ends, w.reason, w.state, COALESCE(p.name, h.name) AS name
            FROM maintenance_windows w JOIN hosts h ON h.id = w.host LEFT JOIN host_places p ON p.host = w.host WHERE \(condition)
            """, arguments
        ).map { row in
            MaintenanceView(
                id: try row.id("id"), host: try row.id("host"), hostName: try row.text("name"),
                period: Period(start: try row.instant("starts"), end: try row.instant("ends")), reason: try row.text("reason"),
                state: try row.value("state"))
        }
    }

    /// Keeps what has become of a window.
    static func note(_ window: MaintenanceView, _ state: MaintenanceState, at now: Instant, in transaction: FleetTransaction) throws {
        try transaction.execute(
            "UPDATE maintenance_windows SET state = $2 WHERE id = $1", [SQLValue(window.id), SQLValue(state)])
        try transaction.appendAudit(
            actor: "connect", action: "maintenance.\(state.rawValue)", subject: window.host.description,
            detail: try WireJSON.text(["window": window.id.description]), at: now)
    }
}

extension ConnectCore {
    func planMaintenance(_ call: Call<PlanMaintenance>, of text: String) async throws -> MaintenanceView {
        let (period, reason, now) = (call.body.period, call.body.reason, time.now())
        try Self.checkReason(reason)
        try MaintenancePeriod.check(period, at: now)
        let (core, id) = (self, ids.next(MaintenanceID.self))
        return try await write { transaction in
            let host = try Self.hostID(text, in: transaction)
            let view = try core.insertWindow(id, of: host, period, reason, in: transaction)
            try transaction.appendAudit(
                actor: call.principal.name, action: "maintenance.plan", subject: host.description,
                detail: try WireJSON.text(["window": id.description, "reason": reason]), at: now)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    private func insertWindow(
        _ id: MaintenanceID, of host: HostID, _ period: Period, _ reason: String, in transaction: FleetTransaction
    ) throws -> MaintenanceView {
        guard try transaction.queryOne("SELECT id FROM hosts WHERE id = $1", [SQLValue(host)]) != nil else {
            throw Refusal(
                "host.expected", .conflict, "Host \(host) is declared, but its node has not joined yet.",
                facts: ["host": .text(host.description)], nearest: "the same once it has joined")
        }
        let others = try MaintenanceRecord.all(
            "w.host = $1 AND w.state IN ('planned', 'active') AND w.starts < $3 AND w.ends > $2 ORDER BY w.starts",
            [SQLValue(host), SQLValue(period.start), SQLValue(period.end)], in: transaction)
        if let other = others.first {
            throw Refusal(
                "maintenance.overlap", .conflict,
                "Host \(other.hostName) has a maintenance window \(other.id) from \(other.period.start) to \(other.period.end) already.",
                facts: ["window": .text(other.id.description)], nearest: "from \(other.period.end) on, or cancel \(other.id)")
        }
        try transaction.execute(
            "INSERT INTO maintenance_windows (id, host, starts, ends, reason, state) VALUES ($1, $2, $3, $4, $5, 'planned')",
            [SQLValue(id), SQLValue(host), SQLValue(period.start), SQLValue(period.end), .text(reason)])
        return try Self.window(id, in: transaction)
    }

    private static func window(_ id: MaintenanceID, in context: any ReadContext) throws -> MaintenanceView {
        guard let view = try MaintenanceRecord.all("w.id = $1", [SQLValue(id)], in: context).first else {
            throw Refusal(
                "maintenance.unknown", .notFound, "There is no maintenance window \(id) here.", facts: ["window": .text(id.description)],
                nearest: "one that GET /v1/maintenance-windows shows")
        }
        return view
    }

    /// Windows, the latest start first; the cursor is start and identifier of the last one of the page before.
    func maintenance(_ call: Call<Empty>) async throws -> CloudAPI.Page<MaintenanceView> {
        let limit = try call.query.limit()
        let cursor = try call.query.text("cursor").map(Self.cursor) ?? (starts: Int64.max, id: "")
        let wanted = call.query.text("host")
        return try await database.read { context in
            let host = try wanted.map { try Self.hostID($0, in: context).description } ?? ""
            let views = try MaintenanceRecord.all(
                """
                ($1 = '' OR w.host = $1) AND (w.starts < $2 OR (w.starts = $2 AND w.id > $3)) ORDER BY w.starts DESC, w.id LIMIT \(limit + 1)
                """, [.text(host), .integer(cursor.starts), .text(cursor.id)], in: context)
            let last = views.prefix(limit).last
            return CloudAPI.Page(
                Array(views.prefix(limit)),
                next: views.count > limit ? last.map { "\($0.period.start.microseconds) \($0.id)" } : nil)
        }
    }

    private static func cursor(_ text: String) throws(Refusal) -> (starts: Int64, id: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 2, let starts = Int64(parts[0]) else {
            throw Refusal.cursor(text)
        }
        return (starts, String(parts[1]))
    }

    func cancelMaintenance(_ call: Call<Empty>, _ id: MaintenanceID) async throws -> MaintenanceView {
        let (core, now) = (self, time.now())
        return try await write { transaction in
            let window = try Self.window(id, in: transaction)
            switch window.state {
            case .planned, .active: try core.end(window, as: .cancelled, at: now, in: transaction)
            case .cancelled: break
            case .done:
                throw Refusal(
                    "maintenance.done", .conflict, "Maintenance window \(id) was over at \(window.period.end).",
                    facts: ["window": .text(id.description), "end": .text(window.period.end.description)],
                    nearest: "a window that is planned or active")
            }
            try transaction.appendAudit(
                actor: call.principal.name, action: "maintenance.cancel", subject: window.host.description,
                detail: try WireJSON.text(["window": id.description]), at: now)
            let view = try Self.window(id, in: transaction)
            try transaction.remember(view, status: 200, for: call.idempotency, at: now)
            return view
        }
    }

    // MARK: Over time

    /// Begins windows that are due, gives hosts on which nothing runs any more into people's hands, and ends windows that are over: called
    /// again and again.
    func keepWindows() async throws {
        let (core, now) = (self, time.now())
        let condition = """
            (w.state = 'planned' AND w.starts <= $1) OR (w.state = 'active' AND (w.ends <= $1 OR h.state IN ('cordoned', 'draining') AND
              NOT EXISTS (SELECT 1 FROM instances i WHERE i.host = w.host AND i.state NOT IN ('stopped', 'terminated'))))
            ORDER BY w.starts, w.id
            """
        guard try await !database.read({ try MaintenanceRecord.all(condition, [SQLValue(now)], in: $0) }).isEmpty else { return }
        try await write { transaction in
            for window in try MaintenanceRecord.all(condition, [SQLValue(now)], in: transaction) {
                if window.period.end <= now {
                    try core.end(window, as: .done, at: now, in: transaction)
                } else if window.state == .planned {
                    try core.begin(window, at: now, in: transaction)
                } else {
                    var cordon = try core.cordon(of: window.host, in: transaction, at: now)
                    try cordon.maintain(running: 0)
                }
            }
        }
    }

    private func begin(_ window: MaintenanceView, at now: Instant, in transaction: FleetTransaction) throws {
        var cordon = try cordon(of: window.host, in: transaction, at: now)
        try cordon.cordon(cause: window.id.description, reason: "maintenance: \(window.reason)")
        try MaintenanceRecord.note(window, .active, at: now, in: transaction)
    }

    private func end(_ window: MaintenanceView, as state: MaintenanceState, at now: Instant, in transaction: FleetTransaction) throws {
        if window.state == .active {
            var cordon = try cordon(of: window.host, in: transaction, at: now)
            try cordon.end(window: window.id.description)
        }
        try MaintenanceRecord.note(window, state, at: now, in: transaction)
    }
}
