/// The hard rules, in the order in which a host that keeps several of them away is counted: the first one takes it.
public enum PlacementRule: String, Sendable, Codable, CaseIterable {
    case state
    case zone
    case pod
    case host
    case avoided
    /// The volume's pod.
    case volume
    case kind
    case profile
    case storage
    case jurisdiction
    case oversubscription
    /// The host is dedicated to somebody else.
    case dedicated
    /// The instance is on a tenant's network, which the host has no tunnel for.
    case tunnel
    case tenancyConnect = "tenancy.connect"
    case tenancyPod = "tenancy.pod"
    case tenancyPool = "tenancy.pool"
    case tenancyHost = "tenancy.host"
    /// A machine has the host to itself: it is bare metal.
    case occupied
    case together
    case apart
    case spread
    case gpuModel
    case milliCPU
    case memoryMiB
    case diskMiB
    case iops
    case networkMbps
    case milliGPU
    /// GPUs are left, but not enough whole ones, or no one with enough of it free.
    case gpuFit = "gpu"
    /// Processor and memory are left, but not in one NUMA cell.
    case numaFit = "numa"

    /// Rules about the host as such: what is running plays no part in them.
    static let terms: ClosedRange<Int> = 0...12
}

extension PlacementRule {
    /// Why one host does not take an instance, for people.
    public var why: String {
        switch self {
        case .state: "it takes nothing new"
        case .zone, .pod, .host, .volume: "the instance is to be elsewhere"
        case .avoided: "the instance is not to be there"
        case .kind, .profile, .storage, .jurisdiction, .oversubscription: "its \(rawValue) is not what the instance was promised"
        case .dedicated: "it is somebody else's"
        case .tunnel: "it has no tunnel for the instance's network"
        case .tenancyConnect, .tenancyPod, .tenancyPool, .tenancyHost: "those who are there and the instance may not share it"
        case .occupied: "it is bare metal, and a machine has it already"
        case .together: "the others of the instance's group are elsewhere"
        case .apart: "another of the instance's group is there"
        case .spread: "too many of the instance's group are there"
        case .gpuModel, .gpuFit: "it has no such GPU free"
        case .milliCPU, .memoryMiB, .diskMiB, .iops, .networkMbps, .milliGPU: "it has too little \(rawValue) left"
        case .numaFit: "no NUMA cell of it has room for all of the instance"
        }
    }
}
