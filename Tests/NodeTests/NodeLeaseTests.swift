import CloudAPI
import Drivers
import Node
import Primitives
import ServiceKit
import Synchronization
import Testing

/// A host that holds a lease on its pod's storage, or cannot.
@Suite(.serialized) struct NodeLeaseTests {
    private struct Scene: Sendable {
        let connect: FakeConnect
        let world: SimulatedHost
        let leases: SimulatedLeases
        let watchdog: SimulatedWatchdog

        var isRunning: Bool { world.machines().contains { $0.instance == instance(1) && $0.state == .running } }
        func lease() async throws -> StorageLease? { try await leases.read(connect.host) }
    }

    private func scene(
        lasts: Int64 = 5_000, _ body: (Scene, @escaping (() async throws -> Void) async throws -> Void) async throws -> Void
    ) async throws {
        try await FakeConnect.run { connect in
            connect.state.withLock { $0.sharesStorage = true }
            let quiet = SimulatedBehaviour(seed: 1)
            let scene = Scene(
                connect: connect, world: SimulatedHost(clock: SystemTime().now), leases: SimulatedLeases(quiet),
                watchdog: SimulatedWatchdog())
            let network = SimulatedNetwork(try #require(IPv4Prefix("10.99.0.1/16")), quiet)
            let (storage, images) = (SimulatedStorage(quiet), SimulatedImageStore(quiet))
            try await body(scene) { inner in
                var configuration = await connect.configuration()
                configuration.leaseMilliseconds = lasts
                let drivers = NodeDrivers(
                    compute: SimulatedCompute(scene.world, quiet), storage: storage, images: images, network: network,
                    leases: scene.leases, watchdog: scene.watchdog)
                let node = try await NodeService(configuration, drivers: drivers, logger: FakeConnect.logger)
                try await running(node.services) { try await inner() }
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func guestsRunUnderALeaseThatIsGuarded() async throws {
        try await scene { scene, node in
            try await node {
                scene.connect.want(sampleIntent(1))
                try await eventually("it runs") { scene.isRunning }
                try await eventually("guarded") { try await scene.lease()?.isGuarded == true }
                let first = try await scene.lease()?.number
                try await eventually("renewed again and again") { try await scene.lease()?.number != first }
                #expect(scene.watchdog.isArmed)
            }
            // Guests outlive the node: what nobody guards proves nothing.
            #expect(scene.isRunning && !scene.watchdog.isArmed)
            #expect(try await scene.lease()?.isGuarded == false)
        }
    }

    @Test(.timeLimit(.minutes(4))) func withoutItsLeaseAHostStopsItsGuests() async throws {
        try await scene { scene, node in
            try await node {
                scene.connect.want(sampleIntent(1))
                try await eventually("it runs") { scene.isRunning }
                scene.leases.setUnreachable(scene.connect.host, true)
                try await eventually("its guests are stopped") { !scene.isRunning }
                scene.connect.want(sampleIntent(2))
                try await eventually("told why") { scene.connect.seen(2)?.reason?.message.contains("lease") == true }
                #expect(scene.world.machines().allSatisfy { $0.state != .running }, "nothing is started")
                scene.leases.setUnreachable(scene.connect.host, false)
                try await eventually("it runs again: nobody took it") { scene.isRunning }
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func storageThatHangsDoesNotKeepGuestsRunning() async throws {
        try await scene { scene, node in
            try await node {
                scene.connect.want(sampleIntent(1))
                try await eventually("it runs") { scene.isRunning }
                scene.leases.setHanging(true)
                try await eventually("its guests are stopped") { !scene.isRunning }
                scene.leases.setHanging(false)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func aLeaseThatIsTakenIsGivenBackOnceNothingRuns() async throws {
        try await scene { scene, node in
            try await node {
                scene.connect.want(sampleIntent(1))
                try await eventually("it runs") { scene.isRunning }
                // Cut off from connect, and not from the storage.
                scene.connect.state.withLock { $0.isAway = true }
                try await scene.leases.take(scene.connect.host, epoch: 1)
                try await eventually("given back") { try await scene.lease()?.isReleased == true }
                #expect(!scene.isRunning)
                scene.connect.state.withLock {
                    $0.isAway = false
                    $0.epoch = 1
                }
                // Nothing starts before connect, under the new epoch, has said what is still here.
                try await Task.sleep(for: .milliseconds(500))
                #expect(!scene.isRunning)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func guestsOfTheProcessBeforeStopWhenTheirLeaseCannotBeRenewed() async throws {
        try await scene { scene, node in
            try await node {
                scene.connect.want(sampleIntent(1))
                try await eventually("it runs") { scene.isRunning }
            }
            #expect(scene.isRunning)
            scene.leases.setUnreachable(scene.connect.host, true)
            try await node { try await eventually("stopped") { !scene.isRunning } }
        }
    }
}
