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
    static let terms: ClosedRange<Int> = 0...11
}
