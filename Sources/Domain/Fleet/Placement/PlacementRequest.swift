public import Primitives

/// What is to be placed, and under which terms. Everything but the resources and the party may be left out.
public struct PlacementRequest: Hashable, Sendable {
    public var instance: InstanceID
    public var party: ParticipantID
    public var contract: ContractID?
    /// `milliGPU` follows from `gpu` when that is given; else whole GPUs, or a share of one, of any model.
    public var resources: Resources

    // MARK: Hard

    public var zone: String?
    public var pod: PodID?
    public var host: HostID?
    /// Hosts not wanted, e.g. the one that failed.
    public var avoiding: [HostID] = []
    /// Data gravity: the pod that holds the volume the instance starts from.
    public var volumePod: PodID?
    public var kind: PlacementHost.Kind?
    /// Of the hardware.
    public var profile: String?
    public var storage: PlacementHost.Storage?
    public var jurisdiction: String?
    /// The largest ratios the product allows, each component by itself.
    public var largestOversubscription: Oversubscription?
    /// What the product fixes for every instance of it, whatever is asked for: a refusal offers nothing looser.
    public var fixed = HeldTerms.none
    /// Its product is whole machines: it has what a lot of it holds, neither more nor less.
    public var isWhole: Bool { fixed.value.kind == .metal }
    public var tenancy = PlacementTenancy.shared
    /// The terms at the host were asked for as those of its pool: direct attached disks are a pool of their host alone.
    public var poolIsHost = false
    /// At most 8 groups the instance is a member of.
    public var groups: [PlacementGroup] = []
    /// Processor and memory from one NUMA cell.
    public var numa = false
    public var gpu: GPUDemand?
    /// The tenant's network the instance is on: its host has a tunnel. Soft beside that: a pod with others of that network is nearer.
    public var network: NetworkID?

    // MARK: Soft

    public var image: ImageID?
    /// How long it is expected to be there; nil: nobody knows.
    public var outlook: LifetimeOutlook?

    // MARK: Pre-emption

    /// Interruptible instances make room for firm ones.
    public var interruptible = false
    /// Among interruptible instances those of lower priority go first.
    public var priority: Int16 = 0

    public init(instance: InstanceID, party: ParticipantID, resources: Resources) {
        self.instance = instance
        self.party = party
        self.resources = resources
    }

    /// GPUs wanted: whole ones, or a share of one.
    public struct GPUDemand: Hashable, Sendable, Codable {
        /// Any of these; empty: any model.
        public var models: [String]
        public var count: Int
        /// Thousandths of each; below 1,000 only with a count of 1.
        public var milliEach: Int64

        public init(models: [String] = [], count: Int, milliEach: Int64 = 1_000) {
            self.models = models
            self.count = count
            self.milliEach = milliEach
        }
    }
}

/// With whom the instance's party shares what its instance runs on, level by level. Terms bind both ways: whoever comes later keeps
/// to those of the instances that are there.
public struct PlacementTenancy: Hashable, Sendable, Codable {
    public enum Sharing: Hashable, Sendable, Codable {
        case shared
        /// With these parties only; the instance's own party is always among them.
        case group([ParticipantID])
        case exclusive
    }

    public var connect = Sharing.shared
    public var pod = Sharing.shared
    /// Terms other than shared need a host that is in a pool.
    public var pool = Sharing.shared
    public var host = Sharing.shared

    public init(connect: Sharing = .shared, pod: Sharing = .shared, pool: Sharing = .shared, host: Sharing = .shared) {
        self.connect = connect
        self.pod = pod
        self.pool = pool
        self.host = host
    }

    public static let shared = PlacementTenancy()
    public static let exclusiveHost = PlacementTenancy(host: .exclusive)
}

/// A group of instances that lie together or apart. The rule is the group's: all members name the same one.
public struct PlacementGroup: Hashable, Sendable, Codable {
    public enum Rule: Hashable, Sendable, Codable {
        /// All in one domain of the level: where a member is, the next ones go.
        case together(PlacementLevel)
        /// No two in the same domain of the level.
        case apart(PlacementLevel)
        /// No domain has more than `maxSkew` members above the one with the fewest. Domains count in which a host keeps the request's
        /// terms (state, pins, kind, storage, jurisdiction, oversubscription, dedication), with room or without.
        case spread(PlacementLevel, maxSkew: Int)

        /// For people.
        var words: String {
            switch self {
            case .together(let level): "all in one \(level)"
            case .apart(let level): "no two in one \(level)"
            case .spread(let level, let maxSkew): "spread over each \(level), none with more than \(maxSkew) above the fewest"
            }
        }
    }

    /// Chosen by the caller, unique in the datacenter.
    public var id: UInt64
    public var rule: Rule

    public init(id: UInt64, _ rule: Rule) {
        self.id = id
        self.rule = rule
    }
}

/// Where a request goes.
public struct PlacementDecision: Hashable, Sendable {
    public var instance: InstanceID
    public var host: HostID
    /// Numbers of the host's GPUs taken, from 0, ascending.
    public var gpus: [Int]
    /// Number of the NUMA cell taken, from 0; nil when none was asked for.
    public var cell: Int?
    /// What the policy thought of it, lower is better.
    public var cost: Int64
}
