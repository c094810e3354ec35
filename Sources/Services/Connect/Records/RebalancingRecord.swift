import CloudAPI
import Fleet
import Primitives
import Store

/// The latest rebalancing of a pod.
struct RebalancingRecord: Sendable {
    var pod: PodID
    var podName: String
    var goal: RebalancingGoalName
    var before: Int64
    var after: Int64
    var perHost: Int64
    var began: Instant
    var ended: Instant?
    var run: RebalancingRun

    private static let select = """
        SELECT r.pod, p.name, r.goal, r.measure_before, r.measure_after, r.per_host, r.began, r.ended FROM rebalancings r
        JOIN pods p ON p.id = r.pod
        """

    static func load(_ pod: PodID, in context: any ReadContext) throws -> RebalancingRecord? {
        try context.queryOne("\(select) WHERE r.pod = $1", [SQLValue(pod)]).map { try RebalancingRecord($0, in: context) }
    }

    static func pods(underWay context: any ReadContext) throws -> [PodID] {
        try context.query("SELECT pod FROM rebalancings WHERE ended IS NULL ORDER BY pod").map { try $0.id("pod") }
    }

    private init(_ row: Row, in context: any ReadContext) throws {
        pod = try row.id("pod")
        podName = try row.text("name")
        goal = try row.value("goal")
        before = try row.integer("measure_before")
        after = try row.integer("measure_after")
        perHost = try row.integer("per_host")
        began = try row.instant("began")
        ended = try row.optionalInstant("ended")
        run = RebalancingRun(
            entries: try context.query(
                "SELECT instance, source, target, memory_mib, restarts, round, state, why FROM rebalancing_moves WHERE pod = $1 ORDER BY position",
                [SQLValue(pod)]
            ).map(RebalancingRun.Entry.init))
    }

    init(_ pod: PodID, _ podName: String, _ goal: RebalancingGoalName, _ plan: MigrationPlan, perHost: Int64, at now: Instant) {
        (self.pod, self.podName, self.goal, self.perHost) = (pod, podName, goal, perHost)
        (before, after, began) = (plan.before, plan.after, now)
        ended = plan.moves.isEmpty ? now : nil
        run = RebalancingRun(plan)
    }

    /// In place of the pod's former one.
    func insert(in transaction: any WriteContext) throws {
        try transaction.execute("DELETE FROM rebalancing_moves WHERE pod = $1", [SQLValue(pod)])
        try transaction.execute("DELETE FROM rebalancings WHERE pod = $1", [SQLValue(pod)])
        try transaction.execute(
            """
            INSERT INTO rebalancings (pod, goal, measure_before, measure_after, per_host, began, ended) VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [SQLValue(pod), SQLValue(goal), .integer(before), .integer(after), .integer(perHost), SQLValue(began), SQLValue(ended)])
        try transaction.executeMany(
            """
            INSERT INTO rebalancing_moves (pod, position, instance, source, target, memory_mib, restarts, round, state, why)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            run.entries.enumerated().map { position, entry in
                [
                    SQLValue(pod), SQLValue(position), SQLValue(entry.move.instance), SQLValue(entry.move.source),
                    SQLValue(entry.move.target), .integer(entry.move.memoryMiB), .integer(entry.move.downtime == .restart ? 1 : 0),
                    SQLValue(entry.move.round), SQLValue(entry.progress.state), SQLValue(entry.progress.reason),
                ]
            })
    }

    /// Writes how far it is.
    func update(since old: RebalancingRun, in transaction: any WriteContext) throws {
        for (position, (entry, before)) in zip(run.entries, old.entries).enumerated() where entry != before {
            try transaction.execute(
                "UPDATE rebalancing_moves SET state = $3, why = $4 WHERE pod = $1 AND position = $2",
                [SQLValue(pod), SQLValue(position), SQLValue(entry.progress.state), SQLValue(entry.progress.reason)])
        }
        try transaction.execute("UPDATE rebalancings SET ended = $2 WHERE pod = $1", [SQLValue(pod), SQLValue(ended)])
    }

    /// - Parameter name: of a host.
    func view(_ name: (HostID) -> String?) -> RebalancingView {
        var view = RebalancingView(
            pod: podName, goal: goal, before: before, after: run.reached(measure, before: before, after: after),
            moves: run.entries.map { RebalancingMoveView($0, name) }, began: began, ended: ended)
        view.cancelled = run.isCancelled ? true : nil
        return view
    }

    private var measure: RebalancingMeasure {
        switch goal {
        case .consolidate: .hosts
        case .makeRoom: .room
        case .relieve: .load
        }
    }
}

extension RebalancingMoveView {
    init(_ entry: RebalancingRun.Entry, _ name: (HostID) -> String?) {
        let move = entry.move
        self.init(
            instance: move.instance, source: move.source, sourceName: name(move.source), target: move.target,
            targetName: name(move.target), memoryMiB: move.memoryMiB, restarts: move.downtime == .restart, round: Int64(move.round),
            state: entry.progress.state, reason: entry.progress.reason)
    }
}

extension RebalancingRun.Progress {
    fileprivate var state: RebalancingMoveState {
        switch self {
        case .planned: .planned
        case .moving: .moving
        case .moved: .moved
        case .givenUp: .givenUp
        }
    }

    fileprivate var reason: String? {
        if case .givenUp(let why) = self { why } else { nil }
    }
}

extension RebalancingRun.Entry {
    fileprivate init(_ row: Row) throws {
        let state: RebalancingMoveState = try row.value("state")
        let progress: RebalancingRun.Progress =
            switch state {
            case .planned: .planned
            case .moving: .moving
            case .moved: .moved
            case .givenUp: .givenUp(try row.optionalText("why") ?? "")
            }
        self.init(
            Fleet.Migration(
                instance: try row.id("instance"), source: try row.id("source"), target: try row.id("target"),
                memoryMiB: try row.integer("memory_mib"), downtime: try row.integer("restarts") != 0 ? .restart : .blink, takes: .zero,
                round: Int(try row.integer("round"))), progress)
    }
}
