import Fleet
import Primitives
import Testing

private func host(
    _ number: UInt64, zone: String = "a", state: Host.State = .up, cpu: Int64 = 4_000, memory: Int64 = 8_192, used: Resources = .zero
) -> Host {
    Host(
        id: HostID(bits: number), zone: zone, state: state, promised: Resources(milliCPU: cpu, memoryMiB: memory, diskMiB: 100_000),
        allocated: used)
}

@Suite struct PlacementTests {
    let small = Resources(milliCPU: 1_000, memoryMiB: 1_024, diskMiB: 1_000)

    @Test func theFullestHostThatFitsIsChosen() throws {
        let hosts = [host(1), host(2, used: Resources(milliCPU: 3_000, memoryMiB: 6_144, diskMiB: 90_000)), host(3)]
        #expect(try Placement(resources: small, zone: nil).choose(among: hosts) == HostID(bits: 2))
    }

    @Test func tiesGoToTheLowerIdentifier() throws {
        #expect(try Placement(resources: small, zone: nil).choose(among: [host(9), host(4)]) == HostID(bits: 4))
    }

    @Test func hostsThatAreNotUpAndOtherZonesAreLeftOut() throws {
        let hosts = [host(1, state: .suspect), host(2, state: .cordoned), host(3, zone: "b"), host(4)]
        #expect(try Placement(resources: small, zone: "a").choose(among: hosts) == HostID(bits: 4))
    }

    @Test func aRefusalCountsTheRulesAndNamesTheNearest() throws {
        let full = Resources(milliCPU: 3_500, memoryMiB: 0, diskMiB: 0)
        let hosts = [host(1, used: full), host(2, state: .suspect), host(3, zone: "b")]
        let refusal = #expect(throws: Refusal.self) { try Placement(resources: small, zone: "a").choose(among: hosts) }
        #expect(refusal?.rule == "placement.capacity")
        #expect(refusal?.facts["milliCPU"] == .number(1))
        #expect(refusal?.facts["suspect"] == .number(1))
        #expect(refusal?.facts["zone"] == .number(1))
        #expect(refusal?.nearest == "zone b")
        let inZone = #expect(throws: Refusal.self) { try Placement(resources: small, zone: "a").choose(among: [hosts[0]]) }
        #expect(inZone?.nearest == "500 milliCPU instead of 1000")
    }

    /// Whatever is placed in whatever order, no host is ever promised more than it has, and a refusal is true.
    @Test func nothingIsOverallocated() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            var hosts = (1...UInt64(6)).map { host($0, zone: Bool.random(using: &generator) ? "a" : "b") }
            for _ in 0..<40 {
                let wanted = Resources(
                    milliCPU: .random(in: 100...2_000, using: &generator), memoryMiB: .random(in: 128...4_096, using: &generator),
                    diskMiB: 500)
                let request = Placement(resources: wanted, zone: [nil, "a", "b"].randomElement(using: &generator) ?? nil)
                let fits = hosts.contains { (request.zone == nil || $0.zone == request.zone) && wanted.fits(in: $0.free) }
                do {
                    let chosen = try request.choose(among: hosts)
                    let index = try #require(hosts.firstIndex { $0.id == chosen })
                    hosts[index].allocated += wanted
                    #expect(fits)
                } catch is Refusal {
                    #expect(!fits)
                }
                #expect(hosts.allSatisfy { $0.free.isNonNegative })
            }
        }
    }
}

@Suite struct GuestNetworkTests {
    @Test(arguments: ["10.77.0.1", "10.77.0.1/7", "10.77.0.1/30", "10.77.0/16", "300.1.1.1/16", "a.b.c.d/16", ""])
    func whatIsNoNetwork(_ text: String) { #expect(GuestNetwork(text) == nil) }

    @Test func addressesAreHandedOutOnceUntilNoneIsLeft() throws {
        let network = try #require(GuestNetwork("192.168.5.1/28"))
        var used: Set<UInt32> = []
        while let address = network.firstFree(excluding: used) { #expect(used.insert(address).inserted) }
        #expect(used.count == 5)
        #expect(!used.contains(network.gateway))
        #expect(used.map(GuestNetwork.text).sorted().first == "192.168.5.10")
    }

    @Test func macAddressesAreLocalAndDiffer() {
        let macs = (0..<500).map { GuestNetwork.macAddress(for: InstanceID(bits: $0 * 977)) }
        #expect(Set(macs).count == macs.count)
        #expect(macs.allSatisfy { $0.hasPrefix("02:") && $0.count == 17 })
    }
}
