import CloudAPI
import Foundation
import Primitives
import Testing

/// A real guest gets a disk while it runs, writes to it, gives it back, and another one reads it.
@Suite(.serialized, .enabled(if: LocalCloud.obstacle == nil, Comment(rawValue: LocalCloud.obstacle ?? "")))
struct VolumeTests {
    @Test(.timeLimit(.minutes(15)))
    func aVolumeGoesFromOneGuestToAnother() async throws {
        try await LocalCloud.with("volumes") { try await story($0) }
    }

    private func story(_ cloud: LocalCloud) async throws {
        _ = try await cloud.up()
        let first = try #require(try await cloud.instances().first)
        let address = try #require(first.address)
        let id = try await cloud.json(
            ManagedVolumeView.self, ["volume", "create", "--size", "256", "--instance", first.id.description, "--name", "data"]
        ).id
        try await reaches(.available, id, cloud)
        try await writes(id, cloud, first, address)
        try await survivesTheNode(id, cloud, address)

        try await cloud.bourse(["volume", "detach", id.description])
        try await reaches(.available, id, cloud)
        #expect(try await cloud.ssh(address, "test -e /sys/block/vdb").status != 0, "the guest has it no longer")
        let second = try await another(cloud)
        try await reads(id, cloud, second)
        try await goes(id, cloud, second)
    }

    private func volume(_ id: VolumeID, _ cloud: LocalCloud) async throws -> ManagedVolumeView {
        try await cloud.json(ManagedVolumeView.self, ["volume", "show", id.description])
    }

    private func reaches(_ state: VolumeState, _ id: VolumeID, _ cloud: LocalCloud) async throws {
        try await cloud.until("the volume is \(state.rawValue)") { try await volume(id, cloud).state == state }
    }

    private func writes(_ id: VolumeID, _ cloud: LocalCloud, _ machine: ManagedInstanceView, _ address: String) async throws {
        try await cloud.bourse(["volume", "attach", id.description, machine.id.description])
        try await reaches(.inUse, id, cloud)
        #expect(try await volume(id, cloud).device == "vdb")
        let serial = String(id.description.filter { $0 != "-" })
        try await cloud.until("the guest sees its serial number") {
            try await cloud.ssh(address, "cat /sys/block/vdb/serial").output.contains(serial)
        }
        let written = try await cloud.ssh(address, "echo kept-for-later | dd of=/dev/vdb conv=notrunc && sync")
        #expect(written.status == 0, "\(written.output)")
        try await cloud.bourse(["volume", "resize", id.description, "--size", "512"])
        try await cloud.until("the guest sees the new size") {
            try await cloud.ssh(address, "cat /sys/block/vdb/size").output.hasPrefix("\(512 * 2_048)")
        }
        let (status, refused) = try await cloud.run([cloud.executable, "volume", "delete", id.description])
        #expect(status != 0 && refused.contains("volume.state"), "\(refused)")
        let tooLarge = try await cloud.run([cloud.executable, "volume", "create", "--size", "99000000"])
        #expect(tooLarge.status != 0 && tooLarge.output.contains("volume.contract"), "\(tooLarge.output)")
    }

    private func survivesTheNode(_ id: VolumeID, _ cloud: LocalCloud, _ address: String) async throws {
        try await cloud.murder("node")
        #expect(try await cloud.ssh(address, "test -e /sys/block/vdb").status == 0)
        _ = try await cloud.up()
        #expect(try await volume(id, cloud).state == .inUse)
        #expect(try await cloud.ssh(address, "head -c 14 /dev/vdb").output.contains("kept-for-later"))
    }

    private func another(_ cloud: LocalCloud) async throws -> ManagedInstanceView {
        try await cloud.bourse(["instance", "launch", "--image", "bourse-guest", "--type", "t2.nano", "--key", "demo", "--name", "second"])
        var found: ManagedInstanceView?
        try await cloud.until("the second machine answers") {
            found = try await cloud.instances().first { $0.name == "second" && $0.state == .running }
            guard let address = found?.address else { return false }
            return try await cloud.ssh(address, "true").status == 0
        }
        return try #require(found)
    }

    private func reads(_ id: VolumeID, _ cloud: LocalCloud, _ machine: ManagedInstanceView) async throws {
        let address = try #require(machine.address)
        try await cloud.bourse(["volume", "attach", id.description, machine.id.description])
        try await reaches(.inUse, id, cloud)
        try await cloud.until("what the first wrote is there") {
            try await cloud.ssh(address, "head -c 14 /dev/vdb").output.contains("kept-for-later")
        }
        // A machine that starts cold has it from the beginning.
        try await cloud.bourse(["instance", "stop", machine.id.description])
        try await cloud.until("it is off") { try await cloud.instance(machine.id).state == .stopped }
        #expect(try await volume(id, cloud).state == .inUse)
        try await cloud.bourse(["instance", "start", machine.id.description])
        try await cloud.until("it is there after a cold start") {
            try await cloud.ssh(address, "head -c 14 /dev/vdb").output.contains("kept-for-later")
        }
    }

    /// The machine goes, the volume stays; then it goes, too.
    private func goes(_ id: VolumeID, _ cloud: LocalCloud, _ machine: ManagedInstanceView) async throws {
        try await cloud.bourse(["instance", "terminate", machine.id.description])
        try await reaches(.available, id, cloud)
        try await cloud.bourse(["volume", "delete", id.description])
        try await cloud.until("it is gone") {
            try await cloud.json([ManagedVolumeView].self, ["volume", "list"]).isEmpty
        }
        let (_, files) = try await Shell.run(["find", cloud.home, "-name", "\(id)*"])
        #expect(files.isEmpty, "no file is left")
    }
}
