/// What a node found in its host: processors and memory by NUMA cell, devices, and the firmware they run.
public struct HostInventory: Hashable, Sendable {
    public struct Cell: Hashable, Sendable {
        public var cell: Int64
        /// Hardware threads.
        public var cpus: Int64
        public var memoryMiB: Int64
        public init(cell: Int64, cpus: Int64, memoryMiB: Int64) {
            self.cell = cell
            self.cpus = cpus
            self.memoryMiB = memoryMiB
        }
    }

    /// A GPU, disk, controller or network interface.
    public struct Device: Hashable, Sendable {
        public enum Kind: String, Hashable, Sendable, CaseIterable { case gpu, disk, controller, nic }
        public var kind: Kind
        /// As the kernel calls it, e.g. `nvme0n1`.
        public var name: String
        public var model: String
        public var firmware: String?
        /// NUMA cell it is attached to, when known.
        public var cell: Int64?
        /// MiB of a disk or of a GPU's memory, Mbit/s of a network interface.
        public var size: Int64?
        public init(kind: Kind, name: String, model: String, firmware: String? = nil, cell: Int64? = nil, size: Int64? = nil) {
            self.kind = kind
            self.name = name
            self.model = model
            self.firmware = firmware
            self.cell = cell
            self.size = size
        }
    }

    /// Model of the machine.
    public var product: String
    public var serial: String?
    public var bios: String?
    public var cells: [Cell]
    public var devices: [Device]

    public init(product: String, serial: String? = nil, bios: String? = nil, cells: [Cell], devices: [Device]) {
        self.product = product
        self.serial = serial
        self.bios = bios
        self.cells = cells
        self.devices = devices
    }

    public func count(of kind: Device.Kind) -> Int64 { Int64(devices.count { $0.kind == kind }) }
}
