import CloudAPI
import Fleet
import Primitives
import Store

/// Where the other hosts send packets of networks that they share with a host. An address is one host's: packets for two would all go
/// to whichever the switches know. A second one that announces it goes on running what it runs, and gets no tenant's network before the
/// first is gone or either has another address.
struct HostTunnel: Sendable {
    var name: String
    var address: String?
    /// Announced, but another host's.
    var refused: String?

    static func load(_ host: HostID, in context: any ReadContext) throws -> HostTunnel? {
        try context.queryOne(
            """
            SELECT COALESCE(p.name, h.name) AS name, h.tunnel_address, h.tunnel_refused FROM hosts h
            LEFT JOIN host_places p ON p.host = h.id WHERE h.id = $1
            """, [SQLValue(host)]
        ).map {
            HostTunnel(
                name: try $0.text("name"), address: try $0.optionalText("tunnel_address"), refused: try $0.optionalText("tunnel_refused"))
        }
    }

    /// The name of another host whose address it is.
    static func holder(of address: String, besides host: HostID, in context: any ReadContext) throws -> String? {
        try context.queryOne(
            """
            SELECT COALESCE(p.name, h.name) AS name FROM hosts h LEFT JOIN host_places p ON p.host = h.id
            WHERE h.tunnel_address = $1 AND h.id <> $2 AND h.state <> 'retired' ORDER BY h.id LIMIT 1
            """, [.text(address), SQLValue(host)])?.text("name")
    }

    /// - Parameter holder: the host whose address it is; nil: it has been given up since.
    static func refusal(of address: String, to host: String, for holder: String?) -> Refusal {
        let other = holder.map { "host \($0)" } ?? "another host"
        return Refusal(
            "host.tunnel", .conflict,
            "Host \(host) announced the tunnel address \(address), which is that of \(other): no instance on a tenant's network comes to it. What runs there goes on.",
            facts: ["host": .text(host), "address": .text(address), "holder": .text(holder ?? "")],
            nearest: "an address of its own (`bourse node serve --tunnel-address`)\(holder.map { ", or retire \($0) if it is gone" } ?? "")"
        )
    }

    // MARK: Changing

    /// Keeps what a node announced, and tells whoever shares a network with its host when that is somewhere else now. The refusal is for
    /// people: the host is welcome without a tunnel.
    static func save(_ hello: NodeHello, of host: HostID, in transaction: FleetTransaction) throws -> Refusal? {
        let announced = hello.tunnelAddress.flatMap(GuestNetwork.address).map(GuestNetwork.text)
        let holder = try announced.flatMap { try Self.holder(of: $0, besides: host, in: transaction) }
        let (address, refused) = holder == nil ? (announced, nil) : (nil, announced)
        let row = try transaction.queryOne("SELECT tunnel_address, tunnel_mtu, tunnel_refused FROM hosts WHERE id = $1", [SQLValue(host)])
        let before = try row?.optionalText("tunnel_address")
        let isSame = try before == address && row?.optionalInteger("tunnel_mtu") == hello.tunnelMTU
        if try !isSame || row?.optionalText("tunnel_refused") != refused {
            try transaction.execute(
                "UPDATE hosts SET tunnel_address = $2, tunnel_mtu = $3, tunnel_refused = $4 WHERE id = $1",
                [SQLValue(host), SQLValue(address), SQLValue(hello.tunnelMTU), SQLValue(refused)])
        }
        if !isSame { try transaction.noteTunnel(of: host) }
        if let before, before != address { try pass(on: before, in: transaction) }
        guard let holder, let announced else { return nil }
        return refusal(of: announced, to: hello.hostName, for: holder)
    }

    /// A host leaves for good: its address is free.
    static func release(of host: HostID, in transaction: FleetTransaction) throws {
        let row = try transaction.queryOne("SELECT tunnel_address FROM hosts WHERE id = $1", [SQLValue(host)])
        guard let address = try row?.optionalText("tunnel_address") else { return }
        try transaction.execute("UPDATE hosts SET tunnel_address = NULL WHERE id = $1", [SQLValue(host)])
        try pass(on: address, in: transaction)
    }

    /// An address that was given up is the first's that asked for it in vain.
    private static func pass(on address: String, in transaction: FleetTransaction) throws {
        let row = try transaction.queryOne(
            "SELECT id FROM hosts WHERE tunnel_refused = $1 AND state <> 'retired' ORDER BY id LIMIT 1", [.text(address)])
        guard let next = try row?.id("id", as: HostID.self), try holder(of: address, besides: next, in: transaction) == nil else { return }
        try transaction.execute(
            "UPDATE hosts SET tunnel_address = tunnel_refused, tunnel_refused = NULL WHERE id = $1", [SQLValue(next)])
        try transaction.noteTunnel(of: next)
        try transaction.noteHost(next)
    }
}
