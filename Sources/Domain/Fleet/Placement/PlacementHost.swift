public import Primitives

/// A host as the placement engine is told of it: where it stands, what it has and what it may be used for.
///
/// Names of zones, racks and domains are unique in the datacenter. A host that is in no power, network or facility domain of its own
/// has an empty name there and shares that domain with all others without a name.
public struct PlacementHost: Hashable, Sendable {
    /// What runs on it: virtual machines of many, or one machine of one customer.
    public enum Kind: String, Sendable, Codable, CaseIterable { case virtual, metal }
    /// Direct attached, network attached, or storage area network.
    public enum Storage: String, Sendable, Codable, CaseIterable { case das, nas, san }

    /// One NUMA cell, after oversubscription.
    public struct Cell: Hashable, Sendable, Codable {
        public var milliCPU: Int64
        public var memoryMiB: Int64

        public init(milliCPU: Int64, memoryMiB: Int64) {
            self.milliCPU = milliCPU
            self.memoryMiB = memoryMiB
        }
    }

    public var id: HostID
    public var zone: String
    public var pod: PodID
    public var rack: String
    public var power = ""
    public var network = ""
    public var facility = ""
    /// A named set of hosts that tenancy terms may speak of; nil: in none.
    public var pool: String?
    /// Only this participant's instances run here.
    public var dedicatedTo: ParticipantID?
    public var state = Host.State.up
    /// What may be promised: hardware after oversubscription. Its `milliGPU` is that of `gpuCount` whole GPUs.
    public var capacity: Resources
    public var ratios = Oversubscription(cpu: 1_000, memory: 1_000, disk: 1_000)
    public var kind = Kind.virtual
    /// Name of what its hardware is, as its pod states it; empty: none is stated.
    public var profile = ""
    public var storage = Storage.das
    /// Other hosts reach it through a tunnel, so that tenants' networks can be there.
    public var hasTunnel = true
    /// ISO 3166-1 alpha-2 code of the law that applies.
    public var jurisdiction = ""
    /// At most 8. Empty: one cell that holds everything.
    public var cells: [Cell] = []
    /// All GPUs of a host are of one model.
    public var gpuModel: String?
    /// At most 16.
    public var gpuCount = 0
    /// Images at hand: an instance made from one starts sooner.
    public var images: Set<ImageID> = []

    public init(id: HostID, zone: String, pod: PodID, rack: String, capacity: Resources) {
        self.id = id
        self.zone = zone
        self.pod = pod
        self.rack = rack
        self.capacity = capacity
    }

    /// The most cells and GPUs a host may have.
    public static let mostCells = 8
    public static let mostGPUs = 16

    /// The name of the host's domain at a level: for a host and a pod its identifier.
    public func domain(_ level: PlacementLevel) -> String {
        switch level {
        case .host: id.description
        case .rack: rack
        case .pod: pod.description
        case .zone: zone
        case .power: power
        case .network: network
        case .facility: facility
        }
    }
}

/// What fails, or is near, together.
public enum PlacementLevel: String, Sendable, Codable, CaseIterable {
    case host, rack, pod, zone, power, network, facility

    var index: Int {
        switch self {
        case .host: 0
        case .rack: 1
        case .pod: 2
        case .zone: 3
        case .power: 4
        case .network: 5
        case .facility: 6
        }
    }
}
