public import Primitives

// Networks, between connect and node.

public enum NetworkDesired: String, Codable, Sendable, CaseIterable {
    case present
    /// No instance on this host is on it any more: everything it was made of is taken away.
    case absent
}

/// What connect wants of one tenant's network on one host. The node refuses older generations.
public struct NetworkIntent: Codable, Sendable, Hashable {
    public var network: NetworkID
    public var generation: Int64
    public var desired: NetworkDesired
    /// VXLAN network identifier, 1 to 16777215, one for each network of the datacenter.
    public var vni: Int64
    /// Its addresses, `10.1.0.0/24`; other networks may have the same.
    public var cidr: String
    /// Answers on every host: router, name server and metadata service.
    public var gateway: String
    /// The largest packet guests may send, in bytes: what the hosts' own network carries less 50 for the tunnel.
    public var mtu: Int64
    /// Guests reach the world through their host's address.
    public var hasInternet: Bool
    /// Tunnel addresses of the other hosts that have instances on it, in order.
    public var peers: [String]
    public init(
        network: NetworkID, generation: Int64, desired: NetworkDesired, vni: Int64, cidr: String, gateway: String, mtu: Int64,
        hasInternet: Bool, peers: [String]
    ) {
        self.network = network
        self.generation = generation
        self.desired = desired
        self.vni = vni
        self.cidr = cidr
        self.gateway = gateway
        self.mtu = mtu
        self.hasInternet = hasInternet
        self.peers = peers
    }
}

public enum NetworkObserved: String, Codable, Sendable, CaseIterable { case absent, present, failed }

public struct NetworkObservation: Codable, Sendable, Hashable {
    public var network: NetworkID
    /// The generation the node was driving towards when it saw this.
    public var generation: Int64
    public var state: NetworkObserved
    public var reason: StateReason?
    public var at: Instant
    public init(network: NetworkID, generation: Int64, state: NetworkObserved, reason: StateReason?, at: Instant) {
        self.network = network
        self.generation = generation
        self.state = state
        self.reason = reason
        self.at = at
    }
}
