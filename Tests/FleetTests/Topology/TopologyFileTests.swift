import Fleet
import Primitives
import Testing

@Suite struct TopologyFileTests {
    @Test(arguments: [
        ("n1", ["n1"]), ("r[01-03]", ["r01", "r02", "r03"]), ("[8-11]", ["8", "9", "10", "11"]),
        ("r[1-2]-n[09-10]x", ["r1-n09x", "r1-n10x", "r2-n09x", "r2-n10x"]),
    ])
    func patternsStandForNames(_ text: String, _ names: [String]) throws {
        let pattern = try NamePattern(text)
        #expect(pattern.names == names && pattern.count == Int64(names.count))
    }

    @Test(arguments: ["r[", "r[1]", "r[2-1]", "r[a-b]", "r[1-2", "r[-1]", "[000000001-999999999]", "[0-999][0-999]"])
    func othersAreRefused(_ text: String) {
        #expect(throws: Refusal.self) { _ = try NamePattern(text) }
    }

    @Test func compressedPatternsStandForTheSameNames() throws {
        for seed in 1...300 as ClosedRange<UInt64> {
            var maker = TopologyMaker(seed: seed)
            let names = (0..<maker.number(0...40)).map { _ in
                ["n", "r1-n", "", "a7b", "0"][Int(maker.number(0...4))] + (maker.chance(90) ? "\(maker.number(0...30))" : "x")
            }
            let all = Set(names)
            let patterns = NamePattern.compressed(Array(all))
            #expect(try patterns.flatMap { try NamePattern($0).names }.sorted() == all.sorted(), "seed \(seed): \(all.sorted())")
        }
        #expect(NamePattern.compressed((1...40).map { $0 < 10 ? "n0\($0)" : "n\($0)" }) == ["n[01-40]"])
    }

    @Test func whatIsLeftOutStaysAsItIs() throws {
        let current = try TopologyPlanTests.small()
        var file = TopologyFile(current)
        file.zones[0].pods?[0].racks?[0].hosts = nil
        #expect(try file.desired(over: current) == current, "the hosts of a rack")
        file.zones[0].pods?[0].racks = nil
        #expect(try file.desired(over: current) == current, "the racks of a pod")
        file.zones[0].pods = nil
        file.zones[0].domains = nil
        #expect(try file.desired(over: current) == current, "everything in a zone")
        file.zones = []
        #expect(try file.desired(over: current).hosts.isEmpty, "a list that is there is the whole list")
    }

    /// A node that enrolled by itself is put into its rack by the file, though the file says nothing of hosts without a rack.
    @Test func aHostIsWhereTheFilePutsIt() throws {
        var current = try TopologyPlanTests.small()
        current.hosts["n5"] = .init(name: "n5", pod: "p1")
        var file = TopologyFile(current)
        file.zones[0].pods?[0].hosts = nil
        file.zones[0].pods?[0].racks?[0].hosts = [.init(name: "n[1-5]")]
        let desired = try file.desired(over: current)
        #expect(desired.hosts["n5"]?.rack == "r1")
        #expect(current.plan(to: desired).changes.map(\.name) == ["n5"])
    }

    @Test func namesOfRacksReachHostsAndDomains() throws {
        let empty = Topology(region: "a", datacenter: "b")
        let rack = TopologyFile.Rack(
            name: "r[01-02]", domains: ["{rack}-sw[1-2]"], hosts: [.init(name: "{rack}-n[1-3]", domains: ["{rack}-feed"])])
        let file = TopologyFile(
            region: "a", datacenter: "b",
            zones: [
                .init(
                    name: "z", domains: [.init(name: "r[01-02]-sw[1-2]", kind: .network), .init(name: "r[01-02]-feed", kind: .power)],
                    pods: [
                        .init(
                            name: "p", kind: .virtual, storage: .das, oversubscription: .init(cpu: 1_000, memory: 1_000, disk: 1_000),
                            racks: [rack])
                    ])
            ])
        let topology = try file.desired(over: empty)
        #expect(topology.problems() == [])
        #expect(topology.hosts.count == 6)
        let place = try #require(topology.hosts["r02-n3"])
        #expect(topology.domains(of: place) == ["r02-sw1", "r02-sw2", "r02-feed"])
    }

    @Test func aFileForAnotherPlaceIsRefused() throws {
        let file = TopologyFile(region: "a", datacenter: "b", zones: [])
        #expect(throws: Refusal.self) { try file.desired(over: Topology(region: "a", datacenter: "c")) }
        var twice = TopologyFile(try TopologyPlanTests.small())
        twice.zones += twice.zones
        #expect(throws: Refusal.self) { try twice.desired(over: try TopologyPlanTests.small()) }
    }
}
