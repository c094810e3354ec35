import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// Networks between connect and its nodes, and with the instances that are on them.

extension ConnectCore {
    static func networkTopic(_ network: NetworkID) -> String { "network:\(network)" }

    /// With whose each is.
    func owned(_ intents: [InstanceIntent]) -> [InstanceIntent] {
        intents.map { intent in
            var intent = intent
            intent.owner = memory.contract(intent.contract).map { ownerDigest(of: $0.view.buyer, intent.account) }
            return intent
        }
    }

    /// Under which changes a host finds what concerns it.
    func topics(of host: HostID, in context: any ReadContext) throws -> [String] {
        let own = [Self.hostTopic(host)]
        guard memory.reading({ $0.occupancy.networkCount }) > 0 else { return own }
        return try own + NetworkHost.on(host, in: context).map { Self.networkTopic($0.network) }
    }

    /// What a host is to do about networks: all of them, or those among the subjects of changes and those of instances it is told of.
    func networkIntents(
        for host: HostID, of subjects: Set<String>? = nil, with instances: [InstanceIntent], in context: any ReadContext
    ) throws -> [NetworkIntent]? {
        guard memory.reading({ $0.occupancy.networkCount }) > 0 else { return nil }
        let wanted = subjects.map { Set($0.compactMap(NetworkID.init)).union(instances.compactMap(\.network)) }
        if wanted?.isEmpty == true { return nil }
        let members = try NetworkHost.on(host, in: context).filter { wanted?.contains($0.network) ?? true }
        let intents = try members.compactMap { try intent(of: $0, in: context) }
        return intents.isEmpty ? nil : intents
    }

    private func intent(of member: NetworkHost, in context: any ReadContext) throws -> NetworkIntent? {
        guard let record = try NetworkRecord.load(member.network, in: context) else { return nil }
        let rows = try context.query(
            """
            SELECT n.host, h.tunnel_address, h.tunnel_mtu FROM network_hosts n JOIN hosts h ON h.id = n.host
            WHERE n.network = $1 AND (n.desired = 'present' OR n.host = $2)
            """, [SQLValue(member.network), SQLValue(member.host)])
        // All of its guests must be able to send to each other what they send at all.
        let carried = try rows.map { try $0.optionalInteger("tunnel_mtu") ?? Self.usualMTU }.min() ?? Self.usualMTU
        // A host that is set up anew may have the address of one that is still missed: nobody is told of an address twice, or of its own.
        let own = try rows.filter { try $0.id("host", as: HostID.self) == member.host }.compactMap { try $0.optionalText("tunnel_address") }
        let peers = Set(try rows.compactMap { try $0.optionalText("tunnel_address") }).subtracting(own)
        return NetworkIntent(
            network: record.id, generation: record.generation, desired: member.desired, vni: record.vni, cidr: record.range.text,
            gateway: GuestNetwork.text(record.range.gateway), mtu: carried - Self.tunnelOverhead,
            hasInternet: record.request.internet ?? true,
            peers: member.desired == .present ? peers.sorted() : [])
    }

    private static let usualMTU: Int64 = 1_500
    /// Outer Ethernet, IPv4, UDP and VXLAN headers around each packet (RFC 7348).
    private static let tunnelOverhead: Int64 = 50

    /// A tunnel that others can send to.
    static func checkTunnel(_ hello: NodeHello) throws(Refusal) {
        if let address = hello.tunnelAddress, GuestNetwork.address(address) == nil {
            throw Refusal(
                "node.tunnel", .invalid, "'\(address)' is not an IPv4 address.", facts: ["tunnelAddress": .text(address)],
                nearest: "the address of this host that the other hosts reach")
        }
        guard (576...65_535).contains(hello.tunnelMTU ?? usualMTU) else {
            throw Refusal(
                "node.tunnel", .invalid, "A network between hosts carries packets of 576 to 65535 bytes, not \(hello.tunnelMTU ?? 0).",
                facts: ["tunnelMTU": .number(hello.tunnelMTU ?? 0)], nearest: "\(usualMTU)")
        }
    }

    /// Where the tunnel of a host ends; nil: its node announced nothing, or has not joined yet.
    func tunnelView(of host: HostID, in context: any ReadContext) throws -> TunnelView? {
        guard let tunnel = try HostTunnel.load(host, in: context) else { return nil }
        if let address = tunnel.address { return TunnelView(address: address, refusal: nil) }
        guard let refused = tunnel.refused else { return nil }
        let refusal = HostTunnel.refusal(of: refused, to: tunnel.name, for: try HostTunnel.holder(of: refused, besides: host, in: context))
        return TunnelView(
            address: refused, refusal: TopologyRefusal(rule: refusal.rule, message: refusal.message, nearest: refusal.nearest))
    }

    // MARK: What hosts say

    /// What of it is not known.
    func news(of seen: [NetworkObservation]?, from host: HostID) async throws -> [NetworkObservation] {
        guard let seen, !seen.isEmpty else { return [] }
        return try await database.read { context in
            let known = Dictionary(uniqueKeysWithValues: try NetworkHost.on(host, in: context).map { ($0.network, $0) })
            return seen.filter { known[$0.network]?.isNews($0) == true }
        }
    }

    /// Takes in what a host saw of a network. Once nothing of it is left, the host has no more to do with it.
    func observe(_ seen: NetworkObservation, from host: HostID, at now: Instant, in transaction: FleetTransaction) throws {
        guard let member = try NetworkHost.load(seen.network, on: host, in: transaction), member.isNews(seen) else { return }
        guard member.isGone(seen) else { return try member.save(seen, in: transaction) }
        try member.delete(in: transaction)
        guard var record = transaction.reading({ $0.networks[seen.network] }) else { return }
        try record.settleDeletion(in: transaction, at: now)
    }
}
