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
        promised.milliCPU = hardware.milliCPU * cpu / 1_000
        promised.memoryMiB = hardware.memoryMiB * memory / 1_000
        promised.diskMiB = hardware.diskMiB * disk / 1_000
        return promised
    }
}

/// A host as placement sees it.
public struct Host: Hashable, Sendable {
    public enum State: String, Sendable, Codable, CaseIterable {
        case up
        /// No heartbeat for a while; what runs there is left alone, nothing new goes there.
        case suspect
        case cordoned
        /// Taken out of the topology for good.
        case retired
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
