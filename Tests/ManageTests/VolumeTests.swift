import CloudAPI
import EC2
import Foundation
import Primitives
import ServiceKit
import Synchronization
import TestSupport
import Testing

/// Volumes of accounts: under a contract with room, told to its connect, and shown the way EC2 shows them.
@Suite(.timeLimit(.minutes(5))) struct VolumeTests {
    /// A machine whose contract of one lot has 12 GiB left.
    private func machine(_ manage: ManageFixture) async throws -> InstanceID {
        manage.exchange.offer((20_000, 4))
        let id = try #require(try await manage.run().first)
        try await eventually("it runs") { try await manage.state(id) == .running }
        return id
    }

    private func volume(_ id: VolumeID, _ manage: ManageFixture) async throws -> ManagedVolumeView {
        try await manage.call(ManageAPI.showVolume, path: ["volume": id.description], body: Empty())
    }

    private func act(_ action: ActOnManagedVolume, on id: VolumeID, _ manage: ManageFixture) async throws -> ManagedVolumeView {
        try await manage.call(ManageAPI.actOnVolume, path: ["volume": id.description], body: action, token: manage.user)
    }

    @Test(arguments: DatabaseKind.allCases) func aVolumesLife(_ kind: DatabaseKind) async throws {
        try await withManage(kind) { manage in
            let machine = try await machine(manage)
            let made = try await manage.call(
                ManageAPI.createVolume, body: CreateManagedVolume(sizeMiB: 2_048, instance: machine, name: "data"), token: manage.user)
            #expect(made.state == .available && made.name == "data" && made.zone == Town.zone)
            #expect(manage.connect.state.withLock { $0.volumes[made.id]?.account } == made.account)
            let contract = try #require(try await manage.call(ManageAPI.listContracts, body: Empty()).items.first)
            #expect(contract.capacity.volumes == 1 && contract.capacity.used.diskMiB == 8 * 1_024 + 2_048)

            let attached = try await act(ActOnManagedVolume(action: .attach, instance: machine), on: made.id, manage)
            #expect(attached.state == .inUse && attached.instance == machine && attached.device == "vdb")
            #expect(try await act(ActOnManagedVolume(action: .resize, sizeMiB: 4_096), on: made.id, manage).sizeMiB == 4_096)
            do {
                _ = try await act(ActOnManagedVolume(action: .delete), on: made.id, manage)
                Issue.record("it is in use")
            } catch let problem as ProblemDocument { #expect(problem.rule == "volume.state") }
            #expect(try await act(ActOnManagedVolume(action: .detach), on: made.id, manage).state == .available)
            _ = try await act(ActOnManagedVolume(action: .delete), on: made.id, manage)
            try await eventually("it is gone") { try await volume(made.id, manage).state == .deleted }
            #expect(try await manage.call(ManageAPI.listVolumes, body: Empty()).items.isEmpty)
        }
    }

    @Test func roomAndQuotaAreChecked() async throws {
        try await withManage { manage in
            _ = try await machine(manage)
            func refused(_ size: Int64) async throws -> ProblemDocument? {
                do {
                    _ = try await manage.call(ManageAPI.createVolume, body: CreateManagedVolume(sizeMiB: size), token: manage.user)
                    return nil
                } catch { return error as? ProblemDocument }
            }
            let full = try await refused(12 * 1_024 + 1)
            #expect(full?.rule == "volume.contract" && full?.nearest?.contains("\(12 * 1_024) MiB") == true)
            let account = try #require(try await manage.call(ManageAPI.listAccounts, body: Empty()).items.first)
            let limited = try await manage.call(
                ManageAPI.updateAccount, path: ["account": account.id.description], body: UpdateAccount(quotaVolumeMiB: 1_000))
            #expect(limited.quotaVolumeMiB == 1_000)
            #expect(try await refused(1_001)?.rule == "tenancy.volume-quota")
            // What connect refuses leaves nothing behind.
            manage.connect.state.withLock { $0.refuseVolumes = [Refusal("placement.capacity", .capacity, "no host has room")] }
            #expect(try await refused(1_000)?.rule == "placement.capacity")
            #expect(try await refused(1_000) == nil)
        }
    }

    /// Connect is away when a volume is asked for: it is made when connect is back.
    @Test func whatDoesNotGetThroughIsToldLater() async throws {
        try await withManage { manage in
            let machine = try await machine(manage)
            manage.connect.state.withLock { state in
                state.refuseVolumes = Array(repeating: Refusal("test.away", .unavailable, "away"), count: 2)
            }
            let made = try await manage.call(ManageAPI.createVolume, body: CreateManagedVolume(sizeMiB: 64), token: manage.user)
            #expect(made.state == .creating && made.step?.hasPrefix("creating") == true)
            try await eventually("it is made") { try await volume(made.id, manage).state == .available }
            manage.connect.state.withLock { $0.refuseVolumes = [Refusal("volume.gravity", .conflict, "it lies elsewhere")] }
            do {
                _ = try await act(ActOnManagedVolume(action: .attach, instance: machine), on: made.id, manage)
                Issue.record("connect refused")
            } catch let problem as ProblemDocument { #expect(problem.rule == "volume.gravity") }
            let kept = try await volume(made.id, manage)
            #expect(kept.state == .available && kept.step == nil)
        }
    }

    @Test func ec2() async throws {
        try await withManage { manage in
            let machine = try await machine(manage)
            let create = [
                ("AvailabilityZone", Town.zone), ("Size", "2"), ("VolumeType", "gp3"), ("ClientToken", "once"),
                ("TagSpecification.1.ResourceType", "volume"), ("TagSpecification.1.Tag.1.Key", "Name"),
                ("TagSpecification.1.Tag.1.Value", "data"),
            ]
            #expect(errorCode(try await manage.ec2("CreateVolume", create + [("DryRun", "true")])) == "DryRunOperation")
            let made = try await manage.ec2("CreateVolume", create)
            #expect(made.status == 200 && made.document["size"]?.text == "2", "\(made.document)")
            let id = try #require(made.document["volumeId"]?.text)
            #expect(try await manage.ec2("CreateVolume", create).document["volumeId"]?.text == id, "the same token, the same volume")
            let found = try await manage.ec2("DescribeVolumes", ("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "data"))
            #expect(found.document["volumeSet"]?.items.compactMap { $0["status"]?.text } == ["available"])

            let attach = [("VolumeId", id), ("InstanceId", machine.description), ("Device", "/dev/sdf")]
            let attached = try await manage.ec2("AttachVolume", attach)
            #expect(attached.document["device"]?.text == "/dev/vdf" && attached.document["status"]?.text == "attaching")
            #expect(errorCode(try await manage.ec2("DeleteVolume", ("VolumeId", id))) == "VolumeInUse")
            #expect(errorCode(try await manage.ec2("AttachVolume", attach)) == "IncorrectState")
            let modified = try await manage.ec2("ModifyVolume", ("VolumeId", id), ("Size", "3"))
            #expect(modified.document["volumeModification"]?["targetSize"]?.text == "3")
            let used = try await manage.ec2("DescribeVolumes", ("VolumeId.1", id)).document["volumeSet"]?.items.first
            #expect(used?["attachmentSet"]?.items.first?["instanceId"]?.text == machine.description && used?["status"]?.text == "in-use")
            let shown = try await manage.ec2("DescribeInstances", ("InstanceId.1", machine.description))
            let instances = (shown.document["reservationSet"]?.items ?? []).flatMap { $0["instancesSet"]?.items ?? [] }
            let disks = instances.first?["blockDeviceMapping"]?.items ?? []
            #expect(disks.compactMap { $0["deviceName"]?.text }.last == "/dev/vdf" && disks.last?["ebs"]?["volumeId"]?.text == id)
            let detached = try await manage.ec2("DetachVolume", ("VolumeId", id))
            #expect(detached.status == 200, "\(detached.document)")
            #expect(try await manage.ec2("DeleteVolume", ("VolumeId", id)).document["return"]?.text == "true")
            #expect(try await manage.ec2("DescribeVolumes").document["volumeSet"]?.items.isEmpty == true)
            #expect(errorCode(try await manage.ec2("DeleteVolume", ("VolumeId", "vol-00000000000000099"))) == "InvalidVolume.NotFound")
            #expect(errorCode(try await manage.ec2("DeleteVolume", ("VolumeId", "disk"))) == "InvalidVolumeID.Malformed")
            let large = try await manage.ec2("CreateVolume", ("AvailabilityZone", Town.zone), ("Size", "900"))
            #expect(errorCode(large) == "InsufficientVolumeCapacity")
        }
    }

    @Test func theEndOfTheContractShowsOnItsVolumes() async throws {
        try await withManage { manage in
            _ = try await machine(manage)
            let made = try await manage.call(ManageAPI.createVolume, body: CreateManagedVolume(sizeMiB: 64), token: manage.user)
            let contract = try #require(manage.exchange.contracts.first)
            manage.exchange.end(contract.id, "the test is over")
            try await eventually("it says so") {
                try await volume(made.id, manage).reason?.code == "Server.ContractEnded"
            }
            _ = try await act(ActOnManagedVolume(action: .delete), on: made.id, manage)
            #expect(try await volume(made.id, manage).state == .deleted)
        }
    }
}
