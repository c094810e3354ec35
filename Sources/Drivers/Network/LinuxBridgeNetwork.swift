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
    /// Network namespace everything is made in (name below /run/netns); nil is this process's.
    public var namespace: String?
    /// Lost with a reboot, like the network itself. Must be reachable for an ordinary user: dnsmasq drops its privileges.
    public var directory: String

    public init(
        bridge: String = "bourse0", gateway: IPv4Prefix, metadataPort: Int, namespace: String? = nil, directory: String? = nil
    ) {
        self.bridge = bridge
        self.gateway = gateway
        self.metadataPort = metadataPort
        self.namespace = namespace
        self.directory = directory ?? "/run/bourse/" + (namespace ?? Self.ownNamespace) + "-" + bridge
    }

    /// The number of the network namespace this process is in, so that hosts in namespaces of one machine keep apart.
    private static var ownNamespace: String {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
        return String((link ?? "net").filter(\.isNumber))
    }
}

/// One flat network for the machines of a host: a Linux bridge, a tap device per machine, nftables, dnsmasq.
public final class LinuxBridgeNetwork: NetworkDriver {
    let configuration: LinuxBridgeConfiguration
    let runner: CommandRunner
    let server: AddressServer
    let rules: FilterRules
    /// nftables transactions and the lease files they mirror change together.
    private let filterLock = KeyedLock<Int>()

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
            directory: configuration.directory, bridge: configuration.bridge, network: configuration.gateway, runner: runner)
        rules = FilterRules(bridge: configuration.bridge, network: configuration.gateway, metadataPort: configuration.metadataPort)
    }

    // MARK: - The network

    public func ensureNetwork() async throws(Refusal) {
        try await ensureBridge()
        try await enableForwarding()
        try await filterLock.withLock(0) { () async throws(Refusal) in
            let ports = try await ports()
            try await runner.require("nft", ["-f", "-"], input: rules.replacement(ports))
        }
        try await server.ensureRunning()
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
            "link add name \(bridge) address \(gatewayMAC) type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            "link set dev \(bridge) alias \"\(Self.mark)\"",
        ]
        let steps =
            (shown.succeeded ? [] : creation) + ["address replace \(configuration.gateway) dev \(bridge)", "link set dev \(bridge) up"]
        try await runner.require("ip", ["-batch", "-"], input: steps.joined(separator: "\n") + "\n")
    }

    private var gatewayMAC: String {
        let bits = configuration.gateway.address.bits
        let bytes: [UInt32] = [0x02, 0xb0, bits >> 24 & 255, bits >> 16 & 255, bits >> 8 & 255, bits & 255]
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
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
        try port.validate(in: configuration.gateway)
        let device = port.deviceName
        let joining = """
            link set dev \(device) group \(rules.deviceGroup)
            link set dev \(device) master \(configuration.bridge) up

            """
        // In a launch the device is new. When it is there already, only what comes after its making is repeated.
        let made = try await runner.run("ip", ["-batch", "-"], input: "tuntap add dev \(device) mode tap\n" + joining)
        if !made.succeeded { try await runner.require("ip", ["-batch", "-"], input: joining) }
        return device
    }

    public func permit(_ port: NetworkPort) async throws(Refusal) {
        try port.validate(in: configuration.gateway)
        try await filterLock.withLock(0) { () async throws(Refusal) in
            let known = try await ports()
            if let other = known.first(where: { $0.instance != port.instance && $0.collides(with: port) }) {
                throw Refusal(
                    "network.taken", .conflict, "address \(port.address) or MAC \(port.macAddress) belongs to \(other.instance)",
                    facts: ["address": .text("\(port.address)"), "holder": .text("\(other.instance)")])
            }
            let former = known.first { $0.instance == port.instance }
            let removal = former.flatMap { $0 == port ? nil : rules.removal($0) } ?? ""
            let server = server
            try await Blocking.run { () throws(Refusal) in if former != port { try server.write(port) } }
            try await apply(removal + rules.addition(port))
            if former != nil, former != port { try await server.forgetOldLeases() }
        }
    }

    public func ensurePortAbsent(_ instance: InstanceID) async throws(Refusal) {
        try await filterLock.withLock(0) { () async throws(Refusal) in
            let server = server
            let port = try await Blocking.run { () throws(Refusal) in server.lease(instance) }
            guard let port else { return }
            try await Blocking.run { () throws(Refusal) in try server.remove(instance) }
            try await apply(rules.removal(port))
            try await server.forgetOldLeases()
        }
        let device = NetworkPort.deviceName(instance)
        let result = try await runner.run("ip", ["link", "delete", "dev", device])
        guard result.succeeded || result.complaint.contains("Cannot find device") else {
            throw CommandRunner.failed("ip", ["link", "delete", "dev", device], result.complaint)
        }
    }

    /// Changes the sets; when they are not as expected (somebody flushed them), makes everything anew from the leases.
    private func apply(_ changes: String) async throws(Refusal) {
        if try await runner.run("nft", ["-f", "-"], input: changes).succeeded { return }
        let known = try await ports()
        try await runner.require("nft", ["-f", "-"], input: rules.replacement(known))
    }

    public func ports() async throws(Refusal) -> [NetworkPort] {
        let server = server
        return try await Blocking.run { () throws(Refusal) in server.leases() }
    }

    // MARK: - Teardown

    public func teardown() async throws(Refusal) {
        try await server.ensureStopped()
        try await runner.require("nft", ["-f", "-"], input: rules.disappearance)
        let script = """
            for device in $(ip -o link show group "$3" | sed -n 's/^[0-9]*: \\([^:@]*\\).*/\\1/p'); do ip link delete dev "$device"; done
            ip link show dev "$2" 2>/dev/null | grep -q "alias \(Self.mark)$" && ip link delete dev "$2"
            [ -e "$1/forwarding" ] && while read -r device; do echo 0 >"/proc/sys/net/ipv4/conf/$device/forwarding"; done <"$1/forwarding"
            exit 0
            """
        try await runner.require("sh", ["-c", script, "sh", configuration.directory, configuration.bridge, "\(rules.deviceGroup)"])
        let directory = configuration.directory
        try await Blocking.run { () throws(Refusal) in try Files.removeTree(directory) }
    }
}

extension NetworkPort {
    fileprivate func collides(with other: NetworkPort) -> Bool { address == other.address || macAddress == other.macAddress }
}
