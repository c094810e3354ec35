public import Primitives

/// What an instance is owed beside its resources for as long as it is there: where it may be, with whom it shares what it runs on, and
/// who goes first when room is short. Placing it, moving it and whoever comes after it keep to these.
public struct InstanceTerms: Hashable, Sendable {
    public var zone: String?
    public var pod: PodID?
    public var host: HostID?
    public var avoiding: [HostID] = []
    public var volumePod: PodID?
    public var kind: PlacementHost.Kind?
    public var profile: String?
    public var storage: PlacementHost.Storage?
    public var jurisdiction: String?
    public var largestOversubscription: Oversubscription?
    public var tenancy = PlacementTenancy.shared
    /// Those at the host were asked for as those of its pool.
    public var poolIsHost = false
    public var groups: [PlacementGroup] = []
    public var numa = false
    public var gpu: PlacementRequest.GPUDemand?
    public var interruptible = false
    public var priority: Int16 = 0

    public init() {}
}

extension PlacementRequest {
    /// A request under terms.
    public init(instance: InstanceID, party: ParticipantID, resources: Resources, terms: InstanceTerms) {
        self.init(instance: instance, party: party, resources: resources)
        zone = terms.zone
        pod = terms.pod
        host = terms.host
        avoiding = terms.avoiding
        volumePod = terms.volumePod
        kind = terms.kind
        profile = terms.profile
        storage = terms.storage
        jurisdiction = terms.jurisdiction
        largestOversubscription = terms.largestOversubscription
        tenancy = terms.tenancy
        poolIsHost = terms.poolIsHost
        groups = terms.groups
        numa = terms.numa
        gpu = terms.gpu
        interruptible = terms.interruptible
        priority = terms.priority
    }
}

/// Terms as many instances hold them: those of one product are the same, and are kept once.
public enum HeldTerms: Hashable, Sendable {
    /// Nothing but resources was asked for.
    case none
    indirect case some(InstanceTerms)

    public init(_ terms: InstanceTerms) { self = terms == InstanceTerms() ? .none : .some(terms) }

    public var value: InstanceTerms {
        switch self {
        case .none: InstanceTerms()
        case .some(let terms): terms
        }
    }
}

/// What of a host's own parts an instance has: GPUs and a NUMA cell.
public struct PlacementSpot: Hashable, Sendable {
    /// One bit for each GPU of the host.
    public var gpus: UInt16 = 0
    /// -1: none in particular.
    public var cell: Int8 = -1

    public static let anywhere = PlacementSpot()

    public init() {}

    public init(gpus: [Int], cell: Int?) {
        self.gpus = gpus.reduce(0) { $0 | 1 << UInt16($1) }
        self.cell = Int8(cell ?? -1)
    }

    /// Numbers of the GPUs, ascending.
    public var gpuNumbers: [Int] { (0..<PlacementHost.mostGPUs).filter { gpus >> UInt16($0) & 1 == 1 } }

    /// As one number, for a table; 0: nothing in particular.
    public var number: Int64 { Int64(gpus) | Int64(cell + 1) << 16 }

    /// Nil: no spot has this number.
    public init?(number: Int64) {
        guard (0..<Int64(PlacementHost.mostCells + 1) << 16).contains(number) else { return nil }
        gpus = UInt16(truncatingIfNeeded: number)
        cell = Int8(number >> 16) - 1
    }
}

extension PlacementEngine {
    /// What an instance has of its host's parts; nil: it is not here.
    func spot(of instance: InstanceID) -> PlacementSpot? {
        table.find(instance.bits).map { slot in
            var spot = PlacementSpot()
            (spot.gpus, spot.cell) = (table[slot].gpus, table[slot].cell)
            return spot
        }
    }
}
