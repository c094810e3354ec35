import Glibc
public import Primitives
import Subprocess
import Synchronization
import SystemPackage

public struct QEMUConfiguration: Sendable {
    /// Machines are kept below this directory, one driver at a time.
    public var directory: String
    public var program: String
    /// Network namespace machines run in (name below /run/netns); nil is this process's.
    public var namespace: String?

    public init(directory: String, program: String = "qemu-system-x86_64", namespace: String? = nil) {
        self.directory = directory
        self.program = program
        self.namespace = namespace
    }
}

/// Machines as QEMU processes of this host, spoken to over QMP.
///
/// QEMU daemonizes itself: a guest is nobody's child and lives on when this process dies. What is known of a machine is in its
/// directory, so a new driver finds it again. A process is taken for ours only when pid file, start time, command line, the socket's
/// owner and the UUID QEMU tells all agree.
public final class QEMUDriver: ComputeDriver {
    let configuration: QEMUConfiguration
    let runner: CommandRunner
    let state = Mutex(State())
    let locks = KeyedLock<InstanceID>()
    let volumeLocks = KeyedLock<VolumeID>()
    private let claim: DirectoryClaim
    public let changes: AsyncStream<InstanceID>
    let changed: AsyncStream<InstanceID>.Continuation

    struct State {
        var machines: [InstanceID: Machine] = [:]
        var accelerator = QEMUArguments.Accelerator.tcg
        var qemuVersion = "QEMU"
        /// Version and accelerator are what they will be.
        var isSettled = false
    }

    /// What the driver knows of one machine.
    struct Machine {
        var run: RunRecord?
        var monitor: QMPClient?
        /// Set while the process lives.
        var process: ProcessIdentity?
        var pausedBecause: String?
        /// Why QEMU says that it ends, kept until it has.
        var shutdownReason: String?
        /// `ensureStopped` pressed the button.
        var askedToStop = false
        /// A reset asked the guest to shut down: it will be started again in the same process.
        var restarting = false
        var trouble: String?
        /// It waits for a machine that runs elsewhere, or has one that was not taken.
        var isReceiving = false
        /// Since when it runs elsewhere: everything was sent.
        var sentAt: Instant?

        /// What stays on record of the run when its process has gone; nil when it never ran here.
        func closedRun(at moment: Instant) -> RunRecord? {
            guard !isReceiving, var run else { return nil }
            run.ended = sentAt ?? moment
            run.cause = sentAt == nil ? cause : .moved
            return run
        }

        private var cause: StopCause {
            switch shutdownReason {
            case nil: .crashed
            case "guest-shutdown", "guest-reset", "guest-panic": askedToStop ? .asked : .guest
            default: .forced
            }
        }
    }

    /// Claims the directory; refuses when another process has it.
    public init(_ configuration: QEMUConfiguration) throws(Refusal) {
        self.configuration = configuration
        runner = CommandRunner(namespace: configuration.namespace)
        try Files.makeDirectory(configuration.directory)
        claim = try DirectoryClaim(configuration.directory)
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(4_096))
    }

    deinit { changed.finish() }

    public var description: String {
        get async { state.withLock { "\($0.qemuVersion) (\($0.accelerator.rawValue.uppercased()))" } }
    }

    func directory(_ instance: InstanceID) -> MachineDirectory { MachineDirectory(root: configuration.directory, instance) }

    // MARK: - Looking

    public func observe() async -> [MachineObservation] {
        state.withLock { state in
            state.machines.map { Self.observation($0.key, $0.value) }.sorted { $0.instance < $1.instance }
        }
    }

    public func observe(_ instance: InstanceID) async -> MachineObservation { look(instance) }

    public func usage() async -> [MachineUsage] {
        let running = state.withLock { state in
            // What stands still on its way from one host to another uses nothing up.
            state.machines.filter { !$0.value.isReceiving && $0.value.sentAt == nil }.compactMap { instance, machine in
                machine.process.flatMap { process in machine.run.map { (instance, process, $0.executed) } }
            }
        }
        return running.compactMap { instance, process, executed in
            HostProcess.processorTime(of: process).map { MachineUsage(instance: instance, executed: executed, processorTime: $0) }
        }.sorted { $0.instance < $1.instance }
    }

    func look(_ instance: InstanceID) -> MachineObservation {
        state.withLock { state in
            state.machines[instance].map { Self.observation(instance, $0) } ?? MachineObservation(instance: instance, state: .absent)
        }
    }

    private static func observation(_ instance: InstanceID, _ machine: Machine) -> MachineObservation {
        let alive = machine.process != nil && !machine.isReceiving && machine.sentAt == nil
        let run = machine.isReceiving ? nil : machine.run
        let isSent = machine.sentAt != nil
        return MachineObservation(
            instance: instance, state: !alive ? .stopped : machine.pausedBecause == nil ? .running : .paused,
            executed: run?.executed, ended: alive ? nil : machine.sentAt ?? run?.ended, cause: alive ? nil : isSent ? .moved : run?.cause,
            trouble: machine.pausedBecause ?? machine.trouble, processID: machine.process?.pid,
            accelerator: run?.accelerator.rawValue)
    }

    public func console(_ instance: InstanceID, last bytes: Int) async throws(Refusal) -> [UInt8] {
        let directory = directory(instance)
        let log = ConsoleLog(current: directory.console, older: directory.olderConsole)
        return try await Blocking.run { () throws(Refusal) in log.tail(bytes) }
    }

    // MARK: - Starting

    @discardableResult public func ensureRunning(_ machine: MachineSpec) async throws(Refusal) -> MachineObservation {
        try machine.validate()
        return try await locks.withLock(machine.instance) { () async throws(Refusal) in
            let seen = look(machine.instance)
            if seen.state == .running || seen.state == .paused { return seen }
            guard seen.processID == nil else { throw Self.moveConflict(machine.instance, "is on its way from one host to another") }
            return try await launch(machine)
        }
    }

    /// - Parameter receiving: it waits for another's memory instead of booting.
    @discardableResult func launch(_ machine: MachineSpec, receiving: Bool = false) async throws(Refusal) -> MachineObservation {
        let directory = directory(machine.instance)
        let accelerator = state.withLock { $0.accelerator }
        let command = try QEMUArguments(machine: machine, directory: directory, accelerator: accelerator, isReceiving: receiving)
            .command(configuration.program)
        let (program, all) = try runner.invocation(command.program, command.arguments)
        try await Blocking.run { () throws(Refusal) in
            try directory.write(machine)
            for left in [directory.socket, directory.complaints] { try Files.remove(left) }
            // Of a run that came or went without a break; this one begins here. Of a receiver there is no run before it takes over.
            try receiving ? directory.removeRun() : directory.removeMove()
        }
        let executed = try await execute(program, all, directory, machine.instance)
        let run = RunRecord(executed: executed, accelerator: accelerator)
        // Nothing is said of the run before its process is known: it would look like one that has ended.
        state.withLock { $0.machines[machine.instance] = Machine(isReceiving: receiving) }
        return try await attachNewborn(machine.instance, run, isReceiving: receiving)
    }

    /// Starts QEMU and waits until it has daemonized. Returns the moment of exec.
    private func execute(_ program: String, _ arguments: [String], _ directory: MachineDirectory, _ instance: InstanceID)
        async throws(Refusal) -> Instant
    {
        let result: (Instant, Bool)
        do {
            result = try await withDeadline(.seconds(30)) {
                let log = try FileDescriptor.open(
                    FilePath(directory.complaints), .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: [.ownerReadWrite])
                let ended = try await Subprocess.run(
                    .path(FilePath(program)), arguments: Arguments(arguments), environment: .custom(["PATH": CommandRunner.searchPath]),
                    workingDirectory: FilePath(directory.path), input: .none, output: .discarded,
                    error: .fileDescriptor(log, closeAfterSpawningProcess: true)
                ) { _ in HostClock.now() }
                return (ended.closureResult, ended.terminationStatus.isSuccess)
            }
        } catch {
            throw Refusal("compute.launch", .unavailable, "QEMU could not be started for \(instance): \(error)")
        }
        if !result.1 { try await explainFailedStart(directory, instance) }
        return result.0
    }

    /// QEMU said no. When it did because this machine's QEMU runs already, that one is attached to instead.
    private func explainFailedStart(_ directory: MachineDirectory, _ instance: InstanceID) async throws(Refusal) {
        let said = try await Blocking.run { () throws(Refusal) in Files.readText(directory.complaints) ?? "" }
        let line = said.split(separator: "\n").last(where: { !$0.contains("warning:") }).map(String.init) ?? "no reason given"
        if line.contains("lock pid file") || line.contains("locked") { return }
        throw Refusal(
            line.contains("No space left") ? "storage.full" : "compute.launch",
            line.contains("No space left") || line.contains("allocate memory") ? .capacity : .unavailable,
            "QEMU did not start \(instance): \(line)", facts: ["instance": .text("\(instance)"), "said": .text(line)])
    }

    private func attachNewborn(
        _ instance: InstanceID, _ run: RunRecord, isReceiving: Bool
    ) async throws(Refusal) -> MachineObservation {
        let directory = directory(instance)
        var run = run
        guard let process = try await findProcess(instance) else {
            (run.ended, run.cause) = (HostClock.now(), .crashed)
            let record = run
            try? await Blocking.run { () throws(Refusal) in try directory.write(record) }
            state.withLock { $0.machines[instance]?.run = record }
            throw Refusal("compute.launch", .unavailable, "QEMU for \(instance) ended right after its start")
        }
        run.process = process
        let record = run
        // The guest runs: a full disk must not make its launch a failure. Without the record a new driver goes by the pid file.
        if !isReceiving { try? await Blocking.run { () throws(Refusal) in try directory.write(record) } }
        try await attach(instance, run, process)
        try await limitVolumes(of: instance)
        return look(instance)
    }

    // MARK: - Small controls

    public func pressPowerButton(_ instance: InstanceID) async throws(Refusal) {
        try await monitor(instance).execute("system_powerdown")
    }

    func monitor(_ instance: InstanceID) throws(Refusal) -> QMPClient {
        guard let machine = state.withLock({ $0.machines[instance] }) else {
            throw Refusal("compute.unknown", .notFound, "there is no machine \(instance) on this host")
        }
        guard machine.process != nil else { throw Refusal("compute.stopped", .conflict, "machine \(instance) does not run") }
        guard let monitor = machine.monitor else {
            throw Refusal("compute.monitor", .unavailable, "machine \(instance) runs, but QEMU's monitor does not answer")
        }
        return monitor
    }
}
