public import Primitives

/// What fails, or is near, together.
public enum PlacementDomain: String, Codable, Sendable, CaseIterable { case host, rack, pod, zone, power, network, facility }

/// With whom one level of the infrastructure is shared.
public struct TenancyTerm: Codable, Sendable, Hashable {
    public var sharing: Tenancy
    /// For `group`: the participants it is shared with; the buyer is always among them.
    public var participants: [ParticipantID]?
    public init(_ sharing: Tenancy, with participants: [ParticipantID]? = nil) {
        self.sharing = sharing
        self.participants = participants
    }
}

/// Level by level; absent: as the product says at the host, shared elsewhere.
public struct TenancyTerms: Codable, Sendable, Hashable {
    public var connect: TenancyTerm?
    public var pod: TenancyTerm?
    /// The storage the host's disks lie on: the pod's on NAS and SAN, the host's own on DAS.
    public var pool: TenancyTerm?
    public var host: TenancyTerm?
    public init(connect: TenancyTerm? = nil, pod: TenancyTerm? = nil, pool: TenancyTerm? = nil, host: TenancyTerm? = nil) {
        self.connect = connect
        self.pod = pod
        self.pool = pool
        self.host = host
    }
}

public enum GroupRule: String, Codable, Sendable, CaseIterable {
    /// All members in one domain.
    case together
    /// No two members in the same domain.
    case apart
    /// No domain has more than `maxSkew` members above the one with the fewest.
    case spread
}

/// A group of the buyer's instances that lie together or apart. All members name the same rule.
public struct GroupTerm: Codable, Sendable, Hashable {
    /// 1 to 255 characters; the buyer's own.
    public var name: String
    public var rule: GroupRule
    /// At the host when absent.
    public var domain: PlacementDomain?
    /// For `spread`, 1 or more; 1 when absent.
    public var maxSkew: Int64?
    public init(name: String, rule: GroupRule, domain: PlacementDomain? = nil, maxSkew: Int64? = nil) {
        self.name = name
        self.rule = rule
        self.domain = domain
        self.maxSkew = maxSkew
    }
}

/// Whole GPUs, or a share of one.
public struct GPUTerm: Codable, Sendable, Hashable {
    /// Any of these; any model when absent.
    public var models: [String]?
    public var count: Int64
    /// Thousandths of each, below 1000 only with a count of 1; 1000 when absent.
    public var milliEach: Int64?
    public init(models: [String]? = nil, count: Int64, milliEach: Int64? = nil) {
        self.models = models
        self.count = count
        self.milliEach = milliEach
    }
}

/// Where an instance may be, with whom it shares what it runs on, and who goes first when room is short. What is absent is as the
/// contract's product says; nothing may be looser than the product.
public struct PlacementTerms: Codable, Sendable, Hashable {
    public var zone: String?
    /// Name or identifier.
    public var pod: String?
    /// Name or identifier.
    public var host: String?
    /// Hosts not wanted, by name or identifier; at most 100.
    public var avoiding: [String]?
    /// Name or identifier of the pod that holds the instance's data.
    public var volumePod: String?
    public var tenancy: TenancyTerms?
    /// At most 8.
    public var groups: [GroupTerm]?
    /// Processor and memory from one NUMA cell.
    public var numa: Bool?
    public var gpu: GPUTerm?
    public var kind: HostingKind?
    /// Of the hardware, as pods state it.
    public var profile: String?
    public var storage: StorageArchitecture?
    /// ISO 3166 code of the law that applies, e.g. `DE`. Holds where the datacenter's zones state theirs.
    public var jurisdiction: String?
    public var largestOversubscription: OversubscriptionRatios?
    public var firmness: Firmness?
    /// Among interruptible instances those of lower priority go first: -100 to 100; 0 when absent.
    public var priority: Int64?

    public init(
        zone: String? = nil, pod: String? = nil, host: String? = nil, avoiding: [String]? = nil, volumePod: String? = nil,
        tenancy: TenancyTerms? = nil, groups: [GroupTerm]? = nil, numa: Bool? = nil, gpu: GPUTerm? = nil, kind: HostingKind? = nil,
        profile: String? = nil, storage: StorageArchitecture? = nil, jurisdiction: String? = nil,
        largestOversubscription: OversubscriptionRatios? = nil,
        firmness: Firmness? = nil, priority: Int64? = nil
    ) {
        self.zone = zone
        self.pod = pod
        self.host = host
        self.avoiding = avoiding
        self.volumePod = volumePod
        self.tenancy = tenancy
        self.groups = groups
        self.numa = numa
        self.gpu = gpu
        self.kind = kind
        self.profile = profile
        self.storage = storage
        self.jurisdiction = jurisdiction
        self.largestOversubscription = largestOversubscription
        self.firmness = firmness
        self.priority = priority
    }
}
