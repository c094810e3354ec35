import CloudAPI
import Drivers
import Foundation
import Node
import Primitives
import Testing

/// Volumes on a node: made, plugged into machines and out again, grown, deleted, and found again by the next process.
@Suite(.serialized) struct VolumeServiceTests {
    private let volume = VolumeID(bits: 0xd1)

    private func wish(
        _ desired: VolumeDesired, _ generation: Int64, sizeMiB: Int64 = 64, iops: Int64 = 0, new: Bool = false, of number: UInt64? = nil
    ) -> VolumeIntent {
        VolumeIntent(
            volume: volume, generation: generation, desired: desired, sizeMiB: sizeMiB, iops: iops, mayCreate: new,
            instance: number.map(instance), slot: number == nil ? nil : 1)
    }

    private func told(_ state: VolumeObserved, _ generation: Int64, by connect: FakeConnect) async throws {
        try await eventually("\(state) at generation \(generation)") {
            connect.seen(volume)?.state == state && connect.seen(volume)?.generation == generation
        }
    }

    @Test(.timeLimit(.minutes(4))) func aVolumesLife() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(wish(.available, 1, new: true))
                try await told(.present, 1, by: connect)
                #expect(connect.seen(volume)?.sizeMiB == 64)
                connect.want(sampleIntent(1))
                try await eventually("running") { connect.seen(1)?.state == .running }

                connect.want(wish(.attached, 2, iops: 200, of: 1))
                try await told(.attached, 2, by: connect)
                let plugged = try #require(world.host.volumes(of: instance(1)).first)
                #expect(plugged.volume == volume && plugged.slot == 1 && plugged.iops == 200)
                connect.want(wish(.attached, 3, sizeMiB: 128, of: 1))
                try await told(.attached, 3, by: connect)
                #expect(connect.seen(volume)?.sizeMiB == 128 && world.host.volumes(of: instance(1)).first?.sizeMiB == 128)

                connect.want(wish(.available, 4, sizeMiB: 128, of: 1))
                try await told(.present, 4, by: connect)
                #expect(world.host.volumes(of: instance(1)).isEmpty && world.isRunning(1))
                connect.want(wish(.absent, 5, sizeMiB: 128))
                try await told(.absent, 5, by: connect)
                #expect(try await world.storage.volumes().isEmpty)
            }
        }
    }

    /// A machine that is off gets its volumes when it starts, whatever made it start.
    @Test(.timeLimit(.minutes(4))) func aMachineStartsWithItsVolumes() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(wish(.attached, 1, new: true, of: 1))
                try await told(.attached, 1, by: connect)
                connect.want(sampleIntent(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
                #expect(world.host.volumes(of: instance(1)).map(\.volume) == [volume])
                world.host.crash(instance(1))
                try await eventually("it is back, and has it again") {
                    world.isRunning(1) && world.host.volumes(of: instance(1)).map(\.volume) == [volume]
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func anotherNodeProcessGoesOn() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(sampleIntent(1))
                connect.want(wish(.attached, 1, new: true, of: 1))
                try await told(.attached, 1, by: connect)
                try await eventually("plugged") { !world.host.volumes(of: instance(1)).isEmpty }
            }
            // While nobody watches the machine dies, and connect changes its mind.
            world.host.crash(instance(1))
            connect.want(wish(.attached, 2, sizeMiB: 96, of: 1))
            try await world.serve(connect) { _ in
                try await told(.attached, 2, by: connect)
                try await eventually("it starts with it") {
                    world.host.volumes(of: instance(1)).first?.sizeMiB == 96
                }
                #expect(try await world.storage.volumes().map(\.sizeMiB) == [96])
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func aGuestThatDoesNotLetGoIsAskedAgain() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(sampleIntent(1))
                connect.want(wish(.attached, 1, new: true, of: 1))
                try await told(.attached, 1, by: connect)
                try await eventually("plugged") { !world.host.volumes(of: instance(1)).isEmpty }
                world.host.deafen(instance(1))
                connect.want(wish(.available, 2, of: 1))
                try await told(.failed, 2, by: connect)
                #expect(connect.seen(volume)?.reason?.code == "Server.volume.busy")
                world.host.deafen(instance(1), false)
                try await told(.present, 2, by: connect)
            }
        }
    }

    /// A guest can eject a disk by itself: it is wanted, so it comes back.
    @Test(.timeLimit(.minutes(4))) func whatAGuestGivesBackUnaskedItGetsAgain() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(sampleIntent(1))
                connect.want(wish(.attached, 1, new: true, of: 1))
                try await eventually("plugged") { !world.host.volumes(of: instance(1)).isEmpty }
                world.host.eject(volume, from: instance(1))
                try await eventually("plugged again") { !world.host.volumes(of: instance(1)).isEmpty }
                #expect(connect.seen(volume)?.state == .attached)
            }
        }
    }

    /// An empty file in place of a lost one would hide the loss.
    @Test(.timeLimit(.minutes(4))) func aLostVolumeIsNotMadeAnew() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(wish(.available, 1, new: true))
                try await told(.present, 1, by: connect)
                world.storage.lose(volume)
                connect.want(wish(.available, 2, sizeMiB: 65, new: true))
                try await told(.absent, 2, by: connect)
                #expect(connect.seen(volume)?.reason?.code == "Server.storage.volume-lost")
                #expect(try await world.storage.volumes().isEmpty)
                connect.want(sampleIntent(1))
                connect.want(wish(.attached, 3, new: true, of: 1))
                try await eventually("a machine starts without it") { connect.seen(1)?.state == .running }
                // Deleted, it may come again: empty, because that is what is asked for.
                connect.want(wish(.absent, 4))
                try await told(.absent, 4, by: connect)
                connect.want(wish(.available, 5, new: true))
                try await told(.present, 5, by: connect)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func aVolumeOfAnotherHostIsLetGoOfAndItsFileLeftAlone() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(wish(.available, 1, new: true))
                try await told(.present, 1, by: connect)
                connect.want(wish(.released, 2))
                try await told(.absent, 2, by: connect)
                #expect(try await world.storage.volumes().count == 1)
                // And taken over again, without being made.
                connect.want(wish(.available, 3))
                try await told(.present, 3, by: connect)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func staleWishesAreRefused() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(wish(.available, 5, new: true))
                try await told(.present, 5, by: connect)
                connect.want(wish(.absent, 4))
                connect.want(sampleIntent(1))
                try await eventually("what came later") { connect.seen(1)?.state == .running }
                #expect(try await world.storage.volumes().count == 1)
            }
        }
    }
}
