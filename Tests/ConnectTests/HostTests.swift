import CloudAPI
import CloudClient
import Connect
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// What an operator does with hosts: cordon, maintenance, drift, retire.
@Suite struct HostTests {
    private func host(_ text: String, at connect: ConnectFixture) async throws -> HostDetail {
        try await connect.manage(ConnectAPI.showHost, path: ["host": text], body: Empty())
    }

    private func act(_ action: HostAction, _ host: String, _ reason: String?, at connect: ConnectFixture) async throws -> HostDetail {
        try await connect.manage(ConnectAPI.actOnHost, path: ["host": host], body: ActOnHost(action: action, reason: reason))
    }

    @Test(.timeLimit(.minutes(5))) func nothingNewGoesToACordonedHost() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1, lots: 5)
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            let host = try await TestHost.enrolled(at: connect)
            let image = try await connect.image()
            #expect(await refusal { _ = try await act(.cordon, "host-1", nil, at: connect) } == "host.reason")
            let cordoned = try await act(.cordon, "host-1", "a fan is loud", at: connect)
            #expect(cordoned.host.state == "cordoned" && cordoned.cordon?.reason == "a fan is loud")
            #expect(cordoned.cordon?.cause == "operator")
            #expect(
                await refusal { _ = try await connect.call(ConnectAPI.createInstance, as: buyer, body: TestHost.instance(7, image)) }
                    == "placement.capacity")
            // What the node says does not bring it back.
            _ = try await connect.call(ConnectAPI.hello, as: host.credential, body: TestHost.hello)
            #expect(try await self.host("host-1", at: connect).host.state == "cordoned")
            let back = try await act(.uncordon, host.id.description, nil, at: connect)
            #expect(back.host.state == "up" && back.cordon == nil)
            _ = try await connect.call(ConnectAPI.createInstance, as: buyer, body: TestHost.instance(7, image))
            #expect(await refusal { _ = try await act(.cordon, "n7", "why", at: connect) } == "host.unknown")
        }
    }

    private func plan(_ from: Instant, _ to: Instant, at connect: ConnectFixture, _ host: String = "host-1") async throws -> MaintenanceView
    {
        let body = PlanMaintenance(period: Period(start: from, end: to), reason: "new firmware")
        return try await connect.manage(ConnectAPI.planMaintenance, path: ["host": host], body: body)
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func aWindowCordonsAndBringsBack(_ kind: DatabaseKind) async throws {
        try await ConnectFixture.with(on: kind) { connect in
            _ = try await TestHost.enrolled(at: connect)
            let now = SystemTime().now()
            let window = try await plan(now + .seconds(1), now + .seconds(4), at: connect)
            #expect(window.state == .planned)
            let later = try await plan(now + .hours(1), now + .hours(2), at: connect)
            #expect(
                await refusal { _ = try await plan(now + .seconds(3), now + .seconds(9), at: connect) } == "maintenance.overlap")
            try await eventually("it is cordoned") { try await host("host-1", at: connect).cordon?.cause == window.id.description }
            try await eventually("it is back") { try await host("host-1", at: connect).host.state == "up" }
            #expect(SystemTime().now() >= now + .seconds(4))
            let listed = try await connect.manage(ConnectAPI.listMaintenance, query: ["host": "host-1"], body: Empty()).items
            #expect(listed.map(\.id) == [later.id, window.id] && listed.map(\.state) == [.planned, .done])
            let path = ["window": later.id.description]
            #expect(try await connect.manage(ConnectAPI.cancelMaintenance, path: path, body: Empty()).state == .cancelled)
            #expect(try await connect.manage(ConnectAPI.cancelMaintenance, path: path, body: Empty()).state == .cancelled, "twice")
            #expect(
                await refusal {
                    _ = try await connect.manage(ConnectAPI.cancelMaintenance, path: ["window": window.id.description], body: Empty())
                } == "maintenance.done")
        }
    }

    /// What a person decided outlasts a window.
    @Test(.timeLimit(.minutes(5))) func anOperatorsCordonOutlastsAWindow() async throws {
        try await ConnectFixture.with { connect in
            _ = try await TestHost.enrolled(at: connect)
            let now = SystemTime().now()
            let window = try await plan(now, now + .hours(1), at: connect)
            // Nothing runs there, so it is soon in people's hands.
            try await eventually("it is in maintenance") { try await host("host-1", at: connect).host.state == "maintenance" }
            _ = try await act(.cordon, "host-1", "it stays", at: connect)
            _ = try await connect.manage(ConnectAPI.cancelMaintenance, path: ["window": window.id.description], body: Empty())
            let left = try await host("host-1", at: connect)
            #expect(left.host.state == "cordoned" && left.cordon?.cause == "operator" && left.windows.isEmpty)
        }
    }

    /// Who brings a host back while its window is on ends the window, and is told so.
    @Test(.timeLimit(.minutes(5))) func aHostThatIsBackIsInNoWindow() async throws {
        try await ConnectFixture.with { connect in
            _ = try await TestHost.enrolled(at: connect)
            let now = SystemTime().now()
            let window = try await plan(now, now + .hours(1), at: connect)
            let later = try await plan(now + .hours(2), now + .hours(3), at: connect)
            try await eventually("it is in maintenance") { try await host("host-1", at: connect).host.state == "maintenance" }
            let back = try await act(.uncordon, "host-1", nil, at: connect)
            #expect(back.host.state == "up" && back.windows.map(\.id) == [later.id])
            #expect(back.endedWindows?.map(\.id) == [window.id] && back.endedWindows?.map(\.state) == [.cancelled])
            let listed = try await connect.manage(ConnectAPI.listMaintenance, body: Empty()).items
            #expect(listed.first { $0.id == window.id }?.state == .cancelled)
            #expect(try await act(.uncordon, "host-1", nil, at: connect).endedWindows == nil, "once")
            try await Task.sleep(for: .seconds(2))
            #expect(try await host("host-1", at: connect).host.state == "up", "the window does not take it again")
        }
    }

    /// What is on a host that is to go, and what would end that.
    @Test(.timeLimit(.minutes(5))) func aHostThatIsDrainingIsNotToBeDrainedFirst() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1, lots: 5)
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            _ = try await TestHost.enrolled(at: connect)
            let machine = try await connect.call(
                ConnectAPI.createInstance, as: buyer, body: TestHost.instance(7, try await connect.image()))
            let drained = try await connect.manage(ConnectAPI.drainHost, path: ["host": "host-1"], body: DrainHost(reason: "a fan"))
            let drain = try #require(drained.life?.drain)
            // Nobody has said that its launch is done.
            #expect(drain.settling == 1 && drain.underWay == 0 && drain.queued == 0 && drain.blockedCount == 0 && !drain.done)
            #expect(drain.unsettled.map(\.instance) == [machine.id] && drain.unsettled[0].message.contains("launch is under way"))
            #expect(drain.unsettled[0].nearest != nil)
            do {
                _ = try await connect.manage(ConnectAPI.retireHost, path: ["host": "host-1"], body: Empty())
                Issue.record("it went")
            } catch let problem as ProblemDocument {
                #expect(problem.rule == "host.occupied" && problem.detail.contains("it is draining"))
                #expect(problem.detail.contains(machine.id.description))
                #expect(problem.nearest?.contains("no drain moves them") == true && problem.nearest?.contains("first") == false)
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func windowsThatCannotBeAreRefused() async throws {
        try await ConnectFixture.with { connect in
            _ = try await connect.manage(ConnectAPI.putHost, path: ["host": "n1"], body: HostSettings(pod: "pod-1"))
            let now = SystemTime().now()
            #expect(await refusal { _ = try await plan(now, now + .hours(1), at: connect, "n1") } == "host.expected")
            #expect(await refusal { _ = try await act(.cordon, "n1", "why", at: connect) } == "host.expected")
            _ = try await TestHost.enrolled(at: connect, for: CreateNodeEnrolment(host: "n1"))
            for (from, to) in [(now - .hours(2), now - .hours(1)), (now, now + .days(31))] {
                #expect(await refusal { _ = try await plan(from, to, at: connect, "n1") } == "maintenance.period")
            }
            // The start is too long ago for any end: another start is named, and serves.
            do {
                _ = try await plan(now - .days(300), now + .hours(1), at: connect, "n1")
                Issue.record("it was planned")
            } catch let problem as ProblemDocument {
                #expect(problem.nearest?.hasPrefix("a start of ") == true && problem.nearest?.hasSuffix("the same end") == true)
            }
            #expect(try await plan(now, now + .hours(1), at: connect, "n1").state == .planned)
        }
    }

    @Test(.timeLimit(.minutes(5))) func driftIsReported() async throws {
        try await ConnectFixture.with { connect in
            _ = try await connect.manage(
                ConnectAPI.applyTopology,
                body: TopologyTests.document {
                    $0.baseline = PodBaseline(product: "R7", firmware: ["PM9A3": "2"])
                    $0.racks = [RackEntry(name: "r1", hosts: [HostEntry(name: "n[1-3]")])]
                })
            var hello = TestHost.hello
            for (firmware, host) in [("2", "n1"), ("1", "n2")] {
                hello.inventory = HostInventoryView(
                    product: "R7", cells: [CellView(cell: 0, cpus: 8, memoryMiB: 32_000)],
                    devices: [DeviceView(kind: .disk, name: "nvme0n1", model: "PM9A3", firmware: firmware)])
                _ = try await TestHost.enrolled(at: connect, for: CreateNodeEnrolment(host: host), hello)
            }
            let report = try await connect.manage(ConnectAPI.showDrift, query: ["pod": "pod-1"], body: Empty())
            #expect(report.hosts == 3 && report.unknown == 1 && report.unstated == 0 && report.drifted == 1)
            #expect(report.differences.map(\.hostName) == ["n2"])
            #expect(report.differences.first?.what == "firmware of nvme0n1 (PM9A3)")
            #expect(report.differences.first?.expected == "2" && report.differences.first?.found == "1")
            #expect(try await connect.manage(ConnectAPI.showDrift, query: ["host": "n1"], body: Empty()).differences.isEmpty)
            #expect(try await host("n1", at: connect).inventory?.devices.count == 1)
        }
    }

    /// What a node tells of its host is bounded, as its capacity is.
    @Test(.timeLimit(.minutes(5))) func anInventoryBeyondReasonIsRefused() async throws {
        try await ConnectFixture.with { connect in
            _ = try await connect.manage(
                ConnectAPI.applyTopology,
                body: TopologyTests.document { $0.racks = [RackEntry(name: "r1", hosts: [HostEntry(name: "n1")])] })
            let host = try await TestHost.enrolled(at: connect, for: CreateNodeEnrolment(host: "n1"))
            func tell(_ cells: [CellView], devices: Int = 0) async -> String? {
                var hello = TestHost.hello
                hello.hostName = "n1"
                hello.inventory = HostInventoryView(
                    product: "p", cells: cells,
                    devices: (0..<devices).map { DeviceView(kind: .disk, name: "d\($0)", model: "m", firmware: "1") })
                let told = hello
                return await refusal { _ = try await connect.call(ConnectAPI.hello, as: host.credential, body: told) }
            }
            for amount in [-1, 1 << 52, -(1 << 52)] as [Int64] {
                #expect(await tell([CellView(cell: 0, cpus: amount, memoryMiB: 1)]) == "node.inventory")
                #expect(await tell([CellView(cell: 0, cpus: 1, memoryMiB: amount)]) == "node.inventory")
            }
            let most = CellView(cell: 0, cpus: 1 << 30, memoryMiB: 1 << 40)
            #expect(await tell(Array(repeating: most, count: 4_097)) == "node.inventory")
            #expect(await tell([most], devices: 4_097) == "node.inventory")
            for count in [2, 20, 4_096] { #expect(await tell(Array(repeating: most, count: count)) == nil) }
            _ = try await connect.manage(ConnectAPI.showDrift, body: Empty())
        }
    }

    /// Each operation for the operator turns everybody else away.
    @Test(.timeLimit(.minutes(5))) func theOperatorsPlaneIsTheOperators() async throws {
        try await ConnectFixture.with { connect in
            let nobody = try CloudClient(base: connect.publicURL, authentication: .none)
            try await nobody.closing { nobody in
                func turnsAway<Body, Answer>(_ endpoint: Endpoint<Body, Answer>, _ body: Body) async {
                    #expect(endpoint.access == [.operator], "\(endpoint.operation)")
                    let path = Dictionary(
                        uniqueKeysWithValues: AnyEndpoint(endpoint).pathParameters.map { ($0, "mnt-00000000000000001") })
                    let rule = await refusal { _ = try await nobody.call(endpoint, path: path, body: body) }
                    #expect(rule == "http.unauthorized", "\(endpoint.operation)")
                }
                await turnsAway(ConnectAPI.listZones, Empty())
                await turnsAway(ConnectAPI.putZone, ZoneSettings())
                await turnsAway(ConnectAPI.removeZone, Empty())
                await turnsAway(ConnectAPI.putFaultDomain, FaultDomainSettings(kind: .power, zone: "z"))
                await turnsAway(ConnectAPI.removeFaultDomain, Empty())
                await turnsAway(ConnectAPI.removePod, Empty())
                await turnsAway(ConnectAPI.putRack, RackSettings(pod: "p"))
                await turnsAway(ConnectAPI.removeRack, Empty())
                await turnsAway(ConnectAPI.listHosts, Empty())
                await turnsAway(ConnectAPI.showHost, Empty())
                await turnsAway(ConnectAPI.putHost, HostSettings(pod: "p"))
                await turnsAway(ConnectAPI.retireHost, Empty())
                await turnsAway(ConnectAPI.actOnHost, ActOnHost(action: .uncordon))
                await turnsAway(ConnectAPI.drainHost, DrainHost(reason: "why"))
                await turnsAway(ConnectAPI.fenceHost, FenceHost())
                await turnsAway(ConnectAPI.listMaintenance, Empty())
                await turnsAway(ConnectAPI.cancelMaintenance, Empty())
                await turnsAway(ConnectAPI.showDrift, Empty())
            }
        }
    }
}
