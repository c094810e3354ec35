import CloudAPI
import EC2
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// CreateVolume, AttachVolume, DetachVolume, DeleteVolume, DescribeVolumes, ModifyVolume.
    func addVolumeActions(to registry: inout ActionRegistry<EC2Caller>) {
        registry.on(
            EC2.CreateVolume.self, check: mayOperate,
            rehearse: { request, caller in _ = try await createVolume(VolumeRequest(request), by: caller.user, dryRun: true) },
            perform: { request, caller in
                let record = try await createVolume(VolumeRequest(request), by: caller.user)
                return .init(volume: try await describe([record], of: caller)[0])
            })
        registry.on(AttachVolume.self, check: mayOperate) { request, caller in
            let action = ActOnManagedVolume(action: .attach, instance: request.instance, device: request.device)
            let record = try await act(action, on: request.volume, of: caller.accounts, by: caller.user)
            return try VolumeAttachmentResponse(record, as: "attaching")
        }
        registry.on(DetachVolume.self, check: mayOperate) { request, caller in
            let before = try await database.read { [self] in try volume(request.volume, of: caller.accounts, in: $0) }
            let answer = try VolumeAttachmentResponse(before, as: "detaching")
            let action = ActOnManagedVolume(action: .detach, instance: request.instance)
            _ = try await act(action, on: request.volume, of: caller.accounts, by: caller.user)
            return answer
        }
        registry.on(DeleteVolume.self, check: mayOperate) { request, caller in
            let known = try await database.read { [self] in try volume(request.volume, of: caller.accounts, in: $0) }
            if known.attachment != nil {
                throw EC2Error(.volumeInUse, "Volume \(known.id) is currently attached to \(known.attachment?.instance.description ?? "")")
            }
            _ = try await act(ActOnManagedVolume(action: .delete), on: request.volume, of: caller.accounts, by: caller.user)
            return .init()
        }
        registry.on(ModifyVolume.self, check: mayOperate) { request, caller in
            let before = try await database.read { [self] in try volume(request.volume, of: caller.accounts, in: $0) }
            let action = ActOnManagedVolume(action: .resize, sizeMiB: request.sizeMiB, iops: request.iops)
            let after = try await act(action, on: request.volume, of: caller.accounts, by: caller.user)
            let shown = try await describe([before, after], of: caller)
            return .init(before: shown[0], after: shown[1], since: time.now())
        }
        registry.on(DescribeVolumes.self, check: mayView) { request, caller in
            let records = try await database.read { [self] context in
                request.volumes.isEmpty
                    ? try VolumeRecord.all(of: caller.accounts, in: context)
                    : try request.volumes.map { try volume($0, of: caller.accounts, in: context) }.filter { $0.state != .deleted }
            }
            let volumes = try await describe(records, of: caller).sorted { $0.position < $1.position }
            let page = request.paging.page(of: volumes.filter(request.filter), position: \.position)
            return .init(volumes: page.items, nextToken: page.nextToken)
        }
    }

    private func describe(_ records: [VolumeRecord], of caller: EC2Caller) async throws -> [VolumeDescription] {
        let fallback = configuration.region
        return try await database.read { context in
            let tags = try TagRecord.grouped(of: caller.accounts, in: context)
            return try records.map { record in
                let zone =
                    try record.seen?.zone ?? record.request.zone ?? ContractRecord.load(record.contract, in: context)?.view.zone ?? fallback
                return VolumeDescription(record, zone: zone, tags: tags[record.id.description] ?? [])
            }
        }
    }
}

extension VolumeRequest {
    fileprivate init(_ request: EC2.CreateVolume) {
        self.init(
            sizeMiB: request.sizeMiB, iops: request.iops, zone: request.zone, instance: nil, tags: request.tags,
            clientToken: request.clientToken)
    }
}

extension VolumeAttachmentResponse {
    fileprivate init(_ record: VolumeRecord, as status: String) throws {
        guard let attachment = record.attachment else {
            throw EC2Error(.incorrectState, "Volume '\(record.id)' is '\(record.state.rawValue)'.")
        }
        self.init(
            volume: record.id,
            attachment: .init(
                instance: attachment.instance, device: "/dev/" + (attachment.device ?? "vdb"), status: status, since: record.stateChanged))
    }
}

extension VolumeDescription {
    fileprivate init(_ record: VolumeRecord, zone: String, tags: [ResourceTag]) {
        let state: VolumeState = record.state == .attaching || record.state == .detaching ? .inUse : record.state
        self.init(
            id: record.id, sizeMiB: record.sizeMiB, iops: record.iops, state: state.rawValue, zone: zone, created: record.created,
            attachment: record.ec2Attachment, tags: tags)
    }
}

extension VolumeRecord {
    /// As EC2 shows it; nil while no instance has it.
    var ec2Attachment: VolumeDescription.Attachment? {
        attachment.map {
            VolumeDescription.Attachment(
                instance: $0.instance, device: "/dev/" + ($0.device ?? "vdb"),
                status: state == .inUse ? "attached" : state == .detaching ? "detaching" : "attaching", since: stateChanged)
        }
    }
}
