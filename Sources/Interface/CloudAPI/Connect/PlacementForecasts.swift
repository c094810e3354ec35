public import Primitives

/// A launch that might be asked for.
public struct ExplainPlacement: Codable, Sendable {
    /// For the operator: under this contract's terms; a contract's own certificate says which.
    public var contract: ContractID?
    public var resources: Resources
    public var image: ImageID?
    public var zone: String?
    public var placement: PlacementTerms?
    public init(
        contract: ContractID? = nil, resources: Resources, image: ImageID? = nil, zone: String? = nil, placement: PlacementTerms? = nil
    ) {
        self.contract = contract
        self.resources = resources
        self.image = image
        self.zone = zone
        self.placement = placement
    }
}

/// Hosts that one rule keeps away; each host is counted once, by the first rule that does.
public struct FallenHosts: Codable, Sendable, Hashable {
    public var rule: String
    public var hosts: Int64
    public init(rule: String, hosts: Int64) {
        self.rule = rule
        self.hosts = hosts
    }
}

/// Interruptible instances that would make room.
public struct PreemptionView: Codable, Sendable, Hashable {
    public var host: HostID
    public var hostName: String?
    public var instances: Int64
    /// When a notice given now would be over.
    public var until: Instant
    public init(host: HostID, hostName: String?, instances: Int64, until: Instant) {
        self.host = host
        self.hostName = hostName
        self.instances = instances
        self.until = until
    }
}

/// What would happen with a request now. Nothing has happened.
public struct PlacementForecast: Codable, Sendable {
    /// Where it would go; absent: nowhere.
    public var host: HostID?
    public var hostName: String?
    public var pod: String?
    public var zone: String?
    /// Numbers of the host's GPUs it would have.
    public var gpus: [Int64]?
    /// The NUMA cell it would be bound to.
    public var cell: Int64?
    /// Hosts that were looked at, those it could go to, and the rules that keep it off the others.
    public var hosts: Int64
    public var fitting: Int64
    public var fallen: [FallenHosts]
    /// Changes with which it would fit, nearest first; each was tried. One of several together where no single one is enough.
    public var changes: [String]
    public var preemption: PreemptionView?
    /// Why it would be refused: rule, sentence and the nearest that would be allowed.
    public var rule: String?
    public var message: String?
    public var nearest: String?
    /// The terms it would have, with those of the product.
    public var terms: PlacementTerms
    public init(terms: PlacementTerms) {
        self.terms = terms
        (hosts, fitting, fallen, changes) = (0, 0, [], [])
    }
}

/// One shape of a mix.
public struct MixShape: Codable, Sendable {
    public var name: String
    public var resources: Resources
    /// Parts of the mix, 1 to 1000000; 1 when absent.
    public var share: Int64?
    public var placement: PlacementTerms?
    public init(name: String, resources: Resources, share: Int64? = nil, placement: PlacementTerms? = nil) {
        self.name = name
        self.resources = resources
        self.share = share
        self.placement = placement
    }
}

/// How many of a mix of shapes still fit?
public struct SimulatePlacement: Codable, Sendable {
    /// 1 to 32.
    public var mix: [MixShape]
    /// Under this contract's terms.
    public var contract: ContractID?
    public var zone: String?
    /// Name or identifier.
    public var pod: String?
    /// Stops at so many, 1 to 200000; 100000 when absent.
    public var most: Int64?
    public init(mix: [MixShape], contract: ContractID? = nil, zone: String? = nil, pod: String? = nil, most: Int64? = nil) {
        self.mix = mix
        self.contract = contract
        self.zone = zone
        self.pod = pod
        self.most = most
    }
}

public struct MixCount: Codable, Sendable, Hashable {
    public var name: String
    public var instances: Int64
    public init(name: String, instances: Int64) {
        self.name = name
        self.instances = instances
    }
}

/// What is left of one component on the hosts that could take the shape, but for room.
public struct ComponentRoom: Codable, Sendable, Hashable {
    public var name: String
    public var promised: Int64
    public var free: Int64
    /// By one instance of the shape that found no host.
    public var needed: Int64
    /// Hosts that have less of it left than that.
    public var hostsShort: Int64
    public init(name: String, promised: Int64, free: Int64, needed: Int64, hostsShort: Int64) {
        self.name = name
        self.promised = promised
        self.free = free
        self.needed = needed
        self.hostsShort = hostsShort
    }
}

public struct PlacementSimulation: Codable, Sendable {
    public var instances: Int64
    public var shapes: [MixCount]
    /// Hosts that would take some of them.
    public var hosts: Int64
    /// The shape that found no host; absent: `most` was reached.
    public var endedAt: String?
    public var fallen: [FallenHosts]?
    /// The component of which most hosts are short in the end; absent: hosts fell to other rules.
    public var binding: String?
    public var components: [ComponentRoom]?
    public init(instances: Int64, shapes: [MixCount], hosts: Int64) {
        self.instances = instances
        self.shapes = shapes
        self.hosts = hosts
    }
}

extension ConnectAPI {
    public static let explainPlacement = Endpoint(
        "explainPlacement", .post, "/v1/placement/explain", "What would happen with this launch now; nothing is changed.",
        access: [.buyer, .operator], request: ExplainPlacement.self, response: PlacementForecast.self)
    public static let simulatePlacement = Endpoint(
        "simulatePlacement", .post, "/v1/placement/simulate", "How many instances of a mix still fit, and what is used up first.",
        access: [.operator], request: SimulatePlacement.self, response: PlacementSimulation.self)
}
