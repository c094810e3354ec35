import CloudAPI
import Foundation
import PKI
import Primitives
import ServiceKit
import Synchronization
import TestSupport
import Testing

/// Instances under a contract: volume, placement, intents, and what nodes tell of them.
@Suite struct InstanceTests {
    private struct Scene: Sendable {
        let connect: ConnectFixture
        let contract: ContractView
        let buyer: Credential
        let host: TestHost
        let image: ImageID

        func launch(_ number: UInt64, resources: Resources = Town.lot) async throws -> InstanceView {
            try await connect.call(ConnectAPI.createInstance, as: buyer, body: TestHost.instance(number, image, resources: resources))
        }

        func intents(after revision: Int64 = 0) async throws -> IntentPage {
            try await connect.call(
                ConnectAPI.intents, as: host.credential, query: ["after": "\(revision)", "wait": revision == 0 ? "0" : "5"], body: Empty())
        }

        @discardableResult
        func report(_ observations: [InstanceObservation] = [], meters: [MeterReading] = []) async throws -> NodeReportAnswer {
            try await connect.call(
                ConnectAPI.report, as: host.credential,
                body: NodeReport(at: SystemTime().now(), observations: observations, meters: meters, consoles: []))
        }

        func seen(_ instance: InstanceView, _ state: ObservedState, generation: Int64) -> InstanceObservation {
            InstanceObservation(
                instance: instance.id, generation: generation, state: state, reason: nil,
                executed: state == .running ? SystemTime().now() : nil, at: SystemTime().now())
        }

        func show(_ instance: InstanceView) async throws -> InstanceView {
            try await connect.call(ConnectAPI.showInstance, as: buyer, path: ["instance": instance.id.description], body: Empty())
        }
    }

    private func scene(lots: Int64 = 2, _ body: (Scene) async throws -> Void) async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1, lots: lots)
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            let host = try await TestHost.enrolled(at: connect)
            try await body(Scene(connect: connect, contract: contract, buyer: buyer, host: host, image: try await connect.image()))
        }
    }

    @Test(.timeLimit(.minutes(5))) func theSameImageManyTimesAtOnceIsOne() async throws {
        try await ConnectFixture.with { connect in
            let folder = try await connect.imageFolder(bytes: 32 << 20)
            let ids = try await withThrowingTaskGroup(of: ImageID.self) { group in
                for _ in 0..<6 {
                    group.addTask { try await connect.manage(ConnectAPI.importImage, body: ImportImage(folder: folder)).id }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
        }
    }

    /// The operator sees who is where.
    @Test(.timeLimit(.minutes(5))) func instancesOfAHost() async throws {
        try await PlacementScene.with(hosts: ["a", "b"].map { PlacementScene.hello($0) }) { scene in
            let buyer = try await scene.buyer(1)
            for number in 1...2 as ClosedRange<UInt64> {
                _ = try await scene.connect.call(
                    ConnectAPI.createInstance, as: buyer.credential, body: scene.spec(number, PlacementTerms(host: number == 1 ? "a" : "b"))
                )
            }
            func seen(_ host: String) async throws -> [InstanceID] {
                try await scene.connect.manage(ConnectAPI.listInstances, query: ["host": host], body: Empty()).items.map(\.id)
            }
            #expect(try await seen("a") == [InstanceID(bits: 1)])
            #expect(try await seen("b") == [InstanceID(bits: 2)])
            let problem = await scene.problem { _ = try await seen("c") }
            #expect(problem?.rule == "host.unknown" && problem?.nearest != nil)
        }
    }

    @Test(.timeLimit(.minutes(5))) func theVolumeIsNeverExceeded() async throws {
        try await scene { scene in
            _ = try await scene.launch(1)
            _ = try await scene.launch(2)
            do {
                _ = try await scene.launch(3)
                Issue.record("a third lot of two")
            } catch let problem as ProblemDocument {
                #expect(problem.rule == "contract.volume" && problem.status == 507)
                #expect(problem.detail.contains("0 milliCPU") && problem.nearest != nil)
            }
            #expect(try await scene.connect.capacity(as: scene.buyer).instances == 2)
        }
    }

    /// Many at once for the last lot: one gets it.
    @Test(.timeLimit(.minutes(5))) func aRaceForTheLastLotHasOneWinner() async throws {
        try await scene(lots: 1) { scene in
            let won = await withTaskGroup(of: Bool.self) { group in
                for number in 1...8 as ClosedRange<UInt64> {
                    group.addTask { (try? await scene.launch(number)) != nil }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(won == 1)
            let used = try await scene.connect.capacity(as: scene.buyer).used
            #expect(used == Town.lot)
        }
    }

    @Test(.timeLimit(.minutes(5))) func theSameRequestAgainIsTheSameInstance() async throws {
        try await scene { scene in
            let first = try await scene.launch(1)
            let again = try await scene.launch(1)
            #expect(first.id == again.id && first.privateAddress == again.privateAddress && again.generation == first.generation)
            #expect(try await scene.connect.capacity(as: scene.buyer).instances == 1)
            let small = Resources(milliCPU: 500, memoryMiB: 512, diskMiB: 1_024)
            #expect(await refusal { _ = try await scene.launch(1, resources: small) } == "instance.exists")
        }
    }

    /// One machine whose readings have come, one that is silent.
    @Test(.timeLimit(.minutes(5))) func aKeyGetsItsFirstAnswerWhateverHasChanged() async throws {
        try await scene { scene in
            @Sendable func launch(_ number: UInt64, key: String?) async throws -> InstanceView {
                try await scene.connect.call(
                    ConnectAPI.createInstance, as: scene.buyer, body: TestHost.instance(number, scene.image), idempotencyKey: key)
            }
            let first = try await launch(1, key: "k")
            try await scene.report([scene.seen(first, .running, generation: first.generation)])
            #expect(try await scene.show(first).state == .running)
            let again = try await launch(1, key: "k")
            #expect(again.state == .pending && again.stateChanged == first.stateChanged && again.privateAddress == first.privateAddress)
            #expect(await refusal { _ = try await launch(2, key: "k") } == "idempotency.reused")
            scene.connect.exchange.end(scene.contract.id, because: "a test")
            try await eventually("the contract has ended here") { await refusal { _ = try await launch(3, key: nil) } == "contract.ended" }
            #expect(try await launch(1, key: "k").stateChanged == first.stateChanged)
            #expect(await refusal { _ = try await launch(2, key: "k") } == "idempotency.reused")
        }
    }

    @Test(.timeLimit(.minutes(5))) func whatWasDeliveredIsReportedAndSigned() async throws {
        try await scene { scene in
            let machines = [try await scene.launch(1), try await scene.launch(2)]
            try await scene.report(machines.map { scene.seen($0, .running, generation: $0.generation) })
            let now = SystemTime().now()
            let reading = MeterReading(
                host: scene.host.id, sequence: 1, instance: machines[0].id, contract: scene.contract.id,
                period: Period(start: now - .seconds(60), end: now + .seconds(60)), resources: Town.lot)
            try await scene.report(meters: [reading])
            let period = Period(start: now - .seconds(60), end: now + .seconds(3_600))
            scene.connect.exchange.await(scene.contract, period, due: now)
            try await eventually("it is reported") { scene.connect.exchange.state.withLock { !$0.reports.isEmpty } }
            let (report, signer) = try #require(scene.connect.exchange.state.withLock { $0.reports.first })
            #expect(signer.role == .connect && report.period == period && report.evidenceHash.count == 64)
            #expect(report.deliveredLotMicroseconds > 0)
            #expect(report.unavailable.map(\.cause) == [.host])
            let missing = report.unavailable.map(\.lotMicroseconds).reduce(0, +)
            #expect(missing > 0 && report.demandedLotMicroseconds == report.deliveredLotMicroseconds + missing)
        }
    }

    @Test(.timeLimit(.minutes(5))) func nodesFollowIntentsAndAreBelieved() async throws {
        try await scene { scene in
            let made = try await scene.launch(1)
            let page = try await scene.intents()
            let intent = try #require(page.intents.first)
            #expect(page.full && intent.instance == made.id && intent.desired == .running && intent.contract == scene.contract.id)
            try await scene.report([scene.seen(made, .running, generation: intent.generation)])
            #expect(try await scene.show(made).state == .running)
            _ = try await scene.connect.call(
                ConnectAPI.actOnInstance, as: scene.buyer, path: ["instance": made.id.description], body: ActOnInstance(action: .stop))
            let next = try #require(try await scene.intents(after: page.revision).intents.first)
            #expect(next.desired == .stopped && next.generation > intent.generation)
            // What was seen under the old intent says nothing about the new one.
            try await scene.report([scene.seen(made, .running, generation: intent.generation)])
            #expect(try await scene.show(made).state == .stopping)
            try await scene.report([scene.seen(made, .stopped, generation: next.generation)])
            #expect(try await scene.show(made).state == .stopped)
        }
    }

    @Test(.timeLimit(.minutes(5))) func readingsCountOnceAndInOrder() async throws {
        try await scene { scene in
            let made = try await scene.launch(1)
            let start = SystemTime().now() - .seconds(600)
            func reading(_ sequence: Int64) -> MeterReading {
                MeterReading(
                    host: scene.host.id, sequence: sequence, instance: made.id, contract: scene.contract.id,
                    period: Period(start: start + .seconds(60 * (sequence - 1)), end: start + .seconds(60 * sequence)), resources: Town.lot)
            }
            #expect(try await scene.report(meters: [reading(1), reading(2)]).meterSequence == 2)
            #expect(try await scene.report(meters: [reading(1), reading(2), reading(3)]).meterSequence == 3, "told again")
            #expect(try await scene.report(meters: [reading(5)]).meterSequence == 3, "a gap is not jumped")
            let kept = try await scene.connect.call(ConnectAPI.contractMeters, as: scene.buyer, query: ["after": "0"], body: Empty())
                .readings
            #expect(kept.map(\.sequence) == [1, 2, 3])
        }
    }

    /// What nobody can have used is nobody's to pay, and holds up nothing that comes after it.
    @Test(.timeLimit(.minutes(5))) func readingsThatCannotBeAreLeftOut() async throws {
        try await scene { scene in
            let made = try await scene.launch(1)
            let now = SystemTime().now()
            func reading(_ sequence: Int64, _ start: Span = .zero, _ length: Span = .seconds(60), _ lots: Resources = Town.lot)
                -> MeterReading
            {
                let start = now - .seconds(600) + start
                return MeterReading(
                    host: scene.host.id, sequence: sequence, instance: made.id, contract: scene.contract.id,
                    period: Period(start: start, end: start + length), resources: lots)
            }
            let wrong = [
                reading(2, .days(365)), reading(3, .days(-3), .days(2)), reading(4, .zero, .days(36_500)),
                reading(5, .zero, .seconds(60), Resources(milliCPU: 1 << 52)), reading(6, .zero, .seconds(60), Resources(diskMiB: -1)),
            ]
            #expect(try await scene.report(meters: [reading(1)] + wrong).meterSequence == 6)
            #expect(try await scene.report(meters: [reading(7, .seconds(60))]).meterSequence == 7)
            let kept = try await scene.connect.call(ConnectAPI.contractMeters, as: scene.buyer, query: ["after": "0"], body: Empty())
            #expect(kept.readings.map(\.sequence) == [1, 7])
            #expect(try await scene.report(meters: [reading(8, .days(365))]).meterSequence == 8, "nothing but wrong ones")
        }
    }

    @Test(.timeLimit(.minutes(5))) func theEndOfAContractStopsItsInstancesAndSaysWhy() async throws {
        try await scene { scene in
            let made = try await scene.launch(1)
            let first = try await scene.intents()
            try await scene.report([scene.seen(made, .running, generation: first.intents[0].generation)])
            scene.connect.exchange.end(scene.contract.id, because: "the test is over")
            var intent: InstanceIntent?
            try await eventually("the node is told to stop it") {
                intent = try await scene.intents().intents.first
                return intent?.desired == .stopped
            }
            #expect(intent?.graceSeconds == 1, "the grace the operator configured")
            try await scene.report([scene.seen(made, .stopped, generation: intent?.generation ?? 0)])
            let view = try await scene.connect.manage(
                ConnectAPI.showInstance, path: ["instance": made.id.description], body: Empty())
            #expect(view.state == .stopped && view.reason?.code == "Server.ContractEnded")
            #expect(view.reason?.message.contains("the test is over") == true)
        }
    }

    @Test(.timeLimit(.minutes(5))) func aNodesTokenIsForOneNode() async throws {
        try await ConnectFixture.with { connect in
            let token = try await connect.manage(ConnectAPI.createNodeEnrolment, body: CreateNodeEnrolment()).token
            let key = CredentialKey()
            func enrol(_ key: CredentialKey) async throws -> IdentityView {
                try await connect.manage(ConnectAPI.enrolNode, body: Enrol(token: token, csr: try key.csrPEM(), names: []))
            }
            let first = try await enrol(key)
            #expect(try await enrol(key).id == first.id, "a node that lost the answer asks again with the same key")
            #expect(await refusal { _ = try await enrol(CredentialKey()) } == "enrolment.used")
            #expect(
                await refusal {
                    _ = try await connect.manage(
                        ConnectAPI.enrolNode, body: Enrol(token: "bet_nonsense", csr: try key.csrPEM(), names: []))
                } == "enrolment.token")
        }
    }
}
