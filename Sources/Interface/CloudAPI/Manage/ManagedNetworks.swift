public import Primitives

/// A network as its owner sees it.
public struct ManagedNetworkView: Codable, Sendable {
    public var id: NetworkID
    public var name: String?
    public var account: AccountID
    public var state: NetworkState
    /// What stands in the way of telling connect; absent when it has heard everything.
    public var step: String?
    public var cidr: String
    public var zone: String?
    public var internet: Bool
    public var datacenter: DatacenterID
    public var seller: String?
    public var created: Instant
    /// As connect sees it now; absent in lists, and when it cannot be asked.
    public var seen: NetworkView?
    public init(
        id: NetworkID, name: String?, account: AccountID, state: NetworkState, step: String?, cidr: String, zone: String?, internet: Bool,
        datacenter: DatacenterID, seller: String?, created: Instant, seen: NetworkView?
    ) {
        self.id = id
        self.name = name
        self.account = account
        self.state = state
        self.step = step
        self.cidr = cidr
        self.zone = zone
        self.internet = internet
        self.datacenter = datacenter
        self.seller = seller
        self.created = created
        self.seen = seen
    }
}

/// Make a network where the buyer has a contract.
public struct CreateManagedNetwork: Codable, Sendable {
    /// A block of private addresses from /16 to /28.
    public var cidr: String
    public var name: String?
    /// Machines on it run in this zone; that of a contract in force when absent.
    public var zone: String?
    /// Guests reach the world through their host's address; yes when absent.
    public var internet: Bool?
    public init(cidr: String, name: String? = nil, zone: String? = nil, internet: Bool? = nil) {
        self.cidr = cidr
        self.name = name
        self.zone = zone
        self.internet = internet
    }
}

extension ManageAPI {
    public static let createNetwork = Endpoint(
        "createManagedNetwork", .post, "/v1/networks", "Make a network for the account's machines.", access: [.user], success: 202,
        request: CreateManagedNetwork.self, response: ManagedNetworkView.self)
    public static let listNetworks = Endpoint(
        "listManagedNetworks", .get, "/v1/networks", "Networks that are not deleted.", access: readers, query: QueryParameter.paging,
        request: Empty.self, response: Page<ManagedNetworkView>.self)
    public static let showNetwork = Endpoint(
        "showManagedNetwork", .get, "/v1/networks/{network}", "One network, as connect sees it now.", access: readers, request: Empty.self,
        response: ManagedNetworkView.self)
    public static let deleteNetwork = Endpoint(
        "deleteManagedNetwork", .delete, "/v1/networks/{network}", "Delete a network that no machine is on.", access: [.user],
        success: 202, request: Empty.self, response: ManagedNetworkView.self)
}
