import Drivers
import Foundation
import Primitives
import Testing

/// Two hosts, each a network namespace, joined by a cable, and a world that both reach through another. Guests are namespaces of their own behind
/// the devices that would be their taps.
struct TwoHosts: Sendable {
    enum Host: String, Sendable, CaseIterable { case a, b }

    let lab: Lab
    let name: String

    init(_ lab: Lab) async throws {
        self.lab = lab
        name = try #require(lab.namespace)
        try await lab.shell(
            """
            set -e
            for host in \(name)a \(name)b \(name)w; do ip netns add $host; ip -n $host link set lo up; done
            ip link add under netns \(name)a type veth peer name under netns \(name)b
            ip -n \(name)w link add wan type bridge; ip -n \(name)w addr add 203.0.113.1/24 dev wan; ip -n \(name)w link set wan up
            number=1
            for host in a b; do
                ip -n \(name)$host addr add 10.200.0.$number/24 dev under; ip -n \(name)$host link set under up
                ip link add wan netns \(name)$host type veth peer name port$host netns \(name)w
                ip -n \(name)w link set port$host master wan up; ip -n \(name)$host link set wan up
                ip -n \(name)$host addr add 203.0.113.1$number/24 dev wan; ip -n \(name)$host route add default via 203.0.113.1
                number=2
            done
            cat >\(lab.directory)/lease <<'END'
            #!/bin/sh
            [ "$1" = bound ] && ip addr add $ip/$mask dev $interface && ip link set $interface mtu ${mtu:-1500} && ip route replace default via $router
            exit 0
            END
            chmod +x \(lab.directory)/lease
            echo hello >\(lab.directory)/index.html
            """)
    }

    static func tunnel(of host: Host) throws -> IPv4Address { try #require(IPv4Address(host == .a ? "10.200.0.1" : "10.200.0.2")) }

    /// A driver made anew, as by another process.
    func network(_ host: Host) throws -> LinuxBridgeNetwork {
        try LinuxBridgeNetwork(
            LinuxBridgeConfiguration(
                gateway: try #require(IPv4Prefix("10.99.0.1/16")), metadataPort: 7_431,
                tunnel: TunnelEnd(address: try Self.tunnel(of: host)), namespace: name + host.rawValue))
    }

    func on(_ host: Host, _ script: String) async throws -> Bool { try await run(name + host.rawValue, script) }
    func inWorld(_ script: String) async throws -> Bool { try await run(name + "w", script) }
    func inRouter(_ host: Host, _ network: TenantNetwork, _ script: String) async throws -> Bool {
        try await run(router(host, network), script)
    }
    func router(_ host: Host, _ network: TenantNetwork) -> String { "\(name)\(host.rawValue)-bourse0-\(network.network)" }

    private func run(_ namespace: String, _ script: String) async throws -> Bool {
        try await CommandRunner(namespace: namespace).run("sh", ["-c", script], deadline: .seconds(60)).succeeded
    }

    /// All that a host has of networks.
    func world(_ host: Host) async throws -> String {
        try await CommandRunner(namespace: name + host.rawValue).require(
            "sh",
            [
                "-c",
                "nft list ruleset; ip -o link | cut -d: -f2; ip -o addr | grep -v inet6; ls /run/netns | grep '^\(name)' | grep -v g; cat /proc/sys/net/ipv4/conf/*/forwarding; pgrep -ax dnsmasq | grep \(name) || true; ls -d /run/bourse/\(name)* 2>/dev/null || true",
            ], deadline: .seconds(20))
    }

    // MARK: - Guests

    struct Guest: Sendable {
        var hosts: TwoHosts
        var host: Host
        var port: NetworkPort
        var space: String { "\(hosts.name)g\(port.instance.bits & 0xff)" }

        func run(_ script: String) async throws -> Bool { try await hosts.run(space, script) }
        func pings(_ address: String, _ options: String = "") async throws -> Bool {
            try await run("ping -c1 -W1 \(options) \(address) >/dev/null 2>&1")
        }
        /// The body of what a web server answers.
        func reads(_ url: String) async throws -> Bool {
            try await run("timeout 2 busybox wget -q -O - \(url) 2>/dev/null | grep -q hello")
        }
        func asksForAddress() async throws -> Bool {
            try await run("busybox udhcpc -i eth0 -n -q -t 5 -T 1 -O mtu -s \(hosts.lab.directory)/lease >/dev/null 2>&1")
        }
    }

    /// A guest with its port, permitted, that has asked for its address.
    func guest(_ host: Host, _ number: UInt64, on network: TenantNetwork, address: String) async throws -> Guest {
        let port = NetworkPort(
            instance: instance(number), macAddress: "02:00:00:00:02:0\(number)", address: try #require(IPv4Address(address)),
            hostName: "ip-\(address.split(separator: ".").joined(separator: "-"))", network: network.network)
        let guest = Guest(hosts: self, host: host, port: port)
        try await lab.shell(
            """
            set -e
            ip netns add \(guest.space)
            ip link add \(port.deviceName) netns \(name)\(host.rawValue) type veth peer name eth0 netns \(guest.space) address \(port.macAddress)
            ip -n \(guest.space) link set lo up; ip -n \(guest.space) link set eth0 up
            """)
        let driver = try self.network(host)
        _ = try await driver.ensurePort(port)
        try await driver.permit(port)
        #expect(try await guest.asksForAddress(), "\(port.instance) gets an address")
        #expect(try await guest.run("ip addr show eth0 | grep -q 'inet \(address)/24'"), "\(port.instance) has \(address)")
        return guest
    }
}
