import Fleet
import Primitives
import Testing

@Suite struct TopologyPlanTests {
    @Test func whatIsPlannedLeadsThere() {
        for seed in 1...400 as ClosedRange<UInt64> {
            var maker = TopologyMaker(seed: seed)
            let (current, desired) = (maker.topology(), maker.topology())
            #expect(current.problems() == [], "the maker makes correct ones")
            var plan = current.plan(to: desired)
            #expect(plan.refusals == [], "seed \(seed)")
            var reached = current
            for change in plan.changes { reached.apply(change) }
            #expect(reached == desired, "seed \(seed)")
            plan = reached.plan(to: desired)
            #expect(plan.changes.isEmpty, "seed \(seed): planning again finds nothing to do")
        }
    }

    /// After every step, parents are there and no limit is passed.
    @Test func everyStepOnTheWayIsCorrect() {
        for seed in 1...100 as ClosedRange<UInt64> {
            var maker = TopologyMaker(seed: seed)
            let (current, desired) = (maker.topology(), maker.topology())
            var reached = current
            for change in current.plan(to: desired).changes {
                reached.apply(change)
                let dangling = reached.problems().filter { $0.rule == "topology.unknown" }
                guard change.kind == .host || change.action != .change else { continue }
                #expect(dangling == [], "seed \(seed) after \(change.action) of \(change.kind) \(change.name)")
            }
        }
    }

    @Test func aFileOfATopologyWantsItAsItIs() throws {
        for seed in 1...200 as ClosedRange<UInt64> {
            var maker = TopologyMaker(seed: seed)
            let (current, other) = (maker.topology(), maker.topology())
            let file = TopologyFile(current)
            #expect(try file.desired(over: current) == current, "seed \(seed)")
            #expect(try file.desired(over: other) == current, "seed \(seed): whatever was there before")
        }
    }

    @Test func differencesSayBeforeAndAfter() throws {
        let current = try Self.small()
        var desired = current
        desired.pods["p1"]?.oversubscription.cpu = 8_000
        desired.racks["r1"]?.domains = ["feed-a"]
        desired.hosts["n9"] = .init(name: "n9", pod: "p1", rack: "r1")
        let changes = current.plan(to: desired).changes
        #expect(changes.map { "\($0.action) \($0.kind) \($0.name)" } == ["change pod p1", "change rack r1", "add host n9"])
        #expect(changes[0].fields == [.init(name: "oversubscription.cpu", before: "4000", after: "8000")])
        #expect(changes[1].fields == [.init(name: "domains", before: nil, after: "feed-a")])
        #expect(changes[2].fields.map(\.name) == ["pod", "rack"])
    }

    // MARK: Refusals

    static func small() throws -> Topology {
        let file = TopologyFile(
            region: "north", datacenter: "north-1",
            zones: [
                .init(
                    name: "z1", domains: [.init(name: "feed-a", kind: .power, limit: 10_000)],
                    pods: [
                        .init(
                            name: "p1", kind: .virtual, storage: .nas, oversubscription: .init(cpu: 4_000, memory: 1_000, disk: 1_000),
                            profile: HardwareProfile(name: "r7", watts: 500, rackUnits: 1, networkPorts: 2, storageIOPS: 1_000, guests: 30),
                            limits: PodLimits(hosts: 20, storageIOPS: 12_000),
                            racks: [.init(name: "r1", units: 10, hosts: [.init(name: "n[1-4]")])])
                    ])
            ])
        return try file.desired(over: Topology(region: "north", datacenter: "north-1"))
    }

    private func refusals(of edit: (inout Topology) -> Void, occupancy: [String: HostUse] = [:]) throws -> [Refusal] {
        let current = try Self.small()
        var desired = current
        edit(&desired)
        return current.plan(to: desired, occupancy: occupancy).refusals
    }

    @Test func aHostWithInstancesIsNotRemoved() throws {
        let ids = (1...7).map { InstanceID(bits: $0) }
        let busy = ["n2": HostUse(instances: ids, hardware: .zero, allocated: .zero)]
        let removed = try refusals(of: { $0.hosts["n2"] = nil }, occupancy: busy)
        #expect(removed.map(\.rule) == ["host.occupied"])
        #expect(removed[0].message.contains("7 instances are on it: i-00000000000000001, "))
        #expect(removed[0].message.hasSuffix("i-00000000000000005 and 2 more."))
        #expect(removed[0].nearest == "drain n2 first")
        #expect(try refusals(of: { $0.hosts["n1"] = nil }, occupancy: busy) == [], "an empty one is")
        let moved = try refusals(
            of: {
                $0.pods["p2"] = $0.pods["p1"]
                $0.pods["p2"]?.name = "p2"
                $0.hosts["n2"] = .init(name: "n2", pod: "p2")
            }, occupancy: busy)
        #expect(moved.map(\.rule) == ["host.occupied"])
        #expect(try refusals(of: { $0.hosts["n2"]?.rack = nil }, occupancy: busy) == [], "within its pod it moves with what is on it")
    }

    private static let uses: [(use: HostUse, message: String, nearest: String)] = [
        (HostUse(instances: [InstanceID(bits: 1)], hardware: .zero, allocated: .zero, isDraining: true), "it is draining", "holds it up"),
        (
            HostUse(instances: [InstanceID(bits: 1)], hardware: .zero, allocated: .zero, sharesStorage: false, isDraining: true),
            "it is draining", "no drain moves them"
        ),
        (HostUse(instances: [InstanceID(bits: 1)], hardware: .zero, allocated: .zero, sharesStorage: false), "i-", "no drain moves them"),
        (
            HostUse(instances: [], volumes: [VolumeID(bits: 1)], hardware: .zero, allocated: .zero), "vol-",
            "drain n2 and delete its volumes first"
        ), (HostUse(instances: [], hardware: .zero, allocated: .zero, held: 2), "held there for 2", "reservation is released"),
    ]

    @Test(arguments: 0..<5) func whatIsOnAHostSaysWhatEndsIt(_ index: Int) throws {
        let (use, message, nearest) = Self.uses[index]
        let refused = try refusals(of: { $0.hosts["n2"] = nil }, occupancy: ["n2": use])
        #expect(refused.map(\.rule) == ["host.occupied"])
        #expect(refused[0].message.contains(message) && refused[0].nearest?.contains(nearest) == true, "\(refused[0])")
    }

    @Test func aPodWithHostsKeepsItsKind() throws {
        let there = ["n1": HostUse(instances: [], hardware: .zero, allocated: .zero)]
        for edit: (inout Topology.Pod) -> Void in [
            { $0.storage = .san },
            {
                $0.kind = .metal; $0.oversubscription.cpu = 1_000
            },
        ] {
            let refusals = try refusals(of: { if var pod = $0.pods["p1"] { edit(&pod); $0.pods["p1"] = pod } }, occupancy: there)
            #expect(refusals.map(\.rule) == ["pod.fixed"])
        }
        #expect(try refusals(of: { $0.pods["p1"]?.storage = .san }) == [], "while no node runs in it, it may change")
    }

    @Test func ratiosStayAboveWhatIsAllocated() throws {
        let hardware = Resources(milliCPU: 10_000, memoryMiB: 1_000)
        let busy = ["n3": HostUse(instances: [], hardware: hardware, allocated: Resources(milliCPU: 24_001, memoryMiB: 900))]
        let refused = try refusals(of: { $0.pods["p1"]?.oversubscription.cpu = 2_000 }, occupancy: busy)
        #expect(refused.map(\.rule) == ["pod.oversubscription"])
        #expect(refused[0].nearest == "a ratio of 2401 thousandths for milliCPU")
        #expect(try refusals(of: { $0.pods["p1"]?.oversubscription.cpu = 2_401 }, occupancy: busy) == [], "the nearest is allowed")
    }

    /// A ratio that may not be, and one that would promise too little: both are known at once, and the nearest serves for both.
    @Test func theNearestRatioServesAllHosts() throws {
        let hardware = Resources(milliCPU: 10_000, memoryMiB: 1_000)
        let busy = [
            "n1": HostUse(instances: [], hardware: hardware, allocated: Resources(milliCPU: 24_001, memoryMiB: 1_100)),
            "n3": HostUse(instances: [], hardware: hardware, allocated: Resources(milliCPU: 78_290, memoryMiB: 900)),
        ]
        let refused = try refusals(of: { $0.pods["p1"]?.oversubscription.cpu = 900 }, occupancy: busy)
        #expect(refused.first?.rule == "pod.oversubscription" && refused.first?.category == .invalid)
        #expect(refused.first?.nearest?.hasPrefix("7829,") == true)
        let low = try refusals(of: { $0.pods["p1"]?.oversubscription.cpu = 1_000 }, occupancy: busy)
        #expect(low.first?.nearest == "ratios of 7829 thousandths for milliCPU and 1100 thousandths for memoryMiB")
        let allowed = try refusals(of: { $0.pods["p1"]?.oversubscription = .init(cpu: 7_829, memory: 1_100, disk: 1_000) }, occupancy: busy)
        #expect(allowed == [])
        let free = try refusals(of: { $0.pods["p1"]?.oversubscription.cpu = 900 })
        #expect(free.map(\.nearest) == ["1000"])
        let none = ["n1": HostUse(instances: [], hardware: .zero, allocated: Resources(milliCPU: 1))]
        #expect(try refusals(of: { $0.pods["p1"]?.oversubscription.cpu = 1_000 }, occupancy: none).first?.nearest == "drain n1 first")
    }

    @Test func limitsHoldWhenHostsJoin() throws {
        func more(_ count: Int, _ edit: (inout Topology) -> Void = { _ in }) throws -> [Refusal] {
            try refusals { topology in
                for number in 0..<count { topology.hosts["m\(number)"] = .init(name: "m\(number)", pod: "p1") }
                edit(&topology)
            }
        }
        #expect(try more(8) == [])
        let ninth = try more(9)
        #expect(ninth.map(\.rule) == ["pod.limit"])
        #expect(ninth[0].facts["limit"] == "storageIOPS" && ninth[0].facts["room"] == 12)
        #expect(ninth[0].nearest == "12 hosts in p1, or storageIOPS of 13000")
        #expect(try more(17) { $0.pods["p1"]?.limits.storageIOPS = nil }.map { $0.facts["limit"] } == ["hosts"])
        let rack = try refusals { topology in
            for number in 0..<7 { topology.hosts["m\(number)"] = .init(name: "m\(number)", pod: "p1", rack: "r1") }
        }
        #expect(rack.map(\.rule) == ["rack.limit"] && rack[0].nearest == "10 hosts in r1")
        let feed = try more(8) { topology in
            for name in topology.hosts.keys { topology.hosts[name]?.domains = ["feed-a"] }
            topology.domains["feed-a"]?.limit = 5_999
        }
        #expect(feed.map(\.rule) == ["domain.limit"] && feed[0].facts["load"] == 6_000)
    }

    private typealias Edit = @Sendable (inout Topology) -> Void

    private static let impossible: [(rule: String, edit: Edit)] = [
        (
            "zone.apart",
            {
                $0.zones["z2"] = .init(name: "z2")
                $0.domains["feed-a"]?.zone = "z2"
                $0.racks["r1"]?.domains = ["feed-a"]
            }
        ),
        ("topology.unknown", { $0.hosts["n1"]?.rack = "r9" }),
        ("topology.unknown", { $0.racks["r1"] = nil }),
        (
            "topology.unknown",
            {
                $0.domains["feed-a"] = nil
                $0.racks["r1"]?.domains = ["feed-a"]
            }
        ),
        ("topology.name", { $0.zones["a b"] = .init(name: "a b") }),
        ("zone.jurisdiction", { $0.zones["z1"]?.jurisdiction = "sweden" }),
        ("topology.number", { $0.domains["feed-a"]?.limit = 0 }),
        ("pod.oversubscription", { $0.pods["p1"]?.oversubscription.memory = 999 }),
        ("pod.storage", { $0.pods["p1"]?.storage = .das }),
    ]

    @Test(arguments: 0..<9) func whatCannotBeIsRefused(_ index: Int) throws {
        let (rule, edit) = Self.impossible[index]
        #expect(Set(try refusals(of: edit).map(\.rule)) == [rule])
    }
}
