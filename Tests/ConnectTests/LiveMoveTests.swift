import CloudAPI
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// What connect has two hosts do about an instance that moves live, and what becomes of it, with hosts that say what the test has them say.
@Suite struct LiveMoveTests {
    private struct Scene: Sendable {
        let connect: ConnectFixture
        let buyer: Credential
        let image: ImageID
        let hosts: [TestHost]
        static let id = InstanceID(bits: 1)

        func instance() async throws -> InstanceView {
            try await connect.call(ConnectAPI.showInstance, as: buyer, path: ["instance": Self.id.description], body: Empty())
        }
        func move() async throws -> MoveView {
            try await connect.manage(ConnectAPI.showMove, path: ["instance": Self.id.description], body: Empty())
        }
        func intent(_ host: Int) async throws -> InstanceIntent? {
            try await connect.call(ConnectAPI.intents, as: hosts[host].credential, query: ["after": "0", "wait": "0"], body: Empty())
                .intents.first { $0.instance == Self.id }
        }
        func say(_ host: Int, _ state: ObservedState, generation: Int64? = nil, _ move: MoveReport? = nil) async throws {
            let current = try await intent(host)?.generation ?? 0
            let now = SystemTime().now()
            let seen = InstanceObservation(
                instance: Self.id, generation: generation ?? current, state: state, reason: nil, executed: state == .running ? now : nil,
                at: now, move: move)
            _ = try await connect.call(
                ConnectAPI.report, as: hosts[host].credential,
                body: NodeReport(at: now, observations: [seen], meters: [], consoles: []))
        }
        /// What a host says of its part.
        func say(_ host: Int, _ said: MoveSaid, edit: (inout MoveReport) -> Void = { _ in }) async throws {
            let attempt = try await intent(host)?.move?.attempt
            var report = MoveReport(attempt: try #require(attempt), said: said)
            edit(&report)
            try await say(host, .preparing, report)
        }
        func drain(mayRestart: Bool = false) async throws -> HostDetail {
            try await connect.manage(
                ConnectAPI.drainHost, path: ["host": hosts[0].id.description], body: DrainHost(reason: "a fan", mayRestart: mayRestart))
        }
        /// Memory says what the tables say, and a start would find the same.
        func audit() async throws {
            #expect(try await connect.service.violations() == [])
            try await connect.service.rebuild()
            #expect(try await connect.service.violations() == [])
        }
        func allocated(_ host: Int) async throws -> Int64 {
            try await connect.manage(ConnectAPI.showHost, path: ["host": hosts[host].id.description], body: Empty()).host.allocated
                .memoryMiB
        }
    }

    /// One instance runs on the first of two hosts.
    private func scene(
        _ kind: DatabaseKind = .sqlite, platforms: [String?] = ["q tcg", "q tcg"], _ body: (Scene) async throws -> Void
    ) async throws {
        try await ConnectFixture.with(on: kind) { connect in
            let contract = connect.exchange.sell(1, lots: 1, of: connect.exchange.define(31) { $0.storage = .nas })
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            try await connect.setStorage(.nas)
            let image = try await connect.image()
            var hosts: [TestHost] = []
            for (number, platform) in platforms.enumerated() {
                var hello = TestHost.hello
                hello.hostName = "n\(number)"
                hello.moves = platform.map { MoveOffer(address: "10.0.0.\(number)", platform: $0) }
                hosts.append(try await TestHost.enrolled(at: connect, hello))
                if number == 0 {
                    _ = try await connect.call(ConnectAPI.createInstance, as: buyer, body: TestHost.instance(1, image))
                }
            }
            let scene = Scene(connect: connect, buyer: buyer, image: image, hosts: hosts)
            try await scene.say(0, .running)
            #expect(try await scene.instance().state == .running)
            try await body(scene)
            try await scene.audit()
        }
    }

    /// Until the source has been told to send.
    private func copying(_ scene: Scene) async throws {
        _ = try await scene.drain()
        try await eventually("the target is to receive it") { try await scene.intent(1)?.move?.command == .receive }
        #expect(try await scene.intent(0)?.move == nil, "the source knows of nothing yet")
        let wish = try #require(try await scene.intent(1)?.move)
        #expect(wish.peer == scene.hosts[0].id && wish.firstPort == 49_152 && wish.lastPort == 49_215)
        try await scene.audit()
        try await scene.say(1, .ready) { $0.endpoint = "10.0.0.1:49152" }
        let order = try #require(try await scene.intent(0)?.move)
        #expect(order.command == .send && order.endpoint == "10.0.0.1:49152" && order.peer == scene.hosts[1].id)
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func anInstanceMovesWhileItRuns(_ kind: DatabaseKind) async throws {
        try await scene(kind) { scene in
            let before = try await scene.instance()
            try await copying(scene)
            #expect(try await scene.move().phase == "copying")
            #expect(try await scene.move().mode == .live)
            #expect(try await scene.move().cause == "drain")
            try await scene.say(0, .copying) { ($0.doneMiB, $0.leftMiB) = (1_000, 3_096) }
            #expect(try await scene.move().doneMiB == 1_000)
            #expect(try await scene.move().leftMiB == 3_096)
            try await scene.say(0, .sent) { ($0.doneMiB, $0.leftMiB, $0.downtimeMilliseconds) = (4_096, 0, 70) }
            let between = try await scene.instance()
            #expect(between.state == .running && between.host == scene.hosts[0].id, "nobody has said that it runs there")
            try await scene.audit()

            try await scene.say(1, .arrived)
            let after = try await scene.instance()
            #expect(after.state == .running && after.host == scene.hosts[1].id && after.privateAddress == before.privateAddress)
            let done = try await scene.move()
            #expect(done.phase == "arrived" && done.downtimeMilliseconds == 70 && done.ended != nil && done.why == nil)
            #expect(try await scene.intent(0)?.desired == .absent)
            #expect(try await scene.intent(0)?.keepsDisk == true)
            #expect(try await scene.intent(1)?.desired == .running)
            #expect(try await scene.intent(1)?.move == nil)
            try await scene.say(0, .absent)
            #expect(try await scene.intent(0) == nil, "nothing is left there")
            try await eventually("the drain is over") { try await scene.drain().life?.drain?.done == true }
        }
    }

    /// The contract has room for the one instance only, and each host as much on it as there is.
    @Test(.timeLimit(.minutes(5))) func roomIsHeldOnTheTargetAndCountsOnce() async throws {
        try await scene { scene in
            let size = try await scene.allocated(0)
            try await copying(scene)
            // No other attempt follows.
            _ = try await scene.connect.manage(
                ConnectAPI.actOnHost, path: ["host": scene.hosts[0].id.description], body: ActOnHost(action: .uncordon))
            let held = try await scene.connect.capacity(as: scene.buyer)
            #expect(held.used.memoryMiB == Town.lot.memoryMiB && held.instances == 1)
            try await scene.say(1, .void) { $0.reason = "no memory" }
            #expect(try await scene.intent(0)?.move?.command == .stay)
            try await scene.say(0, .stays)
            #expect(try await scene.allocated(0) == size)
            #expect(try await scene.move().phase == "stayed")
            #expect(try await scene.move().why == "no memory")
            #expect(try await scene.instance().host == scene.hosts[0].id)
        }
    }

    /// Twice is enough: then it is restarted where that was allowed, and named where it was not.
    @Test(.timeLimit(.minutes(5))) func whatDoesNotMoveLiveMovesColdOrIsNamed() async throws {
        try await scene { scene in
            for _ in 0..<2 {
                _ = try await scene.drain()
                try await eventually("another attempt") { try await scene.intent(1)?.move?.command == .receive }
                try await scene.say(1, .ready) { $0.endpoint = "10.0.0.1:49152" }
                try await scene.say(0, .stays) { $0.reason = "the connection broke" }
                #expect(try await scene.instance().host == scene.hosts[0].id)
            }
            try await eventually("it is named") {
                try await scene.drain().life?.drain?.blocked.first?.message.contains("the connection broke") == true
            }
            _ = try await scene.drain(mayRestart: true)
            try await eventually("it is shut down") { try await scene.intent(0)?.desired == .stopped }
            let cold = try await scene.move()
            #expect(cold.mode == .cold && cold.phase == "restarting" && cold.why?.contains("the connection broke") == true)
            try await scene.say(0, .stopped)
            #expect(try await scene.instance().host == scene.hosts[1].id)
            #expect(try await scene.move().phase == "restarting")
            try await scene.say(1, .running)
            #expect(try await scene.move().phase == "arrived")
        }
    }

    @Test(.timeLimit(.minutes(5))) func anotherPlatformIsNamed() async throws {
        try await scene(platforms: ["q kvm one", "q kvm other"]) { scene in
            _ = try await scene.drain()
            try await eventually("it is named") {
                try await scene.drain().life?.drain?.blocked.first?.message.contains("another platform") == true
            }
            #expect(try await scene.drain().life?.drain?.blocked.first?.rule == "move.live")
        }
    }

    /// A user's wish waits until it is known where the instance is.
    @Test(.timeLimit(.minutes(5))) func aStopWaitsForTheMove() async throws {
        try await scene { scene in
            try await copying(scene)
            let path = ["instance": Scene.id.description]
            #expect(
                await refusal {
                    _ = try await scene.connect.call(
                        ConnectAPI.actOnInstance, as: scene.buyer, path: path, body: ActOnInstance(action: .reboot))
                } == "instance.moving")
            _ = try await scene.connect.call(ConnectAPI.actOnInstance, as: scene.buyer, path: path, body: ActOnInstance(action: .stop))
            try await eventually("the source is to stop sending") { try await scene.intent(0)?.move?.command == .cancel }
            #expect(try await scene.intent(1)?.move?.command == .drop)
            #expect(try await scene.intent(0)?.desired == .running)
            try await scene.say(0, .sent)
            try await scene.say(1, .arrived)
            #expect(try await scene.intent(1)?.desired == .stopped)
            #expect(try await scene.intent(0)?.desired == .absent)
            try await scene.say(1, .stopped)
            let view = try await scene.instance()
            #expect(view.state == .stopped && view.host == scene.hosts[1].id)
        }
    }
}
