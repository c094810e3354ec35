import CloudAPI
import CloudClient
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

extension ManageCore {
    private static let volumeDeadline = Duration.seconds(10)

    /// Tells connects what they have not heard of volumes: called again and again.
    func driveVolumes() async throws {
        let now = time.now()
        for record in try await database.read({ try VolumeRecord.due(at: now, limit: 100, in: $0) }) {
            do { _ = try await driveOnce(record) } catch let error where !(error is CancellationError) {
                logger.info("a volume's step was refused", metadata: ["volume": "\(record.id)", "reason": "\(Fault(error).refusal)"])
            }
        }
    }

    /// Tells connect what it has not heard of a volume. What is refused for good is taken back, and thrown; what did not get through is
    /// tried again later.
    func driveOnce(_ record: VolumeRecord) async throws -> VolumeRecord {
        guard record.isUnfinished else { return record }
        do {
            let view = try await tell(record)
            FaultPoint.hit("manage.volume.told")
            let now = time.now()
            return try await change(record) { fresh in
                fresh.action = nil
                (fresh.attempts, fresh.note) = (0, nil)
                fresh.apply(view, at: now)
            }
        } catch {
            let fault = Fault(error)
            guard fault.isFinal else { return try await postpone(record, fault) }
            _ = try await takeBack(record, fault.refusal)
            throw fault.refusal
        }
    }

    private func tell(_ record: VolumeRecord) async throws -> VolumeView {
        let now = time.now()
        guard let contract = try await database.read({ try ContractRecord.load(record.contract, in: $0) }), contract.isActive(at: now)
        else {
            throw Refusal("contract.ended", .forbidden, "Contract \(record.contract) has ended.", nearest: "a new volume")
        }
        let client = try await connects.client(for: contract.view)
        guard let action = record.action else {
            return try await client.call(
                ConnectAPI.createVolume, body: record.request, idempotencyKey: record.id.description, deadline: Self.volumeDeadline)
        }
        return try await client.call(
            ConnectAPI.actOnVolume, path: ["volume": record.id.description],
            body: ActOnVolume(
                action: action.action, instance: action.instance, device: action.device, sizeMiB: action.sizeMiB, iops: action.iops),
            idempotencyKey: "\(record.id)-\(record.actionNumber)", deadline: Self.volumeDeadline)
    }

    private func postpone(_ record: VolumeRecord, _ fault: Fault) async throws -> VolumeRecord {
        let next = time.now() + .milliseconds(min(5_000, 50 << min(record.attempts, 7)))
        return try await change(record) { fresh in
            fresh.attempts += 1
            fresh.nextAttempt = next
            fresh.note = fault.refusal.message
        }
    }

    /// Connect will not do it: what is true there is taken over, and a volume it would not make is gone.
    private func takeBack(_ record: VolumeRecord, _ refusal: Refusal) async throws -> VolumeRecord {
        let now = time.now()
        return try await change(record) { fresh in
            let reason = StateReason(code: "Client.\(refusal.rule)", message: refusal.message)
            guard let seen = fresh.seen, !(record.action?.action == .delete && refusal.category == .notFound) else {
                return fresh.end(reason, at: now)
            }
            (fresh.action, fresh.note) = (nil, nil)
            (fresh.sizeMiB, fresh.iops) = (seen.sizeMiB, seen.iops)
            fresh.enter(seen.state, seen.reason, at: now)
        }
    }

    /// Changes a volume as it is stored now, unless it has moved on since `record` was read.
    private func change(_ record: VolumeRecord, _ body: @escaping @Sendable (inout VolumeRecord) -> Void) async throws -> VolumeRecord {
        let now = time.now()
        return try await database.write { transaction in
            guard var fresh = try VolumeRecord.load(record.id, in: transaction) else { return record }
            guard fresh.isUnfinished, fresh.actionNumber == record.actionNumber, (fresh.action == nil) == (record.action == nil) else {
                return fresh
            }
            body(&fresh)
            try fresh.save(in: transaction, at: now)
            return fresh
        }
    }
}

// MARK: - What connect says

extension ManageCore {
    /// Volumes among the subjects of a contract's changes, as connect has them now.
    func volumes(among subjects: [String], _ client: CloudClient) async throws -> [VolumeView] {
        var views: [VolumeView] = []
        for volume in Set(subjects).compactMap(VolumeID.init).sorted() {
            views.append(try await client.call(ConnectAPI.showVolume, path: ["volume": volume.description], deadline: .seconds(10)))
        }
        return views
    }

    func takeIn(_ views: [VolumeView], of contract: ContractRecord) async throws {
        guard !views.isEmpty else { return }
        let now = time.now()
        try await database.write { transaction in
            for view in views {
                guard var record = try VolumeRecord.load(view.id, in: transaction), record.contract == contract.id,
                    record.state != .deleted
                else { continue }
                record.apply(view, at: now)
                try record.save(in: transaction, at: now)
            }
        }
    }

    /// A contract is over: its volumes can be neither reached nor used, and go with the seller's retention.
    func endVolumes(of contract: ContractRecord) async throws {
        let now = time.now()
        let reason = StateReason(
            code: "Server.ContractEnded", message: "Contract \(contract.id) ended; the seller keeps the data for its retention only.")
        let affected = try await database.read { try VolumeRecord.ofContract(contract.id, in: $0) }.filter { $0.reason != reason }
        guard !affected.isEmpty else { return }
        try await database.write { transaction in
            for id in affected.map(\.id) {
                guard var record = try VolumeRecord.load(id, in: transaction), record.state != .deleted else { continue }
                if record.isMade, record.state != .deleting {
                    record.action = nil
                    record.enter(.error, reason, at: now)
                } else {
                    record.end(reason, at: now)
                }
                try record.save(in: transaction, at: now)
            }
        }
    }
}
