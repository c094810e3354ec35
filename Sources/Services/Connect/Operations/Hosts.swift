import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    func addHostRoutes(to router: ProgramRouter) {
        router.on(ConnectAPI.listHosts) { call in
            let filter = HostListing.Filter(
                pod: call.query.text("pod"), rack: call.query.text("rack"), state: call.query.text("state"))
            try await checkFilter(filter)
            let (limit, cursor) = (try call.query.limit(), call.query.text("cursor") ?? "")
            return try await hosts(filter, after: cursor, limit: limit)
        }
        router.on(ConnectAPI.showHost, tag: { try EntityTag.of($0.settings) }) { call in
            let name = call.text("host")
            return try await database.read { try hostDetail(try Self.hostID(name, in: $0), in: $0) }
        }
        router.on(ConnectAPI.putHost, tag: { try EntityTag.of($0.settings) }) { call in try await putHost(call, call.text("host")) }
        router.on(ConnectAPI.retireHost) { call in try await retireHost(call, call.text("host")) }
        router.on(ConnectAPI.actOnHost) { call in try await act(call, onHost: call.text("host")) }
        router.on(ConnectAPI.drainHost) { call in try await drainHost(call, call.text("host")) }
        router.on(ConnectAPI.fenceHost) { call in try await fenceHost(call, call.text("host")) }
        router.on(ConnectAPI.planMaintenance) { call in try await planMaintenance(call, of: call.text("host")) }
        router.on(ConnectAPI.listMaintenance) { call in try await maintenance(call) }
        router.on(ConnectAPI.cancelMaintenance) { call in try await cancelMaintenance(call, try call.id("window")) }
        router.on(ConnectAPI.showDrift) { call in try await drift(pod: call.query.text("pod"), host: call.query.text("host")) }
    }

    // MARK: Looking

    func hosts(_ filter: HostListing.Filter, after cursor: String, limit: Int) async throws -> CloudAPI.Page<HostView> {
        let page = try await database.read { try HostListing.page(filter, after: cursor, limit: limit, in: $0) }
        let now = time.now()
        return CloudAPI.Page(page.items.map { heard($0, at: now) }, next: page.next)
    }

    /// A name that nothing has finds nothing for ever: it is said rather than an empty list shown.
    private func checkFilter(_ filter: HostListing.Filter) async throws {
        if let state = filter.state, !HostListing.states.contains(state) {
            throw Refusal(
                "host.state", .invalid, "'\(state)' is not a state of a host.", facts: ["state": .text(state)],
                nearest: HostListing.states.joined(separator: ", "))
        }
        try await database.read { context in
            for (kind, name) in [("pod", filter.pod), ("rack", filter.rack)] {
                guard let name, try context.queryOne("SELECT name FROM \(kind)s WHERE name = $1", [.text(name)]) == nil else { continue }
                throw try kind == "pod" ? Refusal.unknownPod(name, in: context) : Refusal.unknownRack(name, in: context)
            }
        }
    }

    /// When a host was last heard is in memory, and the table follows behind; how busy it is is in memory only.
    private func heard(_ view: HostView, at now: Instant) -> HostView {
        var view = view
        if let last = presence.lastHeard(view.id) { view.lastSeen = max(view.lastSeen ?? last, last) }
        if let load = loads.load(of: view.id, at: now), let entry = memory.reading({ $0.occupancy.host(view.id) }) {
            view.load = HostLoadView(
                milliCPU: load.milliCPU, hardwareMilliCPU: entry.hardwareMilliCPU, memoryMiB: load.memoryMiB, at: load.at)
        }
        return view
    }

    /// A host by identifier or name.
    static func hostID(_ text: String, in context: any ReadContext) throws -> HostID {
        let row = try context.queryOne("SELECT host FROM host_places WHERE host = $1 OR name = $1", [.text(text)])
        guard let row else {
            throw Refusal(
                "host.unknown", .notFound, "There is no host '\(text)' here.", facts: ["host": .text(text)],
                nearest: "one of `bourse host list`")
        }
        return try row.id("host")
    }

    func hostDetail(_ id: HostID, in context: any ReadContext) throws -> HostDetail {
        let row = try context.queryOne(
            """
            SELECT p.name, p.rack, p.domains, p.inventory, p.cordon_cause, p.cordon_reason, p.cordon_since, o.name AS pod_name,
              r.domains AS rack_domains
            FROM host_places p JOIN pods o ON o.id = p.pod LEFT JOIN racks r ON r.name = p.rack WHERE p.host = $1
            """, [SQLValue(id)])
        guard let row, let view = try HostListing.view(of: id, in: context) else {
            throw Refusal(
                "host.unknown", .notFound, "There is no host '\(id)' here.", facts: ["host": .text(id.description)],
                nearest: "one of `bourse host list`")
        }
        let own = try row.names("domains")
        let shared = Set(try row.json("rack_domains", [String].self) ?? [])
        let cordon = try row.optionalText("cordon_cause").map {
            CordonView(cause: $0, reason: try row.optionalText("cordon_reason") ?? "", since: try row.instant("cordon_since"))
        }
        let windows = try MaintenanceRecord.all(
            "w.host = $1 AND w.state IN ('planned', 'active') ORDER BY w.starts", [SQLValue(id)], in: context)
        return HostDetail(
            host: heard(view, at: time.now()),
            settings: Topology.Place(
                name: try row.text("name"), pod: try row.text("pod_name"), rack: try row.optionalText("rack"), domains: own
            ).settings,
            domains: own.union(shared).sorted(), cordon: cordon, windows: windows,
            life: try lifeView(of: id, in: context), inventory: try row.json("inventory", HostInventoryView.self),
            tunnel: try tunnelView(of: id, in: context))
    }

    // MARK: Declaring and retiring

    private func putHost(_ call: Call<HostSettings>, _ text: String) async throws -> HostDetail {
        let core = self
        let name = try await hostName(text) ?? text
        let condition = call.condition
        let place = Topology.Place(name: name, pod: call.body.pod, rack: call.body.rack, domains: Set(call.body.domains ?? []))
        return try await change(call, "host.put", name) { current in
            try current.check(condition, of: name, Topology.Place.self)
            var desired = current
            desired.hosts[name] = place
            return desired
        } answer: { _, records, context in
            guard let id = records.hostIDs[name] else { preconditionFailure("a host that was put has an identifier") }
            return try core.hostDetail(id, in: context)
        }
    }

    private func retireHost(_ call: Call<Empty>, _ text: String) async throws -> TopologyPlanView {
        let name = try await hostName(text) ?? text
        return try await remove(call, name, Topology.Place.self)
    }

    /// The name of a host that is known by its identifier.
    private func hostName(_ text: String) async throws -> String? {
        try await database.read { try $0.queryOne("SELECT name FROM host_places WHERE host = $1", [.text(text)])?.text("name") }
    }

    // MARK: Drift

    private func drift(pod: String?, host: String?) async throws -> DriftReport {
        try await database.read { context in
            let only = try host.map { try Self.hostID($0, in: context) }
            var pods: [PodID: Topology.Pod] = [:]
            for row in try context.query("SELECT \(Topology.Pod.columns) FROM pods WHERE removed IS NULL") {
                pods[try row.id("id")] = try Topology.Pod(row)
            }
            if let pod, !pods.values.contains(where: { $0.name == pod }) {
                throw try Refusal.unknownPod(pod, in: context)
            }
            let rows = try context.query(
                "SELECT host, name, pod, inventory FROM host_places WHERE $1 = '' OR host = $1 ORDER BY name",
                [.text(only?.description ?? "")])
            var report = DriftReport(hosts: 0, unknown: 0, unstated: 0, drifted: 0, differences: [])
            for row in rows {
                guard let place = pods[try row.id("pod")], pod == nil || place.name == pod else { continue }
                try report.add(row, in: place)
            }
            return report
        }
    }
}

extension DriftReport {
    fileprivate mutating func add(_ row: Row, in pod: Topology.Pod) throws {
        hosts += 1
        if pod.profile == nil, pod.baseline == nil { unstated += 1 }
        guard let inventory = try row.json("inventory", HostInventoryView.self) else {
            unknown += 1
            return
        }
        let (id, name) = (try row.id("host", as: HostID.self), try row.text("name"))
        let found = pod.drift(of: HostInventory(inventory))
        drifted += found.isEmpty ? 0 : 1
        differences += found.map { DriftView(host: id, hostName: name, what: $0.what, expected: $0.expected, found: $0.found) }
    }
}

extension HostInventory {
    init(_ view: HostInventoryView) {
        self.init(
            product: view.product, serial: view.serial, bios: view.bios,
            cells: view.cells.map { Cell(cell: $0.cell, cpus: $0.cpus, memoryMiB: $0.memoryMiB) },
            devices: view.devices.map { device in
                let kind: Device.Kind =
                    switch device.kind {
                    case .gpu: .gpu
                    case .disk: .disk
                    case .controller: .controller
                    case .nic: .nic
                    }
                return Device(
                    kind: kind, name: device.name, model: device.model, firmware: device.firmware, cell: device.cell, size: device.size)
            })
    }
}
