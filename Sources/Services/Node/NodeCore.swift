import CloudAPI
package import Drivers
import Foundation
import Logging
import Primitives
import ServiceKit
import Store
import Synchronization

/// What every part of a node works with.
struct NodeCore: Sendable {
    let configuration: NodeConfiguration
    let network: IPv4Prefix
    let drivers: NodeDrivers
    let database: any Database
    let identity: ProgramIdentity
    let board: InstanceBoard
    let volumes: VolumeBoard
    let networks: NetworkBoard
    let listeners = NetworkListeners()
    let meters: MeterJournal
    let facts = NodeFacts()
    /// Nil: disks are this host's own, or nobody asked for a lease.
    let lease: HostLease?
    let time: any TimeSource
    let metrics: Metrics
    let logger: Logger

    /// Puts back what the tables remember, beside what the drivers find.
    func restore() async throws {
        let machines = try await drivers.compute.adopt()
        let known = Dictionary(machines.map { ($0.instance, $0) }, uniquingKeysWith: { first, _ in first })
        let kept = try await kept(InstanceIntent.self)
        for (intent, row) in kept {
            let machine = known[intent.instance] ?? MachineObservation(instance: intent.instance, state: .absent)
            board.restore(
                intent, ranGeneration: try row.integer("ran_generation"), rebootsDone: try row.integer("reboots_done"), machine: machine)
        }
        let ours = Set(kept.map(\.intent.instance))
        for machine in machines where !ours.contains(machine.instance) {
            // Perhaps connect knows it. Nobody's machine is left alone: a record lost must not cost a guest.
            logger.warning(
                "a machine is here that nobody asked for", metadata: ["instance": "\(machine.instance)", "state": "\(machine.state)"])
        }
        try await restoreVolumes()
        try await restoreNetworks()
        try await facts.load(from: database)
        try await meters.load()
        logger.info("found \(machines.count) machines of earlier, \(machines.count { $0.state == .running }) of them running")
    }

    /// Stores intents and takes them up.
    func take(_ intents: [InstanceIntent]) async throws {
        let fresh = fresh(intents, on: board)
        guard !fresh.isEmpty else { return }
        try await followOwners(fresh)
        do {
            try await keep(fresh)
        } catch {
            await declineArrivals(fresh, Fault(error).refusal)
            throw error
        }
        FaultPoint.hit("node.launch.intent")
        var machines: [InstanceID: MachineObservation] = [:]
        for intent in fresh { machines[intent.instance] = await drivers.compute.observe(intent.instance) }
        _ = board.accept(fresh, machines: machines)
    }

    /// Writes down how far the host has followed an intent.
    func noteRan(_ instance: InstanceID, generation: Int64, reboots: Int64) async throws {
        try await database.write { transaction in
            try transaction.execute(
                "UPDATE intents SET ran_generation = $2, reboots_done = $3 WHERE instance = $1",
                [SQLValue(instance), .integer(generation), .integer(reboots)])
        }
        board.noteRan(instance, generation: generation, reboots: reboots)
    }
}

/// The seams to the world.
package struct NodeDrivers: Sendable {
    package var compute: any ComputeDriver
    package var storage: any RuntimeStorage
    package var images: any ImageStore
    package var network: any NetworkDriver
    /// On storage that hosts share; nil: guests are never stopped because of it.
    package var leases: (any LeaseStore)?
    package var watchdog: (any Watchdog)?

    package init(
        compute: any ComputeDriver, storage: any RuntimeStorage, images: any ImageStore, network: any NetworkDriver,
        leases: (any LeaseStore)? = nil, watchdog: (any Watchdog)? = nil
    ) {
        self.compute = compute
        self.storage = storage
        self.images = images
        self.network = network
        self.leases = leases
        self.watchdog = watchdog
    }
}

/// What connect told this node about itself, kept so that guests are answered while connect is away.
final class NodeFacts: Sendable {
    struct Values: Codable, Sendable, Hashable {
        var host: HostID
        var region: String
        var zone: String
        var heartbeatSeconds: Int64
        var meterSeconds: Int64
        /// The host's fencing token.
        var epoch: Int64?
        /// Other hosts reach the disks of the instances here.
        var sharesStorage: Bool?
    }

    private struct State {
        var values: Values?
        var hasOffered = false
        var greeted = false
        var networkProblem: String? = "being set up"
        var metadataPort: Int?
        var briefed = false
        /// Counts the epochs this process has known.
        var briefing = 0
        var isGuarded = false
    }

    private let state = Mutex(State())

    var values: Values? { state.withLock { $0.values } }
    /// Connect has been told that machines can move while they run.
    var hasOffered: Bool { state.withLock { $0.hasOffered } }
    func setOffered(_ hasOffered: Bool) { state.withLock { $0.hasOffered = hasOffered } }
    /// True once connect has welcomed this process.
    var greeted: Bool { state.withLock { $0.greeted } }
    /// On shared storage an instance that was here may run elsewhere now: nothing is launched before connect has said, to this process, what
    /// is still here.
    var mayLaunch: Bool { state.withLock { $0.briefed || $0.values?.sharesStorage != true } }
    /// To be taken before connect is asked: an answer that was on its way when the epoch changed says nothing about the new one.
    var briefing: Int { state.withLock { $0.briefing } }
    func setBriefed(_ briefing: Int) { state.withLock { if $0.briefing == briefing { $0.briefed = true } } }
    /// A watchdog is armed.
    var isGuarded: Bool { state.withLock { $0.isGuarded } }
    func setGuarded(_ isGuarded: Bool) { state.withLock { $0.isGuarded = isGuarded } }
    var networkProblem: String? { state.withLock { $0.networkProblem } }

    /// Where the metadata service listens, once it does.
    var metadataPort: Int? { state.withLock { $0.metadataPort } }

    func setMetadata(port: Int) { state.withLock { $0.metadataPort = port } }
    func setNetwork(problem: String?) { state.withLock { $0.networkProblem = problem } }

    func load(from database: any Database) async throws {
        let text = try await database.read { try $0.setting("facts") }
        guard let text else { return }
        let values = try WireJSON.decode(Values.self, from: Data(text.utf8))
        state.withLock { $0.values = values }
    }

    func keep(_ values: Values, in database: any Database) async throws {
        if values != self.values {
            let text = try WireJSON.text(values)
            try await database.write { try $0.set("facts", text) }
        }
        state.withLock { state in
            if state.values?.epoch ?? 0 != values.epoch ?? 0 {
                state.briefed = false
                state.briefing += 1
            }
            state.values = values
            state.greeted = true
        }
    }
}
