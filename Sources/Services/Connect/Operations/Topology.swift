import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    // MARK: Documents

    func exportTopology() async throws -> TopologyDocument {
        let core = self
        return try await database.read { context in
            var document = TopologyDocument(TopologyFile(try core.records(in: context).topology))
            document.revision = try TopologyRevision.current(in: context)
            return document
        }
    }

    func planTopology(_ document: TopologyDocument) async throws -> TopologyPlanView {
        let core = self
        return try await database.read { context in
            let current = try core.records(in: context).topology
            let desired = try TopologyFile(document).desired(over: current)
            var plan = try core.plan(from: current, to: desired, in: context)
            if !plan.changes.isEmpty, let revision = document.revision, let stale = try TopologyRevision.stale(revision, in: context) {
                plan.refusals.insert(stale, at: 0)
            }
            return TopologyPlanView(plan, applied: false, revision: try TopologyRevision.current(in: context))
        }
    }

    /// All of it or nothing: with a refusal no step is taken. What changes nothing is never too late.
    func applyTopology(_ call: Call<TopologyDocument>) async throws -> TopologyPlanView {
        let (revision, condition) = (call.body.revision, call.condition)
        return try await change(call, "topology.apply", configuration.name) { current in
            try TopologyFile(call.body).desired(over: current)
        } allowing: { plan, context in
            guard !plan.changes.isEmpty else { return }
            if let revision, let stale = try TopologyRevision.stale(revision, in: context) { throw stale }
            try Self.check(condition, in: context)
        } answer: { plan, _, context in
            TopologyPlanView(plan, applied: true, revision: try TopologyRevision.current(in: context))
        }
    }

    /// The tags of the topology as a whole are its revisions.
    private static func check(_ condition: RequestCondition, in context: any ReadContext) throws {
        guard let tags = condition.matches, !condition.allows("\(try TopologyRevision.current(in: context))") else { return }
        let newest = tags.compactMap(Int64.init).max() ?? 0
        guard var stale = try TopologyRevision.stale(newest, in: context) else { return }
        stale.facts["ifMatch"] = .text(tags.joined(separator: ", "))
        throw stale
    }

    // MARK: Changing

    func records(in context: any ReadContext) throws -> TopologyRecords {
        try TopologyRecords(region: configuration.region, datacenter: configuration.name, in: context)
    }

    /// Brings the topology to what the body wants of it, in one transaction with audit and answer.
    func change<Body, Answer: Codable & Sendable>(
        _ call: Call<Body>, _ action: String, _ subject: String, status: Int = 200,
        to desired: @escaping @Sendable (Topology) throws -> Topology,
        allowing check: @escaping @Sendable (TopologyPlan, any ReadContext) throws -> Void = { _, _ in },
        answer: @escaping @Sendable (TopologyPlan, TopologyRecords, any ReadContext) throws -> Answer
    ) async throws -> Answer {
        let (core, now) = (self, time.now())
        let (actor, idempotency) = (call.principal.name, call.idempotency)
        return try await write { transaction in
            var records = try core.records(in: transaction)
            let plan = try core.plan(from: records.topology, to: try desired(records.topology), in: transaction)
            try check(plan, transaction)
            if let first = plan.refusals.first { throw Self.joined(first, plan.refusals) }
            try records.save(plan.changes, in: transaction, ids: core.ids, at: now)
            try core.note(plan, action, subject, actor: actor, at: now, in: transaction)
            let view = try answer(plan, records, transaction)
            try transaction.remember(view, status: status, for: idempotency, at: now)
            return view
        }
    }

    private func note(
        _ plan: TopologyPlan, _ action: String, _ subject: String, actor: String, at now: Instant, in transaction: FleetTransaction
    ) throws {
        guard !plan.changes.isEmpty else { return }
        try TopologyRevision.advance(plan.summary, by: actor, at: now, in: transaction)
        for change in plan.changes {
            try transaction.appendAudit(
                actor: actor, action: "\(change.kind.rawValue).\(change.action.rawValue)", subject: change.name,
                detail: try WireJSON.text(TopologyChangeView(change).fields), at: now)
        }
        try transaction.appendAudit(
            actor: actor, action: action, subject: subject, detail: #"{"changes":\#(plan.changes.count)}"#, at: now)
        _ = try transaction.appendChange(topic: Self.topologyTopic, subject: subject, kind: action, body: "{}", at: now)
    }

    static let topologyTopic = "topology"

    /// The first refusal, and how many more there are.
    private static func joined(_ first: Refusal, _ all: [Refusal]) -> Refusal {
        guard all.count > 1 else { return first }
        var refusal = first
        refusal.message +=
            " \(all.count - 1) more things stand against it: \(all.dropFirst().prefix(3).map(\.message).joined(separator: " "))"
        refusal.facts["refusals"] = .number(Int64(all.count))
        return refusal
    }

    /// The plan, with what lies on the hosts that it touches.
    func plan(from current: Topology, to desired: Topology, in context: any ReadContext) throws -> TopologyPlan {
        let touched = current.touchedHosts(on: current.plan(to: desired).changes)
        guard !touched.isEmpty else { return current.plan(to: desired) }
        return current.plan(to: desired, occupancy: try Self.occupancy(of: touched, in: context))
    }

    /// What lies on hosts that nodes have joined as, by name.
    private static func occupancy(of names: Set<String>, in context: any ReadContext) throws -> [String: HostUse] {
        let joined = try context.query(
            """
            SELECT p.name, h.id, h.hardware, h.state, o.storage FROM host_places p JOIN hosts h ON h.id = p.host JOIN pods o ON o.id = p.pod
            WHERE h.state <> 'retired'
            """
        ).filter { names.contains(try $0.text("name")) }
        return Dictionary(
            uniqueKeysWithValues: try joined.map { row in
                let instances = try context.query(
                    "SELECT id, state, milli_cpu, memory_mib, disk_mib FROM instances WHERE host = $1 AND state <> 'terminated' ORDER BY id",
                    [.text(try row.text("id"))])
                let volumes = try VolumeRecord.all("v.host = $1", [.text(try row.text("id"))], in: context)
                let allocated = try instances.map { try Self.held($0) }.reduce(.zero, +) + volumes.map(\.resources).reduce(.zero, +)
                let held =
                    try context.count("reserved_places WHERE host = $1", [.text(try row.text("id"))])
                    + context.count("moves WHERE target = $1 AND place IS NOT NULL", [.text(try row.text("id"))])
                return (
                    try row.text("name"),
                    HostUse(
                        instances: try instances.map { try $0.id("id") }, volumes: volumes.map(\.id),
                        hardware: try row.json("hardware", Resources.self) ?? .zero,
                        allocated: allocated, held: held, sharesStorage: try row.text("storage") != StorageArchitecture.das.rawValue,
                        isDraining: try row.text("state") == Fleet.Host.State.draining.rawValue)
                )
            })
    }

    /// A stopped instance holds its disk only.
    private static func held(_ row: Row) throws -> Resources {
        let isStopped = try row.text("state") == "stopped"
        return Resources(
            milliCPU: isStopped ? 0 : try row.integer("milli_cpu"), memoryMiB: isStopped ? 0 : try row.integer("memory_mib"),
            diskMiB: try row.integer("disk_mib"))
    }
}

extension Topology {
    /// Hosts of which it matters what lies on them: those that go or move to another pod, and those of pods that change.
    fileprivate func touchedHosts(on changes: [TopologyChange]) -> Set<String> {
        var (pods, touched): (Set<String>, Set<String>) = ([], [])
        for change in changes {
            switch change {
            case .pod(let edit): if let before = edit.before, edit.after != nil { pods.insert(before.name) }
            case .host(let edit): if let before = edit.before, edit.after?.pod != before.pod { touched.insert(before.name) }
            case .zone, .domain, .rack: break
            }
        }
        return pods.isEmpty ? touched : touched.union(hosts.values.filter { pods.contains($0.pod) }.map(\.name))
    }
}
