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
    for _ in 0..<2 { try await network.teardown() }
    #expect(try await network.ports().isEmpty)
}

@Suite struct NetworkTests {
    @Test func simulatedKeepsTheContract() async throws {
        try await checkNetworkContract(SimulatedNetwork(try #require(IPv4Prefix("10.99.0.1/16")), SimulatedBehaviour(seed: 1)))
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
                bridge: bridge, gateway: try #require(IPv4Prefix("10.99.0.1/16")), metadataPort: 7_431, namespace: lab.namespace))
    }

    private func world(_ lab: Lab) async throws -> String {
        try await lab.shell(
            "nft list ruleset; ip -o link | cut -d: -f2; ip -o addr | grep -v inet6; cat /proc/sys/net/ipv4/conf/*/forwarding; pgrep -ax dnsmasq | grep \(lab.namespace ?? "") || true; ls -d /run/bourse/\(lab.namespace ?? "")* 2>/dev/null || true",
            inNamespace: true)
    }

    @Test(.timeLimit(.minutes(2))) func keepsTheContractAndLeavesNothing() async throws {
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

    @Test(.timeLimit(.minutes(2))) func aForeignBridgeIsLeftAlone() async throws {
        try await Lab.with(network: true) { lab in
            try await lab.shell("ip link add bourse0 type bridge", inNamespace: true)
            #expect(await refusal { try await network(lab).ensureNetwork() }?.rule == "network.bridge")
            try await network(lab).teardown()
            #expect(try await lab.succeeds("ip link show bourse0", inNamespace: true))
        }
    }

    @Test(.timeLimit(.minutes(2))) func dnsmasqIsAdoptedNotDoubled() async throws {
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
    @Test(.timeLimit(.minutes(2))) func guestsGetTheirOwnAddressAndNoOther() async throws {
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
            for port in ports { try await network.permit(port) }
            for number in 1...2 {
                #expect(try await guest(lab, number, "busybox udhcpc -i eth0 -n -q -t 5 -T 1 -s \(lab.directory)/lease"))
                #expect(try await guest(lab, number, "ip addr show eth0 | grep -q 'inet 10.99.0.1\(number)/16'"))
            }
            #expect(try await guest(lab, 1, "ping -c1 -W2 10.99.0.12"), "guests reach each other")
            try await checkHostIsClosed(lab)
            try await checkSpoofing(lab)
            try await network.ensurePortAbsent(instance(2))
            #expect(try await !guest(lab, 1, "ping -c1 -W1 10.99.0.12"))
            for number in 1...2 { try await lab.shell("ip netns delete \(lab.namespace ?? "")g\(number)") }
            try await network.teardown()
        }
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
