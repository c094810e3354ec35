public import Primitives

/// What connect knows of a volume's life. The names are EC2's.
public enum VolumeState: String, Codable, Sendable, CaseIterable {
    case creating, available, attaching
    case inUse = "in-use"
    case detaching, deleting, deleted, error
}

/// A buyer's request for one volume: a disk that outlives the instances it is attached to. Counts against the contract whose
/// certificate is presented.
public struct CreateVolume: Codable, Sendable {
    /// Chosen by the buyer's manage; the same request sent again is answered with the same volume.
    public var id: VolumeID
    public var sizeMiB: Int64
    /// What the volume may do and is promised each second; 0: nothing is promised, and it takes what is left.
    public var iops: Int64?
    /// The contract's when absent.
    public var zone: String?
    /// Name of a pod; any of the zone when absent.
    public var pod: String?
    /// The volume is put where this instance can have it attached: on its host (DAS), or in its pod (NAS, SAN).
    public var instance: InstanceID?
    /// The buyer's account.
    public var account: AccountID
    public init(
        id: VolumeID, sizeMiB: Int64, iops: Int64? = nil, zone: String? = nil, pod: String? = nil, instance: InstanceID? = nil,
        account: AccountID
    ) {
        self.id = id
        self.sizeMiB = sizeMiB
        self.iops = iops
        self.zone = zone
        self.pod = pod
        self.instance = instance
        self.account = account
    }
}

public struct VolumeView: Codable, Sendable {
    public var id: VolumeID
    public var contract: ContractID
    public var state: VolumeState
    public var reason: StateReason?
    /// Counts intents; goes up with every accepted change.
    public var generation: Int64
    /// As wanted, and as counted.
    public var sizeMiB: Int64
    /// As its host last said: smaller while it grows, 0 until it is made.
    public var actualMiB: Int64
    public var iops: Int64
    public var zone: String
    public var pod: String
    public var storage: StorageArchitecture
    public var host: HostID?
    public var hostName: String?
    /// The instance that has it, from the moment that is asked for until it is known to be out.
    public var instance: InstanceID?
    /// What the guest is likely to call it, e.g. `vdb`. Certain is its serial number: the identifier without its dash.
    public var device: String?
    /// Nothing was written yet: until an instance has had it, it can still go to another host.
    public var isBlank: Bool
    public var account: AccountID
    public var created: Instant
    public var stateChanged: Instant
    public init(
        id: VolumeID, contract: ContractID, state: VolumeState, reason: StateReason?, generation: Int64, sizeMiB: Int64, actualMiB: Int64,
        iops: Int64, zone: String, pod: String, storage: StorageArchitecture, host: HostID?, hostName: String?, instance: InstanceID?,
        device: String?, isBlank: Bool, account: AccountID, created: Instant, stateChanged: Instant
    ) {
        self.id = id
        self.contract = contract
        self.state = state
        self.reason = reason
        self.generation = generation
        self.sizeMiB = sizeMiB
        self.actualMiB = actualMiB
        self.iops = iops
        self.zone = zone
        self.pod = pod
        self.storage = storage
        self.host = host
        self.hostName = hostName
        self.instance = instance
        self.device = device
        self.isBlank = isBlank
        self.account = account
        self.created = created
        self.stateChanged = stateChanged
    }
}

/// `retry`: a volume in error, or stuck, is tried again.
public enum VolumeAction: String, Codable, Sendable, CaseIterable { case attach, detach, resize, delete, retry }

public struct ActOnVolume: Codable, Sendable {
    public var action: VolumeAction
    /// For `attach`; for `detach`, if given, it must be the one that has it.
    public var instance: InstanceID?
    /// For `attach`: `vdb` to `vdu`; the first that is free when absent.
    public var device: String?
    /// For `resize`: not less than now.
    public var sizeMiB: Int64?
    /// For `resize`: as it is when absent.
    public var iops: Int64?
    /// The generation the caller knows: refused when there is a newer one.
    public var generation: Int64?
    public init(
        action: VolumeAction, instance: InstanceID? = nil, device: String? = nil, sizeMiB: Int64? = nil, iops: Int64? = nil,
        generation: Int64? = nil
    ) {
        self.action = action
        self.instance = instance
        self.device = device
        self.sizeMiB = sizeMiB
        self.iops = iops
        self.generation = generation
    }
}

extension ConnectAPI {
    public static let createVolume = Endpoint(
        "createVolume", .post, "/v1/volumes", "Make a volume under this contract.", access: [.buyer], success: 202,
        request: CreateVolume.self, response: VolumeView.self)
    public static let listVolumes = Endpoint(
        "listVolumes", .get, "/v1/volumes", "Volumes of this contract that are not deleted; the operator sees all.",
        access: [.buyer, .operator], query: QueryParameter.paging, request: Empty.self, response: Page<VolumeView>.self)
    public static let showVolume = Endpoint(
        "showVolume", .get, "/v1/volumes/{volume}", "One volume.", access: [.buyer, .operator], request: Empty.self,
        response: VolumeView.self)
    public static let actOnVolume = Endpoint(
        "actOnVolume", .post, "/v1/volumes/{volume}/actions", "Attach, detach, resize, delete or retry a volume.",
        access: [.buyer, .operator], success: 202, request: ActOnVolume.self, response: VolumeView.self)
}

// MARK: - Between connect and node

public enum VolumeDesired: String, Codable, Sendable, CaseIterable {
    /// Its file is there, and no machine uses it.
    case available
    /// `instance` has it; one that is off gets it at its next start.
    case attached
    /// Its file is gone.
    case absent
    /// Another host serves it now. This one lets go of it, leaves the file alone and forgets it.
    case released
}

/// What connect wants of one volume on one host. The node refuses older generations.
public struct VolumeIntent: Codable, Sendable, Hashable {
    public var volume: VolumeID
    public var generation: Int64
    public var desired: VolumeDesired
    public var sizeMiB: Int64
    /// 0: without a limit.
    public var iops: Int64
    /// It is new: a file that is not there is made. Otherwise one that is not there is lost, and never replaced by an empty one.
    public var mayCreate: Bool
    /// That has it or is to have it; with another wish, the one that had it last, to be looked at before anything is done to the file.
    public var instance: InstanceID?
    /// Number of the place among the instance's volumes, 1 to 20: decides where the guest sees it.
    public var slot: Int64?
    public init(
        volume: VolumeID, generation: Int64, desired: VolumeDesired, sizeMiB: Int64, iops: Int64, mayCreate: Bool, instance: InstanceID?,
        slot: Int64?
    ) {
        self.volume = volume
        self.generation = generation
        self.desired = desired
        self.sizeMiB = sizeMiB
        self.iops = iops
        self.mayCreate = mayCreate
        self.instance = instance
        self.slot = slot
    }
}

public enum VolumeObserved: String, Codable, Sendable, CaseIterable {
    /// Nothing of it is on the host, or another serves it.
    case absent
    case present, attached
    /// The node gave up for now; `reason` says why. It goes on trying.
    case failed
}

public struct VolumeObservation: Codable, Sendable, Hashable {
    public var volume: VolumeID
    /// The generation the node was driving towards when it saw this.
    public var generation: Int64
    public var state: VolumeObserved
    public var reason: StateReason?
    /// As it is; nil when that is not known.
    public var sizeMiB: Int64?
    public var at: Instant
    public init(volume: VolumeID, generation: Int64, state: VolumeObserved, reason: StateReason?, sizeMiB: Int64?, at: Instant) {
        self.volume = volume
        self.generation = generation
        self.state = state
        self.reason = reason
        self.sizeMiB = sizeMiB
        self.at = at
    }
}
