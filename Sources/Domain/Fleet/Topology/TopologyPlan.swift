public import Primitives

/// What lies on a host, as far as changes to the topology must not hurt it.
public struct HostUse: Hashable, Sendable {
    public var instances: [InstanceID]
    public var volumes: [VolumeID]
    /// Before oversubscription; zero while no node has reported.
    public var hardware: Resources
    public var allocated: Resources
    /// Room that is held for instances that are to come.
    public var held: Int64
    /// Another host reaches its disks.
    public var sharesStorage: Bool
    /// What is on it is being moved away already.
    public var isDraining: Bool

    public init(
        instances: [InstanceID], volumes: [VolumeID] = [], hardware: Resources, allocated: Resources, held: Int64 = 0,
        sharesStorage: Bool = true, isDraining: Bool = false
    ) {
        self.instances = instances
        self.volumes = volumes
        self.hardware = hardware
        self.allocated = allocated
        self.held = held
        self.sharesStorage = sharesStorage
        self.isDraining = isDraining
    }
}

/// The way from one topology to another: applying it is taking these steps in this order.
public struct TopologyPlan: Hashable, Sendable {
    public var changes: [TopologyChange]
    /// Why it may not be applied; empty when it may.
    public var refusals: [Refusal]

    public init(changes: [TopologyChange], refusals: [Refusal]) {
        self.changes = changes
        self.refusals = refusals
    }
}

extension Topology {
    /// What has to be done to make this topology the desired one.
    ///
    /// Parents are added before their children and removed after them, and hosts leave before others move or come, so that limits
    /// hold after every step whenever they hold before and at the end.
    /// - Parameter occupancy: by name of the host, of those on which something is or was reported.
    public func plan(to desired: Topology, occupancy: [String: HostUse] = [:]) -> TopologyPlan {
        let zones = edits(of: Zone.self, to: desired)
        let domains = edits(of: FaultDomain.self, to: desired)
        let pods = edits(of: Pod.self, to: desired)
        let racks = edits(of: Rack.self, to: desired)
        let hosts = edits(of: Place.self, to: desired)
        let changes =
            zones.kept.map(TopologyChange.zone) + domains.kept.map(TopologyChange.domain) + pods.kept.map(TopologyChange.pod)
            + racks.kept.map(TopologyChange.rack) + hosts.removed.map(TopologyChange.host)
            + hosts.kept.filter { $0.before != nil }.map(TopologyChange.host)
            + hosts.kept.filter { $0.before == nil }.map(TopologyChange.host) + racks.removed.map(TopologyChange.rack)
            + pods.removed.map(TopologyChange.pod) + domains.removed.map(TopologyChange.domain) + zones.removed.map(TopologyChange.zone)
        return TopologyPlan(
            changes: changes,
            refusals: problems(of: desired, occupancy) + refusals(of: pods.kept, occupancy)
                + refusals(of: hosts.removed + hosts.kept, to: desired, occupancy))
    }

    /// What is wrong with the desired topology. Where a ratio may not be, what is allocated says how large it has to be.
    private func problems(of desired: Topology, _ occupancy: [String: HostUse]) -> [Refusal] {
        desired.problems(beside: self).map { problem in
            guard problem.rule == "pod.oversubscription", case .text(let pod)? = problem.facts["pod"],
                case .text(let component)? = problem.facts["component"], case .number(let ratio)? = problem.facts["ratio"],
                let least = leastRatio(component, of: pod, occupancy), least > max(1_000, ratio)
            else { return problem }
            var raised = problem
            raised.facts["least"] = .number(least)
            raised.nearest = "\(least), as so much is allocated on a host already"
            return raised
        }
    }

    /// The smallest ratio that promises what is allocated on every host of a pod; nil when no ratio does.
    private func leastRatio(_ component: String, of pod: String, _ occupancy: [String: HostUse]) -> Int64? {
        let ratios = hosts.values.filter { $0.pod == pod }.compactMap { occupancy[$0.name] }.map { $0.leastRatio(component) }
        return ratios.contains(nil) ? nil : ratios.compactMap { $0 }.max()
    }

    /// Additions and changes, and removals, each in the order of their names.
    private func edits<Object: TopologyObject>(
        of type: Object.Type, to desired: Topology
    ) -> (kept: [TopologyChange.Edit<Object>], removed: [TopologyChange.Edit<Object>]) {
        let (old, new) = (self[keyPath: Object.path], desired[keyPath: Object.path])
        let kept = new.keys.sorted().compactMap { name in
            old[name] == new[name] ? nil : TopologyChange.Edit(before: old[name], after: new[name])
        }
        let removed = old.keys.sorted().filter { new[$0] == nil }.map { TopologyChange.Edit<Object>(before: old[$0], after: nil) }
        return (kept, removed)
    }

    // MARK: What must not be hurt

    private func refusals(of edits: [TopologyChange.Edit<Pod>], _ occupancy: [String: HostUse]) -> [Refusal] {
        edits.flatMap { edit -> [Refusal] in
            guard let before = edit.before, let after = edit.after else { return [] }
            let present = hosts.values.filter { $0.pod == before.name && occupancy[$0.name] != nil }.map(\.name).sorted()
            guard let first = present.first else { return [] }
            let fixed = [
                ("zone", before.zone != after.zone), ("kind", before.kind != after.kind), ("storage", before.storage != after.storage),
            ].filter(\.1).map { Refusal.fixed($0.0, of: before.name, hosts: Int64(present.count), first: first) }
            guard before.oversubscription != after.oversubscription else { return fixed }
            let uses = present.compactMap { host in occupancy[host].map { (host: host, use: $0) } }
            return fixed + [after.shortage(on: uses)].compactMap { $0 }
        }
    }

    private func refusals(
        of edits: [TopologyChange.Edit<Place>], to desired: Topology, _ occupancy: [String: HostUse]
    ) -> [Refusal] {
        edits.compactMap { edit in
            guard let before = edit.before, let taken = occupancy[before.name],
                !taken.instances.isEmpty || !taken.volumes.isEmpty || taken.held > 0
            else { return nil }
            guard let after = edit.after else { return .occupied(before.name, taken, "removed") }
            return after.pod == before.pod ? nil : .occupied(before.name, taken, "moved to pod \(after.pod)")
        }
    }
}

extension Topology.Pod {
    /// A refusal when what is allocated on a host is more than the pod's ratios now promise of it. Its nearest serves all hosts.
    fileprivate func shortage(on hosts: [(host: String, use: HostUse)]) -> Refusal? {
        let all = hosts.map { (host: $0.host, use: $0.use, short: $0.use.shortfalls(with: oversubscription)) }.filter { !$0.short.isEmpty }
        guard let first = all.first, let short = first.short.first else { return nil }
        var ratios: [String] = []
        var full: String?
        for component in ["milliCPU", "memoryMiB", "diskMiB"] {
            let least = all.filter { $0.short.contains { $0.name == component } }.map {
                (host: $0.host, ratio: $0.use.leastRatio(component))
            }
            full = full ?? least.first { $0.ratio == nil }?.host
            if let ratio = least.compactMap(\.ratio).max() { ratios.append("\(ratio) thousandths for \(component)") }
        }
        let ratio = (ratios.count > 1 ? "ratios of " : "a ratio of ") + ratios.joined(separator: " and ")
        return Refusal(
            "pod.oversubscription", .conflict,
            "On host \(first.host) \(short.needed) \(short.name) are allocated; with these ratios pod \(name) promises \(short.available) there.",
            facts: [
                "pod": .text(name), "host": .text(first.host), "component": .text(short.name), "allocated": .number(short.needed),
                "promised": .number(short.available),
            ], nearest: full.map { "drain \($0) first" } ?? (ratios.isEmpty ? "drain \(first.host) first" : ratio))
    }
}

extension HostUse {
    fileprivate func shortfalls(with ratios: Oversubscription) -> [(name: String, needed: Int64, available: Int64)] {
        allocated.shortfalls(against: ratios.promised(of: hardware)).map { ($0.name, $0.needed, $0.available) }
    }

    /// The smallest ratio, in thousandths, that promises what is allocated of one component; nil: none does.
    fileprivate func leastRatio(_ component: String) -> Int64? {
        let (taken, there): (Int64, Int64) =
            switch component {
            case "cpu", "milliCPU": (allocated.milliCPU, hardware.milliCPU)
            case "memory", "memoryMiB": (allocated.memoryMiB, hardware.memoryMiB)
            default: (allocated.diskMiB, hardware.diskMiB)
            }
        guard taken > 0 else { return 1_000 }
        guard there > 0 else { return nil }
        return max(1_000, Int64(clamping: (Int128(taken) * 1_000 + Int128(there) - 1) / Int128(there)))
    }
}

extension HostUse {
    fileprivate func heldText(after others: Bool) -> String {
        guard held > 0 else { return "" }
        return (others ? " Room is" : "room is") + " held there for \(held) that are to come."
    }

    /// What would leave nothing on the host.
    fileprivate func end(of host: String) -> String {
        if instances.isEmpty, volumes.isEmpty { return "the same once what is to come has come and gone, or its reservation is released" }
        guard sharesStorage else {
            return "the same once they are terminated or deleted, or their contracts are over: their disks are in the host (DAS), "
                + "and no drain moves them"
        }
        let deletion = volumes.isEmpty ? "" : " and delete its volumes"
        guard !isDraining else {
            return "the same once the drain is done: `bourse host show \(host)` says what holds it up"
                + (volumes.isEmpty ? "" : "; and its volumes are deleted")
        }
        return "drain \(host)\(deletion) first"
    }
}

extension Refusal {
    /// - Parameter verb: what was to be done with the host, as a participle.
    public static func occupied(_ host: String, _ use: HostUse, _ verb: String) -> Refusal {
        let (instances, volumes) = (use.instances, use.volumes)
        let names = instances.sorted().map(\.description) + volumes.sorted().map(\.description)
        let named = names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
        let what = counted(instances.count, "instance") + (volumes.isEmpty ? "" : " and " + counted(volumes.count, "volume"))
        let isOrAre = names.count == 1 ? "is" : "are"
        return Refusal(
            "host.occupied", .conflict,
            "Host \(host) cannot be \(verb): " + (use.isDraining ? "it is draining, and " : "")
                + (names.isEmpty ? "" : "\(what) \(isOrAre) on it: \(named).") + use.heldText(after: !names.isEmpty),
            facts: [
                "host": .text(host), "instances": .number(Int64(instances.count)), "volumes": .number(Int64(volumes.count)),
                "held": .number(use.held), "state": .text(use.isDraining ? "draining" : "open"),
            ], nearest: use.end(of: host))
    }

    fileprivate static func fixed(_ what: String, of pod: String, hosts: Int64, first: String) -> Refusal {
        Refusal(
            "pod.fixed", .conflict,
            "The \(what) of pod \(pod) is fixed while it has hosts: \(hosts), \(first) among them.",
            facts: ["pod": .text(pod), "field": .text(what), "hosts": .number(hosts)],
            nearest: "another pod, to which hosts move when empty")
    }
}
