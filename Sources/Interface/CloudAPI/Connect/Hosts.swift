public import Primitives

public enum DeviceKind: String, Codable, Sendable, CaseIterable { case gpu, disk, controller, nic }

/// A GPU, disk, controller or network interface.
public struct DeviceView: Codable, Sendable, Hashable {
    public var kind: DeviceKind
    /// As the kernel calls it, e.g. `nvme0`.
    public var name: String
    public var model: String
    public var firmware: String?
    /// NUMA cell it is attached to, when known.
    public var cell: Int64?
    /// MiB of a disk or of a GPU's memory, Mbit/s of a network interface.
    public var size: Int64?
    public init(kind: DeviceKind, name: String, model: String, firmware: String? = nil, cell: Int64? = nil, size: Int64? = nil) {
        self.kind = kind
        self.name = name
        self.model = model
        self.firmware = firmware
        self.cell = cell
        self.size = size
    }
}

/// A NUMA cell.
public struct CellView: Codable, Sendable, Hashable {
    public var cell: Int64
    /// Hardware threads.
    public var cpus: Int64
    public var memoryMiB: Int64
    public init(cell: Int64, cpus: Int64, memoryMiB: Int64) {
        self.cell = cell
        self.cpus = cpus
        self.memoryMiB = memoryMiB
    }
}

/// What a node found in its host.
public struct HostInventoryView: Codable, Sendable, Hashable {
    /// Model of the machine.
    public var product: String
    public var serial: String?
    public var bios: String?
    public var cells: [CellView]
    public var devices: [DeviceView]
    public init(product: String, serial: String? = nil, bios: String? = nil, cells: [CellView], devices: [DeviceView]) {
        self.product = product
        self.serial = serial
        self.bios = bios
        self.cells = cells
        self.devices = devices
    }
}

extension HostInventoryView {
    /// The GPUs that instances are given: all of the model there is most of, as they are listed.
    public var placedGPUs: [DeviceView] {
        let models = Dictionary(grouping: devices.filter { $0.kind == .gpu }, by: \.model)
        return models.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }?.value ?? []
    }
}

/// Why nothing new goes to a host: it is cordoned, draining or in maintenance.
public struct CordonView: Codable, Sendable, Hashable {
    /// `operator`, or the maintenance window.
    public var cause: String
    public var reason: String
    public var since: Instant
    public init(cause: String, reason: String, since: Instant) {
        self.cause = cause
        self.reason = reason
        self.since = since
    }
}

/// Where a host's tunnel to the other hosts ends, for networks that they share.
public struct TunnelView: Codable, Sendable, Hashable {
    /// As its node announced it.
    public var address: String
    /// Why nothing on a tenant's network goes to the host, and what would help; absent: it may.
    public var refusal: TopologyRefusal?
    public init(address: String, refusal: TopologyRefusal?) {
        self.address = address
        self.refusal = refusal
    }
}

/// A host with its place, what becomes of it, and what its node found in it.
public struct HostDetail: Codable, Sendable {
    public var host: HostView
    public var settings: HostSettings
    /// All its fault domains, its rack's with its own.
    public var domains: [String]
    public var cordon: CordonView?
    public var windows: [MaintenanceView]
    /// Absent: its node has not joined yet.
    public var life: HostLifeView?
    public var inventory: HostInventoryView?
    /// Absent: its node announced none, or has not joined yet.
    public var tunnel: TunnelView?
    /// Maintenance windows that were ended early by what was just asked for.
    public var endedWindows: [MaintenanceView]?
    public init(
        host: HostView, settings: HostSettings, domains: [String], cordon: CordonView?, windows: [MaintenanceView],
        life: HostLifeView?, inventory: HostInventoryView?, tunnel: TunnelView? = nil, endedWindows: [MaintenanceView]? = nil
    ) {
        self.host = host
        self.settings = settings
        self.domains = domains
        self.cordon = cordon
        self.windows = windows
        self.life = life
        self.inventory = inventory
        self.tunnel = tunnel
        self.endedWindows = endedWindows
    }
}

public enum HostAction: String, Codable, Sendable, CaseIterable {
    /// Nothing new goes there; what runs there goes on.
    case cordon
    /// Back in service: ends a cordon, a drain or maintenance, and a maintenance window that has begun.
    case uncordon
    /// Trust a host again that was quarantined because it comes and goes.
    case release
}

public struct ActOnHost: Codable, Sendable {
    public var action: HostAction
    /// For the people who wonder, 1 to 200 characters; needed to cordon.
    public var reason: String?
    public init(action: HostAction, reason: String? = nil) {
        self.action = action
        self.reason = reason
    }
}

/// A time in which nothing new goes to a host: it is cordoned at its start and back at its end. Once nothing runs there it is in
/// maintenance, and may be switched off: its silence means nothing then.
public struct PlanMaintenance: Codable, Sendable {
    public var period: Period
    public var reason: String
    public init(period: Period, reason: String) {
        self.period = period
        self.reason = reason
    }
}

public enum MaintenanceState: String, Codable, Sendable, CaseIterable { case planned, active, done, cancelled }

public struct MaintenanceView: Codable, Sendable, Hashable {
    public var id: MaintenanceID
    public var host: HostID
    public var hostName: String
    public var period: Period
    public var reason: String
    public var state: MaintenanceState
    public init(id: MaintenanceID, host: HostID, hostName: String, period: Period, reason: String, state: MaintenanceState) {
        self.id = id
        self.host = host
        self.hostName = hostName
        self.period = period
        self.reason = reason
        self.state = state
    }
}

/// One way in which a host is not what its pod says it is.
public struct DriftView: Codable, Sendable, Hashable {
    public var host: HostID
    public var hostName: String
    public var what: String
    public var expected: String
    public var found: String
    public init(host: HostID, hostName: String, what: String, expected: String, found: String) {
        self.host = host
        self.hostName = hostName
        self.what = what
        self.expected = expected
        self.found = found
    }
}

/// What differs from the pods' profiles and baselines, host by host.
public struct DriftReport: Codable, Sendable, Hashable {
    /// Hosts that were looked at, and those of which no inventory has come.
    public var hosts: Int64
    public var unknown: Int64
    /// Hosts of pods that state neither a profile nor a baseline, so that there is nothing to compare them with.
    public var unstated: Int64
    public var drifted: Int64
    public var differences: [DriftView]
    public init(hosts: Int64, unknown: Int64, unstated: Int64, drifted: Int64, differences: [DriftView]) {
        self.hosts = hosts
        self.unknown = unknown
        self.unstated = unstated
        self.drifted = drifted
        self.differences = differences
    }
}

extension ConnectAPI {
    public static let listHosts = Endpoint(
        "listHosts", .get, "/v1/hosts", "Hosts, those that are declared and wait for their node among them.", access: [.operator],
        query: QueryParameter.paging + [
            QueryParameter("pod", .string, "Only hosts of this pod."), QueryParameter("rack", .string, "Only hosts of this rack."),
            QueryParameter("state", .string, "Only hosts in this state: up, suspect, waiting, cordoned, draining, expected, …."),
        ], request: Empty.self, response: Page<HostView>.self)
    public static let showHost = Endpoint(
        "showHost", .get, "/v1/hosts/{host}", "One host, by identifier or name.", access: [.operator], conditional: true,
        request: Empty.self,
        response: HostDetail.self)
    public static let putHost = Endpoint(
        "putHost", .put, "/v1/hosts/{host}", "Declare a host by its name, or move it.", access: [.operator], conditional: true,
        request: HostSettings.self,
        response: HostDetail.self)
    public static let retireHost = Endpoint(
        "retireHost", .delete, "/v1/hosts/{host}", "Take an empty host out of the topology for good.", access: [.operator],
        request: Empty.self, response: TopologyPlanView.self)
    public static let actOnHost = Endpoint(
        "actOnHost", .post, "/v1/hosts/{host}/actions", "Cordon a host, bring it back, or trust it again.", access: [.operator],
        request: ActOnHost.self,
        response: HostDetail.self)
    public static let planMaintenance = Endpoint(
        "planMaintenance", .post, "/v1/hosts/{host}/maintenance-windows", "Plan a maintenance window of a host.", access: [.operator],
        success: 201, request: PlanMaintenance.self, response: MaintenanceView.self)
    public static let listMaintenance = Endpoint(
        "listMaintenance", .get, "/v1/maintenance-windows", "Maintenance windows, the latest first.", access: [.operator],
        query: QueryParameter.paging + [QueryParameter("host", .string, "Only those of this host, by identifier or name.")],
        request: Empty.self, response: Page<MaintenanceView>.self)
    public static let cancelMaintenance = Endpoint(
        "cancelMaintenance", .delete, "/v1/maintenance-windows/{window}", "Cancel a maintenance window, or end it now.",
        access: [.operator], request: Empty.self, response: MaintenanceView.self)
    public static let showDrift = Endpoint(
        "showDrift", .get, "/v1/drift", "What differs from the pods' profiles and baselines.", access: [.operator],
        query: [
            QueryParameter("pod", .string, "Only hosts of this pod."),
            QueryParameter("host", .string, "Only this host, by identifier or name."),
        ], request: Empty.self, response: DriftReport.self)
}
