import Foundation
import Primitives

/// What is written down of a tenant's network on this host. Lost with a reboot, like the network itself.
struct TenantRecord: Codable, Sendable, Hashable {
    var network: TenantNetwork
    /// Which pair of link-local addresses its way out has, from 0.
    var slot: Int

    static let slots = 21_504
    /// From 169.254.1.0 on, so that 169.254.169.254 is never among them.
    private static let firstAddress: UInt32 = 0xa9fe_0100

    /// The host's end of the way out, and the router's: a network of two (RFC 3021).
    var hostEnd: IPv4Address { IPv4Address(bits: Self.firstAddress + UInt32(2 * slot)) }
    var routerEnd: IPv4Address { IPv4Address(bits: Self.firstAddress + UInt32(2 * slot) + 1) }

    var gatewayMAC: String { Device.gatewayMAC(network.gateway) }

    // Devices in the guests' namespace.
    var bridge: String { Self.bridge(network.network) }
    var tunnel: String { Self.tunnel(network.network) }
    /// To the router, from the bridge and from the host.
    var routerPort: String { Self.routerPort(network.network) }
    var uplink: String { Self.uplink(network.network) }

    static func bridge(_ network: NetworkID) -> String { Device.name("b", network.bits) }
    static func tunnel(_ network: NetworkID) -> String { Device.name("x", network.bits) }
    static func routerPort(_ network: NetworkID) -> String { Device.name("r", network.bits) }
    static func uplink(_ network: NetworkID) -> String { Device.name("u", network.bits) }
    /// Devices in the router's namespace.
    static let inside = "inside", world = "world"
}

/// The records of one host, a folder per network. Files only: call it through `Blocking`.
struct TenantRecords: Sendable {
    var directory: String

    func folder(_ network: NetworkID) -> String { "\(directory)/\(network)" }
    private func file(_ network: NetworkID) -> String { folder(network) + "/network.json" }

    func all() -> [TenantRecord] { Files.list(directory).compactMap { NetworkID($0).flatMap(record) } }

    func record(_ network: NetworkID) -> TenantRecord? {
        Files.read(file(network), limit: 1 << 20).flatMap { try? JSONDecoder().decode(TenantRecord.self, from: Data($0)) }
    }

    func write(_ record: TenantRecord) throws(Refusal) {
        let id = record.network.network
        try Files.makeDirectory(folder(id), mode: 0o755)
        do {
            try Files.write(Array(try JSONEncoder().encode(record)), to: file(id), mode: 0o644)
        } catch {
            throw Files.problem("write", file(id), error)
        }
    }

    func remove(_ network: NetworkID) throws(Refusal) { try Files.removeTree(folder(network)) }

    /// The record of a network as it is wanted now: what it is may not change, what it is not may.
    func next(_ network: TenantNetwork) throws(Refusal) -> TenantRecord {
        let known = all()
        try network.refuseSameIdentifier(among: known.map(\.network))
        if var record = known.first(where: { $0.network.network == network.network }) {
            try network.refuseChange(from: record.network)
            record.network = network
            return record
        }
        let taken = Set(known.map(\.slot))
        guard let slot = (0..<TenantRecord.slots).first(where: { !taken.contains($0) }) else {
            throw Refusal(
                "network.slots", .capacity, "this host has \(known.count) tenants' networks, and no addresses for another's way out",
                facts: ["networks": .number(Int64(known.count))])
        }
        return TenantRecord(network: network, slot: slot)
    }
}
