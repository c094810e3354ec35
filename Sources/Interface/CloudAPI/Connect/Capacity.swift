public import Primitives

/// What a contract gives, and what of it is in use.
public struct ContractCapacity: Codable, Sendable {
    public var contract: ContractID
    public var lots: Int64
    public var total: Resources
    public var used: Resources
    public var instances: Int64
    /// Volumes count in `used` with their disk and IOPS.
    public var volumes: Int64?
    public var period: Period
    public init(
        contract: ContractID, lots: Int64, total: Resources, used: Resources, instances: Int64, volumes: Int64? = nil, period: Period
    ) {
        self.contract = contract
        self.lots = lots
        self.total = total
        self.used = used
        self.instances = instances
        self.volumes = volumes
        self.period = period
    }
}

public struct ImageView: Codable, Sendable {
    public var id: ImageID
    public var name: String
    public var description: String
    public var architecture: String
    public var virtualSizeMiB: Int64
    public var minimumMemoryMiB: Int64
    /// The account that ssh keys are installed for.
    public var user: String
    public var created: Instant
    public init(
        id: ImageID, name: String, description: String, architecture: String, virtualSizeMiB: Int64, minimumMemoryMiB: Int64, user: String,
        created: Instant
    ) {
        self.id = id
        self.name = name
        self.description = description
        self.architecture = architecture
        self.virtualSizeMiB = virtualSizeMiB
        self.minimumMemoryMiB = minimumMemoryMiB
        self.user = user
        self.created = created
    }
}

/// Register an image that lies in a folder on connect's machine, with the `manifest.json` that `images/build-*` writes.
public struct ImportImage: Codable, Sendable {
    public var folder: String
    public init(folder: String) { self.folder = folder }
}

/// One stretch of time in which an instance ran, as its node measured it.
public struct MeterReading: Codable, Sendable, Hashable {
    public var host: HostID
    /// Counts up per host without gaps; (host, sequence) names the reading.
    public var sequence: Int64
    public var instance: InstanceID
    public var contract: ContractID
    public var period: Period
    public var resources: Resources
    public init(host: HostID, sequence: Int64, instance: InstanceID, contract: ContractID, period: Period, resources: Resources) {
        self.host = host
        self.sequence = sequence
        self.instance = instance
        self.contract = contract
        self.period = period
        self.resources = resources
    }
}

/// Readings with the position to ask after next.
public struct MeterPage: Codable, Sendable {
    public var readings: [MeterReading]
    public var latest: Int64
    public init(readings: [MeterReading], latest: Int64) {
        self.readings = readings
        self.latest = latest
    }
}

public struct HostView: Codable, Sendable {
    public var id: HostID
    public var name: String
    public var zone: String
    public var pod: String
    public var rack: String?
    /// `up`; `expected` (declared, its node has not joined yet); `suspect` (no heartbeat), `fencing`, `fenced`, `evacuated`, `waiting`,
    /// `returning`; `quarantined`, `cordoned`, `draining`, `maintenance`; `retired`
    public var state: String
    public var capacity: Resources
    public var allocated: Resources
    public var instances: Int64
    public var hypervisor: String
    public var lastSeen: Instant?
    /// How busy it is; absent when its node has not told in the last minutes.
    public var load: HostLoadView?
    public init(
        id: HostID, name: String, zone: String, pod: String, rack: String? = nil, state: String, capacity: Resources, allocated: Resources,
        instances: Int64, hypervisor: String, lastSeen: Instant?, load: HostLoadView? = nil
    ) {
        self.id = id
        self.name = name
        self.zone = zone
        self.pod = pod
        self.rack = rack
        self.state = state
        self.capacity = capacity
        self.allocated = allocated
        self.instances = instances
        self.hypervisor = hypervisor
        self.lastSeen = lastSeen
        self.load = load
    }
}

/// Offer capacity on the exchange: a resting sell order in this datacenter's name.
public struct CreateAsk: Codable, Sendable {
    public var series: SeriesID
    public var lots: Int64
    /// Micro-units per lot-hour.
    public var price: Int64
    public init(series: SeriesID, lots: Int64, price: Int64) {
        self.series = series
        self.lots = lots
        self.price = price
    }
}

/// The seller's view of one contract.
public struct SellerContractView: Codable, Sendable {
    public var contract: ContractView
    public var capacity: ContractCapacity
    public init(contract: ContractView, capacity: ContractCapacity) {
        self.contract = contract
        self.capacity = capacity
    }
}

/// The datacenter this connect runs.
public struct TopologyView: Codable, Sendable {
    public var datacenter: DatacenterID
    public var name: String
    public var region: String
    public var zones: [String]
    public var pods: [PodView]
    public init(datacenter: DatacenterID, name: String, region: String, zones: [String], pods: [PodView]) {
        self.datacenter = datacenter
        self.name = name
        self.region = region
        self.zones = zones
        self.pods = pods
    }
}

/// A pod: hosts that are all alike, with one storage architecture.
public struct PodView: Codable, Sendable {
    public var id: PodID
    public var name: String
    public var zone: String
    /// `virtual` or `metal`
    public var kind: String
    public var storage: StorageArchitecture
    /// Thousandths: 4000 promises 4 vCPU for each hardware thread.
    public var cpuOversubscription: Int64
    public var memoryOversubscription: Int64
    public var diskOversubscription: Int64
    public var hosts: Int64
    public init(
        id: PodID, name: String, zone: String, kind: String, storage: StorageArchitecture, cpuOversubscription: Int64,
        memoryOversubscription: Int64, diskOversubscription: Int64, hosts: Int64
    ) {
        self.id = id
        self.name = name
        self.zone = zone
        self.kind = kind
        self.storage = storage
        self.cpuOversubscription = cpuOversubscription
        self.memoryOversubscription = memoryOversubscription
        self.diskOversubscription = diskOversubscription
        self.hosts = hosts
    }
}

/// What a buyer may still see of a contract that has ended, with its own identity, since the contract's certificate is dead.
public struct ClosingView: Codable, Sendable {
    public var instances: [InstanceView]
    public var meters: MeterPage
    public init(instances: [InstanceView], meters: MeterPage) {
        self.instances = instances
        self.meters = meters
    }
}

/// Test this datacenter for a product.
public struct CertifyProduct: Codable, Sendable {
    public var product: ProductID
    /// How long the result is good for, 1 to 365; 90 when absent.
    public var validDays: Int64?
    public init(product: ProductID, validDays: Int64? = nil) {
        self.product = product
        self.validDays = validDays
    }
}

extension ConnectAPI {
    public static let certify = Endpoint(
        "certify", .post, "/v1/certifications", "Test this datacenter for a product and hand the result in at the exchange.",
        access: [.operator], request: CertifyProduct.self, response: CertificationView.self)
    public static let closing = Endpoint(
        "showClosing", .get, "/v1/contracts/{contract}/closing",
        "Last state of the machines and last meter readings of a contract, for its buyer.", access: [.manage],
        query: [QueryParameter("after", .integer, "Only readings after this position.", range: 0...Int64.max)], request: Empty.self,
        response: ClosingView.self)
    public static let contractCapacity = Endpoint(
        "showContractCapacity", .get, "/v1/capacity", "What this contract gives and what of it is in use.", access: [.buyer],
        request: Empty.self, response: ContractCapacity.self)
    public static let listImages = Endpoint(
        "listImages", .get, "/v1/images", "Images this datacenter offers.", access: [.buyer, .manage, .operator],
        query: QueryParameter.paging,
        request: Empty.self, response: Page<ImageView>.self)
    public static let importImage = Endpoint(
        "importImage", .post, "/v1/images", "Register an image from a folder on connect's machine.", access: [.operator], success: 201,
        request: ImportImage.self, response: ImageView.self)
    public static let contractMeters = Endpoint(
        "listMeterReadings", .get, "/v1/meters", "Meter readings of this contract; the operator sees all.", access: [.buyer, .operator],
        query: QueryParameter.feed, request: Empty.self, response: MeterPage.self)
    public static let topology = Endpoint(
        "showTopology", .get, "/v1/topology", "The datacenter, its zones and pods.", access: [.operator], request: Empty.self,
        response: TopologyView.self)
    public static let createAsk = Endpoint(
        "createAsk", .post, "/v1/asks", "Offer capacity on the exchange.", access: [.operator], success: 201, request: CreateAsk.self,
        response: OrderView.self)
    public static let listSellerContracts = Endpoint(
        "listSellerContracts", .get, "/v1/contracts", "Contracts this datacenter delivers.", access: [.operator],
        query: QueryParameter.paging,
        request: Empty.self, response: Page<SellerContractView>.self)
}
