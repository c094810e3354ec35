import Fleet
import Primitives

/// Topologies made from a seed: correct ones, of a few zones, with everything that can be stated stated now and then.
struct TopologyMaker {
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func number(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &random) }
    mutating func chance(_ percent: Int64) -> Bool { number(1...100) <= percent }

    mutating func topology() -> Topology {
        var topology = Topology(region: "north", datacenter: "north-1")
        for zone in 0..<number(1...3) {
            let name = "z\(zone)"
            topology.zones[name] = Topology.Zone(name: name, jurisdiction: chance(50) ? "SE" : nil, site: chance(30) ? "hall \(zone)" : nil)
            for domain in 0..<number(0...3) {
                let kind = Topology.FaultDomain.Kind.allCases.randomElement(using: &random) ?? .power
                let title = "\(name)-d\(domain)"
                topology.domains[title] = .init(name: title, kind: kind, zone: name, limit: chance(40) ? 1_000_000 : nil)
            }
            for pod in 0..<number(0...3) { add(pod: "\(name)-p\(pod)", in: name, to: &topology) }
        }
        return topology
    }

    private mutating func add(pod name: String, in zone: String, to topology: inout Topology) {
        let kind: Topology.Pod.Kind = chance(80) ? .virtual : .metal
        let ratio = kind == .metal ? 1_000 : number(1_000...30_000)
        let storage = Topology.Pod.Storage.allCases.randomElement(using: &random) ?? .das
        var limits = PodLimits(hosts: chance(50) ? number(100...1_000) : nil, networkPorts: chance(50) ? 10_000 : nil)
        if storage != .das { limits.storageIOPS = chance(50) ? 1_000_000 : nil }
        topology.pods[name] = Topology.Pod(
            name: name, zone: zone, kind: kind, storage: storage,
            oversubscription: Oversubscription(cpu: ratio, memory: 1_000, disk: ratio),
            profile: chance(60) ? profile() : nil, limits: limits,
            baseline: chance(30) ? Baseline(product: "R7", firmware: ["PM9A3": "1.\(number(0...3))"]) : nil,
            policy: PlacementPolicy.allCases.randomElement(using: &random) ?? .packing)
        let domains = topology.domains.values.filter { $0.zone == zone }.map(\.name).sorted()
        for rack in 0..<number(0...3) {
            let title = "\(name)-r\(rack)"
            topology.racks[title] = .init(
                name: title, pod: name, units: chance(50) ? 42 : nil, watts: chance(50) ? 20_000 : nil, domains: some(of: domains))
            for host in 0..<number(0...4) { add(host: "\(title)-n\(host)", in: name, rack: title, domains, to: &topology) }
        }
        for host in 0..<number(0...2) { add(host: "\(name)-x\(host)", in: name, rack: nil, domains, to: &topology) }
    }

    private mutating func add(host name: String, in pod: String, rack: String?, _ domains: [String], to topology: inout Topology) {
        topology.hosts[name] = .init(name: name, pod: pod, rack: rack, domains: chance(20) ? some(of: domains) : [])
    }

    private mutating func some(of names: [String]) -> Set<String> { Set(names.filter { _ in chance(50) }) }

    private mutating func profile() -> HardwareProfile {
        HardwareProfile(
            name: "r7", milliCPU: number(8...128) * 1_000, memoryMiB: number(32...1_024) * 1_024, watts: number(200...900), rackUnits: 1,
            networkPorts: 2, storageIOPS: number(0...2_000), guests: 30)
    }
}
