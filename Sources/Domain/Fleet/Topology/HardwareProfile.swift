public import Primitives

/// What each host of a pod is and what it takes of the things the pod shares. Zero where nothing is stated.
public struct HardwareProfile: Hashable, Sendable {
    public var name: String
    /// Of the hardware, before oversubscription.
    public var milliCPU: Int64
    public var memoryMiB: Int64
    public var diskMiB: Int64
    public var gpus: Int64
    /// NUMA cells.
    public var cells: Int64
    public var disks: Int64
    public var nics: Int64
    /// At full load.
    public var watts: Int64
    public var rackUnits: Int64
    /// Switch ports it is plugged into.
    public var networkPorts: Int64
    /// What it draws from shared storage when it is busiest.
    public var storageIOPS: Int64
    public var storageMBps: Int64
    /// Guests on it when it is full, each with an address in the pod's broadcast domain.
    public var guests: Int64

    public init(
        name: String, milliCPU: Int64 = 0, memoryMiB: Int64 = 0, diskMiB: Int64 = 0, gpus: Int64 = 0, cells: Int64 = 0, disks: Int64 = 0,
        nics: Int64 = 0, watts: Int64 = 0, rackUnits: Int64 = 0, networkPorts: Int64 = 0, storageIOPS: Int64 = 0, storageMBps: Int64 = 0,
        guests: Int64 = 0
    ) {
        self.name = name
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
        self.diskMiB = diskMiB
        self.gpus = gpus
        self.cells = cells
        self.disks = disks
        self.nics = nics
        self.watts = watts
        self.rackUnits = rackUnits
        self.networkPorts = networkPorts
        self.storageIOPS = storageIOPS
        self.storageMBps = storageMBps
        self.guests = guests
    }

    /// Every number with its name, in a fixed order.
    public var numbers: [(name: String, amount: Int64)] {
        [
            ("milliCPU", milliCPU), ("memoryMiB", memoryMiB), ("diskMiB", diskMiB), ("gpus", gpus), ("cells", cells), ("disks", disks),
            ("nics", nics), ("watts", watts), ("rackUnits", rackUnits), ("networkPorts", networkPorts), ("storageIOPS", storageIOPS),
            ("storageMBps", storageMBps), ("guests", guests),
        ]
    }

    public var hardware: Resources {
        Resources(milliCPU: milliCPU, memoryMiB: memoryMiB, diskMiB: diskMiB, milliGPU: gpus * 1_000)
    }
}
