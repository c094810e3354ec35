public import Primitives
import Synchronization

/// Machines that exist in memory only. They live in a `SimulatedHost`, so that a new driver over the same host adopts them.
public final class SimulatedCompute: ComputeDriver {
    let host: SimulatedHost
    let faults: SimulatedFaults
    let locks = KeyedLock<InstanceID>()
    public let changes: AsyncStream<InstanceID>

    public init(_ host: SimulatedHost, _ behaviour: SimulatedBehaviour) {
        self.host = host
        faults = SimulatedFaults(behaviour)
        changes = host.listen()
    }

    public func change(_ edit: (inout SimulatedBehaviour) -> Void) { faults.change(edit) }

    public var description: String { get async { "simulated" } }

    public func run() async {
        // Nothing goes on in the background; a stream that never ends is waited for.
        for await _ in AsyncStream<Never>.makeStream().stream {}
    }

    public func adopt() async throws(Refusal) -> [MachineObservation] {
        try await faults.strike("adopt")
        return host.machines()
    }

    @discardableResult public func ensureRunning(_ machine: MachineSpec) async throws(Refusal) -> MachineObservation {
        try machine.validate()
        return try await locks.withLock(machine.instance) { () async throws(Refusal) in
            try await faults.strike("ensureRunning")
            guard !host.isSent(machine.instance), host.move(of: machine.instance)?.waiting == nil else {
                throw Self.moveConflict(machine.instance, "is on its way from one host to another")
            }
            if host.machine(machine.instance).processID == nil { host.set(nil, of: machine.instance) }
            return host.start(machine)
        }
    }

    @discardableResult public func ensureStopped(_ instance: InstanceID, grace: Span) async throws(Refusal) -> MachineObservation {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("ensureStopped")
            if grace > .zero, host.machine(instance).state == .running {
                if !host.isDeaf(instance) { return host.stop(instance, .asked) }
                try? await Task.sleep(for: grace.duration)
                if Task.isCancelled { throw Refusal("compute.cancelled", .unavailable, "the wait for \(instance) to stop was given up") }
            }
            return host.stop(instance, .forced)
        }
    }

    public func ensureAbsent(_ instance: InstanceID) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("ensureAbsent")
            host.forget(instance)
        }
    }

    public func reset(_ instance: InstanceID, grace: Span) async throws(Refusal) {
        try requireRunning(instance)
        try await faults.strike("reset")
        host.boot(instance)
    }

    public func ensureAttached(_ disk: VolumeDisk, to instance: InstanceID) async throws(Refusal) {
        try disk.validate()
        try await faults.strike("ensureAttached")
        try host.plug(disk, into: instance)
    }

    public func ensureDetached(_ volume: VolumeID, from instance: InstanceID) async throws(Refusal) {
        try await faults.strike("ensureDetached")
        guard host.unplug(volume, from: instance) else { throw Self.busy(volume, instance) }
    }

    public func volumes(of instance: InstanceID) async throws(Refusal) -> [VolumeID] {
        try await faults.strike("volumes")
        return host.volumes(of: instance).map(\.volume)
    }

    public func pressPowerButton(_ instance: InstanceID) async throws(Refusal) {
        try requireRunning(instance)
        try await faults.strike("pressPowerButton")
        if !host.isDeaf(instance) { _ = host.stop(instance, .guest) }
    }

    private func requireRunning(_ instance: InstanceID) throws(Refusal) {
        switch host.machine(instance).state {
        case .running, .paused: return
        case .stopped: throw Refusal("compute.stopped", .conflict, "machine \(instance) does not run")
        case .absent: throw Refusal("compute.unknown", .notFound, "there is no machine \(instance) on this host")
        }
    }

    public func observe() async -> [MachineObservation] { host.machines() }
    public func observe(_ instance: InstanceID) async -> MachineObservation { host.machine(instance) }

    public func usage() async -> [MachineUsage] { host.usage() }

    public func console(_ instance: InstanceID, last bytes: Int) async throws(Refusal) -> [UInt8] {
        try await faults.strike("console")
        return Array(host.console(instance).suffix(bytes))
    }
}

/// What outlives a simulated driver: the machines themselves. Tests use it to crash and deafen them.
public final class SimulatedHost: Sendable {
    private struct Machine {
        var seen: MachineObservation
        var console: [UInt8] = []
        var deaf = false
        var volumes: [VolumeID: VolumeDisk] = [:]
        /// Everything was sent: it stands still.
        var isSent = false
        /// In milli-vCPU, since a moment; and what was used up before, in millionths of a second.
        var load: Int64 = 100
        var loadSince = Instant.zero
        var usedBefore: Int64 = 0

        func used(at now: Instant) -> Int64 { usedBefore + max(0, (now - loadSince).microseconds) * load / 1_000 }
    }

    private struct State {
        var machines: [InstanceID: Machine] = [:]
        var nextProcess: Int32 = 100
        var listener: AsyncStream<InstanceID>.Continuation?
        /// No two runs begin at the same moment.
        var lastStart = Instant.zero
        var moves: [InstanceID: Move] = [:]
    }

    private let state = Mutex(State())
    private let clock: @Sendable () -> Instant
    let wire: SimulatedWire

    /// - Parameter wire: what it shares with the hosts that its machines can go to.
    public init(clock: @escaping @Sendable () -> Instant, wire: SimulatedWire = SimulatedWire()) {
        self.clock = clock
        self.wire = wire
    }

    func listen() -> AsyncStream<InstanceID> {
        let (stream, continuation) = AsyncStream<InstanceID>.makeStream(bufferingPolicy: .bufferingNewest(4_096))
        state.withLock { state in
            state.listener?.finish()
            state.listener = continuation
        }
        return stream
    }

    func machine(_ instance: InstanceID) -> MachineObservation {
        state.withLock { $0.machines[instance]?.seen } ?? MachineObservation(instance: instance, state: .absent)
    }

    public func machines() -> [MachineObservation] {
        state.withLock { $0.machines.values.map(\.seen).sorted { $0.instance < $1.instance } }
    }

    func console(_ instance: InstanceID) -> [UInt8] { state.withLock { $0.machines[instance]?.console ?? [] } }
    func isDeaf(_ instance: InstanceID) -> Bool { state.withLock { $0.machines[instance]?.deaf ?? false } }

    /// - Parameter boots: else it goes on with the memory that it came with.
    func start(_ spec: MachineSpec, boots: Bool = true) -> MachineObservation {
        state.withLock { state in
            if let machine = state.machines[spec.instance], machine.seen.state != .stopped { return machine.seen }
            state.nextProcess += 1
            state.lastStart = max(clock(), state.lastStart + Span(microseconds: 1))
            var machine = state.machines[spec.instance] ?? Machine(seen: MachineObservation(instance: spec.instance, state: .running))
            machine.seen = MachineObservation(
                instance: spec.instance, state: .running, executed: state.lastStart, processID: state.nextProcess, accelerator: "simulated")
            if boots { machine.console += Array("\(spec.instance) boots\n".utf8) }
            (machine.usedBefore, machine.loadSince) = (0, state.lastStart)
            machine.volumes = Dictionary(spec.volumes.map { ($0.volume, $0) }, uniquingKeysWith: { first, _ in first })
            state.machines[spec.instance] = machine
            return machine.seen
        }
    }

    func boot(_ instance: InstanceID) {
        state.withLock { $0.machines[instance]?.console += Array("\(instance) boots\n".utf8) }
    }

    func stop(_ instance: InstanceID, _ cause: StopCause) -> MachineObservation {
        wire.leave(self, instance)
        edit(instance) { $0.waiting = nil }
        let seen = state.withLock { state -> MachineObservation? in
            guard var machine = state.machines[instance] else { return nil }
            if machine.seen.state != .stopped {
                machine.seen.state = .stopped
                machine.seen.ended = clock()
                machine.seen.cause = cause
            }
            machine.seen.processID = nil
            machine.isSent = false
            state.machines[instance] = machine
            return machine.seen
        }
        announce(instance)
        return seen ?? MachineObservation(instance: instance, state: .absent)
    }

    func usage() -> [MachineUsage] {
        let now = clock()
        return state.withLock { state in
            state.machines.values.filter { $0.seen.state != .stopped }.compactMap { machine in
                machine.seen.executed.map {
                    MachineUsage(
                        instance: machine.seen.instance, executed: $0, processorTime: Span(microseconds: machine.used(at: now)))
                }
            }.sorted { $0.instance < $1.instance }
        }
    }

    // MARK: - Volumes

    /// What a machine has while it runs.
    public func volumes(of instance: InstanceID) -> [VolumeDisk] {
        state.withLock { state in
            guard let machine = state.machines[instance], machine.seen.state != .stopped else { return [] }
            return machine.volumes.values.sorted { $0.volume < $1.volume }
        }
    }

    func plug(_ disk: VolumeDisk, into instance: InstanceID) throws(Refusal) {
        let other = state.withLock { state -> VolumeID? in
            guard let machine = state.machines[instance], machine.seen.state != .stopped else { return nil }
            if let other = machine.volumes.values.first(where: { $0.slot == disk.slot && $0.volume != disk.volume }) { return other.volume }
            var plugged = disk
            if let known = machine.volumes[disk.volume] { plugged.sizeMiB = max(known.sizeMiB, disk.sizeMiB) }
            state.machines[instance]?.volumes[disk.volume] = plugged
            return nil
        }
        if let other {
            throw Refusal("compute.slot", .conflict, "place \(disk.slot) of \(instance) is taken by \(other)", nearest: "another place")
        }
    }

    /// False: the guest does not let go.
    func unplug(_ volume: VolumeID, from instance: InstanceID) -> Bool {
        state.withLock { state in
            guard let machine = state.machines[instance], machine.seen.state != .stopped, machine.volumes[volume] != nil else {
                return true
            }
            if machine.deaf { return false }
            state.machines[instance]?.volumes[volume] = nil
            return true
        }
    }

    func forget(_ instance: InstanceID) {
        wire.leave(self, instance)
        state.withLock { state in
            state.machines[instance] = nil
            state.moves[instance] = nil
        }
    }

    // MARK: - Moves

    func move(of instance: InstanceID) -> Move? { state.withLock { $0.moves[instance] } }
    func set(_ move: Move?, of instance: InstanceID) { state.withLock { $0.moves[instance] = move } }

    func edit(_ instance: InstanceID, _ body: (inout Move) -> Void) {
        let isThere = state.withLock { state in
            guard var move = state.moves[instance] else { return false }
            body(&move)
            state.moves[instance] = move
            return true
        }
        if isThere { announce(instance) }
    }

    func isSent(_ instance: InstanceID) -> Bool { state.withLock { $0.machines[instance]?.isSent ?? false } }

    /// It stands still here from now on.
    func send(_ instance: InstanceID) {
        state.withLock { state in
            state.machines[instance]?.isSent = true
            state.machines[instance]?.seen.state = .stopped
            state.machines[instance]?.seen.ended = clock()
            state.machines[instance]?.seen.cause = .moved
        }
    }

    func resume(_ instance: InstanceID) {
        state.withLock { state in
            guard state.machines[instance]?.isSent == true else { return }
            state.machines[instance]?.isSent = false
            state.machines[instance]?.seen.state = .running
            state.machines[instance]?.seen.executed = clock()
            state.machines[instance]?.seen.ended = nil
            state.machines[instance]?.seen.cause = nil
        }
    }

    /// The memory of a machine that has arrived.
    func receive(_ console: [UInt8], of instance: InstanceID) {
        state.withLock { state in
            state.machines[instance] = Machine(seen: MachineObservation(instance: instance, state: .stopped), console: console)
        }
    }

    private func announce(_ instance: InstanceID) { _ = state.withLock { $0.listener }?.yield(instance) }

    // MARK: - For tests

    /// The machine's process dies, or the one that waits for a machine.
    public func crash(_ instance: InstanceID) { _ = stop(instance, .crashed) }

    /// The guest uses so many thousandths of a processor from now on; 100 when nothing else was said.
    public func setLoad(_ milliCPU: Int64, of instance: InstanceID) {
        let now = clock()
        state.withLock { state in
            guard var machine = state.machines[instance] else { return }
            (machine.usedBefore, machine.loadSince, machine.load) = (machine.used(at: now), now, max(0, milliCPU))
            state.machines[instance] = machine
        }
    }

    /// The guest switches itself off.
    public func switchOff(_ instance: InstanceID) { _ = stop(instance, .guest) }

    /// The guest reacts neither to its power button nor to volumes that are taken from it; or it does again.
    public func deafen(_ instance: InstanceID, _ deaf: Bool = true) { state.withLock { $0.machines[instance]?.deaf = deaf } }

    /// The guest gives a volume back that nobody asked it for.
    public func eject(_ volume: VolumeID, from instance: InstanceID) {
        _ = unplug(volume, from: instance)
        announce(instance)
    }

    /// The guest writes to its console.
    public func write(_ text: String, onConsoleOf instance: InstanceID) {
        state.withLock { $0.machines[instance]?.console += Array(text.utf8) }
        announce(instance)
    }
}
