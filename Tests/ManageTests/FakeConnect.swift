import CloudAPI
import Foundation
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport

/// A seller's connect whose machines run as soon as they are created. A test decides what they measure and when they change.
final class FakeConnect: Sendable {
    struct State {
        var instances: [InstanceID: InstanceView] = [:]
        var volumes: [VolumeID: VolumeView] = [:]
        var networks: [NetworkID: NetworkView] = [:]
        var refuseVolumes: [Refusal] = []
        var creations: [CreateInstance] = []
        var actions: [String] = []
        var meters: [MeterReading] = []
        var feeds: [ContractID: FakeFeed] = [:]
        var refuseCreations: [Refusal] = []
        /// An action is answered with what was so at first, when its buyer has long read in the feed what became of it.
        var answersLate = false
        var sequence: Int64 = 0
        var ended: Set<ContractID> = []
    }

    let town: Town
    let interruptions: Interruptions
    let state = Mutex(State())
    let port = BoundPort()
    private let tls: PeerTLS

    init(_ town: Town, interruptions: Interruptions) throws {
        self.town = town
        self.interruptions = interruptions
        tls = try town.peerTLS(
            .program(exchange: Town.exchange, participant: town.seller, role: .connect, id: town.datacenter.description))
    }

    var instances: [InstanceView] { state.withLock { $0.instances.values.sorted { $0.id < $1.id } } }
    var creations: Int { state.withLock { $0.creations.count } }

    /// Pulls the seller's certificate of a contract.
    func learn(_ contract: ContractView) throws {
        let key = CredentialKey()
        let issued = try town.authority.issueContract(csrPEM: try key.csrPEM(), terms: contract.terms(.seller), now: SystemTime().now())
        tls.setContract(contract.id, credential: try key.credential(chainPEM: issued.chainPEM))
        state.withLock { $0.feeds[contract.id] = FakeFeed() }
    }

    func contractEnded(_ id: ContractID) {
        state.withLock { _ = $0.ended.insert(id) }
        tls.setContract(id, credential: nil)
        for instance in instances where instance.contract == id && instance.state == .running {
            update(
                instance.id, .stopped, StateReason(code: "Server.ContractEnded", message: "Contract \(id) ended; stopped by the seller."))
        }
    }

    func update(_ id: InstanceID, _ newState: InstanceState, _ reason: StateReason? = nil) {
        let feed = state.withLock { state in
            state.instances[id]?.state = newState
            state.instances[id]?.reason = reason
            state.instances[id]?.generation += 1
            return state.instances[id].flatMap { state.feeds[$0.contract] }
        }
        feed?.append("instance", id.description, kind: "instance")
    }

    /// A reading of an instance's running time.
    func measure(_ id: InstanceID, seconds: Range<Int64>, as resources: Resources? = nil) {
        let feed = state.withLock { state -> FakeFeed? in
            guard let instance = state.instances[id] else { return nil }
            state.sequence += 1
            state.meters.append(
                MeterReading(
                    host: town.host, sequence: state.sequence, instance: id, contract: instance.contract,
                    period: Period(start: Instant(seconds: seconds.lowerBound), end: Instant(seconds: seconds.upperBound)),
                    resources: resources ?? instance.resources))
            return state.feeds[instance.contract]
        }
        feed?.append("meter", id.description, kind: "meter")
    }

    func service(database: any Database) throws -> any Service {
        let router = ProgramRouter(database: database, metrics: Metrics(), peers: tls)
        addInstances(to: router)
        addVolumes(to: router)
        addNetworks(to: router)
        addFeeds(to: router)
        return try router.listen(host: "127.0.0.1", port: 0, security: .mutual(tls), bound: port, logger: town.logger)
    }

    private func addInstances(to router: ProgramRouter) {
        router.on(ConnectAPI.createInstance) { [self] call in
            let contract = try contract(call.principal)
            return try await interruptions.around("createInstance") { try create(call.body, under: contract) }
        }
        router.on(ConnectAPI.showInstance) { [self] call in
            _ = try contract(call.principal)
            return try view(try call.id("instance"))
        }
        router.on(ConnectAPI.actOnInstance) { [self] call in
            _ = try contract(call.principal)
            let id = try call.id("instance", as: InstanceID.self)
            return try await interruptions.around("actOnInstance") {
                let changed = try act(call.body, on: id, key: call.idempotency?.key ?? "")
                return state.withLock({ $0.answersLate }) ? try await lateAnswer(changed) : changed
            }
        }
        router.on(ConnectAPI.console) { [self] call in
            let id = try call.id("instance", as: InstanceID.self)
            _ = try contract(call.principal)
            return ConsoleView(instance: id, output: Data("booted".utf8).base64EncodedString(), at: SystemTime().now())
        }
        router.on(ConnectAPI.listImages) { [self] _ in
            CloudAPI.Page([
                ImageView(
                    id: town.image, name: "guest", description: "A guest", architecture: "x86_64", virtualSizeMiB: 1_024,
                    minimumMemoryMiB: 96,
                    user: "root", created: .zero)
            ])
        }
    }

    private func addVolumes(to router: ProgramRouter) {
        router.on(ConnectAPI.createVolume) { [self] call in
            let contract = try contract(call.principal)
            return try await interruptions.around("createVolume") { try create(call.body, under: contract) }
        }
        router.on(ConnectAPI.showVolume) { [self] call in
            _ = try contract(call.principal)
            return try view(try call.id("volume", as: VolumeID.self))
        }
        router.on(ConnectAPI.actOnVolume) { [self] call in
            _ = try contract(call.principal)
            let id = try call.id("volume", as: VolumeID.self)
            return try await interruptions.around("actOnVolume") { try act(call.body, on: id, key: call.idempotency?.key ?? "") }
        }
    }

    private func addFeeds(to router: ProgramRouter) {
        router.on(ConnectAPI.contractChanges) { [self] call in
            let contract = try contract(call.principal)
            guard let feed = state.withLock({ $0.feeds[contract] }) else { throw Refusal("contract.unknown", .unavailable, "not yet") }
            return try await feed.page(after: try call.query.after(), wait: try call.query.wait())
        }
        router.on(ConnectAPI.contractMeters) { [self] call in
            meters(of: try contract(call.principal), after: try call.query.after())
        }
        router.on(ConnectAPI.closing) { [self] call in
            let contract = try call.id("contract", as: ContractID.self)
            let after = try call.query.integer("after", in: 0...Int64.max, default: 0)
            return ClosingView(instances: instances.filter { $0.contract == contract }, meters: meters(of: contract, after: after))
        }
    }

    private func meters(of contract: ContractID, after: Int64) -> MeterPage {
        let readings = state.withLock { $0.meters.filter { $0.contract == contract && $0.sequence > after } }
        return MeterPage(readings: readings, latest: readings.last?.sequence ?? after)
    }

    private func contract(_ principal: Principal) throws -> ContractID {
        guard case .contract(let terms) = principal, terms.side == .buyer else {
            throw Refusal("http.forbidden", .forbidden, "a contract, please")
        }
        guard !state.withLock({ $0.ended.contains(terms.contract) }) else {
            throw Refusal("contract.ended", .forbidden, "The contract ended.")
        }
        return terms.contract
    }

    private func view(_ id: InstanceID) throws -> InstanceView {
        guard let view = state.withLock({ $0.instances[id] }) else { throw Refusal("instance.unknown", .notFound, "no such instance") }
        return view
    }

    private func create(_ spec: CreateInstance, under contract: ContractID) throws -> InstanceView {
        let now = SystemTime().now()
        let feed = try state.withLock { state -> FakeFeed? in
            if state.instances[spec.id] != nil { return nil }
            if !state.refuseCreations.isEmpty { throw state.refuseCreations.removeFirst() }
            state.creations.append(spec)
            state.instances[spec.id] = InstanceView(
                id: spec.id, contract: contract, state: .running, reason: nil, generation: 1, image: spec.image, offering: spec.offering,
                resources: spec.resources, zone: Town.zone, host: town.host, hostName: "host-1",
                privateAddress: "10.1.0.\(state.instances.count + 2)",
                macAddress: "52:54:00:00:00:01", accepted: now, executed: now, stateChanged: now)
            return state.feeds[contract]
        }
        feed?.append("instance", spec.id.description, kind: "instance")
        return try view(spec.id)
    }

    private func lateAnswer(_ changed: InstanceView) async throws -> InstanceView {
        var first = changed
        first.state = .stopping
        first.stateChanged = changed.stateChanged - .seconds(1)
        let feed = state.withLock { $0.feeds[changed.contract] }
        try await eventually("the feed is read") { feed?.isRead ?? true }
        return first
    }

    private func act(_ request: ActOnInstance, on id: InstanceID, key: String) throws -> InstanceView {
        let current = try view(id)
        let isNew = state.withLock { state in
            guard !state.actions.contains(key) else { return false }
            state.actions.append(key)
            return true
        }
        guard isNew else { return current }
        switch request.action {
        case .start: update(id, .running)
        case .stop:
            update(id, .stopped, StateReason(code: "Client.UserInitiatedShutdown", message: "Client.UserInitiatedShutdown: by the user"))
        case .terminate:
            update(id, .terminated, StateReason(code: "Client.UserInitiatedShutdown", message: "Client.UserInitiatedShutdown: by the user"))
        case .reboot: break
        }
        return try view(id)
    }
}
