import CloudAPI
import Connect
import Drivers
import Fleet
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Pods whose hosts are emptied, with hosts that behave as nodes do.
@Suite struct RebalancingTests {
    private struct Scene: Sendable {
        let connect: ConnectFixture
        let buyer: Credential
        let image: ImageID
        let hosts: [LivingHost]

        func show(_ number: UInt64) async throws -> InstanceView {
            try await connect.call(
                ConnectAPI.showInstance, as: buyer, path: ["instance": InstanceID(bits: number).description], body: Empty())
        }

        /// Runs one machine on a host of the test's choosing.
        func run(_ number: UInt64, on host: LivingHost, by other: Credential? = nil, _ terms: PlacementTerms? = nil) async throws {
            var spec = TestHost.instance(number, image)
            spec.placement = terms
            let (body, owner) = (spec, other ?? buyer)
            for other in hosts where other.id != host.id { _ = try await act(.cordon, other) }
            _ = try await connect.call(ConnectAPI.createInstance, as: owner, body: body)
            let path = ["instance": InstanceID(bits: number).description]
            try await eventually("\(number) runs") {
                try await connect.call(ConnectAPI.showInstance, as: owner, path: path, body: Empty()).state == .running
            }
            for other in hosts where other.id != host.id { _ = try await act(.uncordon, other) }
        }

        func act(_ action: HostAction, _ host: LivingHost) async throws -> HostDetail {
            try await connect.manage(
                ConnectAPI.actOnHost, path: ["host": host.id.description], body: ActOnHost(action: action, reason: "the test"))
        }

        func rebalance<Answer>(_ endpoint: Endpoint<RebalancePod, Answer>, _ terms: RebalancePod) async throws -> Answer {
            try await connect.manage(endpoint, path: ["pod": "pod-1"], body: terms)
        }

        func latest() async throws -> RebalancingView {
            try await connect.manage(ConnectAPI.showRebalancing, path: ["pod": "pod-1"], body: Empty())
        }
    }

    private func scene(
        _ kind: DatabaseKind = .sqlite, storage: StorageArchitecture, hosts count: Int = 3, _ body: @escaping (Scene) async throws -> Void
    ) async throws {
        try await ConnectFixture.with(on: kind) { connect in
            let contract = connect.exchange.sell(1, lots: 8, of: connect.exchange.define(31) { $0.storage = storage })
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            try await connect.setStorage(storage)
            let image = try await connect.image()
            try await LivingHost.with(count, connect) { hosts in
                try await body(Scene(connect: connect, buyer: buyer, image: image, hosts: hosts))
                #expect(try await connect.service.violations() == [], "memory says what the tables say")
            }
        }
    }

    private let consolidate = RebalancePod(goal: .consolidate, mayRestart: true)

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func hostsAreEmptied(_ kind: DatabaseKind) async throws {
        try await scene(kind, storage: .nas) { scene in
            for (number, host) in scene.hosts.enumerated() { try await scene.run(UInt64(number + 1), on: host) }
            #expect(await refusal { _ = try await scene.latest() } == "rebalancing.unknown")
            let gentle = try await scene.rebalance(ConnectAPI.planRebalancing, RebalancePod(goal: .consolidate))
            #expect(gentle.moves.isEmpty && gentle.before == 3 && gentle.after == 3, "what runs may not be restarted")
            let planned = try await scene.rebalance(ConnectAPI.planRebalancing, consolidate)
            #expect(planned.before == 3 && planned.after == 1 && planned.moves.count == 2 && planned.began == nil)
            #expect(planned.moves.allSatisfy { $0.restarts && $0.state == .planned })
            let names = Set(try await scene.connect.manage(ConnectAPI.listHosts, body: Empty()).items.map(\.name))
            #expect(planned.moves.allSatisfy { names.contains($0.sourceName ?? "") && names.contains($0.targetName ?? "") })
            #expect(await refusal { _ = try await scene.latest() } == "rebalancing.unknown", "a plan does nothing")

            let started = try await scene.rebalance(ConnectAPI.startRebalancing, consolidate)
            #expect(started.moves.map(\.instance) == planned.moves.map(\.instance) && started.began != nil)
            #expect(await refusal { _ = try await scene.rebalance(ConnectAPI.startRebalancing, consolidate) } == "rebalancing.running")
            try await eventually("it is over", within: .seconds(30)) { try await scene.latest().ended != nil }
            let done = try await scene.latest()
            #expect(done.moves.allSatisfy { $0.state == .moved })
            var places: Set<HostID?> = []
            for number in 1...3 as ClosedRange<UInt64> {
                let view = try await scene.show(number)
                #expect(view.state == .running)
                places.insert(view.host)
                #expect(scene.hosts.count { $0.now.running.contains(InstanceID(bits: number)) } == 1, "never on two hosts")
            }
            #expect(places.count == 1)
        }
    }

    @Test(.timeLimit(.minutes(5))) func busyHostsAreRelieved() async throws {
        try await scene(storage: .nas, hosts: 3) { scene in
            for number in 1...3 as ClosedRange<UInt64> { try await scene.run(number, on: scene.hosts[0]) }
            try await scene.run(4, on: scene.hosts[1])
            // Of 8 hardware threads the first uses 7, the second 3; the third does not say, and is left alone.
            var loads: [InstanceID: Int64] = [:]
            for (number, load) in [1_500, 2_500, 3_000, 3_000].enumerated() { loads[InstanceID(bits: UInt64(number + 1))] = Int64(load) }
            for host in scene.hosts.dropLast() { host.tellLoads(loads) }
            let relieve = RebalancePod(goal: .relieve, mayRestart: true, busyPercent: 75)
            try await eventually("both have told") {
                let hosts = try await scene.connect.manage(ConnectAPI.listHosts, body: Empty()).items
                return hosts.compactMap(\.load?.milliCPU).sorted() == [3_100, 7_100]
            }
            let planned = try await scene.rebalance(ConnectAPI.planRebalancing, relieve)
            #expect(planned.before == 1_100 && planned.after == 0, "7.1 threads, a tenth of it the host's own, where 6 may be busy")
            #expect(planned.moves.map(\.instance) == [InstanceID(bits: 1)], "the least that is enough")
            #expect(planned.moves.map(\.target) == [scene.hosts[1].id])
            let calm = try await scene.rebalance(
                ConnectAPI.planRebalancing, RebalancePod(goal: .relieve, mayRestart: true, busyPercent: 90))
            #expect(calm.moves.isEmpty && calm.before == 0)

            _ = try await scene.rebalance(ConnectAPI.startRebalancing, relieve)
            try await eventually("it is over", within: .seconds(30)) { try await scene.latest().ended != nil }
            #expect(try await scene.latest().moves.map(\.state) == [.moved])
            #expect(try await scene.show(1).host == scene.hosts[1].id)
            try await eventually("its load went with it") {
                let hosts = try await scene.connect.manage(ConnectAPI.listHosts, body: Empty()).items
                return hosts.compactMap(\.load?.milliCPU).sorted() == [4_600, 5_600]
            }
        }
    }

    /// A host that another buyer has alone takes no machine of others, and no plan says so.
    @Test(.timeLimit(.minutes(5))) func hostsOfOthersAreLeftToThem() async throws {
        try await scene(storage: .nas) { scene in
            let product = scene.connect.exchange.define(32) {
                $0.storage = .nas
                $0.tenancy = .exclusive
            }
            let contract = scene.connect.exchange.sell(2, lots: 4, of: product, to: ParticipantID(bits: 77))
            let stranger = try scene.connect.certificate(contract).credential
            try await scene.connect.know(contract, stranger)
            try await scene.run(1, on: scene.hosts[0], by: stranger)
            try await scene.run(2, on: scene.hosts[1])
            try await scene.run(3, on: scene.hosts[2])
            let planned = try await scene.rebalance(ConnectAPI.planRebalancing, consolidate)
            #expect(planned.before == 3 && planned.after == 2 && planned.moves.count == 1)
            #expect(planned.moves.allSatisfy { $0.source != scene.hosts[0].id && $0.target != scene.hosts[0].id })
            #expect(planned.leftOut == nil && planned.restartHelps == nil)
            let gentle = try await scene.rebalance(ConnectAPI.planRebalancing, RebalancePod(goal: .consolidate))
            #expect(gentle.moves.isEmpty && gentle.restartHelps == true)
            _ = try await scene.rebalance(ConnectAPI.startRebalancing, consolidate)
            try await eventually("it is over", within: .seconds(30)) { try await scene.latest().ended != nil }
            let done = try await scene.latest()
            #expect(done.moves.map(\.state) == [.moved] && done.after == 2)
        }
    }

    /// Rules that are not planned with are named.
    @Test(.timeLimit(.minutes(5))) func whatStaysIsNamed() async throws {
        try await scene(storage: .nas, hosts: 2) { scene in
            let apart = PlacementTerms(groups: [GroupTerm(name: "db", rule: .apart, domain: .rack)])
            try await scene.run(1, on: scene.hosts[0], apart)
            try await scene.run(2, on: scene.hosts[1], PlacementTerms(host: scene.hosts[1].id.description))
            let planned = try await scene.rebalance(ConnectAPI.planRebalancing, consolidate)
            #expect(planned.moves.isEmpty && planned.before == 2 && planned.after == 2)
            #expect(planned.leftOut == [RebalancingLeftOut(rule: "apart", machines: 1), RebalancingLeftOut(rule: "host", machines: 1)])
            // No host is that large, and nothing that moves changes that.
            let huge = RebalancePod(goal: .makeRoom, room: Resources(milliCPU: 2_000_000, memoryMiB: 1), mayRestart: true)
            do {
                _ = try await scene.rebalance(ConnectAPI.planRebalancing, huge)
                Issue.record("it was planned")
            } catch let problem as ProblemDocument {
                #expect(problem.rule == "rebalancing.room-too-large" && problem.detail.contains("2000 vCPU, 1 MiB of memory"))
                #expect(problem.nearest?.hasPrefix("room for at most ") == true)
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func disksInTheHostsStay() async throws {
        try await scene(storage: .das, hosts: 2) { scene in
            for (number, host) in scene.hosts.enumerated() { try await scene.run(UInt64(number + 1), on: host) }
            let started = try await scene.rebalance(ConnectAPI.startRebalancing, consolidate)
            #expect(started.moves.isEmpty && started.before == started.after && started.ended != nil, "nothing would help")
        }
    }

    @Test(.timeLimit(.minutes(5))) func whatIsCancelledBeginsNoMore() async throws {
        try await scene(storage: .nas, hosts: 2) { scene in
            for (number, host) in scene.hosts.enumerated() { try await scene.run(UInt64(number + 1), on: host) }
            let started = try await scene.rebalance(ConnectAPI.startRebalancing, consolidate)
            #expect(started.moves.count == 1)
            _ = try await scene.connect.manage(ConnectAPI.cancelRebalancing, path: ["pod": "pod-1"], body: Empty())
            try await eventually("it is over", within: .seconds(30)) { try await scene.latest().ended != nil }
            let twice = try await scene.connect.manage(ConnectAPI.cancelRebalancing, path: ["pod": "pod-1"], body: Empty())
            #expect(twice.moves.allSatisfy { $0.state == .moved || $0.state == .givenUp })
            let isGivenUp = twice.moves.contains { $0.state == .givenUp }
            #expect(twice.after == (isGivenUp ? 2 : 1) && (twice.cancelled == true || !isGivenUp))
        }
    }

    @Test(.timeLimit(.minutes(5))) func whatMakesNoSenseIsRefused() async throws {
        try await scene(storage: .nas, hosts: 1) { scene in
            for (terms, rule) in [
                (RebalancePod(goal: .consolidate, mostMoves: 0), "rebalancing.limits"),
                (RebalancePod(goal: .consolidate, perHost: 17), "rebalancing.limits"), (RebalancePod(goal: .makeRoom), "rebalancing.room"),
                (RebalancePod(goal: .consolidate, room: Town.lot), "rebalancing.room"),
                (RebalancePod(goal: .relieve, room: Town.lot), "rebalancing.room"),
                (RebalancePod(goal: .relieve, busyPercent: 101), "rebalancing.busy"),
                (RebalancePod(goal: .consolidate, busyPercent: 50), "rebalancing.busy"),
                (RebalancePod(goal: .relieve), "rebalancing.load"),
            ] {
                #expect(await refusal { _ = try await scene.rebalance(ConnectAPI.planRebalancing, terms) } == rule)
            }
            #expect(
                await refusal {
                    _ = try await scene.connect.manage(ConnectAPI.planRebalancing, path: ["pod": "none"], body: consolidate)
                } == "pod.unknown")
        }
    }
}
