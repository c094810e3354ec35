/// What a pod prefers among hosts that keep all hard rules. Dispatch is static: each case is a branch in `PlacementEngine.cost`.
public enum PlacementPolicy: String, Hashable, Sendable, CaseIterable {
    /// The fullest host that fits; what is left over stays usable for the standard shapes; empty hosts and racks stay empty.
    case packing
    /// The emptiest host.
    case spreading
    /// The first host that fits, in the order in which hosts joined.
    case firstFit
    /// For hosts with GPUs: the host, of those looked at first, on which the usual GPU instances lose the least room.
    case gpuFragmentation
    /// The host on which the instance is least likely to outlive everything else, so that hosts become empty again.
    case lifetimeAligned

    /// The order in which hosts are looked at.
    enum Walk { case fullestFirst, emptiestFirst, joined, mixed }

    var walk: Walk {
        switch self {
        case .packing, .lifetimeAligned: .fullestFirst
        case .spreading: .emptiestFirst
        case .firstFit: .joined
        case .gpuFragmentation: .mixed
        }
    }

    /// How many hosts that fit are compared: the first ones of the walk.
    var breadth: Int {
        switch self {
        case .packing, .spreading: 8
        case .firstFit: 1
        case .gpuFragmentation: GPUWorkload.breadth
        case .lifetimeAligned: 1_024
        }
    }
}
