import CloudAPI
import CloudClient
import Connect
import Primitives
import ServiceKit
import TestSupport
import Testing

/// What was made from an older topology, or from an object as it was, does not undo what somebody else has changed since.
@Suite struct TopologyRevisionTests {
    private func client(_ connect: ConnectFixture) throws -> CloudClient {
        try CloudClient(base: connect.publicURL, authentication: .bearer(ConnectFixture.operatorToken))
    }

    private func problem(_ body: () async throws -> Void) async throws -> ProblemDocument {
        do {
            try await body()
        } catch let problem as ProblemDocument {
            return problem
        }
        throw CancellationError()
    }

    private func revision(_ connect: ConnectFixture) async throws -> Int64 {
        try #require(try await connect.manage(ConnectAPI.exportTopology, body: Empty()).revision)
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func anOldExportUndoesNothing(_ kind: DatabaseKind) async throws {
        try await ConnectFixture.with(on: kind) { connect in
            var mine = try await connect.manage(ConnectAPI.exportTopology, body: Empty())
            let first = try #require(mine.revision)
            // Two others are quicker.
            _ = try await connect.manage(ConnectAPI.putZone, path: ["zone": "z2"], body: ZoneSettings(jurisdiction: "SE"))
            _ = try await connect.manage(ConnectAPI.putHost, path: ["host": "n1"], body: HostSettings(pod: "pod-1"))
            mine.zones[0].site = "hall 1"
            let stale = try await problem { _ = try await connect.manage(ConnectAPI.applyTopology, body: mine) }
            #expect(stale.rule == "topology.stale" && stale.status == 409)
            #expect(stale.detail.contains("revision \(first)") && stale.detail.contains("at \(first + 2) now"))
            #expect(stale.detail.contains("zone z2 added, by operator") && stale.detail.contains("host n1 added"))
            #expect(stale.nearest?.contains("export the topology again") == true && stale.nearest?.contains("--force") == true)
            #expect(try await connect.manage(ConnectAPI.listZones, body: Empty()).items.map(\.name).contains("z2"))
            let plan = try await connect.manage(ConnectAPI.planTopology, body: mine)
            #expect(plan.refusals.map(\.rule) == ["topology.stale"] && plan.revision == first + 2)

            // Made again from what is there, it is applied; the same once more changes nothing and is no mistake.
            var again = try await connect.manage(ConnectAPI.exportTopology, body: Empty())
            again.zones[again.zones.firstIndex { $0.name == Town.zone } ?? 0].site = "hall 1"
            let done = try await connect.manage(ConnectAPI.applyTopology, body: again)
            #expect(done.revision == first + 3 && done.changes.map(\.name) == [Town.zone])
            #expect(try await connect.manage(ConnectAPI.applyTopology, body: again).changes.isEmpty)

            // Who says no revision means it whatever is there.
            mine.revision = nil
            #expect(try await connect.manage(ConnectAPI.applyTopology, body: mine).changes.map(\.name).sorted() == ["n1", "z2"])
            mine.zones[0].site = "hall 2"
            mine.revision = 1_000
            #expect(await refusal { _ = try await connect.manage(ConnectAPI.applyTopology, body: mine) } == "topology.stale")
        }
    }

    /// What was planned is what is applied, or nothing is.
    @Test(.timeLimit(.minutes(5))) func aPlanIsAppliedAsItWasShown() async throws {
        try await ConnectFixture.with { connect in
            var document = TopologyTests.document()
            let plan = try await connect.manage(ConnectAPI.planTopology, body: document)
            document.revision = plan.revision
            _ = try await connect.manage(ConnectAPI.putHost, path: ["host": "n9"], body: HostSettings(pod: "pod-1"))
            #expect(await refusal { _ = try await connect.manage(ConnectAPI.applyTopology, body: document) } == "topology.stale")
            document.revision = try await connect.manage(ConnectAPI.planTopology, body: TopologyTests.document()).revision
            #expect(try await connect.manage(ConnectAPI.applyTopology, body: document).applied)
        }
    }

    @Test(.timeLimit(.minutes(5))) func everyChangeOfTheTopologyCounts() async throws {
        try await ConnectFixture.with { connect in
            var last = try await revision(connect)
            func counts(_ what: String, by steps: Int64 = 1, _ body: () async throws -> Void) async throws {
                try await body()
                let now = try await revision(connect)
                #expect(now == last + steps, "\(what)")
                last = now
            }
            let pod = PodSettings(
                zone: "z2", kind: .virtual, storage: .das, oversubscription: .init(cpu: 1_000, memory: 1_000, disk: 1_000))
            try await counts("a zone") { _ = try await connect.manage(ConnectAPI.putZone, path: ["zone": "z2"], body: ZoneSettings()) }
            try await counts("the same again", by: 0) {
                _ = try await connect.manage(ConnectAPI.putZone, path: ["zone": "z2"], body: ZoneSettings())
            }
            try await counts("a domain") {
                _ = try await connect.manage(
                    ConnectAPI.putFaultDomain, path: ["domain": "d"], body: FaultDomainSettings(kind: .power, zone: "z2"))
            }
            try await counts("a pod") { _ = try await connect.manage(ConnectAPI.putPod, path: ["pod": "p2"], body: pod) }
            try await counts("a rack") {
                _ = try await connect.manage(ConnectAPI.putRack, path: ["rack": "r"], body: RackSettings(pod: "p2"))
            }
            try await counts("a host") {
                _ = try await connect.manage(ConnectAPI.putHost, path: ["host": "n"], body: HostSettings(pod: "p2"))
            }
            try await counts("it moves") {
                _ = try await connect.manage(ConnectAPI.putHost, path: ["host": "n"], body: HostSettings(pod: "p2", rack: "r"))
            }
            try await counts("it is retired") { _ = try await connect.manage(ConnectAPI.retireHost, path: ["host": "n"], body: Empty()) }
            try await counts("the rack goes") { _ = try await connect.manage(ConnectAPI.removeRack, path: ["rack": "r"], body: Empty()) }
            try await counts("a node joins by itself") { _ = try await TestHost.enrolled(at: connect) }
            try await counts("it is cordoned, which no file says", by: 0) {
                _ = try await connect.manage(
                    ConnectAPI.actOnHost, path: ["host": "host-1"], body: ActOnHost(action: .cordon, reason: "a fan"))
            }
            try await counts("a plan", by: 0) { _ = try await connect.manage(ConnectAPI.planTopology, body: TopologyTests.document()) }
        }
    }

    @Test(.timeLimit(.minutes(5))) func theHeadersSayTheSame() async throws {
        try await ConnectFixture.with { connect in
            try await client(connect).closing { client in
                let (document, tag) = try await client.tagged(ConnectAPI.exportTopology, body: Empty())
                #expect(tag == "\"\(document.revision ?? 0)\"")
                _ = try await client.call(ConnectAPI.putZone, path: ["zone": "z2"], body: ZoneSettings())
                var wanted = TopologyTests.document()
                let stale = try await problem {
                    _ = try await client.call(ConnectAPI.applyTopology, body: wanted, condition: .match(try #require(tag)))
                }
                #expect(stale.rule == "topology.stale" && stale.status == 412)
                wanted.zones[0].site = "hall 1"
                let (_, now) = try await client.tagged(ConnectAPI.exportTopology, body: Empty())
                let (done, after) = try await client.tagged(ConnectAPI.applyTopology, body: wanted, condition: now.map { .match($0) })
                #expect(done.applied && after == "\"\(done.revision)\"" && after != now)
            }
        }
    }

    // MARK: Objects

    @Test(.timeLimit(.minutes(5))) func anObjectThatIsThereIsNotCreated() async throws {
        try await ConnectFixture.with { connect in
            try await client(connect).closing { client in
                let ratios = OversubscriptionRatios(cpu: 1_000, memory: 1_000, disk: 1_000)
                let creations: [(String, () async throws -> Void)] = [
                    ("zone", { _ = try await client.call(ConnectAPI.putZone, path: ["zone": "x"], body: .init(), condition: .new) }),
                    (
                        "domain",
                        {
                            _ = try await client.call(
                                ConnectAPI.putFaultDomain, path: ["domain": "x"], body: .init(kind: .power, zone: "x"), condition: .new)
                        }
                    ),
                    (
                        "pod",
                        {
                            let pod = PodSettings(zone: "x", kind: .virtual, storage: .das, oversubscription: ratios)
                            _ = try await client.call(ConnectAPI.putPod, path: ["pod": "x"], body: pod, condition: .new)
                        }
                    ),
                    (
                        "rack",
                        { _ = try await client.call(ConnectAPI.putRack, path: ["rack": "x"], body: .init(pod: "x"), condition: .new) }
                    ),
                    (
                        "host",
                        { _ = try await client.call(ConnectAPI.putHost, path: ["host": "x"], body: .init(pod: "x"), condition: .new) }
                    ),
                ]
                for (_, create) in creations { try await create() }
                for (kind, create) in creations {
                    let there = try await problem(create)
                    #expect(there.rule == "\(kind).exists" && there.status == 409)
                    #expect(there.nearest?.contains(" set x`") == true, "\(there.nearest ?? "")")
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func changesAtTheSameTimeAllHold(_ kind: DatabaseKind) async throws {
        try await ConnectFixture.with(on: kind) { connect in
            let path = ["pod": "pod-1"]
            try await client(connect).closing { client in
                let (view, tag) = try await client.tagged(ConnectAPI.showPod, path: path, body: Empty())
                var (mine, others) = (view.settings, view.settings)
                (mine.limits, others.policy) = (PodSizeLimits(hosts: 100), .spreading)
                _ = try await client.call(ConnectAPI.putPod, path: path, body: others, condition: tag.map { .match($0) })
                let stale = try await problem {
                    _ = try await client.call(ConnectAPI.putPod, path: path, body: mine, condition: tag.map { .match($0) })
                }
                #expect(stale.rule == "pod.stale" && stale.status == 412 && stale.detail.contains("policy spreading"))
                #expect(stale.nearest?.contains("read it again") == true)

                try await withThrowingTaskGroup(of: Void.self) { group in
                    let edits: [@Sendable (inout PodSettings) -> Void] = [
                        { $0.oversubscription.cpu = 2_000 }, { $0.oversubscription.disk = 1_500 }, { $0.policy = .firstFit },
                        { $0.profile = PodProfile(name: "r7") }, { $0.baseline = PodBaseline(bios: "1.8") },
                    ]
                    for edit in edits {
                        group.addTask { _ = try await client.change(ConnectAPI.showPod, ConnectAPI.putPod, path: path, \.settings, edit) }
                    }
                    try await group.waitForAll()
                }
                let now = try await client.call(ConnectAPI.showPod, path: path).settings
                #expect(now.oversubscription.cpu == 2_000 && now.oversubscription.disk == 1_500 && now.policy == .firstFit)
                #expect(now.profile?.name == "r7" && now.baseline?.bios == "1.8")
                #expect(
                    await refusal { _ = try await client.call(ConnectAPI.putPod, path: ["pod": "p9"], body: mine, condition: .match("x")) }
                        == "pod.unknown")
            }
        }
    }
}
