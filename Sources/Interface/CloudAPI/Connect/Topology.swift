// The datacenter as its operator writes it down and changes it: zones, fault domains, pods, racks and hosts.

/// How hosts of a pod are chosen: the fullest that fits, the emptiest, the first in the order of joining, the one on which an instance is
/// least likely to outlive everything else, or the one on which GPU instances lose the least room.
public enum PodPolicy: String, Codable, Sendable, CaseIterable { case packing, spreading, firstFit, lifetimeAligned, gpuFragmentation }

public enum HostingKind: String, Codable, Sendable, CaseIterable { case virtual, metal }

/// `power`: a feed, limit in watts. `network`: a switch, limit in ports. `facility`: a room or cooling loop, limit in watts.
public enum FaultDomainKind: String, Codable, Sendable, CaseIterable { case power, network, facility }

/// Thousandths: 4000 promises four times what is built in.
public struct OversubscriptionRatios: Codable, Sendable, Hashable {
    public var cpu: Int64
    public var memory: Int64
    public var disk: Int64
    public init(cpu: Int64, memory: Int64, disk: Int64) {
        self.cpu = cpu
        self.memory = memory
        self.disk = disk
    }
}

/// What each host of a pod is, and what it takes of the things the pod shares. What is absent is not counted.
public struct PodProfile: Codable, Sendable, Hashable {
    public var name: String
    public var milliCPU: Int64?
    public var memoryMiB: Int64?
    public var diskMiB: Int64?
    public var gpus: Int64?
    /// NUMA cells.
    public var cells: Int64?
    public var disks: Int64?
    public var nics: Int64?
    /// At full load.
    public var watts: Int64?
    public var rackUnits: Int64?
    /// Switch ports a host is plugged into.
    public var networkPorts: Int64?
    /// Drawn from shared storage when the host is busiest.
    public var storageIOPS: Int64?
    public var storageMBps: Int64?
    /// Guests on a full host, each with an address in the pod's broadcast domain.
    public var guests: Int64?
    public init(
        name: String, milliCPU: Int64? = nil, memoryMiB: Int64? = nil, diskMiB: Int64? = nil, gpus: Int64? = nil, cells: Int64? = nil,
        disks: Int64? = nil, nics: Int64? = nil, watts: Int64? = nil, rackUnits: Int64? = nil, networkPorts: Int64? = nil,
        storageIOPS: Int64? = nil, storageMBps: Int64? = nil, guests: Int64? = nil
    ) {
        self.name = name
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
        self.diskMiB = diskMiB
        self.gpus = gpus
        self.cells = cells
        self.disks = disks
        self.nics = nics
        self.watts = watts
        self.rackUnits = rackUnits
        self.networkPorts = networkPorts
        self.storageIOPS = storageIOPS
        self.storageMBps = storageMBps
        self.guests = guests
    }
}

/// What the hosts of a pod share and how much there is of it. What is absent has no limit.
public struct PodSizeLimits: Codable, Sendable, Hashable {
    public var hosts: Int64?
    /// Of the NAS heads or SAN arrays together.
    public var storageIOPS: Int64?
    public var storageMBps: Int64?
    /// Ports for hosts on the pod's switches.
    public var networkPorts: Int64?
    /// Guests with an address in the pod's broadcast domain.
    public var broadcastGuests: Int64?
    public init(
        hosts: Int64? = nil, storageIOPS: Int64? = nil, storageMBps: Int64? = nil, networkPorts: Int64? = nil, broadcastGuests: Int64? = nil
    ) {
        self.hosts = hosts
        self.storageIOPS = storageIOPS
        self.storageMBps = storageMBps
        self.networkPorts = networkPorts
        self.broadcastGuests = broadcastGuests
    }
}

/// What all hosts of a pod should run. What it does not name may differ.
public struct PodBaseline: Codable, Sendable, Hashable {
    public var product: String?
    public var bios: String?
    /// Firmware by model of disk, controller, GPU or network interface.
    public var firmware: [String: String]?
    public init(product: String? = nil, bios: String? = nil, firmware: [String: String]? = nil) {
        self.product = product
        self.bios = bios
        self.firmware = firmware
    }
}

// MARK: - The file

/// A datacenter, zone by zone. What an object says of itself is all of it; a list of children that is absent leaves those there as they
/// are, an empty one says that there are none. Names may be patterns: `r[01-20]` stands for r01, r02 … r20.
public struct TopologyDocument: Codable, Sendable, Hashable {
    public var region: String
    public var datacenter: String
    /// The topology that the document was made from: it is refused when that is another by now and the document would change it. Absent:
    /// it is applied to whatever is there.
    public var revision: Int64?
    public var zones: [ZoneEntry]
    public init(region: String, datacenter: String, revision: Int64? = nil, zones: [ZoneEntry]) {
        self.region = region
        self.datacenter = datacenter
        self.revision = revision
        self.zones = zones
    }
}

/// A part of a datacenter that fails alone.
public struct ZoneEntry: Codable, Sendable, Hashable {
    public var name: String
    /// Country code of ISO 3166-1, e.g. `SE`.
    public var jurisdiction: String?
    /// Building, hall or floor, for people.
    public var site: String?
    public var domains: [FaultDomainEntry]?
    public var pods: [PodEntry]?
    public init(
        name: String, jurisdiction: String? = nil, site: String? = nil, domains: [FaultDomainEntry]? = nil, pods: [PodEntry]? = nil
    ) {
        self.name = name
        self.jurisdiction = jurisdiction
        self.site = site
        self.domains = domains
        self.pods = pods
    }
}

public struct FaultDomainEntry: Codable, Sendable, Hashable {
    /// A name or a pattern of names.
    public var name: String
    public var kind: FaultDomainKind
    /// Watts, or ports of a switch; no limit when absent.
    public var limit: Int64?
    public init(name: String, kind: FaultDomainKind, limit: Int64? = nil) {
        self.name = name
        self.kind = kind
        self.limit = limit
    }
}

public struct PodEntry: Codable, Sendable, Hashable {
    public var name: String
    public var kind: HostingKind
    public var storage: StorageArchitecture
    public var oversubscription: OversubscriptionRatios
    /// `packing` when absent.
    public var policy: PodPolicy?
    public var profile: PodProfile?
    public var limits: PodSizeLimits?
    public var baseline: PodBaseline?
    public var racks: [RackEntry]?
    /// Hosts of which no rack is known.
    public var hosts: [HostEntry]?
    public init(
        name: String, kind: HostingKind, storage: StorageArchitecture, oversubscription: OversubscriptionRatios, profile: PodProfile? = nil,
        limits: PodSizeLimits? = nil, baseline: PodBaseline? = nil, policy: PodPolicy? = nil, racks: [RackEntry]? = nil,
        hosts: [HostEntry]? = nil
    ) {
        self.name = name
        self.kind = kind
        self.storage = storage
        self.oversubscription = oversubscription
        self.profile = profile
        self.limits = limits
        self.baseline = baseline
        self.policy = policy
        self.racks = racks
        self.hosts = hosts
    }
}

public struct RackEntry: Codable, Sendable, Hashable {
    /// A name or a pattern of names.
    public var name: String
    public var units: Int64?
    /// What its power distribution bears.
    public var watts: Int64?
    /// Fault domains its hosts are in; `{rack}` stands for the rack's name.
    public var domains: [String]?
    public var hosts: [HostEntry]?
    public init(name: String, units: Int64? = nil, watts: Int64? = nil, domains: [String]? = nil, hosts: [HostEntry]? = nil) {
        self.name = name
        self.units = units
        self.watts = watts
        self.domains = domains
        self.hosts = hosts
    }
}

public struct HostEntry: Codable, Sendable, Hashable {
    /// A name or a pattern of names; `{rack}` stands for the rack's name.
    public var name: String
    /// Fault domains beside those of its rack; `{rack}` stands for the rack's name.
    public var domains: [String]?
    public init(name: String, domains: [String]? = nil) {
        self.name = name
        self.domains = domains
    }
}

// MARK: - Plans

public enum TopologyObjectKind: String, Codable, Sendable, CaseIterable { case zone, domain, pod, rack, host }
public enum TopologyAction: String, Codable, Sendable, CaseIterable { case add, change, remove }

public struct TopologyFieldChange: Codable, Sendable, Hashable {
    public var name: String
    public var before: String?
    public var after: String?
    public init(name: String, before: String?, after: String?) {
        self.name = name
        self.before = before
        self.after = after
    }
}

public struct TopologyChangeView: Codable, Sendable, Hashable {
    public var action: TopologyAction
    public var kind: TopologyObjectKind
    public var name: String
    public var fields: [TopologyFieldChange]
    public init(action: TopologyAction, kind: TopologyObjectKind, name: String, fields: [TopologyFieldChange]) {
        self.action = action
        self.kind = kind
        self.name = name
        self.fields = fields
    }
}

/// Why a change cannot be made.
public struct TopologyRefusal: Codable, Sendable, Hashable {
    public var rule: String
    public var message: String
    /// The nearest thing that would be allowed.
    public var nearest: String?
    public init(rule: String, message: String, nearest: String?) {
        self.rule = rule
        self.message = message
        self.nearest = nearest
    }
}

/// Changes in the order in which they are made. With refusals, none of them can be.
public struct TopologyPlanView: Codable, Sendable, Hashable {
    public var changes: [TopologyChangeView]
    public var refusals: [TopologyRefusal]
    public var applied: Bool
    /// Of the topology that the changes are made to; when they are applied, of the one they have made.
    public var revision: Int64
    public init(changes: [TopologyChangeView], refusals: [TopologyRefusal], applied: Bool, revision: Int64) {
        self.changes = changes
        self.refusals = refusals
        self.applied = applied
        self.revision = revision
    }
}

extension ConnectAPI {
    public static let exportTopology = Endpoint(
        "exportTopology", .get, "/v1/topology/document", "The datacenter as a document that wants it as it is.", access: [.operator],
        conditional: true, request: Empty.self, response: TopologyDocument.self)
    public static let planTopology = Endpoint(
        "planTopology", .post, "/v1/topology/plan", "What applying a topology would change, and why it may not.", access: [.operator],
        request: TopologyDocument.self, response: TopologyPlanView.self)
    public static let applyTopology = Endpoint(
        "applyTopology", .post, "/v1/topology/apply", "Make the datacenter's topology what the document says: all of it or nothing.",
        access: [.operator], conditional: true, request: TopologyDocument.self, response: TopologyPlanView.self)
}
