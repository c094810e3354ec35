public import Primitives

/// Runs machines on one host. Real: `QEMUDriver`. Simulated: `SimulatedCompute`.
///
/// Every call is idempotent, has a deadline of its own, and refuses with rule, numbers and what would help. A machine outlives
/// the program that started it; a driver made anew over the same host finds it again with `adopt`.
public protocol ComputeDriver: MachineMover {
    /// What the driver is, for people, e.g. `QEMU 7.2.22 (TCG)`.
    var description: String { get async }

    /// Work in the background (acceleration probe, log rotation, machines paused for lack of space). Returns when cancelled.
    func run() async

    /// Finds what runs from before. Call once, first.
    func adopt() async throws(Refusal) -> [MachineObservation]

    /// A machine that runs already stays as it is, even when its specification differs: differences take hold at the next start.
    @discardableResult func ensureRunning(_ machine: MachineSpec) async throws(Refusal) -> MachineObservation

    /// Presses the power button and gives the guest `grace` to shut down, then switches off. Zero switches off at once.
    /// Cancelling the task stops the waiting, not the guest's shutdown.
    @discardableResult func ensureStopped(_ instance: InstanceID, grace: Span) async throws(Refusal) -> MachineObservation

    /// Stops at once what runs and removes everything the driver keeps of the machine, its console included. Not its disk.
    func ensureAbsent(_ instance: InstanceID) async throws(Refusal)

    /// Restarts the guest in the same process: asks it to shut down within `grace`, then resets it.
    func reset(_ instance: InstanceID, grace: Span) async throws(Refusal)

    /// Gives a machine that runs a volume, whose guest sees a new disk; one it has already gets its size and its limit. A machine that is
    /// off is left alone: it gets what its specification says when it starts.
    func ensureAttached(_ disk: VolumeDisk, to instance: InstanceID) async throws(Refusal)

    /// Asks the guest to let go of a volume and returns when it has, or when the machine is off. Refuses with `volume.busy` when the guest
    /// does not answer in time; asking again goes on where it was.
    func ensureDetached(_ volume: VolumeID, from instance: InstanceID) async throws(Refusal)

    /// The volumes that a machine has while it runs.
    func volumes(of instance: InstanceID) async throws(Refusal) -> [VolumeID]

    func pressPowerButton(_ instance: InstanceID) async throws(Refusal)

    /// All machines the driver keeps anything of.
    func observe() async -> [MachineObservation]
    func observe(_ instance: InstanceID) async -> MachineObservation

    /// What each machine that runs has used up so far.
    func usage() async -> [MachineUsage]

    /// The last `bytes` of the serial console; empty when there is none.
    func console(_ instance: InstanceID, last bytes: Int) async throws(Refusal) -> [UInt8]

    /// Names a machine each time something happened to it that `observe` shows. One consumer.
    var changes: AsyncStream<InstanceID> { get }
}

public struct MachineSpec: Codable, Sendable, Hashable {
    /// Kernel and initrd handed to the machine directly, which boots faster than through firmware and boot loader.
    public struct DirectKernel: Codable, Sendable, Hashable {
        public var kernel: String
        public var initrd: String?
        public var commandLine: String
        public init(kernel: String, initrd: String?, commandLine: String) {
            self.kernel = kernel
            self.initrd = initrd
            self.commandLine = commandLine
        }
    }

    /// A NUMA cell of the host.
    public struct MemoryCell: Codable, Sendable, Hashable {
        public var number: Int64
        /// Its processors, as the kernel lists them: `0-15,32-47`.
        public var processors: String
        public init(number: Int64, processors: String) {
            self.number = number
            self.processors = processors
        }
    }

    public var instance: InstanceID
    public var virtualCPUs: Int64
    public var memoryMiB: Int64
    /// Path of the root disk, qcow2.
    public var disk: String
    /// Nil boots from the disk.
    public var kernel: DirectKernel?
    /// Host network device; nil is a machine without a network.
    public var networkDevice: String?
    public var macAddress: String
    /// Beside the root disk.
    public var volumes: [VolumeDisk]
    /// Where processors and memory are from; nil: from anywhere on the host.
    public var cell: MemoryCell?
    /// PCI addresses of the host's devices that it has to itself, e.g. `0000:17:00.0`.
    public var devices: [String] = []

    public init(
        instance: InstanceID, virtualCPUs: Int64, memoryMiB: Int64, disk: String, kernel: DirectKernel?, networkDevice: String?,
        macAddress: String, volumes: [VolumeDisk] = [], cell: MemoryCell? = nil
    ) {
        self.instance = instance
        self.virtualCPUs = virtualCPUs
        self.memoryMiB = memoryMiB
        self.disk = disk
        self.kernel = kernel
        self.networkDevice = networkDevice
        self.macAddress = macAddress
        self.volumes = volumes
        self.cell = cell
    }

    /// Specifications that were written down before there were volumes have none.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        instance = try values.decode(InstanceID.self, forKey: .instance)
        virtualCPUs = try values.decode(Int64.self, forKey: .virtualCPUs)
        memoryMiB = try values.decode(Int64.self, forKey: .memoryMiB)
        disk = try values.decode(String.self, forKey: .disk)
        kernel = try values.decodeIfPresent(DirectKernel.self, forKey: .kernel)
        networkDevice = try values.decodeIfPresent(String.self, forKey: .networkDevice)
        macAddress = try values.decode(String.self, forKey: .macAddress)
        volumes = try values.decodeIfPresent([VolumeDisk].self, forKey: .volumes) ?? []
        cell = try values.decodeIfPresent(MemoryCell.self, forKey: .cell)
        devices = try values.decodeIfPresent([String].self, forKey: .devices) ?? []
    }

    /// Nonsense is refused before anything is touched.
    func validate() throws(Refusal) {
        guard (1...255).contains(virtualCPUs) else {
            throw Refusal(
                "compute.cpus", .invalid, "\(virtualCPUs) virtual CPUs are asked for, 1 to 255 are possible",
                facts: ["virtualCPUs": .number(virtualCPUs)], nearest: "1 to 255 virtual CPUs")
        }
        guard (16...4_194_304).contains(memoryMiB) else {
            throw Refusal(
                "compute.memory", .invalid, "\(memoryMiB) MiB of memory are asked for, 16 MiB to 4 TiB are possible",
                facts: ["memoryMiB": .number(memoryMiB)], nearest: "at least 16 MiB")
        }
    }
}

public struct MachineUsage: Sendable, Hashable {
    public var instance: InstanceID
    /// Tells one run from another: what is used up begins anew with each.
    public var executed: Instant
    /// Processor time of the whole hypervisor process since the run began; only ever more.
    public var processorTime: Span

    public init(instance: InstanceID, executed: Instant, processorTime: Span) {
        self.instance = instance
        self.executed = executed
        self.processorTime = processorTime
    }
}

public enum MachineState: String, Codable, Sendable, Hashable {
    /// The driver keeps nothing of it.
    case absent
    case stopped
    case running
    /// The hypervisor holds the guest, e.g. because the disk is full.
    case paused
}

/// Why a machine does not run any more.
public enum StopCause: String, Codable, Sendable, Hashable {
    /// The guest switched itself off, for reasons of its own.
    case guest
    /// The guest shut down because `ensureStopped` asked it to.
    case asked
    /// Switched off by this driver.
    case forced
    /// The hypervisor process ended without being asked.
    case crashed
    /// The host was started anew.
    case hostRestarted
    /// It runs on another host now.
    case moved
}

public struct MachineObservation: Sendable, Hashable {
    public var instance: InstanceID
    public var state: MachineState
    /// When the hypervisor process of the latest run was started. Tells one run from another.
    public var executed: Instant?
    /// When the latest run ended. Where nobody was watching: the last moment there is a sign of life of.
    public var ended: Instant?
    public var cause: StopCause?
    /// What is wrong, for people.
    public var trouble: String?
    public var processID: Int32?
    /// `kvm` or `tcg`.
    public var accelerator: String?

    public init(
        instance: InstanceID, state: MachineState, executed: Instant? = nil, ended: Instant? = nil, cause: StopCause? = nil,
        trouble: String? = nil, processID: Int32? = nil, accelerator: String? = nil
    ) {
        self.instance = instance
        self.state = state
        self.executed = executed
        self.ended = ended
        self.cause = cause
        self.trouble = trouble
        self.processID = processID
        self.accelerator = accelerator
    }
}
