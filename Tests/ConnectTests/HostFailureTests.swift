import CloudAPI
import Connect
import Drivers
import Fleet
import Foundation
import PKI
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// Hosts that fall silent, are fenced, come back, are drained; with hosts that behave as nodes do.
@Suite struct HostFailureTests {
    private struct Scene: Sendable {
        let connect: ConnectFixture
        let buyer: Credential
        let image: ImageID
        let power: SimulatedPower
        let hosts: [LivingHost]

        func launch(_ number: UInt64, resources: Resources = Town.lot, interruptible: Bool = false) async throws -> InstanceView {
            var spec = TestHost.instance(number, image, resources: resources)
            spec.interruptible = interruptible
            return try await connect.call(ConnectAPI.createInstance, as: buyer, body: spec)
        }

        func show(_ instance: InstanceView) async throws -> InstanceView {
            try await connect.call(ConnectAPI.showInstance, as: buyer, path: ["instance": instance.id.description], body: Empty())
        }

        func act(_ instance: InstanceView, _ action: InstanceAction) async throws {
            _ = try await connect.call(
                ConnectAPI.actOnInstance, as: buyer, path: ["instance": instance.id.description],
                body: ActOnInstance(action: action, force: true))
        }

        func detail(_ host: LivingHost) async throws -> HostDetail {
            try await connect.manage(ConnectAPI.showHost, path: ["host": host.id.description], body: Empty())
        }

        func life(_ host: LivingHost) async throws -> HostLifeView { try #require(try await detail(host).life) }
        func state(_ host: LivingHost) async throws -> String { try await detail(host).host.state }

        func act(_ action: HostAction, _ host: LivingHost) async throws -> HostDetail {
            try await connect.manage(ConnectAPI.actOnHost, path: ["host": host.id.description], body: ActOnHost(action: action))
        }

        func stuck() async throws -> [InstanceView] {
            try await connect.manage(ConnectAPI.listInstances, query: ["stuck": "true"], body: Empty()).items
        }

        /// A machine that runs, with the host it is on and another.
        func running(_ number: UInt64) async throws -> (InstanceView, here: LivingHost, there: LivingHost) {
            let made = try await launch(number)
            try await eventually("it runs") { try await show(made).state == .running }
            let view = try await show(made)
            let here = try #require(hosts.first { $0.id == view.host })
            let there = try #require(hosts.first { $0.id != view.host })
            return (view, here, there)
        }

        /// How many hosts run it.
        func places(_ instance: InstanceView) -> Int { hosts.count { $0.now.running.contains(instance.id) } }

        func becomes(_ state: String, _ host: LivingHost) async throws {
            try await eventually("\(host.id) is \(state)", within: .seconds(60)) { try await self.state(host) == state }
        }
    }

    private func scene(
        _ kind: DatabaseKind = .sqlite, storage: StorageArchitecture, power hasPower: Bool = true, lots: Int64 = 4,
        _ adjust: (inout ConnectConfiguration) -> Void = { _ in }, _ body: @escaping (Scene) async throws -> Void
    ) async throws {
        try await withTestDatabase(kind) { test in
            let power = SimulatedPower(SimulatedBehaviour(seed: 1))
            try await ConnectFixture.with(url: test.url) { configuration in
                // Long enough for a busy machine: no host that lives is ever silent for so long.
                (configuration.suspectSeconds, configuration.hostFailSeconds, configuration.flapLimit) = (6, 8, 1_000)
                configuration.interruptionNoticeSeconds = 8
                configuration.oversubscription = Oversubscription(cpu: 1_000, memory: 1_000, disk: 1_000)
                if hasPower { configuration.power = power }
                adjust(&configuration)
            } _: { connect in
                let contract = connect.exchange.sell(1, lots: lots, of: connect.exchange.define(31) { $0.storage = storage })
                let buyer = try connect.certificate(contract).credential
                try await connect.know(contract, buyer)
                try await connect.setStorage(storage)
                let image = try await connect.image()
                try await LivingHost.with(2, connect) { hosts in
                    try await body(
                        Scene(connect: connect, buyer: buyer, image: image, power: power, hosts: hosts))
                    #expect(try await connect.service.violations() == [], "memory says what the tables say")
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(4)), arguments: DatabaseKind.allCases)
    func onSharedStorageAFailedHostsMachinesStartElsewhere(_ kind: DatabaseKind) async throws {
        try await scene(kind, storage: .nas) { scene in
            let (instance, here, there) = try await scene.running(1)
            here.cutOff()
            // What it cannot be told it goes on running, until its power is cut.
            try await eventually("its power is cut") { scene.power.switchedOff == [here.id] }
            here.reboot()
            here.cutOff()
            try await eventually("it runs elsewhere", within: .seconds(60)) {
                let view = try await scene.show(instance)
                return view.state == .running && view.host == there.id && view.reason == nil
            }
            try await scene.becomes("evacuated", here)
            #expect(try await scene.life(here).proof == "power")
            #expect(scene.places(instance) == 1)

            here.connectAgain()
            try await scene.becomes("up", here)
            let view = try await scene.life(here)
            #expect(view.epoch == 1 && view.proof == nil)
            #expect(try await scene.detail(here).host.instances == 0)
            #expect(!here.now.running.contains(instance.id) && scene.places(instance) == 1)
            #expect(here.now.disks.contains(instance.id), "the disk is the other host's now, and is not deleted")
        }
    }

    /// It still ran, and spoke under its old epoch.
    @Test(.timeLimit(.minutes(4))) func aHostThatWasTakenForDeadIsNotBelieved() async throws {
        try await scene(storage: .san) { scene in
            let (instance, here, there) = try await scene.running(1)
            here.cutOff()
            try await eventually("it runs elsewhere", within: .seconds(60)) {
                let view = try await scene.show(instance)
                return view.state == .running && view.host == there.id
            }
            let old = NodeReport(
                at: SystemTime().now(), observations: [], meters: [], consoles: [], epoch: 0)
            #expect(
                await refusal { _ = try await scene.connect.call(ConnectAPI.report, as: here.host.credential, body: old) } == "host.epoch")
            here.connectAgain()
            try await scene.becomes("up", here)
            #expect(scene.places(instance) == 1)
        }
    }

    @Test(.timeLimit(.minutes(4)), arguments: DatabaseKind.allCases)
    func onDiskOfItsOwnAMachineWaitsForItsHost(_ kind: DatabaseKind) async throws {
        try await scene(kind, storage: .das) { scene in
            let (instance, here, _) = try await scene.running(1)
            here.cutOff()
            try await scene.becomes("waiting", here)
            let view = try await scene.show(instance)
            #expect(view.state == .running && view.reason?.code == "Server.HostFailed" && view.host == here.id)
            #expect(scene.power.switchedOff.isEmpty, "nobody is helped by its power being cut")
            #expect(try await scene.life(here).waiting.map(\.instance) == [instance.id])
            #expect(try await scene.stuck().map(\.id) == [instance.id])
            here.connectAgain()
            try await eventually("it runs as before") {
                let view = try await scene.show(instance)
                return view.state == .running && view.reason == nil && view.stuck == nil
            }
            #expect(try await scene.state(here) == "up")
            #expect(try await scene.stuck().isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(4))) func withoutAPowerDriverAPersonVouches() async throws {
        try await scene(storage: .nas, power: false) { scene in
            let (instance, here, there) = try await scene.running(1)
            let path = ["host": here.id.description]
            #expect(
                await refusal {
                    _ = try await scene.connect.manage(ConnectAPI.fenceHost, path: path, body: FenceHost(vouchedOff: true))
                } == "host.fence", "it answers")
            here.cutOff()
            try await scene.becomes("waiting", here)
            #expect(try await scene.show(instance).host == here.id)
            #expect(
                await refusal { _ = try await scene.connect.manage(ConnectAPI.fenceHost, path: path, body: FenceHost()) } == "host.power")
            here.reboot()
            here.cutOff()
            _ = try await scene.connect.manage(ConnectAPI.fenceHost, path: path, body: FenceHost(vouchedOff: true))
            try await eventually("it runs elsewhere", within: .seconds(60)) {
                let view = try await scene.show(instance)
                return view.state == .running && view.host == there.id
            }
            #expect(scene.places(instance) == 1)
        }
    }

    /// An instance that is to go counts until its host has said that it is gone, or is known to be off.
    @Test(.timeLimit(.minutes(4))) func deletionWaitsForTheHostOrForItsFencing() async throws {
        try await scene(storage: .das) { scene in
            let (instance, here, _) = try await scene.running(1)
            here.cutOff()
            try await scene.act(instance, .terminate)
            let generation = try await scene.show(instance).generation
            try await scene.act(instance, .terminate)
            #expect(try await scene.show(instance).generation == generation, "it is asked for already: nothing changes")
            try await scene.becomes("waiting", here)
            #expect(try await scene.show(instance).state == .shuttingDown)
            #expect(try await scene.connect.capacity(as: scene.buyer).instances == 1)
            _ = try await scene.connect.manage(
                ConnectAPI.fenceHost, path: ["host": here.id.description], body: FenceHost(vouchedOff: true))
            try await eventually("it counts no more") { try await scene.connect.capacity(as: scene.buyer).instances == 0 }
            #expect(try await scene.show(instance).state == .terminated)
            here.reboot()
            try await scene.becomes("up", here)
            #expect(here.now.disks.isEmpty, "what was left of it there goes when the host is back")
        }
    }

    @Test(.timeLimit(.minutes(4))) func aHostThatComesAndGoesIsQuarantinedUntilReleased() async throws {
        try await scene(storage: .das) { configuration in
            configuration.hostFailSeconds = 60
            configuration.flapLimit = 2
        } _: { scene in
            let host = scene.hosts[0]
            for round in 1...2 {
                host.cutOff()
                try await scene.becomes("suspect", host)
                host.connectAgain()
                try await scene.becomes(round == 1 ? "up" : "quarantined", host)
            }
            #expect(try await scene.life(host).quarantine?.contains("2 times") == true)
            _ = try await scene.act(.release, host)
            try await scene.becomes("up", host)
        }
    }

    // MARK: Leases

    /// A host that is cut off from connect but not from the storage, as its node would behave there.
    private func keepLease(_ host: HostID, _ leases: SimulatedLeases, guarded: Bool, stopped: @escaping @Sendable () -> Void) async {
        var number: Int64 = 0
        while !Task.isCancelled {
            number += 1
            let lease = StorageLease(host: host, epoch: 0, number: number, lasts: .milliseconds(600), isGuarded: guarded)
            do throws(Refusal) {
                try await leases.renew(lease)
            } catch {
                guard error.rule == "lease.taken" else { continue }
                stopped()
                try? await leases.release(lease)
                return
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func leased(_ storage: StorageArchitecture, _ leases: SimulatedLeases, _ body: @escaping (Scene) async throws -> Void)
        async throws
    {
        try await scene(storage: storage, power: false) {
            $0.leases = ["pod-1": leases]
        } _: { scene in
            for host in scene.hosts { host.holdLease() }
            try await body(scene)
        }
    }

    /// The poison pill: the host lives, and stops its guests because its lease was taken.
    @Test(.timeLimit(.minutes(4))) func aHostThatIsCutOffGivesItsLeaseBack() async throws {
        let leases = SimulatedLeases(SimulatedBehaviour(seed: 1))
        try await leased(.nas, leases) { scene in
            let (instance, here, there) = try await scene.running(1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await self.keepLease(here.id, leases, guarded: false) { here.stopAll() } }
                here.cutOff()
                try await eventually("it runs elsewhere", within: .seconds(60)) {
                    let view = try await scene.show(instance)
                    return view.state == .running && view.host == there.id
                }
                group.cancelAll()
            }
            #expect(try await scene.life(here).proof == "storage-lease")
            #expect(scene.places(instance) == 1)
            here.connectAgain()
            try await scene.becomes("up", here)
            #expect(scene.places(instance) == 1)
        }
    }

    /// The host is off: its lease runs out.
    @Test(.timeLimit(.minutes(4))) func aLeaseThatIsRenewedNoMoreRunsOut() async throws {
        let leases = SimulatedLeases(SimulatedBehaviour(seed: 1))
        try await leased(.san, leases) { scene in
            let (instance, here, there) = try await scene.running(1)
            try await leases.renew(StorageLease(host: here.id, epoch: 0, number: 1, lasts: .seconds(1), isGuarded: true))
            here.reboot()
            here.cutOff()
            try await eventually("it runs elsewhere", within: .seconds(120)) {
                let view = try await scene.show(instance)
                return view.state == .running && view.host == there.id
            }
            #expect(try await scene.life(here).proof == "storage-lease" && scene.places(instance) == 1)
        }
    }

    /// Silence of a host that nothing resets proves nothing.
    @Test(.timeLimit(.minutes(4))) func aLeaseWithoutAWatchdogProvesNothing() async throws {
        let leases = SimulatedLeases(SimulatedBehaviour(seed: 1))
        try await leased(.nas, leases) { scene in
            let (instance, here, _) = try await scene.running(1)
            try await leases.renew(StorageLease(host: here.id, epoch: 0, number: 1, lasts: .milliseconds(500), isGuarded: false))
            here.cutOff()
            try await scene.becomes("fencing", here)
            try await eventually("it says why") { try await scene.life(here).trouble?.contains("watchdog") == true }
            #expect(try await scene.show(instance).host == here.id)
        }
    }

    // MARK: Drain

    @Test(.timeLimit(.minutes(4)), arguments: DatabaseKind.allCases)
    func aDrainMovesWhatCanBeMoved(_ kind: DatabaseKind) async throws {
        try await scene(kind, storage: .nas) { scene in
            let (runs, here, there) = try await scene.running(1)
            let path = ["host": here.id.description]
            let first = try await scene.connect.manage(ConnectAPI.drainHost, path: path, body: DrainHost(reason: "a fan"))
            #expect(
                first.host.state == "draining" && first.cordon?.reason == "a fan"
                    && first.life?.drain?.blocked.map(\.rule) == ["move.live"], "it runs, and may not be restarted")
            _ = try await scene.connect.manage(ConnectAPI.drainHost, path: path, body: DrainHost(reason: "a fan", mayRestart: true))
            try await eventually("it is drained", within: .seconds(60)) { try await scene.life(here).drain?.done == true }
            try await eventually("it runs elsewhere") {
                let view = try await scene.show(runs)
                return view.host == there.id && view.state == .running
            }
            #expect(scene.places(runs) == 1 && there.now.disks.contains(runs.id))
            #expect(try await scene.launch(2).host == there.id, "nothing new goes to a host that is drained")
            let after = try await scene.act(.uncordon, here)
            #expect(after.host.state == "up" && after.life?.drain == nil && after.cordon == nil)
        }
    }

    @Test(.timeLimit(.minutes(4))) func disksInTheHostCannotMove() async throws {
        try await scene(storage: .das) { scene in
            let (instance, here, _) = try await scene.running(1)
            try await scene.act(instance, .stop)
            try await eventually("it is stopped") { try await scene.show(instance).state == .stopped }
            let view = try await scene.connect.manage(
                ConnectAPI.drainHost, path: ["host": here.id.description], body: DrainHost(reason: "a fan", mayRestart: true))
            #expect(view.life?.drain?.blocked.map(\.rule) == ["move.storage"] && view.life?.drain?.done == false)
            #expect(view.life?.drain?.blocked.first?.nearest != nil)
        }
    }

    // MARK: Interruption

    @Test(.timeLimit(.minutes(4))) func firmMachinesTakeTheRoomOfInterruptibleOnesWithNotice() async throws {
        try await scene(storage: .das, lots: 40) { scene in
            // Sixteen lots of eight on each of two hosts.
            let whole = Resources(milliCPU: 8_000, memoryMiB: 32_768, diskMiB: 100_000)
            let spot = try await scene.launch(1, resources: whole, interruptible: true)
            _ = try await scene.launch(2, resources: whole)
            try await eventually("it runs") { try await scene.show(spot).state == .running }
            #expect(await refusal { _ = try await scene.launch(3, resources: whole) } == "placement.reclaiming")
            let moment = try #require(try await scene.show(spot).interruption)
            #expect(moment > SystemTime().now())
            #expect(await refusal { _ = try await scene.launch(3, resources: whole) } == "placement.reclaiming")
            #expect(try await scene.show(spot).interruption == moment, "announced once")
            let host = try #require(scene.hosts.first { $0.id == spot.host })
            try await eventually("the host is told") {
                host.now.lastIntents.first { $0.instance == spot.id }?.interruption == moment
            }
            try await eventually("it is gone", within: .seconds(60)) {
                let view = try await scene.show(spot)
                return view.state == .terminated && view.reason?.code == "Server.SpotInstanceTermination"
            }
            #expect(SystemTime().now() >= moment)
            #expect(try await scene.launch(3, resources: whole).host == host.id)
            #expect(
                await refusal { _ = try await scene.launch(4, resources: whole, interruptible: true) } == "placement.capacity",
                "interruptible machines take nobody's room")
        }
    }
}
