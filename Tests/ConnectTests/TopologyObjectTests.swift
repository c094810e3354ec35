import CloudAPI
import CloudClient
import Connect
import Primitives
import TestSupport
import Testing

/// Zones, fault domains, pods and racks one by one.
@Suite struct TopologyObjectTests {
    private let pod = PodSettings(
        zone: "z2", kind: .virtual, storage: .nas, oversubscription: .init(cpu: 4_000, memory: 1_000, disk: 1_000),
        profile: PodProfile(name: "r7", watts: 400, networkPorts: 2, storageIOPS: 1_000),
        limits: PodSizeLimits(hosts: 50, storageIOPS: 20_000))

    private func make(_ connect: ConnectFixture) async throws {
        _ = try await connect.manage(ConnectAPI.putZone, path: ["zone": "z2"], body: ZoneSettings(jurisdiction: "SE", site: "hall 2"))
        _ = try await connect.manage(
            ConnectAPI.putFaultDomain, path: ["domain": "leaf-1"],
            body: FaultDomainSettings(kind: .network, zone: "z2", limit: 48))
        _ = try await connect.manage(ConnectAPI.putPod, path: ["pod": "p2"], body: pod)
        _ = try await connect.manage(
            ConnectAPI.putRack, path: ["rack": "r1"], body: RackSettings(pod: "p2", units: 42, watts: 10_000, domains: ["leaf-1"]))
        _ = try await connect.manage(ConnectAPI.putHost, path: ["host": "n1"], body: HostSettings(pod: "p2", rack: "r1"))
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func eachIsMadeShownChangedAndRemoved(_ kind: DatabaseKind)
        async throws
    {
        try await ConnectFixture.with(on: kind) { connect in
            try await make(connect)
            let zone = try await connect.manage(ConnectAPI.showZone, path: ["zone": "z2"], body: Empty())
            #expect(zone == ZoneView(name: "z2", settings: .init(jurisdiction: "SE", site: "hall 2"), pods: 1, racks: 1, hosts: 1))
            let domain = try await connect.manage(ConnectAPI.showFaultDomain, path: ["domain": "leaf-1"], body: Empty())
            #expect(domain.load == 2 && domain.hosts == 1, "the host's two ports are on one switch")
            let shown = try await connect.manage(ConnectAPI.showPod, path: ["pod": "p2"], body: Empty())
            #expect(shown.settings == pod && shown.hosts == 1 && shown.room.map(\.limit) == ["storageIOPS", "hosts"])
            let rack = try await connect.manage(ConnectAPI.showRack, path: ["rack": "r1"], body: Empty())
            #expect(rack.zone == "z2" && rack.settings.domains == ["leaf-1"] && rack.hosts == 1)
            let host = try await connect.manage(ConnectAPI.showHost, path: ["host": "n1"], body: Empty())
            #expect(host.host.state == "expected" && host.host.lastSeen == nil && host.domains == ["leaf-1"])

            var settings = rack.settings
            settings.watts = 20_000
            let changed = try await connect.manage(ConnectAPI.putRack, path: ["rack": "r1"], body: settings)
            #expect(changed.settings.watts == 20_000 && changed.hosts == 1)

            let removals: [(String, () async throws -> TopologyPlanView)] = [
                ("host", { try await connect.manage(ConnectAPI.retireHost, path: ["host": host.host.id.description], body: Empty()) }),
                ("rack", { try await connect.manage(ConnectAPI.removeRack, path: ["rack": "r1"], body: Empty()) }),
                ("pod", { try await connect.manage(ConnectAPI.removePod, path: ["pod": "p2"], body: Empty()) }),
                ("domain", { try await connect.manage(ConnectAPI.removeFaultDomain, path: ["domain": "leaf-1"], body: Empty()) }),
                ("zone", { try await connect.manage(ConnectAPI.removeZone, path: ["zone": "z2"], body: Empty()) }),
            ]
            for (_, remove) in removals.dropFirst().reversed() { #expect(await refusal { _ = try await remove() } == "topology.children") }
            for (kind, remove) in removals {
                let plan = try await remove()
                #expect(plan.applied && plan.changes.map { "\($0.action) \($0.kind)" } == ["remove \(kind)"])
                #expect(await refusal { _ = try await remove() } == "\(kind).unknown", "once")
            }
            // The name is free again.
            try await make(connect)
        }
    }

    @Test(.timeLimit(.minutes(5))) func listsPageByName() async throws {
        try await ConnectFixture.with { connect in
            try await make(connect)
            for number in 2...5 {
                _ = try await connect.manage(ConnectAPI.putRack, path: ["rack": "r\(number)"], body: RackSettings(pod: "p2"))
                _ = try await connect.manage(ConnectAPI.putHost, path: ["host": "n\(number)"], body: HostSettings(pod: "p2"))
            }
            func walk<Item>(_ endpoint: Endpoint<Empty, Page<Item>>, _ query: [String: String] = [:]) async throws -> [[Item]] {
                var (pages, query): ([[Item]], _) = ([], query.merging(["limit": "2"]) { $1 })
                while true {
                    let page = try await connect.manage(endpoint, query: query, body: Empty())
                    pages.append(page.items)
                    guard let next = page.next else { return pages }
                    query["cursor"] = next
                }
            }
            #expect(try await walk(ConnectAPI.listRacks).map { $0.map(\.name) } == [["r1", "r2"], ["r3", "r4"], ["r5"]])
            #expect(try await walk(ConnectAPI.listRacks, ["pod": "pod-1"]) == [[]])
            #expect(try await walk(ConnectAPI.listPods).flatMap { $0 }.map(\.name) == ["p2", "pod-1"])
            let hosts = try await walk(ConnectAPI.listHosts)
            #expect(hosts.map(\.count) == [2, 2, 1])
            #expect(Set(hosts.flatMap { $0 }.map(\.name)) == ["n1", "n2", "n3", "n4", "n5"])
            #expect(try await walk(ConnectAPI.listHosts, ["rack": "r1"]).flatMap { $0 }.map(\.name) == ["n1"])
            #expect(try await walk(ConnectAPI.listHosts, ["state": "up"]).flatMap { $0 }.isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(5))) func changesAreCheckedAgainstTheWhole() async throws {
        try await ConnectFixture.with { connect in
            try await make(connect)
            let elsewhere = RackSettings(pod: "pod-1", domains: ["leaf-1"])
            #expect(
                await refusal { _ = try await connect.manage(ConnectAPI.putRack, path: ["rack": "r9"], body: elsewhere) } == "zone.apart")
            #expect(
                await refusal {
                    _ = try await connect.manage(ConnectAPI.putHost, path: ["host": "n9"], body: HostSettings(pod: "pod-1", rack: "r1"))
                } == "host.rack")
            #expect(
                await refusal {
                    _ = try await connect.manage(
                        ConnectAPI.putFaultDomain, path: ["domain": "leaf-1"],
                        body: FaultDomainSettings(kind: .network, zone: "z2", limit: 1))
                } == "domain.limit")
            #expect(
                await refusal { _ = try await connect.manage(ConnectAPI.putZone, path: ["zone": "z2"], body: .init(jurisdiction: "x")) }
                    == "zone.jurisdiction")
        }
    }
}
