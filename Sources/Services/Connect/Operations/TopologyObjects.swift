import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// Zones, fault domains, pods and racks one by one. A change of one is a change of the topology, checked as a whole.

extension ConnectCore {
    // MARK: All kinds

    /// A page of objects by name.
    func list<Object: TopologyObject, View>(
        _ call: Call<Empty>, _ type: Object.Type, where isMeant: @Sendable (Object) -> Bool = { _ in true },
        view: @escaping @Sendable (Object, TopologyRecords) throws -> View
    ) async throws -> CloudAPI.Page<View> {
        let (limit, after) = (try call.query.limit(), call.query.text("cursor") ?? "")
        let core = self
        let records = try await database.read { try core.records(in: $0) }
        let meant = records.topology[keyPath: Object.path].values.filter { $0.name > after && isMeant($0) }.sorted { $0.name < $1.name }
        let views = try meant.prefix(limit).map { try view($0, records) }
        return CloudAPI.Page(views, next: meant.count > limit ? meant[limit - 1].name : nil)
    }

    func show<Object: TopologyObject, View: Sendable>(
        _ name: String, _ type: Object.Type, view: @escaping @Sendable (Object, TopologyRecords) throws -> View
    ) async throws -> View {
        let core = self
        return try await database.read { context in
            let records = try core.records(in: context)
            return try view(try records.topology.object(name, type), records)
        }
    }

    /// Adds or changes one object, if it is what the caller saw.
    func put<Object: SettledObject, Body, View: Codable & Sendable>(
        _ call: Call<Body>, _ object: Object, view: @escaping @Sendable (Object, TopologyRecords) throws -> View
    ) async throws -> View {
        let condition = call.condition
        return try await change(call, "\(Object.kind.rawValue).put", object.name) { current in
            try current.check(condition, of: object.name, Object.self)
            var desired = current
            desired[keyPath: Object.path][object.name] = object
            return desired
        } answer: { _, records, _ in
            try view(try records.topology.object(object.name, Object.self), records)
        }
    }

    /// Removes one object that nothing is in.
    func remove<Object: TopologyObject>(_ call: Call<Empty>, _ name: String, _ type: Object.Type) async throws -> TopologyPlanView {
        try await change(call, "\(Object.kind.rawValue).remove", name) { current in
            _ = try current.object(name, type)
            if let refusal = current.children(of: Object.kind, name) { throw refusal }
            var desired = current
            desired[keyPath: Object.path][name] = nil
            return desired
        } answer: { plan, _, context in
            TopologyPlanView(plan, applied: true, revision: try TopologyRevision.current(in: context))
        }
    }

    // MARK: Routes

    func addTopologyRoutes(to router: ProgramRouter) {
        router.on(ConnectAPI.topology) { _ in try await topology() }
        router.on(ConnectAPI.exportTopology, tag: { "\($0.revision ?? 0)" }) { _ in try await exportTopology() }
        router.on(ConnectAPI.planTopology) { call in try await planTopology(call.body) }
        router.on(ConnectAPI.applyTopology, tag: { "\($0.revision)" }) { call in try await applyTopology(call) }

        router.on(ConnectAPI.listZones) { call in try await list(call, Topology.Zone.self, view: ZoneView.init) }
        router.on(ConnectAPI.showZone, tag: { try EntityTag.of($0.settings) }) { call in
            try await show(call.text("zone"), Topology.Zone.self, view: ZoneView.init)
        }
        router.on(ConnectAPI.putZone, tag: { try EntityTag.of($0.settings) }) { call in
            let zone = Topology.Zone(name: call.text("zone"), jurisdiction: call.body.jurisdiction, site: call.body.site)
            return try await put(call, zone, view: ZoneView.init)
        }
        router.on(ConnectAPI.removeZone) { call in try await remove(call, call.text("zone"), Topology.Zone.self) }

        router.on(ConnectAPI.listFaultDomains) { call in try await list(call, Topology.FaultDomain.self, view: FaultDomainView.init) }
        router.on(ConnectAPI.showFaultDomain, tag: { try EntityTag.of($0.settings) }) { call in
            try await show(call.text("domain"), Topology.FaultDomain.self, view: FaultDomainView.init)
        }
        router.on(ConnectAPI.putFaultDomain, tag: { try EntityTag.of($0.settings) }) { call in
            let domain = Topology.FaultDomain(
                name: call.text("domain"), kind: .init(call.body.kind), zone: call.body.zone, limit: call.body.limit)
            return try await put(call, domain, view: FaultDomainView.init)
        }
        router.on(ConnectAPI.removeFaultDomain) { call in try await remove(call, call.text("domain"), Topology.FaultDomain.self) }
        addPodRoutes(to: router)
    }

    private func addPodRoutes(to router: ProgramRouter) {
        router.on(ConnectAPI.listPods) { call in try await list(call, Topology.Pod.self, view: PodDetail.init) }
        router.on(ConnectAPI.showPod, tag: { try EntityTag.of($0.settings) }) { call in
            try await show(call.text("pod"), Topology.Pod.self, view: PodDetail.init)
        }
        router.on(ConnectAPI.putPod, tag: { try EntityTag.of($0.settings) }) { call in
            try await put(call, Topology.Pod(call.text("pod"), call.body), view: PodDetail.init)
        }
        router.on(ConnectAPI.removePod) { call in try await remove(call, call.text("pod"), Topology.Pod.self) }

        router.on(ConnectAPI.listRacks) { call in
            let pod = call.query.text("pod")
            if let pod { try await requirePod(pod) }
            return try await list(call, Topology.Rack.self, where: { pod == nil || $0.pod == pod }, view: RackView.init)
        }
        router.on(ConnectAPI.showRack, tag: { try EntityTag.of($0.settings) }) { call in
            try await show(call.text("rack"), Topology.Rack.self, view: RackView.init)
        }
        router.on(ConnectAPI.putRack, tag: { try EntityTag.of($0.settings) }) { call in
            let rack = Topology.Rack(
                name: call.text("rack"), pod: call.body.pod, units: call.body.units, watts: call.body.watts,
                domains: Set(call.body.domains ?? []))
            return try await put(call, rack, view: RackView.init)
        }
        router.on(ConnectAPI.removeRack) { call in try await remove(call, call.text("rack"), Topology.Rack.self) }
    }
}

extension Topology {
    func object<Object: TopologyObject>(_ name: String, _ type: Object.Type) throws(Refusal) -> Object {
        if let object = self[keyPath: Object.path][name] { return object }
        let kind = Object.kind.rawValue
        throw Refusal(
            "\(kind).unknown", .notFound, "There is no \(kind) '\(name)' here.", facts: ["name": .text(name)],
            nearest: NearestNames.text(self[keyPath: Object.path].keys, to: name) ?? "a \(kind) that is declared first")
    }

    /// A refusal when something is in an object that is to be removed.
    fileprivate func children(of kind: TopologyKind, _ name: String) -> Refusal? {
        let counts: [(what: String, count: Int)] =
            switch kind {
            case .zone:
                [("pod", pods.values.count { $0.zone == name }), ("fault domain", domains.values.count { $0.zone == name })]
            case .pod: [("rack", racks.values.count { $0.pod == name }), ("host", hosts.values.count { $0.pod == name })]
            case .rack: [("host", hosts.values.count { $0.rack == name })]
            case .domain:
                [
                    ("rack", racks.values.count { $0.domains.contains(name) }),
                    ("host", hosts.values.count { $0.domains.contains(name) }),
                ]
            case .host: []
            }
        let left = counts.filter { $0.count > 0 }
        guard !left.isEmpty else { return nil }
        let text = left.map { counted($0.count, $0.what) }.joined(separator: " and ")
        return Refusal(
            "topology.children", .conflict, "The \(kind.rawValue) \(name) still has \(text).",
            facts: Dictionary(uniqueKeysWithValues: left.map { ($0.what + "s", .number(Int64($0.count))) }),
            nearest: "the same after they are removed or moved")
    }
}

// MARK: - Views

extension ZoneView {
    init(_ zone: Topology.Zone, _ records: TopologyRecords) {
        let topology = records.topology
        let pods = Set(topology.pods.values.filter { $0.zone == zone.name }.map(\.name))
        self.init(
            name: zone.name, settings: zone.settings, pods: Int64(pods.count),
            racks: Int64(topology.racks.values.count { pods.contains($0.pod) }),
            hosts: Int64(topology.hosts.values.count { pods.contains($0.pod) }))
    }
}

extension FaultDomainView {
    init(_ domain: Topology.FaultDomain, _ records: TopologyRecords) {
        let hosts = records.topology.hosts.values.filter { records.topology.domains(of: $0).contains(domain.name) }
        self.init(
            name: domain.name, settings: domain.settings,
            load: hosts.map { records.topology.load(of: $0, on: domain) }.reduce(0, +), hosts: Int64(hosts.count))
    }
}

extension PodDetail {
    init(_ pod: Topology.Pod, _ records: TopologyRecords) throws {
        guard let id = records.podIDs[pod.name] else { preconditionFailure("a pod of the tables has an identifier") }
        self.init(
            id: id, name: pod.name, settings: pod.settings,
            racks: Int64(records.topology.racks.values.count { $0.pod == pod.name }),
            hosts: Int64(records.topology.hosts.values.count { $0.pod == pod.name }),
            room: pod.limits.rooms(for: pod.profile).map {
                LimitRoom(limit: $0.limit, total: $0.total, perHost: $0.perHost, hosts: $0.hosts)
            })
    }
}

extension Topology.Pod {
    fileprivate init(_ name: String, _ settings: PodSettings) {
        self.init(
            name: name, zone: settings.zone, kind: .init(settings.kind), storage: .init(settings.storage),
            oversubscription: Oversubscription(settings.oversubscription), profile: settings.profile.map(HardwareProfile.init),
            limits: PodLimits(settings.limits), baseline: settings.baseline.map(Baseline.init), policy: PlacementPolicy(settings.policy))
    }
}

extension RackView {
    init(_ rack: Topology.Rack, _ records: TopologyRecords) {
        self.init(
            name: rack.name, zone: records.topology.pods[rack.pod]?.zone ?? "", settings: rack.settings,
            hosts: Int64(records.topology.hosts.values.count { $0.rack == rack.name }))
    }
}
