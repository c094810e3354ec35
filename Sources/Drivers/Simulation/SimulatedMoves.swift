import Fleet
public import Primitives
import Synchronization

/// What carries machines between simulated hosts: who waits where, and for what.
public final class SimulatedWire: Sendable {
    private struct State {
        var receivers: [String: (host: SimulatedHost, instance: InstanceID)] = [:]
        var isHeld = false
        var isCut = false
    }

    private let state = Mutex(State())

    public init() {}

    /// Nothing gets through, though nothing fails; or it does again.
    public func hold(_ isHeld: Bool = true) { state.withLock { $0.isHeld = isHeld } }
    /// Everything that is sent fails; or it gets through again.
    public func cut(_ isCut: Bool = true) { state.withLock { $0.isCut = isCut } }

    /// The first free port, where the host waits from now on.
    fileprivate func listen(_ host: SimulatedHost, _ instance: InstanceID, _ address: String, _ ports: ClosedRange<Int>) -> Int? {
        state.withLock { state in
            guard let port = ports.first(where: { state.receivers["\(address):\($0)"] == nil }) else { return nil }
            state.receivers["\(address):\(port)"] = (host, instance)
            return port
        }
    }

    func leave(_ host: SimulatedHost, _ instance: InstanceID) {
        state.withLock { state in
            state.receivers = state.receivers.filter { $0.value.host !== host || $0.value.instance != instance }
        }
    }

    fileprivate enum Passage { case held, broken, through(SimulatedHost) }

    fileprivate func passage(of instance: InstanceID, to endpoint: String) -> Passage {
        state.withLock { state in
            guard !state.isCut, let receiver = state.receivers[endpoint], receiver.instance == instance else { return .broken }
            return state.isHeld ? .held : .through(receiver.host)
        }
    }
}

extension SimulatedHost {
    /// A machine's part in a move.
    struct Move: Sendable {
        var record: MoveRecord
        var transfer = MoveSight.Transfer.none
        var endpoint = ""
        /// It waits here, or has arrived and was not taken.
        var waiting: MachineSpec?
        var failure: String?
    }

    /// Lets what is being sent go as far as it can: everything is memory here, so it arrives at once, or not.
    func advanceMove(_ instance: InstanceID) {
        guard let move = move(of: instance), move.record.part == .source, move.transfer == .active else { return }
        guard machine(instance).state == .running else { return edit(instance) { $0.transfer = .failed } }
        switch wire.passage(of: instance, to: move.endpoint) {
        case .held: break
        case .broken:
            edit(instance) { move in
                (move.transfer, move.failure) = (.failed, "nobody waits at \(move.endpoint)")
            }
        case .through(let target):
            guard target.move(of: instance)?.transfer == .waiting else { return edit(instance) { $0.transfer = .failed } }
            let console = console(instance)
            edit(instance) { $0.transfer = .completed }
            send(instance)
            target.edit(instance) { $0.transfer = .completed }
            target.receive(console, of: instance)
        }
    }
}

extension SimulatedCompute {
    public var movePlatform: String? { get async { "simulated" } }

    public func moveStatus(_ instance: InstanceID) async throws(Refusal) -> MoveStatus {
        try await faults.strike("moveStatus")
        return status(instance)
    }

    private func status(_ instance: InstanceID) -> MoveStatus {
        host.advanceMove(instance)
        let seen = host.machine(instance)
        let (isAlive, isSwitchedOff) = (seen.processID != nil, seen.cause == .guest)
        guard let move = host.move(of: instance) else {
            return MoveStatus(
                sight: MoveSight(attempt: 0, isAlive: isAlive, isSwitchedOff: isSwitchedOff, transfer: .none, ruling: nil))
        }
        let sight = MoveSight(
            attempt: move.record.attempt, isAlive: isAlive || move.waiting != nil, isSwitchedOff: isSwitchedOff, transfer: move.transfer,
            ruling: move.record.ruling)
        let isDone = move.transfer == .completed
        return MoveStatus(
            sight: sight, port: move.record.port,
            progress: LiveMove.Progress(doneMiB: isDone ? 1 : 0, leftMiB: isDone ? 0 : 1, downtimeMilliseconds: isDone ? 1 : nil),
            failure: move.failure)
    }

    // MARK: The target

    public func beginReceiving(_ machine: MachineSpec, _ reception: MoveReception) async throws(Refusal) {
        try machine.validate()
        let instance = machine.instance
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("beginReceiving")
            if host.move(of: instance)?.record.attempt == reception.attempt { return }
            guard host.machine(instance).processID == nil else {
                throw Self.moveConflict(instance, "runs here and cannot be received")
            }
            host.wire.leave(host, instance)
            guard let port = host.wire.listen(host, instance, reception.address, reception.ports) else {
                throw Refusal("compute.move", .capacity, "no port of \(reception.ports) is free")
            }
            let record = MoveRecord(attempt: reception.attempt, part: .target, port: port)
            host.set(.init(record: record, transfer: .waiting, waiting: machine), of: instance)
        }
    }

    @discardableResult public func take(_ instance: InstanceID, attempt: Int64) async throws(Refusal) -> MachineObservation {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("take")
            guard let move = host.move(of: instance), move.record.attempt == attempt, move.record.ruling != .void else {
                throw Self.moveConflict(instance, "was not received in attempt \(attempt)")
            }
            if move.record.ruling == .taken { return host.machine(instance) }
            guard move.transfer == .completed, let machine = move.waiting else {
                throw Self.moveConflict(instance, "has not arrived whole")
            }
            host.wire.leave(host, instance)
            host.edit(instance) { ($0.record.ruling, $0.waiting) = (.taken, nil) }
            return host.start(machine, boots: false)
        }
    }

    public func layDownVoid(_ instance: InstanceID, attempt: Int64) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("layDownVoid")
            let known = host.move(of: instance)
            guard known?.record.attempt != attempt || known?.record.ruling != .taken else { throw Self.moveConflict(instance, "was taken") }
            guard host.machine(instance).processID == nil else { throw Self.moveConflict(instance, "runs here and was not received") }
            host.wire.leave(host, instance)
            host.set(.init(record: MoveRecord(attempt: attempt, part: .target, ruling: .void)), of: instance)
        }
    }

    // MARK: The source

    public func beginSending(_ instance: InstanceID, _ sending: MoveSending) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("beginSending")
            if host.move(of: instance)?.record.attempt == sending.attempt { return }
            guard host.machine(instance).state == .running else { throw Self.moveConflict(instance, "does not run") }
            let record = MoveRecord(attempt: sending.attempt, part: .source)
            host.set(.init(record: record, transfer: .active, endpoint: sending.endpoint), of: instance)
        }
    }

    public func cancelSending(_ instance: InstanceID) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("cancelSending")
            guard let move = host.move(of: instance), move.record.part == .source, move.transfer == .active else { return }
            host.edit(instance) { $0.transfer = .failed }
        }
    }

    public func layDownStaying(_ instance: InstanceID, attempt: Int64) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("layDownStaying")
            if let move = host.move(of: instance), move.record.part == .source {
                if move.record.attempt == attempt, move.record.ruling == .stayed { return }
                guard move.transfer != .active, !host.isSent(instance) else { throw Self.moveConflict(instance, "is being sent") }
            }
            host.set(.init(record: MoveRecord(attempt: attempt, part: .source, ruling: .stayed)), of: instance)
        }
    }

    public func resume(_ instance: InstanceID, attempt: Int64) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await faults.strike("resume")
            guard let move = host.move(of: instance), move.record.attempt == attempt, move.record.part == .source else {
                throw Self.moveConflict(instance, "was not sent in attempt \(attempt)")
            }
            host.resume(instance)
            host.edit(instance) { ($0.record.ruling, $0.transfer) = (.stayed, .none) }
        }
    }
}
