import CloudAPI
import CloudClient
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// The topology over HTTP: planned, applied, refused, and what nodes make of it.
@Suite struct TopologyTests {
    static func document(_ adjust: (inout PodEntry) -> Void = { _ in }) -> TopologyDocument {
        var pod = PodEntry(
            name: "pod-1", kind: .virtual, storage: .das, oversubscription: .init(cpu: 8_000, memory: 1_000, disk: 2_000),
            profile: PodProfile(name: "r7", watts: 500, rackUnits: 1), limits: PodSizeLimits(hosts: 10),
            racks: [
                RackEntry(name: "r[1-2]", units: 42, domains: ["feed-a", "{rack}-leaf"], hosts: [HostEntry(name: "{rack}-n[1-3]")])
            ])
        adjust(&pod)
        return TopologyDocument(
            region: Town.region, datacenter: "north",
            zones: [
                ZoneEntry(
                    name: Town.zone, jurisdiction: "SE",
                    domains: [.init(name: "feed-a", kind: .power, limit: 50_000), .init(name: "r[1-2]-leaf", kind: .network)], pods: [pod])
            ])
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func aDocumentIsPlannedAndApplied(_ kind: DatabaseKind) async throws {
        try await ConnectFixture.with(on: kind) { connect in
            let plan = try await connect.manage(ConnectAPI.planTopology, body: Self.document())
            #expect(!plan.applied && plan.refusals.isEmpty)
            let counts = Dictionary(grouping: plan.changes) { "\($0.action) \($0.kind)" }.mapValues(\.count)
            #expect(counts == ["change zone": 1, "add domain": 3, "change pod": 1, "add rack": 2, "add host": 6])
            let before = try await connect.manage(ConnectAPI.exportTopology, body: Empty())
            #expect(before.zones.first?.pods?.first?.racks == [], "planning changes nothing")
            let done = try await connect.manage(ConnectAPI.applyTopology, body: Self.document())
            #expect(done.applied && done.changes == plan.changes)
            let again = try await connect.manage(ConnectAPI.applyTopology, body: Self.document())
            #expect(again.applied && again.changes.isEmpty)
            // What is written down of it makes it again.
            let written = try await connect.manage(ConnectAPI.exportTopology, body: Empty())
            #expect(try await connect.manage(ConnectAPI.planTopology, body: written).changes.isEmpty)
            #expect(written.zones[0].pods?[0].racks?.map(\.hosts) == [[HostEntry(name: "r1-n[1-3]")], [HostEntry(name: "r2-n[1-3]")]])
        }
    }

    @Test(.timeLimit(.minutes(5))) func allOrNothing() async throws {
        try await ConnectFixture.with { connect in
            let tooMany = Self.document { $0.limits?.hosts = 5 }
            let plan = try await connect.manage(ConnectAPI.planTopology, body: tooMany)
            #expect(plan.refusals.map(\.rule) == ["pod.limit"])
            #expect(await refusal { _ = try await connect.manage(ConnectAPI.applyTopology, body: tooMany) } == "pod.limit")
            let written = try await connect.manage(ConnectAPI.exportTopology, body: Empty())
            #expect(written.zones.map(\.jurisdiction) == [nil] && written.zones[0].domains == [])
            var elsewhere = Self.document()
            elsewhere.datacenter = "south"
            #expect(await refusal { _ = try await connect.manage(ConnectAPI.planTopology, body: elsewhere) } == "topology.datacenter")
        }
    }

    @Test(.timeLimit(.minutes(5))) func theSameKeyIsTheSameAnswer() async throws {
        try await ConnectFixture.with { connect in
            let client = try CloudClient(base: connect.publicURL, authentication: .bearer(ConnectFixture.operatorToken))
            try await client.closing { client in
                let first = try await client.call(ConnectAPI.applyTopology, body: Self.document(), idempotencyKey: "once")
                let second = try await client.call(ConnectAPI.applyTopology, body: Self.document(), idempotencyKey: "once")
                #expect(first == second && !first.changes.isEmpty)
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func onlyTheOperatorMay() async throws {
        try await ConnectFixture.with { connect in
            let nobody = try CloudClient(base: connect.publicURL, authentication: .none)
            try await nobody.closing { nobody in
                #expect(await refusal { _ = try await nobody.call(ConnectAPI.planTopology, body: Self.document()) } == "http.unauthorized")
                #expect(await refusal { _ = try await nobody.call(ConnectAPI.applyTopology, body: Self.document()) } == "http.unauthorized")
                #expect(await refusal { _ = try await nobody.call(ConnectAPI.exportTopology) } == "http.unauthorized")
            }
        }
    }

    // MARK: Nodes

    @Test(.timeLimit(.minutes(5))) func aNodeTakesItsDeclaredPlace() async throws {
        try await ConnectFixture.with { connect in
            _ = try await connect.manage(ConnectAPI.applyTopology, body: Self.document())
            // By a token made for it, whatever it calls itself.
            let named = try await TestHost.enrolled(at: connect, for: CreateNodeEnrolment(host: "r1-n2"))
            // By its name, with a token for the pod.
            var hello = TestHost.hello
            hello.hostName = "r2-n1"
            let adopted = try await TestHost.enrolled(at: connect, for: CreateNodeEnrolment(pod: "pod-1"), hello)
            let hosts = try await connect.manage(ConnectAPI.listHosts, body: Empty()).items
            #expect(hosts.first { $0.id == named.id }?.name == "r1-n2")
            #expect(hosts.first { $0.id == adopted.id }?.name == "r2-n1")
            #expect(try await connect.manage(ConnectAPI.planTopology, body: Self.document()).changes.isEmpty, "no place was added")
            #expect(
                await refusal { _ = try await connect.manage(ConnectAPI.createNodeEnrolment, body: CreateNodeEnrolment(host: "r9-n9")) }
                    == "host.unknown")
        }
    }

    @Test(.timeLimit(.minutes(5))) func limitsHoldWhenNodesJoin() async throws {
        try await ConnectFixture.with { connect in
            _ = try await connect.manage(
                ConnectAPI.applyTopology,
                body: Self.document {
                    $0.limits = PodSizeLimits(hosts: 2)
                    $0.racks = [RackEntry(name: "r1", units: 1, hosts: [])]
                    $0.hosts = []
                })
            var hello = TestHost.hello
            hello.rack = "r1"
            _ = try await TestHost.enrolled(at: connect, hello)
            #expect(await refusal { _ = try await TestHost.enrolled(at: connect, hello) } == "rack.limit")
            hello.rack = "r7"
            #expect(await refusal { _ = try await TestHost.enrolled(at: connect, hello) } == "topology.unknown")
            _ = try await TestHost.enrolled(at: connect)
            #expect(await refusal { _ = try await TestHost.enrolled(at: connect) } == "pod.limit")
            let written = try await connect.manage(ConnectAPI.exportTopology, body: Empty())
            #expect(written.zones[0].pods?[0].racks?[0].hosts == [HostEntry(name: "host-1")])
        }
    }

    @Test(.timeLimit(.minutes(5))) func aHostWithInstancesStays() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1)
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            let host = try await TestHost.enrolled(at: connect)
            let view = try await connect.call(
                ConnectAPI.createInstance, as: buyer, body: TestHost.instance(7, try await connect.image()))
            let empty = Self.document {
                $0.racks = []
                $0.hosts = []
            }
            let plan = try await connect.manage(ConnectAPI.planTopology, body: empty)
            #expect(plan.refusals.map(\.rule) == ["host.occupied"])
            #expect(plan.refusals.first?.message.contains(view.id.description) == true)
            #expect(plan.refusals.first?.nearest?.contains("terminated") == true, "its disk is in the host")
            let tight = Self.document {
                $0.racks = nil
                $0.oversubscription.disk = 1_000
                $0.oversubscription.cpu = 1_000
            }
            #expect(try await connect.manage(ConnectAPI.planTopology, body: tight).refusals.isEmpty, "there is room enough")
            _ = try await connect.call(
                ConnectAPI.actOnInstance, as: buyer, path: ["instance": view.id.description], body: ActOnInstance(action: .terminate))
            let gone = InstanceObservation(
                instance: view.id, generation: 2, state: .absent, reason: nil, executed: nil, at: SystemTime().now())
            _ = try await connect.call(
                ConnectAPI.report, as: host.credential,
                body: NodeReport(at: SystemTime().now(), observations: [gone], meters: [], consoles: []))
            _ = try await connect.manage(ConnectAPI.applyTopology, body: empty)
            #expect(try await connect.manage(ConnectAPI.listHosts, body: Empty()).items.isEmpty)
            #expect(
                await refusal { _ = try await connect.call(ConnectAPI.hello, as: host.credential, body: TestHost.hello) } == "host.retired")
        }
    }
}
