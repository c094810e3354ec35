public import Primitives

// Tenants' networks, between manage and connect.

public enum NetworkState: String, Codable, Sendable, CaseIterable {
    /// Manage has accepted it, and its connect has not heard of it yet. Never so at connect.
    case creating
    case available
    /// Hosts that had instances on it have not all said that nothing of it is left.
    case deleting
    case deleted
}

/// A buyer's request for a network: private addresses that its instances have wherever they run in the datacenter. It belongs to the
/// buyer and the account, so that it outlives the contract whose certificate is presented.
public struct CreateNetwork: Codable, Sendable, Hashable {
    /// Chosen by the buyer's manage; the same request sent again is answered with the same network.
    public var id: NetworkID
    /// A block of private addresses (RFC 1918, RFC 6598) from /16 to /28, `10.1.0.0/24`. Other networks may have the same.
    public var cidr: String
    /// Its instances run in this zone only; anywhere in the datacenter when absent.
    public var zone: String?
    /// The buyer's account: only its instances may be on it.
    public var account: AccountID
    public var name: String?
    /// Guests reach the world through their host's address; yes when absent.
    public var internet: Bool?
    public init(
        id: NetworkID, cidr: String, zone: String? = nil, account: AccountID, name: String? = nil, internet: Bool? = nil
    ) {
        self.id = id
        self.cidr = cidr
        self.zone = zone
        self.account = account
        self.name = name
        self.internet = internet
    }
}

/// A network on one host.
public struct NetworkHostView: Codable, Sendable, Hashable {
    public var host: HostID
    public var hostName: String?
    /// `absent` until the host has said that nothing of it is left.
    public var desired: NetworkDesired
    /// As the host last said; absent: it has not yet.
    public var observed: NetworkObserved?
    public var reason: StateReason?
    /// Where the others send packets for its instances; absent: it takes part in no tunnel any more.
    public var tunnelAddress: String?
    public init(
        host: HostID, hostName: String?, desired: NetworkDesired, observed: NetworkObserved?, reason: StateReason?, tunnelAddress: String?
    ) {
        self.host = host
        self.hostName = hostName
        self.desired = desired
        self.observed = observed
        self.reason = reason
        self.tunnelAddress = tunnelAddress
    }
}

public struct NetworkView: Codable, Sendable {
    public var id: NetworkID
    public var buyer: ParticipantID
    public var account: AccountID
    public var name: String?
    public var state: NetworkState
    public var cidr: String
    /// Router, name server and metadata service; the same on every host.
    public var gateway: String
    /// VXLAN network identifier, 1 to 16777215.
    public var vni: Int64
    public var zone: String?
    public var internet: Bool
    /// Goes up whenever other hosts take part in it, or their tunnels change.
    public var generation: Int64
    /// Instances on it, and reserved places of such.
    public var instances: Int64
    /// Addresses that instances may have, and those of them that none has.
    public var addresses: Int64
    public var addressesFree: Int64
    /// Where it is now, or is still to be taken away. In lists absent.
    public var hosts: [NetworkHostView]?
    public var created: Instant
    public var stateChanged: Instant
    public init(
        id: NetworkID, buyer: ParticipantID, account: AccountID, name: String?, state: NetworkState, cidr: String, gateway: String,
        vni: Int64, zone: String?, internet: Bool, generation: Int64, instances: Int64, addresses: Int64, addressesFree: Int64,
        hosts: [NetworkHostView]?, created: Instant, stateChanged: Instant
    ) {
        self.id = id
        self.buyer = buyer
        self.account = account
        self.name = name
        self.state = state
        self.cidr = cidr
        self.gateway = gateway
        self.vni = vni
        self.zone = zone
        self.internet = internet
        self.generation = generation
        self.instances = instances
        self.addresses = addresses
        self.addressesFree = addressesFree
        self.hosts = hosts
        self.created = created
        self.stateChanged = stateChanged
    }
}

extension ConnectAPI {
    public static let createNetwork = Endpoint(
        "createNetwork", .post, "/v1/networks", "Make a network for the buyer's instances.", access: [.buyer], success: 201,
        request: CreateNetwork.self, response: NetworkView.self)
    public static let listNetworks = Endpoint(
        "listNetworks", .get, "/v1/networks", "Networks of this contract's buyer that are not deleted; the operator sees all.",
        access: [.buyer, .operator],
        query: QueryParameter.paging + [QueryParameter("account", .string, "Only those of this account.")], request: Empty.self,
        response: Page<NetworkView>.self)
    public static let showNetwork = Endpoint(
        "showNetwork", .get, "/v1/networks/{network}", "One network, and where it is.", access: [.buyer, .operator],
        request: Empty.self, response: NetworkView.self)
    public static let deleteNetwork = Endpoint(
        "deleteNetwork", .delete, "/v1/networks/{network}", "Delete a network that no instance is on.", access: [.buyer, .operator],
        success: 202, request: Empty.self, response: NetworkView.self)
}
