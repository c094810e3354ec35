public import Primitives

/// A volume as its owner sees it.
public struct ManagedVolumeView: Codable, Sendable {
    public var id: VolumeID
    public var name: String?
    public var account: AccountID
    public var state: VolumeState
    public var reason: StateReason?
    /// What manage is doing for it now, and what stands in the way; absent when connect has heard everything.
    public var step: String?
    public var sizeMiB: Int64
    /// As its host last said: smaller while it grows.
    public var actualMiB: Int64
    public var iops: Int64
    public var instance: InstanceID?
    public var device: String?
    public var contract: ContractID
    public var seller: String?
    public var zone: String?
    public var pod: String?
    public var host: String?
    public var created: Instant
    public init(
        id: VolumeID, name: String?, account: AccountID, state: VolumeState, reason: StateReason?, step: String?, sizeMiB: Int64,
        actualMiB: Int64, iops: Int64, instance: InstanceID?, device: String?, contract: ContractID, seller: String?, zone: String?,
        pod: String?, host: String?, created: Instant
    ) {
        self.id = id
        self.name = name
        self.account = account
        self.state = state
        self.reason = reason
        self.step = step
        self.sizeMiB = sizeMiB
        self.actualMiB = actualMiB
        self.iops = iops
        self.instance = instance
        self.device = device
        self.contract = contract
        self.seller = seller
        self.zone = zone
        self.pod = pod
        self.host = host
        self.created = created
    }
}

/// Make a volume under a contract that has room; the same operation as EC2's CreateVolume.
public struct CreateManagedVolume: Codable, Sendable {
    public var sizeMiB: Int64
    public var iops: Int64?
    public var zone: String?
    /// One of the account's own, near which the volume is put.
    public var instance: InstanceID?
    public var name: String?
    public init(sizeMiB: Int64, iops: Int64? = nil, zone: String? = nil, instance: InstanceID? = nil, name: String? = nil) {
        self.sizeMiB = sizeMiB
        self.iops = iops
        self.zone = zone
        self.instance = instance
        self.name = name
    }
}

/// What an owner asks of a volume; the members as in connect's `ActOnVolume`.
public struct ActOnManagedVolume: Codable, Sendable, Hashable {
    public var action: VolumeAction
    public var instance: InstanceID?
    public var device: String?
    public var sizeMiB: Int64?
    public var iops: Int64?
    public init(
        action: VolumeAction, instance: InstanceID? = nil, device: String? = nil, sizeMiB: Int64? = nil, iops: Int64? = nil
    ) {
        self.action = action
        self.instance = instance
        self.device = device
        self.sizeMiB = sizeMiB
        self.iops = iops
    }
}

extension ManageAPI {
    public static let createVolume = Endpoint(
        "createManagedVolume", .post, "/v1/volumes", "Make a volume.", access: [.user], success: 202, request: CreateManagedVolume.self,
        response: ManagedVolumeView.self)
    public static let listVolumes = Endpoint(
        "listManagedVolumes", .get, "/v1/volumes", "Volumes that are not deleted.", access: readers, query: QueryParameter.paging,
        request: Empty.self, response: Page<ManagedVolumeView>.self)
    public static let showVolume = Endpoint(
        "showManagedVolume", .get, "/v1/volumes/{volume}", "One volume.", access: readers, request: Empty.self,
        response: ManagedVolumeView.self)
    public static let actOnVolume = Endpoint(
        "actOnManagedVolume", .post, "/v1/volumes/{volume}/actions", "Attach, detach, resize, delete or retry a volume.", access: [.user],
        success: 202, request: ActOnManagedVolume.self, response: ManagedVolumeView.self)
}
