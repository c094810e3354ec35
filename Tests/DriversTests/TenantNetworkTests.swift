import Drivers
import Foundation
import Primitives
import Testing

/// Tenants' networks over two hosts.
@Suite(.serialized, .enabled(if: Lab.canNetwork, needsNetwork)) struct TenantNetworkTests {
    /// Both hosts have the network, each with the other as its peer.
    private func ensure(_ network: TenantNetwork, _ hosts: TwoHosts) async throws {
        for host in TwoHosts.Host.allCases {
            var mine = network
            mine.peers = [try TwoHosts.tunnel(of: host == .a ? .b : .a)]
            try await hosts.network(host).ensure(mine)
        }
    }

    private func with(_ body: @Sendable (TwoHosts) async throws -> Void) async throws {
        try await Lab.with(network: true) { lab in
            let hosts = try await TwoHosts(lab)
            for host in TwoHosts.Host.allCases { try await hosts.network(host).ensureNetwork() }
            try await body(hosts)
            for host in TwoHosts.Host.allCases { try await hosts.network(host).teardown() }
        }
    }

    private let small = "-M do -s 1422", large = "-M do -s 1423"

    @Test(.timeLimit(.minutes(3))) func twoHostsOneNetworkAndTheSameRangeTwice() async throws {
        try await with { hosts in
            let (one, two) = (try tenant(1), try tenant(2))
            for network in [one, two] { try await ensure(network, hosts) }
            let a1 = try await hosts.guest(.a, 1, on: one, address: "10.1.0.11")
            let b1 = try await hosts.guest(.b, 2, on: one, address: "10.1.0.12")
            let a2 = try await hosts.guest(.a, 3, on: two, address: "10.1.0.11")
            let b2 = try await hosts.guest(.b, 4, on: two, address: "10.1.0.12")
            for (from, to) in [(a1, b1), (a2, b2)] {
                #expect(try await from.pings("10.1.0.12", small), "across")
                #expect(try await to.pings("10.1.0.11", small), "and back")
                #expect(try await !from.pings("10.1.0.12", large), "1450 bytes were told by DHCP")
                #expect(try await from.run("ip neigh show 10.1.0.12 | grep -q \(to.port.macAddress)"), "that of its own network")
            }
            #expect(try await a1.run("ip link set eth0 mtu 1500 && ! ping -c1 -W1 \(large) 10.1.0.12 && ip link set eth0 mtu 1450"))
            // Whoever has the address on the other network is no substitute.
            try await hosts.network(.b).ensurePortAbsent(b1.port.instance)
            #expect(try await !a1.pings("10.1.0.12"))
            #expect(try await a2.pings("10.1.0.12"))
            // Its address is free at once, though it never gave it back.
            let heir = try await hosts.guest(.b, 5, on: one, address: "10.1.0.12")
            #expect(try await heir.pings("10.1.0.11"))
        }
    }

    @Test(.timeLimit(.minutes(3))) func theGatewayIsOnEveryHostAndNeverCrosses() async throws {
        try await with { hosts in
            let network = try tenant(1)
            try await ensure(network, hosts)
            let watch =
                "table netdev watch { chain c { type filter hook ingress device x\(suffix(network)) priority 0; ether saddr 02:b0:0a:01:00:01 counter; udp dport { 67, 68 } counter; arp daddr ip 10.1.0.1 counter; }; }"
            for host in TwoHosts.Host.allCases { #expect(try await hosts.on(host, "nft '\(watch)'")) }
            let a = try await hosts.guest(.a, 1, on: network, address: "10.1.0.11")
            let b = try await hosts.guest(.b, 2, on: network, address: "10.1.0.12")
            #expect(try await a.pings("10.1.0.12"))
            for guest in [a, b] {
                #expect(try await guest.pings("10.1.0.1"))
                #expect(try await guest.run("ip neigh show 10.1.0.1 | grep -q 02:b0:0a:01:00:01"))
                #expect(
                    try await guest.run(
                        "busybox nslookup ip-10-1-0-1\(guest.host == .a ? 1 : 2) 10.1.0.1 | grep -q 'Address: 10.1.0.1[12]'"), "by name")
            }
            // A guest that takes itself for the gateway convinces nobody.
            #expect(
                try await b.run(
                    "ip addr add 10.1.0.1/24 dev eth0; busybox arping -c2 -U -I eth0 10.1.0.1; ip addr del 10.1.0.1/24 dev eth0"))
            #expect(try await a.run("ip neigh flush all; ping -c1 -W1 10.1.0.1 && ip neigh show 10.1.0.1 | grep -q 02:b0:0a:01:00:01"))
            for host in TwoHosts.Host.allCases {
                #expect(
                    try await hosts.on(host, "test $(nft list table netdev watch | grep -c 'packets 0 ') = 3"),
                    "nothing of it in the tunnel")
            }
            // Each gateway does without the other host.
            #expect(try await hosts.on(.a, "ip link set under down"))
            for guest in [a, b] {
                #expect(try await guest.pings("10.1.0.1"))
                #expect(try await guest.run("ip addr flush dev eth0"))
                #expect(try await guest.asksForAddress())
            }
            #expect(try await !a.pings("10.1.0.12"))
        }
    }

    private func suffix(_ network: TenantNetwork) -> String {
        let digits = String(network.network.bits, radix: 32)
        return String(repeating: "0", count: 13 - digits.utf8.count) + digits
    }

    @Test(.timeLimit(.minutes(3))) func guestsReachMetadataAndTheWorldAndNothingElse() async throws {
        try await with { hosts in
            let (network, closed) = (try tenant(1), try tenant(2) { $0.hasInternet = false })
            for one in [network, closed] { try await ensure(one, hosts) }
            let a = try await hosts.guest(.a, 1, on: network, address: "10.1.0.11")
            let b = try await hosts.guest(.b, 2, on: network, address: "10.1.0.12")
            let shut = try await hosts.guest(.a, 3, on: closed, address: "10.1.0.11")
            try await serve(hosts, network, closed)
            for guest in [a, b, shut] {
                try await eventually("metadata") { try await guest.reads("http://169.254.169.254/") }
                #expect(try await !guest.reads("http://10.1.0.1:7431/"), "by its own address only")
            }
            for (guest, host) in [(a, "203.0.113.11"), (b, "203.0.113.12")] {
                try await eventually("the world") { try await guest.reads("http://203.0.113.1/") }
                // The hosts, by any of their addresses, and what is behind them.
                for address in ["10.99.0.1", "10.200.0.1", "10.200.0.2", host, "169.254.1.0", "10.1.0.1"] {
                    #expect(try await !guest.reads("http://\(address):8080/"), "\(address)")
                    if address != "10.1.0.1" { #expect(try await !guest.pings(address), "\(address)") }
                }
            }
            #expect(try await !shut.reads("http://203.0.113.1/"), "no way out")
            try await ensure(try tenant(1) { $0.hasInternet = false }, hosts)
            #expect(try await !a.reads("http://203.0.113.1/"), "not any more")
            try await ensure(network, hosts)
            #expect(try await a.reads("http://203.0.113.1/"), "again")
            try await checkSpoofing(a, b)
            for host in TwoHosts.Host.allCases {
                for one in [network, closed] { try await hosts.lab.shell("ip netns pids \(hosts.router(host, one)) | xargs -r kill -9") }
            }
        }
    }

    /// Web servers where guests may go and where they may not.
    private func serve(_ hosts: TwoHosts, _ networks: TenantNetwork...) async throws {
        func server(_ port: Int) -> String { "setsid busybox httpd -f -p \(port) -h \(hosts.lab.directory) >/dev/null 2>&1 &" }
        for host in TwoHosts.Host.allCases {
            #expect(try await hosts.on(host, server(8080)))
            for network in networks { #expect(try await hosts.inRouter(host, network, server(7431) + server(8080))) }
        }
        #expect(try await hosts.inWorld(server(80)))
    }

    private func checkSpoofing(_ a: TwoHosts.Guest, _ b: TwoHosts.Guest) async throws {
        #expect(try await a.pings("10.1.0.12"))
        #expect(try await a.run("ip addr add 10.1.0.50/24 dev eth0 && ! ping -c1 -W1 -I 10.1.0.50 10.1.0.12"), "a foreign address")
        #expect(try await a.run("ip addr del 10.1.0.50/24 dev eth0; ip link set eth0 address 02:00:00:00:09:09; ! ping -c1 -W1 10.1.0.12"))
        #expect(try await a.run("ip link set eth0 address \(a.port.macAddress)"))
        try await eventually("its own works") { try await b.pings("10.1.0.11") }
    }

    @Test(.timeLimit(.minutes(3))) func peersComeAndGoAndAnotherProcessTakesOver() async throws {
        try await with { hosts in
            let network = try tenant(1)
            try await ensure(network, hosts)
            let a = try await hosts.guest(.a, 1, on: network, address: "10.1.0.11")
            let b = try await hosts.guest(.b, 2, on: network, address: "10.1.0.12")
            #expect(try await a.pings("10.1.0.12"))
            try await hosts.network(.a).ensure(network)
            for (guest, address) in [(a, "10.1.0.12"), (b, "10.1.0.11")] {
                #expect(try await !guest.pings(address), "the host is no peer any more")
            }
            try await ensure(network, hosts)
            try await eventually("a peer again") { try await a.pings("10.1.0.12") }

            let servers = "ip netns pids \(hosts.router(.a, network)) | sort | tr '\\n' ' '"
            let before = try await hosts.lab.shell(servers)
            #expect(
                try await a.run("(ping -i 0.05 -c 60 -q 10.1.0.12 >\(hosts.lab.directory)/ping 2>&1; touch \(hosts.lab.directory)/done) &"))
            for _ in 0..<3 {
                let again = try hosts.network(.a)
                try await again.ensureNetwork()
                #expect(try await again.networks().map(\.network) == [network.network])
                #expect(try await again.ports() == [a.port])
                try await ensure(network, hosts)
            }
            try await eventually("the pings are over") { FileManager.default.fileExists(atPath: hosts.lab.directory + "/done") }
            #expect(try await hosts.lab.succeeds("grep -q '60 received' \(hosts.lab.directory)/ping"), "not one was lost")
            #expect(try await hosts.lab.shell(servers) == before, "dnsmasq is the same")
            try await repair(hosts, network, a)
        }
    }

    /// What somebody took away comes back.
    private func repair(_ hosts: TwoHosts, _ network: TenantNetwork, _ guest: TwoHosts.Guest) async throws {
        for damage in [
            "ip link delete b\(suffix(network))", "ip link delete x\(suffix(network))", "ip link delete r\(suffix(network))",
            "nft flush ruleset", "ip netns delete \(hosts.router(.a, network))",
        ] {
            #expect(try await hosts.on(.a, damage))
            try await hosts.network(.a).ensureNetwork()
            try await ensure(network, hosts)
            try await eventually("all is well after: \(damage)") {
                guard try await guest.pings("10.1.0.12") else { return false }
                return try await guest.pings("10.1.0.1")
            }
            #expect(try await guest.run("ip addr flush dev eth0"))
            #expect(try await guest.asksForAddress(), "after: \(damage)")
        }
    }

    @Test(.timeLimit(.minutes(3))) func whatIsForeignIsLeftAloneAndNothingIsLeftBehind() async throws {
        try await Lab.with(network: true) { lab in
            let hosts = try await TwoHosts(lab)
            let network = try tenant(1)
            let before = try await hosts.world(.a)
            let driver = try hosts.network(.a)
            try await driver.ensureNetwork()
            try await driver.ensure(network)
            try await driver.ensure(try tenant(2))
            _ = try await hosts.guest(.a, 1, on: network, address: "10.1.0.11")
            #expect(try await hosts.on(.a, "ip link add b\(suffix(try tenant(3))) type bridge"))
            #expect(await refusal { try await driver.ensure(try tenant(3)) }?.rule == "network.foreign")
            try await driver.ensureAbsent(try tenant(3).network)
            #expect(try await hosts.on(.a, "ip link delete b\(suffix(try tenant(3)))"), "it was left alone")
            for _ in 0..<2 { try await driver.teardown() }
            let after = try await hosts.world(.a)
            #expect(after == before, "everything else is as it was: \(after) != \(before)")
            let lost = try LinuxBridgeNetwork(
                LinuxBridgeConfiguration(
                    gateway: try #require(IPv4Prefix("10.99.0.1/16")), metadataPort: 7_431,
                    tunnel: TunnelEnd(address: try #require(IPv4Address("10.200.0.9"))), namespace: hosts.name + "a"))
            #expect(await refusal { try await lost.ensure(network) }?.rule == "network.tunnel")
        }
    }
}
