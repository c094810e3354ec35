import Drivers
import Foundation
import Primitives
import Testing

private func port(_ number: UInt64, address: String? = nil, mac: String? = nil, name: String? = nil) throws -> NetworkPort {
    NetworkPort(
        instance: instance(number), macAddress: mac ?? "02:00:00:00:01:0\(number)",
        address: try #require(IPv4Address(address ?? "10.99.0.1\(number)")), hostName: name ?? "ip-10-99-0-1\(number)")
}

/// What every network driver does.
private func checkNetworkContract(_ network: any NetworkDriver) async throws {
    try await network.ensureNetwork()
    try await network.ensureNetwork()
    let one = try port(1)
    let device = try await network.ensurePort(one)
    #expect(device.utf8.count <= 15)
    #expect(try await network.ports().isEmpty, "nothing is permitted yet")
    #expect(try await network.ensurePort(one) == device)
    for _ in 0..<2 { try await network.permit(one) }
    #expect(try await network.ports() == [one])

    let bad = [
        (try port(2, address: "10.98.0.2"), "network.address"), (try port(2, address: "10.99.0.1"), "network.address"),
        (try port(2, address: "10.99.255.255"), "network.address"), (try port(2, mac: "02:00:00:00:00"), "network.mac"),
        (try port(2, mac: "03:00:00:00:00:01"), "network.mac"), (try port(2, mac: "02:00:00:00:00:01\nadd table ip x"), "network.mac"),
        (try port(2, name: "a,b"), "network.hostname"), (try port(2, name: "a\nb"), "network.hostname"),
        (try port(2, name: ""), "network.hostname"),
        (try port(2, name: "-a"), "network.hostname"),
    ]
    for (port, rule) in bad {
        #expect(await refusal { try await network.ensurePort(port) }?.rule == rule)
        #expect(await refusal { try await network.permit(port) }?.rule == rule)
    }
    let taken = try port(2, address: "10.99.0.11")
    _ = try await network.ensurePort(taken)
    #expect(await refusal { try await network.permit(taken) }?.rule == "network.taken")
    #expect(try await network.ports() == [one])

    let two = try port(2)
    try await network.permit(two)
    let moved = try port(1, address: "10.99.0.77")
    try await network.permit(moved)
    #expect(try await network.ports() == [moved, two])
    try await network.ensureNetwork()
    #expect(try await network.ports() == [moved, two], "ensuring the network keeps its ports")
    for _ in 0..<2 { try await network.ensurePortAbsent(one.instance) }
    #expect(try await network.ports() == [two])
    try await checkOwners(network)
    try await checkTenantContract(network)
    for _ in 0..<2 { try await network.teardown() }
    #expect(try await network.ports().isEmpty)
    #expect(try await network.networks().isEmpty)
}

/// Whose a machine is can be said, and said anew.
private func checkOwners(_ network: any NetworkDriver) async throws {
    var owned = try port(2)
    for owner in ["", "0123", "0000000000000000", "0123456789ABCDEF", "0123456789abcde\n"] {
        owned.owner = owner
        #expect(await refusal { try await network.permit(owned) }?.rule == "network.owner")
    }
    for owner in ["0123456789abcdef", "fedcba9876543210", nil] {
        owned.owner = owner
        try await network.permit(owned)
        #expect(try await network.ports() == [owned])
    }
}

func tenant(_ number: UInt64, _ edit: (inout TenantNetwork) -> Void = { _ in }) throws -> TenantNetwork {
    var network = TenantNetwork(
        network: NetworkID(bits: 0x0e70_0000_0000_0000 | number), vni: 70_000 + Int64(number),
        cidr: try #require(IPv4Prefix("10.1.0.0/24")),
        gateway: try #require(IPv4Address("10.1.0.1")), mtu: 1_450, hasInternet: true, peers: [])
    edit(&network)
    return network
}

/// What every driver does for tenants' networks.
private func checkTenantContract(_ network: any NetworkDriver) async throws {
    let (one, two) = (try tenant(1), try tenant(2))
    #expect(await refusal { try await network.ensurePort(try port(3, address: "10.1.0.13").on(one)) }?.rule == "network.unknown")
    #expect(await refusal { try await network.permit(try port(3, address: "10.1.0.13").on(one)) }?.rule == "network.unknown")
    let bad: [(String, TenantNetwork)] = [
        ("network.vni", try tenant(3) { $0.vni = 0 }), ("network.vni", try tenant(3) { $0.vni = 1 << 24 }),
        ("network.cidr", try tenant(3) { $0.cidr = IPv4Prefix("10.1.0.1/24") ?? $0.cidr }),
        ("network.cidr", try tenant(3) { $0.cidr = IPv4Prefix("169.254.4.0/24") ?? $0.cidr }),
        ("network.cidr", try tenant(3) { $0.cidr = IPv4Prefix("239.0.0.0/24") ?? $0.cidr }),
        ("network.gateway", try tenant(3) { $0.gateway = IPv4Address(bits: $0.gateway.bits + 254) }),
        ("network.mtu", try tenant(3) { $0.mtu = 1_451 }), ("network.mtu", try tenant(3) { $0.mtu = 500 }),
    ]
    for (rule, wrong) in bad { #expect(await refusal { try await network.ensure(wrong) }?.rule == rule) }
    let place = try await network.ensure(one)
    #expect(try await network.ensure(one) == place)
    try await network.ensure(two)
    #expect(await refusal { try await network.ensure(try tenant(3) { $0.vni = one.vni }) }?.rule == "network.vni")
    #expect(await refusal { try await network.ensure(try tenant(1) { $0.vni = 9 }) }?.rule == "network.changed")
    #expect(try await network.networks() == [one, two])
    let changed = try tenant(1) {
        $0.mtu = 1_400
        $0.hasInternet = false
    }
    try await network.ensure(changed)
    #expect(try await network.networks() == [changed, two])
    try await checkTenantPorts(network, changed, two)
}

private func checkTenantPorts(_ network: any NetworkDriver, _ one: TenantNetwork, _ two: TenantNetwork) async throws {
    // The same addresses on two networks of one host.
    let here = try port(3, address: "10.1.0.13").on(one)
    let there = try port(4, address: "10.1.0.13", mac: here.macAddress).on(two)
    for port in [here, there] {
        #expect(try await network.ensurePort(port).utf8.count <= 15)
        for _ in 0..<2 { try await network.permit(port) }
    }
    #expect(try await network.ports().filter { $0.network != nil } == [here, there])
    let taken = try port(5, address: "10.1.0.13").on(one)
    _ = try await network.ensurePort(taken)
    #expect(await refusal { try await network.permit(taken) }?.rule == "network.taken")
    #expect(await refusal { try await network.ensurePort(try port(5, address: "10.1.0.1").on(one)) }?.rule == "network.address")
    #expect(await refusal { try await network.ensurePort(try port(5, address: "10.99.0.15").on(one)) }?.rule == "network.address")
    try await network.ensurePortAbsent(taken.instance)
    #expect(await refusal { try await network.ensureAbsent(one.network) }?.rule == "network.used")
    try await network.ensure(one)
    try await network.ensureNetwork()
    #expect(try await network.ports().filter { $0.network != nil } == [here, there], "ensuring a network keeps its ports")
    try await network.ensurePortAbsent(here.instance)
    for _ in 0..<2 { try await network.ensureAbsent(one.network) }
    #expect(try await network.networks() == [two])
    #expect(try await network.ports().filter { $0.network != nil } == [there])
}

extension NetworkPort {
    func owned(by owner: String?) -> NetworkPort {
        var copy = self
        copy.owner = owner
        return copy
    }

    func on(_ network: TenantNetwork) -> NetworkPort {
        var copy = self
        copy.network = network.network
        return copy
    }
}

@Suite struct NetworkTests {
    @Test func simulatedKeepsTheContract() async throws {
        try await checkNetworkContract(SimulatedNetwork(try #require(IPv4Prefix("10.99.0.1/16")), SimulatedBehaviour(seed: 1)))
    }

    @Test func withoutATunnelThereAreNoTenantsNetworks() async throws {
        let network = SimulatedNetwork(try #require(IPv4Prefix("10.99.0.1/16")), SimulatedBehaviour(seed: 1), tunnel: nil)
        #expect(await refusal { try await network.ensure(try tenant(1)) }?.rule == "network.tunnel")
    }

    @Test(arguments: ["", "Bourse", "a b", "seventeenletters0", "0bridge", "x;reboot"]) func refusesBridgeNames(name: String) async throws {
        let gateway = try #require(IPv4Prefix("10.99.0.1/16"))
        let refused = await refusal { try LinuxBridgeNetwork(LinuxBridgeConfiguration(bridge: name, gateway: gateway, metadataPort: 80)) }
        #expect(refused?.rule == "network.bridge")
    }
}

@Suite(.serialized, .enabled(if: Lab.canNetwork, needsNetwork)) struct LinuxBridgeTests {
    private func network(_ lab: Lab, bridge: String = "bourse0") throws -> LinuxBridgeNetwork {
        try LinuxBridgeNetwork(
            LinuxBridgeConfiguration(
                bridge: bridge, gateway: try #require(IPv4Prefix("10.99.0.1/16")), metadataPort: 7_431,
                tunnel: TunnelEnd(address: try #require(IPv4Address("192.0.2.9"))), namespace: lab.namespace))
    }

    private func world(_ lab: Lab) async throws -> String {
        try await lab.shell(
            "nft list ruleset; ip -o link | cut -d: -f2; ip -o addr | grep -v inet6; cat /proc/sys/net/ipv4/conf/*/forwarding; pgrep -ax dnsmasq | grep \(lab.namespace ?? "") || true; ls /run/netns | grep \(lab.namespace ?? ""); ls -d /run/bourse/\(lab.namespace ?? "")* 2>/dev/null || true",
            inNamespace: true)
    }

    @Test(.timeLimit(.minutes(5))) func keepsTheContractAndLeavesNothing() async throws {
        try await Lab.with(network: true) { lab in
            try await lab.shell(
                "nft add table ip mine; ip link add other type bridge; ip link add up0 type veth peer name up1; ip addr add 192.0.2.9/24 dev up0; ip link set up0 up; ip link set up1 up; ip route add default via 192.0.2.1",
                inNamespace: true)
            let before = try await world(lab)
            try await checkNetworkContract(network(lab))
            let after = try await world(lab)
            #expect(after == before, "everything else is as it was: \(after) != \(before)")
        }
    }

    @Test(.timeLimit(.minutes(5))) func aForeignBridgeIsLeftAlone() async throws {
        try await Lab.with(network: true) { lab in
            try await lab.shell("ip link add bourse0 type bridge", inNamespace: true)
            #expect(await refusal { try await network(lab).ensureNetwork() }?.rule == "network.bridge")
            try await network(lab).teardown()
            #expect(try await lab.succeeds("ip link show bourse0", inNamespace: true))
        }
    }

    @Test(.timeLimit(.minutes(5))) func dnsmasqIsAdoptedNotDoubled() async throws {
        try await Lab.with(network: true) { lab in
            func servers() async throws -> String { try await lab.shell("ip netns pids \(try #require(lab.namespace)) | sort") }
            try await network(lab).ensureNetwork()
            let first = try await servers()
            #expect(!first.isEmpty)
            try await network(lab).ensureNetwork()
            #expect(try await servers() == first)
            try await lab.shell("kill -9 \(first)")
            try await network(lab).ensureNetwork()
            let second = try await servers()
            #expect(second != first && !second.isEmpty)
        }
    }

    /// Two guests, each a namespace behind the device that would be its tap.
    @Test(.timeLimit(.minutes(4))) func guestsGetTheirOwnAddressAndNoOther() async throws {
        try await Lab.with(network: true) { lab in
            let network = try network(lab)
            try await network.ensureNetwork()
            let ports = try [port(1), port(2)]
            for port in ports {
                try await makeGuest(lab, port)
                _ = try await network.ensurePort(port)
            }
            #expect(
                try await !guest(lab, 1, "timeout 3 busybox udhcpc -i eth0 -n -q -t 2 -T 1 -s /bin/true"), "mute before it is permitted")
            try await checkOwnersApart(lab, network, ports)
            for port in ports { try await network.permit(port.owned(by: "0123456789abcdef")) }
            for number in 1...2 {
                #expect(try await guest(lab, number, "busybox udhcpc -i eth0 -n -q -t 5 -T 1 -s \(lab.directory)/lease"))
                #expect(try await guest(lab, number, "ip addr show eth0 | grep -q 'inet 10.99.0.1\(number)/16'"))
            }
            #expect(try await guest(lab, 1, "ping -c1 -W2 10.99.0.12"), "guests reach each other")
            try await checkHostIsClosed(lab)
            try await checkSpoofing(lab)
            try await network.ensurePortAbsent(instance(2))
            #expect(try await !guest(lab, 1, "ping -c1 -W1 10.99.0.12"))
            // It went without giving its address back, as one does that is switched off.
            let heir = try port(3, address: "10.99.0.12")
            try await makeGuest(lab, heir)
            _ = try await network.ensurePort(heir)
            try await network.permit(heir.owned(by: "0123456789abcdef"))
            #expect(try await guest(lab, 3, "busybox udhcpc -i eth0 -n -q -t 5 -T 1 -s \(lab.directory)/lease"), "it is free at once")
            #expect(try await guest(lab, 3, "ip addr show eth0 | grep -q 'inet 10.99.0.12/16' && ping -c1 -W2 10.99.0.11"))
            for number in 1...3 { try await lab.shell("ip netns delete \(lab.namespace ?? "")g\(number)") }
            try await network.teardown()
        }
    }

    /// Frames of any kind from the first guest's MAC address, counted where the second one's come in.
    private static let sniffer =
        "table netdev sniffer { chain c { type filter hook ingress device eth0 priority 0; ether saddr 02:00:00:00:01:01 counter; }; }"

    /// Guests of different owners, or of none, do not hear of each other in any protocol, nor by way of the gateway.
    private func checkOwnersApart(_ lab: Lab, _ network: LinuxBridgeNetwork, _ ports: [NetworkPort]) async throws {
        #expect(try await guest(lab, 2, "nft '\(Self.sniffer)'"))
        let pairs: [(String?, String?)] = [
            ("0123456789abcdef", "0123456700000000"), ("0123456789abcdef", "7654321089abcdef"), ("0123456789abcdef", nil),
            (nil, "0123456789abcdef"), (nil, nil),
        ]
        let probes = """
            ip neigh flush all; ping -c1 -W1 10.99.0.12 && exit 1
            ping -c1 -W1 -b 10.99.255.255; ping -c1 -W1 ff02::1%eth0; timeout 2 busybox arping -c1 -I eth0 10.99.0.12 && exit 1
            ip neigh replace 10.99.0.12 lladdr 02:00:00:00:01:02 dev eth0; ping -c1 -W1 10.99.0.12 && exit 1
            ip neigh del 10.99.0.12 dev eth0; ip route add 10.99.0.12/32 via 10.99.0.1; ping -c1 -W1 10.99.0.12 && exit 1
            ip route del 10.99.0.12/32; exit 0
            """
        for (first, second) in pairs {
            try await network.permit(ports[0].owned(by: first))
            try await network.permit(ports[1].owned(by: second))
            for number in 1...2 {
                #expect(try await guest(lab, number, "busybox udhcpc -i eth0 -n -q -t 5 -T 1 -s \(lab.directory)/lease"))
                #expect(try await guest(lab, number, "ping -c1 -W2 10.99.0.1; ip addr show eth0 | grep -q 'inet 10.99.0.1\(number)/16'"))
            }
            #expect(try await guest(lab, 1, probes), "\(first ?? "nobody") and \(second ?? "nobody")")
        }
        #expect(try await guest(lab, 2, "nft list table netdev sniffer | grep -q 'packets 0 '"), "nothing arrived")
        #expect(try await guest(lab, 2, "nft delete table netdev sniffer"))
        for number in 1...2 { #expect(try await guest(lab, number, "ip addr flush dev eth0; ip neigh flush all; true")) }
    }

    private func makeGuest(_ lab: Lab, _ port: NetworkPort) async throws {
        let (host, number) = (try #require(lab.namespace), port.instance.bits & 0xf)
        let guest = "\(host)g\(number)"
        try await lab.shell(
            """
            ip netns add \(guest)
            ip link add \(port.deviceName) netns \(host) type veth peer name eth0 netns \(guest) address \(port.macAddress)
            ip -n \(guest) link set lo up; ip -n \(guest) link set eth0 up
            cat >\(lab.directory)/lease <<'END'
            #!/bin/sh
            [ "$1" = bound ] && ip addr add $ip/$mask dev $interface && ip route replace default via $router
            exit 0
            END
            chmod +x \(lab.directory)/lease
            """)
    }

    private func guest(_ lab: Lab, _ number: Int, _ script: String) async throws -> Bool {
        try await lab.succeeds("ip netns exec \(lab.namespace ?? "")g\(number) sh -c \"\(script)\" >/dev/null 2>&1")
    }

    private func checkHostIsClosed(_ lab: Lab) async throws {
        // One server behind the metadata port, one that guests have no business with.
        try await lab.shell(
            "for port in 7431 8080; do setsid busybox httpd -f -p $port -h \(lab.directory) >/dev/null 2>&1 & done; echo hello >\(lab.directory)/index.html",
            inNamespace: true)
        try await eventually("a metadata service") { try await guest(lab, 1, "timeout 2 busybox wget -q -O - http://169.254.169.254/") }
        #expect(try await !guest(lab, 1, "timeout 2 busybox wget -q -O - http://10.99.0.1:8080/"))
        #expect(try await !guest(lab, 1, "timeout 2 busybox wget -q -O - http://10.99.0.1:7431/"), "by its own address only")
        #expect(try await !guest(lab, 1, "timeout 2 busybox wget -q -O - http://169.254.169.254:8080/"))
        #expect(try await lab.succeeds("ping -c1 -W2 10.99.0.11", inNamespace: true), "the host reaches its guests")
    }

    private func checkSpoofing(_ lab: Lab) async throws {
        #expect(
            try await guest(lab, 1, "ip addr add 10.99.0.50/16 dev eth0 && ! ping -c1 -W1 -I 10.99.0.50 10.99.0.12"), "a foreign address")
        #expect(try await guest(lab, 1, "ping -c1 -W2 -I 10.99.0.11 10.99.0.12"), "its own still works")
        #expect(try await guest(lab, 1, "ip link set eth0 address 02:00:00:00:09:09 && ! ping -c1 -W1 10.99.0.12"), "a foreign MAC")
        #expect(try await guest(lab, 1, "ip link set eth0 address 02:00:00:00:01:01 && ip route replace default via 10.99.0.1"))
        try await eventually("the way back") { try await guest(lab, 1, "ping -c1 -W1 10.99.0.12") }
    }
}
