public import Primitives

// Each object of a topology by itself. `PUT` makes the object what the body says, whether it is there or not; every change is checked
// against the whole topology, as applying a document is.

public struct ZoneSettings: Codable, Sendable, Hashable {
    /// Country code of ISO 3166-1, e.g. `SE`.
    public var jurisdiction: String?
    /// Building, hall or floor, for people.
    public var site: String?
    public init(jurisdiction: String? = nil, site: String? = nil) {
        self.jurisdiction = jurisdiction
        self.site = site
    }
}

public struct ZoneView: Codable, Sendable, Hashable {
    public var name: String
    public var settings: ZoneSettings
    public var pods: Int64
    public var racks: Int64
    public var hosts: Int64
    public init(name: String, settings: ZoneSettings, pods: Int64, racks: Int64, hosts: Int64) {
        self.name = name
        self.settings = settings
        self.pods = pods
        self.racks = racks
        self.hosts = hosts
    }
}

public struct FaultDomainSettings: Codable, Sendable, Hashable {
    public var kind: FaultDomainKind
    public var zone: String
    /// Watts, or ports of a switch; no limit when absent.
    public var limit: Int64?
    public init(kind: FaultDomainKind, zone: String, limit: Int64? = nil) {
        self.kind = kind
        self.zone = zone
        self.limit = limit
    }
}

public struct FaultDomainView: Codable, Sendable, Hashable {
    public var name: String
    public var settings: FaultDomainSettings
    /// What the hosts in it need of the limit.
    public var load: Int64
    public var hosts: Int64
    public init(name: String, settings: FaultDomainSettings, load: Int64, hosts: Int64) {
        self.name = name
        self.settings = settings
        self.load = load
        self.hosts = hosts
    }
}

public struct PodSettings: Codable, Sendable, Hashable {
    public var zone: String
    public var kind: HostingKind
    public var storage: StorageArchitecture
    public var oversubscription: OversubscriptionRatios
    /// `packing` when absent.
    public var policy: PodPolicy?
    public var profile: PodProfile?
    public var limits: PodSizeLimits?
    public var baseline: PodBaseline?
    public init(
        zone: String, kind: HostingKind, storage: StorageArchitecture, oversubscription: OversubscriptionRatios, profile: PodProfile? = nil,
        limits: PodSizeLimits? = nil, baseline: PodBaseline? = nil, policy: PodPolicy? = nil
    ) {
        self.zone = zone
        self.kind = kind
        self.storage = storage
        self.oversubscription = oversubscription
        self.profile = profile
        self.limits = limits
        self.baseline = baseline
        self.policy = policy
    }
}

/// For how many hosts one of a pod's limits has room.
public struct LimitRoom: Codable, Sendable, Hashable {
    public var limit: String
    public var total: Int64
    public var perHost: Int64
    public var hosts: Int64
    public init(limit: String, total: Int64, perHost: Int64, hosts: Int64) {
        self.limit = limit
        self.total = total
        self.perHost = perHost
        self.hosts = hosts
    }
}

public struct PodDetail: Codable, Sendable, Hashable {
    public var id: PodID
    public var name: String
    public var settings: PodSettings
    public var racks: Int64
    public var hosts: Int64
    /// The limits that decide how many hosts it may have, the scarcest first.
    public var room: [LimitRoom]
    public init(id: PodID, name: String, settings: PodSettings, racks: Int64, hosts: Int64, room: [LimitRoom]) {
        self.id = id
        self.name = name
        self.settings = settings
        self.racks = racks
        self.hosts = hosts
        self.room = room
    }
}

public struct RackSettings: Codable, Sendable, Hashable {
    public var pod: String
    public var units: Int64?
    /// What its power distribution bears.
    public var watts: Int64?
    /// Fault domains its hosts are in.
    public var domains: [String]?
    public init(pod: String, units: Int64? = nil, watts: Int64? = nil, domains: [String]? = nil) {
        self.pod = pod
        self.units = units
        self.watts = watts
        self.domains = domains
    }
}

public struct RackView: Codable, Sendable, Hashable {
    public var name: String
    public var zone: String
    public var settings: RackSettings
    public var hosts: Int64
    public init(name: String, zone: String, settings: RackSettings, hosts: Int64) {
        self.name = name
        self.zone = zone
        self.settings = settings
        self.hosts = hosts
    }
}

public struct HostSettings: Codable, Sendable, Hashable {
    public var pod: String
    public var rack: String?
    /// Fault domains beside those of its rack.
    public var domains: [String]?
    public init(pod: String, rack: String? = nil, domains: [String]? = nil) {
        self.pod = pod
        self.rack = rack
        self.domains = domains
    }
}

extension ConnectAPI {
    public static let listZones = Endpoint(
        "listZones", .get, "/v1/zones", "Zones, by name.", access: [.operator], query: QueryParameter.paging, request: Empty.self,
        response: Page<ZoneView>.self)
    public static let showZone = Endpoint(
        "showZone", .get, "/v1/zones/{zone}", "One zone.", access: [.operator], conditional: true, request: Empty.self,
        response: ZoneView.self)
    public static let putZone = Endpoint(
        "putZone", .put, "/v1/zones/{zone}", "Add or change a zone.", access: [.operator], conditional: true, request: ZoneSettings.self,
        response: ZoneView.self)
    public static let removeZone = Endpoint(
        "removeZone", .delete, "/v1/zones/{zone}", "Remove a zone that nothing is in.", access: [.operator], request: Empty.self,
        response: TopologyPlanView.self)

    public static let listFaultDomains = Endpoint(
        "listFaultDomains", .get, "/v1/fault-domains", "Power, network and facility domains, by name.", access: [.operator],
        query: QueryParameter.paging, request: Empty.self, response: Page<FaultDomainView>.self)
    public static let showFaultDomain = Endpoint(
        "showFaultDomain", .get, "/v1/fault-domains/{domain}", "One fault domain.", access: [.operator], conditional: true,
        request: Empty.self,
        response: FaultDomainView.self)
    public static let putFaultDomain = Endpoint(
        "putFaultDomain", .put, "/v1/fault-domains/{domain}", "Add or change a fault domain.", access: [.operator],
        conditional: true, request: FaultDomainSettings.self, response: FaultDomainView.self)
    public static let removeFaultDomain = Endpoint(
        "removeFaultDomain", .delete, "/v1/fault-domains/{domain}", "Remove a fault domain that nothing is in.", access: [.operator],
        request: Empty.self, response: TopologyPlanView.self)

    public static let listPods = Endpoint(
        "listPods", .get, "/v1/pods", "Pods, by name.", access: [.operator], query: QueryParameter.paging, request: Empty.self,
        response: Page<PodDetail>.self)
    public static let showPod = Endpoint(
        "showPod", .get, "/v1/pods/{pod}", "One pod.", access: [.operator], conditional: true, request: Empty.self, response: PodDetail.self
    )
    public static let putPod = Endpoint(
        "putPod", .put, "/v1/pods/{pod}", "Add or change a pod.", access: [.operator], conditional: true, request: PodSettings.self,
        response: PodDetail.self)
    public static let removePod = Endpoint(
        "removePod", .delete, "/v1/pods/{pod}", "Remove a pod that nothing is in.", access: [.operator], request: Empty.self,
        response: TopologyPlanView.self)

    public static let listRacks = Endpoint(
        "listRacks", .get, "/v1/racks", "Racks, by name.", access: [.operator],
        query: QueryParameter.paging + [QueryParameter("pod", .string, "Only racks of this pod.")], request: Empty.self,
        response: Page<RackView>.self)
    public static let showRack = Endpoint(
        "showRack", .get, "/v1/racks/{rack}", "One rack.", access: [.operator], conditional: true, request: Empty.self,
        response: RackView.self)
    public static let putRack = Endpoint(
        "putRack", .put, "/v1/racks/{rack}", "Add or change a rack.", access: [.operator], conditional: true, request: RackSettings.self,
        response: RackView.self)
    public static let removeRack = Endpoint(
        "removeRack", .delete, "/v1/racks/{rack}", "Remove a rack that nothing is in.", access: [.operator], request: Empty.self,
        response: TopologyPlanView.self)
}
