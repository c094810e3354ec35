import CloudAPI
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// Volumes under a contract: its volume, where they lie, what hosts are told of them and tell.
@Suite struct VolumeTests {
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func aVolumesLife(_ kind: DatabaseKind) async throws {
        try await VolumeScene.with(kind) { scene in
            let made = try await scene.create(1, MiB: 2_048)
            #expect(made.state == .creating && made.isBlank && made.storage == .das && made.actualMiB == 0)
            let wanted = try #require(try await scene.intents(of: try scene.host(made.host)).volumes?.first)
            #expect(wanted.desired == .available && wanted.mayCreate && wanted.sizeMiB == 2_048)
            try await scene.settle()
            #expect(try await scene.show(1).state == .available)
            #expect(try await scene.show(1).actualMiB == 2_048)

            let machine = try await scene.launch(7, near: [1])
            try await scene.settle()
            let attaching = try await scene.attach(1, to: machine)
            #expect(attaching.state == .attaching && attaching.device == "vdb" && attaching.host == machine.host)
            let intent = try #require(try await scene.intents(of: try scene.host(machine.host)).volumes?.first)
            #expect(intent.desired == .attached && intent.instance == machine.id && intent.slot == 1)
            try await scene.settle()
            #expect(try await scene.show(1).state == .inUse)
            #expect(try await scene.show(1).isBlank == false)
            #expect(await scene.problem { _ = try await scene.act(.delete, on: 1) }?.rule == "volume.state", "it is in use")

            #expect(try await scene.act(.resize, on: 1) { $0.sizeMiB = 4_096 }.sizeMiB == 4_096)
            #expect(try await scene.show(1).state == .inUse)
            #expect(try await scene.show(1).actualMiB == 2_048)
            try await scene.settle()
            #expect(try await scene.show(1).actualMiB == 4_096)
            #expect(await scene.problem { _ = try await scene.act(.resize, on: 1) { $0.sizeMiB = 4_095 } }?.rule == "volume.shrink")

            #expect(try await scene.act(.detach, on: 1).state == .detaching)
            try await scene.settle()
            #expect(try await scene.show(1).state == .available)
            #expect(try await scene.show(1).instance == nil)
            #expect(try await scene.act(.delete, on: 1).state == .deleting)
            #expect(try await scene.used().volumes == 1, "until the host has said that it is gone")
            try await scene.settle()
            #expect(try await scene.show(1).state == .deleted)
            #expect(try await scene.used().volumes == 0)
            #expect(try await scene.used().used == Town.lot)
            let listed = try await scene.connect.call(ConnectAPI.listVolumes, as: scene.buyers[0], body: Empty()).items
            #expect(listed.isEmpty, "what is deleted is not listed")
        }
    }

    /// Instances' disks and volumes are counted together: by contract, and on the host.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func theVolumeIsNeverExceeded(_ kind: DatabaseKind) async throws {
        try await VolumeScene.with(kind) { scene in
            let lot = Town.lot.diskMiB
            _ = try await scene.launch(7)
            _ = try await scene.create(1, MiB: 3 * lot)
            let tooLarge = await scene.problem { _ = try await scene.create(2, MiB: 2 * lot + 1) }
            #expect(tooLarge?.rule == "contract.volume" && tooLarge?.status == 507)
            #expect(tooLarge?.nearest?.contains("\(2 * lot) MiB") == true)
            _ = try await scene.create(2, MiB: 2 * lot)
            #expect(await scene.problem { _ = try await scene.launch(8) }?.rule == "contract.volume")
            #expect(
                await scene.problem { _ = try await scene.act(.resize, on: 1) { $0.sizeMiB = 3 * lot + 1 } }?.rule != nil)
            #expect(try await scene.used().used.diskMiB == 6 * lot)
            #expect(await scene.problem { _ = try await scene.create(3) { $0.iops = 1 } }?.rule == "contract.volume", "lots without IOPS")
            // Many at once for the last room of the other contract.
            let won = await withTaskGroup(of: Bool.self) { group in
                for number in 11...18 as ClosedRange<UInt64> {
                    group.addTask { (try? await scene.create(number, MiB: 3 * lot, by: 1)) != nil }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(won == 1)
            let listed = try await scene.connect.manage(ConnectAPI.listHosts, body: Empty()).items
            #expect(listed.map(\.allocated.diskMiB).reduce(0, +) == 9 * lot)
        }
    }

    @Test(.timeLimit(.minutes(5))) func theSameRequestAgainIsTheSameVolume() async throws {
        try await VolumeScene.with { scene in
            let first = try await scene.create(1, key: "one")
            #expect(try await scene.create(1, key: "one").generation == first.generation)
            #expect(try await scene.create(1).host == first.host)
            #expect(await scene.problem { _ = try await scene.create(1, MiB: 9) }?.rule == "volume.exists")
            #expect(await scene.problem { _ = try await scene.create(1, by: 1) }?.rule == "volume.exists")
            try await scene.settle()
            let machine = try await scene.launch(7)
            let attached = try await scene.attach(1, to: machine)
            #expect(try await scene.attach(1, to: machine).generation == attached.generation)
            let old = await scene.problem { _ = try await scene.act(.detach, on: 1) { $0.generation = first.generation } }
            #expect(old?.rule == "volume.generation" && old?.status == 409)
            let detached = try await scene.act(.detach, on: 1, key: "two") { $0.generation = attached.generation }
            #expect(
                try await scene.act(.detach, on: 1, key: "two") { $0.generation = attached.generation }.generation == detached.generation)
        }
    }

    @Test(.timeLimit(.minutes(5))) func aVolumeLiesOnlyWhereItsProductMay() async throws {
        try await VolumeScene.with(storage: .nas, hosts: 1) { scene in
            let settings = PodSettings(
                zone: Town.zone, kind: .virtual, storage: .das, oversubscription: .init(cpu: 8_000, memory: 1_000, disk: 1_000))
            _ = try await scene.connect.manage(ConnectAPI.putPod, path: ["pod": "local"], body: settings)
            var hello = TestHost.hello
            hello.hostName = "other"
            let other = try await TestHost.enrolled(at: scene.connect, for: CreateNodeEnrolment(pod: "local"), hello)
            let problem = await scene.problem { _ = try await scene.create(1) { $0.pod = "local" } }
            #expect(problem?.rule == "placement.capacity" && problem?.detail.contains("storage") == true, "\(String(describing: problem))")
            for number in 2...5 as ClosedRange<UInt64> { #expect(try await scene.create(number, MiB: 64).host != other.id) }
            #expect(await scene.problem { _ = try await scene.create(0) }?.rule == "volume.id")
        }
    }

    @Test(.timeLimit(.minutes(5))) func nonsenseAndStrangersAreRefused() async throws {
        try await VolumeScene.with { scene in
            for size in [0, -1, 64 << 20 + 1] as [Int64] {
                #expect(await scene.problem { _ = try await scene.create(1, MiB: size) }?.rule == "volume.size")
            }
            #expect(await scene.problem { _ = try await scene.create(1) { $0.pod = "nowhere" } }?.rule == "pod.unknown")
            let elsewhere = await scene.problem { _ = try await scene.create(1) { $0.zone = "mars" } }
            #expect(elsewhere?.rule == "placement.product-terms" && elsewhere?.nearest != nil, "\(String(describing: elsewhere))")
            _ = try await scene.create(1)
            try await scene.settle()
            #expect(await scene.problem { _ = try await scene.act(.detach, on: 1, by: 1) }?.rule == "volume.unknown", "another contract's")
            let ghost = await scene.problem { _ = try await scene.act(.attach, on: 1) { $0.instance = InstanceID(bits: 99) } }
            #expect(ghost?.rule == "instance.unknown")
            #expect(await scene.problem { _ = try await scene.act(.attach, on: 1) }?.rule == "volume.instance")
            let machine = try await scene.launch(7)
            #expect(await scene.problem { try await scene.attach(1, to: machine, device: "sda") }?.rule == "volume.device")
            try await scene.attach(1, to: machine, device: "/dev/vdc")
            _ = try await scene.create(2)
            try await scene.settle()
            #expect(await scene.problem { try await scene.attach(2, to: machine, device: "vdc") }?.nearest == "vdb")
            #expect(try await scene.attach(2, to: machine).device == "vdb")
        }
    }
}

/// Where volumes lie, and what instances can have them.
@Suite struct VolumeGravityTests {
    /// A blank volume comes to its first instance; from then on it stays.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func onDisksOfAHostsOwnItStaysThere(_ kind: DatabaseKind) async throws
    {
        try await VolumeScene.with(kind) { scene in
            let made = try await scene.create(1)
            try await scene.settle()
            let (here, there) = (try scene.host(made.host), try scene.other(than: made.host))
            let machine = try await launch(100, on: there, in: scene)
            let attached = try await scene.attach(1, to: machine)
            #expect(attached.host == there.id && attached.actualMiB == 0)
            let intent = try #require(try await scene.intents(of: there).volumes?.first)
            #expect(intent.mayCreate && intent.desired == .attached)
            #expect(try await scene.intents(of: here).volumes == nil)
            // The former host still has the empty file, says so, and is told to delete it.
            let revision = try await scene.intents(of: here).revision
            try await scene.report([scene.seen(intent, .present)], from: here)
            let page = try await scene.connect.call(
                ConnectAPI.intents, as: here.credential, query: ["after": "\(revision)", "wait": "0"], body: Empty())
            #expect(page.volumes?.map(\.desired) == [.absent])
            try await scene.settle()
            try await scene.act(.detach, on: 1)
            try await scene.settle()

            let other = try await launch(101, on: here, in: scene)
            let refused = await scene.problem { try await scene.attach(1, to: other) }
            #expect(refused?.rule == "volume.gravity" && refused?.status == 409)
            let near = try await scene.launch(50, near: [1])
            #expect(near.host == there.id)
            #expect(try await scene.create(3) { $0.instance = other.id }.host == here.id)
            let apart = await scene.problem {
                try await scene.settle()
                try await scene.attach(3, to: other)
                _ = try await scene.launch(51, near: [1, 3])
            }
            #expect(apart?.rule == "volume.gravity")
        }
    }

    @Test(.timeLimit(.minutes(5))) func onSharedStorageItFollowsWithinItsPod() async throws {
        try await VolumeScene.with(storage: .nas) { scene in
            let made = try await scene.create(1) { $0.pod = "disks" }
            try await scene.settle()
            for (number, target) in [(200, try scene.other(than: made.host)), (201, try scene.host(made.host))] as [(UInt64, TestHost)] {
                let machine = try await launch(number, on: target, in: scene)
                try await scene.attach(1, to: machine)
                let intent = try #require(try await scene.intents(of: target).volumes?.first)
                #expect(intent.desired == .attached && !intent.mayCreate, "it is never made anew")
                let left = try await scene.connect.call(
                    ConnectAPI.intents, as: try scene.other(than: target.id).credential, query: ["after": "1", "wait": "0"], body: Empty())
                #expect(left.volumes?.map(\.desired) == [.released])
                try await scene.settle()
                try await scene.act(.detach, on: 1)
                try await scene.settle()
                #expect(try await scene.show(1).state == .available)
                try await scene.terminate(machine)
                try await scene.settle()
            }
        }
    }

    /// An instance on a given host: the others take nothing new meanwhile.
    private func launch(_ number: UInt64, on host: TestHost, in scene: VolumeScene) async throws -> InstanceView {
        let others = scene.hosts.map(\.id).filter { $0 != host.id }
        func all(_ action: HostAction) async throws {
            for id in others {
                _ = try await scene.connect.manage(
                    ConnectAPI.actOnHost, path: ["host": id.description], body: ActOnHost(action: action, reason: "test"))
            }
        }
        try await all(.cordon)
        let view = try await scene.launch(number)
        try await all(.uncordon)
        return view
    }
}

/// What happens to volumes beside what is asked of them.
@Suite struct VolumeEventTests {
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func anInstanceThatGoesLeavesItsVolumes(_ kind: DatabaseKind)
        async throws
    {
        try await VolumeScene.with(kind, hosts: 1) { scene in
            let machine = try await scene.launch(7)
            for number in [1, 2] as [UInt64] { _ = try await scene.create(number) }
            try await scene.settle()
            for number in [1, 2] as [UInt64] { try await scene.attach(number, to: machine) }
            #expect(try await scene.show(2).device == "vdc")
            try await scene.settle()
            try await scene.terminate(machine)
            #expect(try await scene.show(1).state == .detaching)
            try await scene.settle()
            #expect(try await scene.show(1).state == .available)
            #expect(try await scene.show(2).instance == nil)
        }
    }

    @Test(.timeLimit(.minutes(5))) func whatAHostSaysOfAnEarlierWishCountsForNothing() async throws {
        try await VolumeScene.with(hosts: 1) { scene in
            let machine = try await scene.launch(7)
            let host = scene.hosts[0]
            _ = try await scene.create(1)
            let first = try #require(try await scene.intents(of: host).volumes?.first)
            try await scene.report(
                [scene.seen(first, .failed, reason: StateReason(code: "Server.storage.full", message: "full"))], from: host)
            #expect(try await scene.show(1).state == .error)
            #expect(try await scene.show(1).reason?.message == "full")
            #expect(try await scene.act(.retry, on: 1).state == .creating)
            try await scene.settle()
            try await scene.attach(1, to: machine)
            try await scene.report([scene.seen(first, .absent)], from: host)
            #expect(try await scene.show(1).state == .attaching)
            try await scene.settle()
            let now = try #require(try await scene.intents(of: host).volumes?.first)
            try await scene.report([scene.seen(now, .absent)], from: host)
            #expect(try await scene.show(1).state == .error)
            #expect(try await scene.show(1).reason?.code == "Server.VolumeLost")
        }
    }

    @Test(.timeLimit(.minutes(5))) func theEndOfTheContractIsTheEndOfItsVolumes() async throws {
        try await ConnectFixture.with({ $0.retentionSeconds = 1 }) { connect in
            let (kept, ended) = (connect.exchange.sell(1), connect.exchange.sell(2))
            let (keeper, buyer) = (try connect.certificate(kept).credential, try connect.certificate(ended).credential)
            try await connect.know(kept, keeper)
            try await connect.know(ended, buyer)
            let host = try await TestHost.enrolled(at: connect)
            let scene = VolumeScene(
                connect: connect, contracts: [ended, kept], buyers: [buyer, keeper], hosts: [host], image: try await connect.image())
            let machine = try await scene.launch(7, by: 1)
            _ = try await scene.create(1)
            try await scene.settle()
            try await scene.attach(1, to: machine)
            try await scene.settle()
            connect.exchange.end(ended.id, because: "over")
            let path = ["volume": VolumeID(bits: 1).description]
            try await eventually("the instance of another contract is let go of, and the retention ends") {
                try await scene.settle()
                return try await connect.manage(ConnectAPI.showVolume, path: path, body: Empty()).state == .deleted
            }
            #expect(try await connect.service.violations() == [])
        }
    }

    /// Callers that do what comes to their minds, several at once: memory is what the tables say.
    @Test(.timeLimit(.minutes(3)), arguments: DatabaseKind.allCases) func memoryIsWhatTheTablesSay(_ kind: DatabaseKind) async throws {
        try await VolumeScene.with(kind) { scene in
            var generator = SeededGenerator(seed: 11)
            let machines = [try await scene.launch(101), try await scene.launch(102, by: 1)]
            for round in 0..<5 {
                let choices = (0..<12).map { _ in
                    (UInt64.random(in: 1...8, using: &generator), Int.random(in: 0..<9, using: &generator))
                }
                await withTaskGroup(of: Void.self) { group in
                    for (number, choice) in choices {
                        group.addTask {
                            switch choice {
                            case 0..<3: _ = try? await scene.create(number, MiB: Int64(number) * 4_000)
                            case 3: _ = try? await scene.attach(number, to: machines[Int(number % 2)])
                            case 4: _ = try? await scene.act(.detach, on: number)
                            case 5: _ = try? await scene.act(.delete, on: number)
                            case 6: _ = try? await scene.act(.resize, on: number) { $0.sizeMiB = Int64(number) * 5_000 }
                            default: try? await scene.settle()
                            }
                        }
                    }
                }
                #expect(try await scene.connect.service.violations() == [], "round \(round)")
            }
        }
    }
}
