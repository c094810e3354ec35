import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    // MARK: Documents

    func exportTopology() async throws -> TopologyDocument {
        let core = self
        return try await database.read { TopologyDocument(TopologyFile(try core.records(in: $0).topology)) }
    }

    func planTopology(_ document: TopologyDocument) async throws -> TopologyPlanView {
        let core = self
        return try await database.read { context in
            let current = try core.records(in: context).topology
            let desired = try TopologyFile(document).desired(over: current)
            return TopologyPlanView(try core.plan(from: current, to: desired, in: context), applied: false)
        }
    }

    /// All of it or nothing: with a refusal no step is taken.
    func applyTopology(_ call: Call<TopologyDocument>) async throws -> TopologyPlanView {
        try await change(call, "topology.apply", configuration.name) { current in
            try TopologyFile(call.body).desired(over: current)
        } answer: { plan, _, _ in
            TopologyPlanView(plan, applied: true)
        }
    }

    // MARK: Changing

    func records(in context: any ReadContext) throws -> TopologyRecords {
        try TopologyRecords(region: configuration.region, datacenter: configuration.name, in: context)
    }

    /// Brings the topology to what the body wants of it, in one transaction with audit and answer.
    func change<Body, Answer: Codable & Sendable>(
        _ call: Call<Body>, _ action: String, _ subject: String, status: Int = 200,
        to desired: @escaping @Sendable (Topology) throws -> Topology,
        answer: @escaping @Sendable (TopologyPlan, TopologyRecords, any ReadContext) throws -> Answer
    ) async throws -> Answer {
        let (core, now) = (self, time.now())
        let (actor, idempotency) = (call.principal.name, call.idempotency)
        return try await write { transaction in
            var records = try core.records(in: transaction)
            let plan = try core.plan(from: records.topology, to: try desired(records.topology), in: transaction)
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
            "SELECT p.name, h.id, h.hardware FROM host_places p JOIN hosts h ON h.id = p.host WHERE h.state <> 'retired'"
        ).filter { names.contains(try $0.text("name")) }
        return Dictionary(
            uniqueKeysWithValues: try joined.map { row in
                let instances = try context.query(
                    "SELECT id, state, milli_cpu, memory_mib, disk_mib FROM instances WHERE host = $1 AND state <> 'terminated' ORDER BY id",
                    [.text(try row.text("id"))])
                let volumes = try VolumeRecord.all("v.host = $1", [.text(try row.text("id"))], in: context)
                let allocated = try instances.map { try Self.held($0) }.reduce(.zero, +) + volumes.map(\.resources).reduce(.zero, +)
                return (
                    try row.text("name"),
                    HostUse(
                        instances: try instances.map { try $0.id("id") }, volumes: volumes.map(\.id),
                        hardware: try row.json("hardware", Resources.self) ?? .zero,
                        allocated: allocated)
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
