public import Primitives

/// What the machines of a host, and all of the host, used on average since its node told the last time.
public struct HostLoadReport: Codable, Sendable, Hashable {
    /// How long was measured.
    public var milliseconds: Int64
    /// Of the host's hardware threads, in thousandths of one.
    public var milliCPU: Int64
    /// Memory that is neither free nor could be freed at once.
    public var memoryMiB: Int64
    /// Machines that ran all that time, the hypervisor's own work included.
    public var instances: [InstanceLoad]
    public init(milliseconds: Int64, milliCPU: Int64, memoryMiB: Int64, instances: [InstanceLoad]) {
        self.milliseconds = milliseconds
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
        self.instances = instances
    }
}

public struct InstanceLoad: Codable, Sendable, Hashable {
    public var instance: InstanceID
    /// Hardware threads, in thousandths of one.
    public var milliCPU: Int64
    public init(instance: InstanceID, milliCPU: Int64) {
        self.instance = instance
        self.milliCPU = milliCPU
    }
}

/// How busy a host is: an average that follows the last ten minutes.
public struct HostLoadView: Codable, Sendable, Hashable {
    /// Of the host's hardware threads, in thousandths of one: what its machines use and what it uses itself, each an average.
    public var milliCPU: Int64
    /// Hardware threads of the host, in thousandths of one.
    public var hardwareMilliCPU: Int64
    /// Memory in use, as it was last told.
    public var memoryMiB: Int64
    /// When it was last told.
    public var at: Instant
    public init(milliCPU: Int64, hardwareMilliCPU: Int64, memoryMiB: Int64, at: Instant) {
        self.milliCPU = milliCPU
        self.hardwareMilliCPU = hardwareMilliCPU
        self.memoryMiB = memoryMiB
        self.at = at
    }
}
