import Foundation
import Glibc
public import Primitives

public struct LinuxBridgeConfiguration: Sendable {
    /// Also the name of the nftables tables. 15 characters at most.
    public var bridge: String
    /// The host's own address in the network, which is the guests' gateway and name server.
    public var gateway: IPv4Prefix
    /// TCP port on the gateway address that answers for 169.254.169.254:80.
    public var metadataPort: Int
    /// Nil: no tenant's network is possible here.
    public var tunnel: TunnelEnd?
    /// Network namespace everything is made in (name below /run/netns); nil is this process's.
    public var namespace: String?
    /// Lost with a reboot, like the network itself. Must be reachable for an ordinary user: dnsmasq drops its privileges.
    public var directory: String

    public init(
        bridge: String = "bourse0", gateway: IPv4Prefix, metadataPort: Int, tunnel: TunnelEnd? = nil, namespace: String? = nil,
        directory: String? = nil
    ) {
        self.bridge = bridge
        self.gateway = gateway
        self.metadataPort = metadataPort
        self.tunnel = tunnel
        self.namespace = namespace
        self.directory = directory ?? "/run/bourse/" + (namespace ?? Self.ownNamespace) + "-" + bridge
    }

    /// The number of the network namespace this process is in, so that hosts in namespaces of one machine keep apart.
    private static var ownNamespace: String {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
        return String((link ?? "net").filter(\.isNumber))
    }
}

/// The networks of the machines on a host: a flat one of its own and any number of tenants', each a Linux bridge with a tap device per
/// machine, nftables, dnsmasq. Tenants' have a tunnel to other hosts and a router in a namespace of its own beside.
public final class LinuxBridgeNetwork: NetworkDriver {
    let configuration: LinuxBridgeConfiguration
    let runner: CommandRunner
    let server: AddressServer
    let rules: FilterRules
    let records: TenantRecords
    /// nftables transactions and the files they mirror change together.
    let filterLock = KeyedLock<Int>()
    let tenantLock = KeyedLock<NetworkID>()

    public init(_ configuration: LinuxBridgeConfiguration) throws(Refusal) {
        let name = configuration.bridge.utf8
        guard (1...15).contains(name.count), name.allSatisfy({ (48...57).contains($0) || (97...122).contains($0) || $0 == 45 || $0 == 95 }),
            (97...122).contains(name.first ?? 0)
        else {
            throw Refusal(
                "network.bridge", .invalid,
                "'\(configuration.bridge)' is not a name for a bridge: 1 to 15 lower-case letters, digits and dashes",
                nearest: "bourse0")
        }
        guard (1...65_535).contains(configuration.metadataPort) else {
            throw Refusal("network.port", .invalid, "\(configuration.metadataPort) is not a TCP port", nearest: "1 to 65535")
        }
        self.configuration = configuration
        runner = CommandRunner(namespace: configuration.namespace)
        server = AddressServer(
            directory: configuration.directory, device: configuration.bridge, network: configuration.gateway, runner: runner)
        rules = FilterRules(
            bridge: configuration.bridge, network: configuration.gateway, metadataPort: configuration.metadataPort,
            tunnel: configuration.tunnel)
        records = TenantRecords(directory: configuration.directory + "/networks")
    }

    // MARK: - The network

    public func ensureNetwork() async throws(Refusal) {
        try await ensureBridge()
        try await enableForwarding()
        try await filterLock.withLock(0) { () async throws(Refusal) in try await replaceRules() }
        try await server.ensureRunning()
    }

    /// Makes the filter anew from what is written down. Under `filterLock`.
    func replaceRules() async throws(Refusal) {
        let (ports, records) = (try await ports(), records)
        let tenants = try await Blocking.run { () throws(Refusal) in records.all() }
        let underlay = tenants.isEmpty ? nil : try await underlay()
        try await runner.require("nft", ["-f", "-"], input: rules.replacement(ports, tenants, underlay: underlay))
    }

    /// Says whose bridge it is, so that a foreign one of the same name is left alone.
    private static let mark = "bourse host network"

    private func ensureBridge() async throws(Refusal) {
        let bridge = configuration.bridge
        let shown = try await runner.run("ip", ["-j", "link", "show", "dev", bridge])
        if shown.succeeded {
            guard shown.output.contains("\"\(Self.mark)\"") else {
                throw Refusal(
                    "network.bridge", .conflict, "a network device \(bridge) exists that is not Bourse's", facts: ["bridge": .text(bridge)],
                    nearest: "give the node another bridge name")
            }
        }
        if !shown.succeeded {
            // Without the bridge there is no network: what is written of one is of a time before a reboot.
            let leases = configuration.directory + "/hosts"
            try await Blocking.run { () throws(Refusal) in try? FileManager.default.removeItem(atPath: leases) }
        }
        let creation = [
            // A fixed address: left to itself a bridge takes on its ports' addresses and changes when they come and go.
            "link add name \(bridge) address \(Device.gatewayMAC(configuration.gateway.address)) type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            "link set dev \(bridge) alias \"\(Self.mark)\"",
        ]
        let steps =
            (shown.succeeded ? [] : creation) + ["address replace \(configuration.gateway) dev \(bridge)", "link set dev \(bridge) up"]
        try await runner.require("ip", ["-batch", "-"], input: steps.joined(separator: "\n") + "\n")
    }

    /// Guests reach the world only when the host forwards between the bridge and the device of its default route. Forwarding is
    /// switched on for these two alone, and what was off before is noted, so that `teardown` can switch it off again.
    private func enableForwarding() async throws(Refusal) {
        let script = """
            note="$1/forwarding"
            for device in "$2" $(ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p'); do
                knob="/proc/sys/net/ipv4/conf/$device/forwarding"
                [ "$(cat "$knob")" = 1 ] && continue
                echo 1 >"$knob"
                [ "$device" = "$2" ] || echo "$device" >>"$note"
            done
            """
        let directory = configuration.directory
        try await Blocking.run { () throws(Refusal) in try Files.makeDirectory(directory, mode: 0o755) }
        try await runner.require("sh", ["-c", script, "sh", directory, configuration.bridge])
    }

    // MARK: - Ports

    public func ensurePort(_ port: NetworkPort) async throws(Refusal) -> String {
        let place = try await place(of: port)
        let device = port.deviceName
        let size = place.mtu.map { " mtu \($0)" } ?? ""
        let joining = """
            link set dev \(device) group \(rules.group(place.group))\(size)
            link set dev \(device) master \(place.bridge) up

            """
        // In a launch the device is new. When it is there already, only what comes after its making is repeated.
        let made = try await runner.run("ip", ["-batch", "-"], input: "tuntap add dev \(device) mode tap\n" + joining)
        if !made.succeeded { try await runner.require("ip", ["-batch", "-"], input: joining) }
        return device
    }

    /// The network a port is on, as far as the port is concerned.
    struct Place {
        var bridge: String
        var group: FilterRules.Group
        var mtu: Int64?
        var server: AddressServer
    }

    private func place(of port: NetworkPort) async throws(Refusal) -> Place {
        if let network = port.network { return try await tenantPlace(of: port, on: network) }
        try port.validate(in: configuration.gateway)
        return Place(bridge: configuration.bridge, group: .guest, mtu: nil, server: server)
    }

    public func permit(_ port: NetworkPort) async throws(Refusal) {
        let server = try await place(of: port).server
        try await filterLock.withLock(0) { () async throws(Refusal) in
            let known = try await ports()
            if let other = known.first(where: { $0.instance != port.instance && $0.collides(with: port) }) {
                throw Refusal(
                    "network.taken", .conflict, "address \(port.address) or MAC \(port.macAddress) belongs to \(other.instance)",
                    facts: ["address": .text("\(port.address)"), "holder": .text("\(other.instance)")])
            }
            let former = known.first { $0.instance == port.instance }
            let removal = former.flatMap { $0 == port ? nil : rules.removal($0) } ?? ""
            if let former, former.network != port.network { try await forget(former) }
            try await Blocking.run { () throws(Refusal) in if former != port { try server.write(port) } }
            try await apply(removal + rules.addition(port))
            guard let former, former != port else { return }
            if former.network == port.network, former.macAddress != port.macAddress || former.address != port.address {
                try await server.takeBack(former)
            } else {
                try await server.readAgain()
            }
        }
    }

    public func ensurePortAbsent(_ instance: InstanceID) async throws(Refusal) {
        try await filterLock.withLock(0) { () async throws(Refusal) in
            guard let port = try await ports().first(where: { $0.instance == instance }) else { return }
            try await forget(port)
            try await apply(rules.removal(port))
        }
        let device = NetworkPort.deviceName(instance)
        let result = try await runner.run("ip", ["link", "delete", "dev", device])
        guard result.succeeded || result.complaint.contains("Cannot find device") else {
            throw CommandRunner.failed("ip", ["link", "delete", "dev", device], result.complaint)
        }
    }

    /// What fails leaves the port as it was, to be forgotten again.
    private func forget(_ port: NetworkPort) async throws(Refusal) {
        guard let server = try await addressServer(of: port.network) else { return }
        try await Blocking.run { () throws(Refusal) in try server.remove(port.instance) }
        do {
            try await server.takeBack(port)
        } catch {
            try await Blocking.run { () throws(Refusal) in try server.write(port) }
            throw error
        }
    }

    /// Changes the sets; when they are not as expected (somebody flushed them), makes everything anew from the leases.
    private func apply(_ changes: String) async throws(Refusal) {
        if try await runner.run("nft", ["-f", "-"], input: changes).succeeded { return }
        try await replaceRules()
    }

    public func ports() async throws(Refusal) -> [NetworkPort] {
        let servers = [server] + (try await tenantServers())
        return try await Blocking.run { () throws(Refusal) in servers.flatMap { $0.leases() }.sorted { $0.instance < $1.instance } }
    }

    // MARK: - Teardown

    public func teardown() async throws(Refusal) {
        for tenant in try await tenantRecords() { try await remove(tenant.network.network) }
        try await server.ensureStopped()
        try await runner.require("nft", ["-f", "-"], input: rules.disappearance)
        let groups = FilterRules.Group.allCases.map { "\(rules.group($0))" }.joined(separator: " ")
        let script = """
            for group in $3; do
            for device in $(ip -o link show group "$group" | sed -n 's/^[0-9]*: \\([^:@]*\\).*/\\1/p'); do ip link delete dev "$device"; done
            done
            ip link show dev "$2" 2>/dev/null | grep -q "alias \(Self.mark)$" && ip link delete dev "$2"
            [ -e "$1/forwarding" ] && while read -r device; do echo 0 >"/proc/sys/net/ipv4/conf/$device/forwarding"; done <"$1/forwarding"
            exit 0
            """
        try await runner.require("sh", ["-c", script, "sh", configuration.directory, configuration.bridge, groups])
        let directory = configuration.directory
        try await Blocking.run { () throws(Refusal) in try Files.removeTree(directory) }
    }
}

extension NetworkPort {
    fileprivate func collides(with other: NetworkPort) -> Bool {
        network == other.network && (address == other.address || macAddress == other.macAddress)
    }
}
