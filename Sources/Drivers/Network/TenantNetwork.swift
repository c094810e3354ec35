public import Primitives

/// A tenant's network as one host has a share in it: machines on several hosts, joined by a tunnel.
public struct TenantNetwork: Codable, Sendable, Hashable {
    public var network: NetworkID
    /// VXLAN network identifier, 1 to 16777215.
    public var vni: Int64
    /// Its addresses; other networks of the same host may have the same.
    public var cidr: IPv4Prefix
    /// Answers on every host: router, name server, metadata service.
    public var gateway: IPv4Address
    /// Bytes of the largest packet a machine may send.
    public var mtu: Int64
    /// Machines reach the world through their host's address.
    public var hasInternet: Bool
    /// Tunnel addresses of the other hosts with machines on it.
    public var peers: [IPv4Address]

    public init(
        network: NetworkID, vni: Int64, cidr: IPv4Prefix, gateway: IPv4Address, mtu: Int64, hasInternet: Bool, peers: [IPv4Address]
    ) {
        self.network = network
        self.vni = vni
        self.cidr = cidr
        self.gateway = gateway
        self.mtu = mtu
        self.hasInternet = hasInternet
        self.peers = peers
    }

    /// The gateway's address with the length of the network's prefix.
    public var gatewayPrefix: IPv4Prefix { IPv4Prefix(address: gateway, length: cidr.length) }
}

/// The end of all tunnels on this host.
public struct TunnelEnd: Sendable, Hashable {
    /// Where other hosts send to; one of the host's own addresses.
    public var address: IPv4Address
    /// Bytes of a packet that the network between the hosts carries.
    public var mtu: Int64

    /// What VXLAN puts around a packet: Ethernet 14, VXLAN 8, UDP 8, IPv4 20 (RFC 7348).
    public static let overhead: Int64 = 50
    public var largestInside: Int64 { mtu - Self.overhead }

    public init(address: IPv4Address, mtu: Int64 = 1_500) {
        self.address = address
        self.mtu = mtu
    }
}

/// Where the metadata service of a network is to listen.
public struct MetadataPlace: Sendable, Hashable {
    public var address: String
    public var port: Int
    /// Network namespace, by its name below /run/netns; nil is this process's.
    public var namespace: String?

    public init(address: String, port: Int, namespace: String?) {
        self.address = address
        self.port = port
        self.namespace = namespace
    }
}

extension TenantNetwork {
    /// Every driver refuses the same.
    func validate(on tunnel: TunnelEnd?) throws(Refusal) -> TunnelEnd {
        guard let tunnel else {
            throw Refusal(
                "network.tunnel", .unavailable,
                "this host takes part in no tenant's network, because its node was started without a tunnel address",
                facts: ["network": .text("\(network)")], nearest: "bourse node serve --tunnel-address with the address other hosts send to")
        }
        guard (1...16_777_215).contains(vni) else {
            throw Refusal(
                "network.vni", .invalid, "\(vni) is not a VXLAN network identifier", facts: ["vni": .number(vni)], nearest: "1 to 16777215")
        }
        guard cidr.address == cidr.network, !Self.isReserved(cidr) else {
            throw Refusal(
                "network.cidr", .invalid, "machines cannot have the addresses of \(cidr)", facts: ["cidr": .text("\(cidr)")],
                nearest: "a private network such as 10.1.0.0/24, with no bit set behind the prefix")
        }
        guard cidr.canAssign(gateway) else {
            throw Refusal(
                "network.gateway", .invalid, "\(gateway) cannot be the gateway of \(cidr)",
                facts: ["gateway": .text("\(gateway)"), "cidr": .text("\(cidr)")], nearest: "\(IPv4Address(bits: cidr.network.bits + 1))")
        }
        guard (576...tunnel.largestInside).contains(mtu) else {
            throw Refusal(
                "network.mtu", .invalid,
                "packets of \(mtu) bytes do not fit: the network between the hosts carries \(tunnel.mtu), the tunnel takes \(TunnelEnd.overhead)",
                facts: ["mtu": .number(mtu), "tunnelMTU": .number(tunnel.mtu)], nearest: "576 to \(tunnel.largestInside)")
        }
        return tunnel
    }

    /// This network, the hosts themselves, link-local, multicast and beyond.
    private static func isReserved(_ cidr: IPv4Prefix) -> Bool {
        cidr.address.bits >= 0xe000_0000
            || ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16"].compactMap { IPv4Prefix($0) }.contains { $0.overlaps(cidr) }
    }

    static func unknown(_ network: NetworkID) -> Refusal {
        Refusal(
            "network.unknown", .unavailable, "network \(network) is not on this host yet", facts: ["network": .text("\(network)")],
            nearest: "the same once it is")
    }

    /// A network that machines are on stays.
    static func used(_ network: NetworkID, by instances: [InstanceID]) -> Refusal {
        Refusal(
            "network.used", .conflict, "\(instances.count) machines of this host are on network \(network)",
            facts: [
                "network": .text("\(network)"), "machines": .number(Int64(instances.count)),
                "first": .text(instances.first?.description ?? ""),
            ],
            nearest: "remove the machines first")
    }

    /// What a network is cannot change while it is there.
    func refuseChange(from former: TenantNetwork) throws(Refusal) {
        guard former.vni != vni || former.cidr != cidr || former.gateway != gateway else { return }
        throw Refusal(
            "network.changed", .conflict,
            "network \(network) is \(former.cidr) by \(former.gateway) with VNI \(former.vni) here and cannot become \(cidr) by \(gateway) with VNI \(vni)",
            facts: ["vni": .number(former.vni), "cidr": .text("\(former.cidr)"), "gateway": .text("\(former.gateway)")],
            nearest: "remove it first")
    }

    /// Two networks with one identifier would be one.
    func refuseSameIdentifier(among others: [TenantNetwork]) throws(Refusal) {
        guard let other = others.first(where: { $0.vni == vni && $0.network != network }) else { return }
        throw Refusal(
            "network.vni", .conflict, "VNI \(vni) is that of network \(other.network)",
            facts: ["vni": .number(vni), "holder": .text("\(other.network)")])
    }
}
