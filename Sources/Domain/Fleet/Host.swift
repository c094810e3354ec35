public import Primitives

/// How many times over each component of a host's hardware is promised, in thousandths (4000 is 4:1). Disclosed to products.
public struct Oversubscription: Hashable, Sendable, Codable {
    public var cpu: Int64
    public var memory: Int64
    public var disk: Int64

    public init(cpu: Int64, memory: Int64, disk: Int64) {
        self.cpu = cpu
        self.memory = memory
        self.disk = disk
    }

    /// What may be promised on this hardware.
    public func promised(of hardware: Resources) -> Resources {
        var promised = hardware
        promised.milliCPU = Self.part(hardware.milliCPU, cpu)
        promised.memoryMiB = Self.part(hardware.memoryMiB, memory)
        promised.diskMiB = Self.part(hardware.diskMiB, disk)
        return promised
    }

    /// Beyond what 64 bits hold, the most they hold.
    private static func part(_ amount: Int64, _ ratio: Int64) -> Int64 {
        let (product, isTooLarge) = amount.multipliedReportingOverflow(by: ratio)
        return isTooLarge ? .max / 1_000 : product / 1_000
    }
}

/// A host as placement sees it.
public struct Host: Hashable, Sendable {
    public enum State: String, Sendable, Codable, CaseIterable {
        /// Known, not heard of yet.
        case enrolled
        case up
        /// No heartbeat for a while; what runs there is left alone, nothing new goes there.
        case suspect
        /// Being switched off, so that what ran there may run elsewhere.
        case fencing
        /// Proven to run nothing; what ran there is on its way elsewhere.
        case fenced
        /// Fenced, and nothing is left there.
        case evacuated
        /// Silent for long; what ran there can run nowhere else and waits for it.
        case waiting
        /// Back after having been fenced; it drops what was moved away before anything else.
        case returning
        /// Comes and goes; takes nothing new until it has been calm.
        case quarantined
        /// Takes nothing new; what runs there stays.
        case cordoned
        /// Takes nothing new; what runs there is moved away.
        case draining
        /// In the hands of people; its silence means nothing.
        case maintenance
        /// Out of service for good.
        case retired

        /// It answers, and is believed; whether anything new may go there is another question.
        public var isInService: Bool {
            switch self {
            case .up, .quarantined, .cordoned, .draining, .maintenance: true
            case .enrolled, .suspect, .fencing, .fenced, .evacuated, .waiting, .returning, .retired: false
            }
        }
    }

    public var id: HostID
    public var zone: String
    public var state: State
    /// After oversubscription.
    public var promised: Resources
    public var allocated: Resources

    public init(id: HostID, zone: String, state: State, promised: Resources, allocated: Resources) {
        self.id = id
        self.zone = zone
        self.state = state
        self.promised = promised
        self.allocated = allocated
    }

    public var free: Resources { promised - allocated }
}
