import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// What happens to volumes over time without anybody's asking.
extension ConnectCore {
    /// Volumes of contracts that are over leave the instances of others, and are deleted after the retention; what waits for a host that
    /// is proven to run nothing waits no longer.
    func watchVolumes() async throws {
        guard memory.reading({ $0.occupancy.volumeCount }) > 0 else { return }
        let now = time.now()
        let before = now - .seconds(configuration.retentionSeconds)
        let (ended, expired, stranded) = try await database.read { context in
            (
                try VolumeRecord.all(
                    "v.desired = 'attached' AND v.contract IN (SELECT id FROM contracts WHERE enforced IS NOT NULL) AND v.instance IN "
                        + "(SELECT i.id FROM instances i JOIN contracts c ON c.id = i.contract WHERE c.enforced IS NULL)", [], in: context),
                try VolumeRecord.all(
                    "v.desired <> 'absent' AND v.contract IN (SELECT id FROM contracts WHERE enforced < $1)", [SQLValue(before)],
                    in: context),
                try VolumeRecord.all(
                    "v.state IN ('detaching', 'deleting') AND v.host IN (SELECT id FROM hosts WHERE state IN ('fenced', 'evacuated', 'retired'))",
                    [], in: context)
            )
        }
        guard !(ended.isEmpty && expired.isEmpty && stranded.isEmpty) else { return }
        try await write { transaction in
            try Self.change(ended, "contract-ended", in: transaction, at: now) { _ = try? $0.life.detach(at: now) }
            try Self.change(expired, "retention-over", in: transaction, at: now) { record in
                // What an instance has is deleted in the next turn, once it is out.
                if record.life.attachment == nil { _ = try? record.life.delete(at: now) } else { _ = try? record.life.detach(at: now) }
            }
            try Self.change(stranded, "host-fenced", in: transaction, at: now) { _ = $0.life.hostFenced(at: now) }
        }
    }

    /// Changes those that are still as they were found.
    private static func change(
        _ found: [VolumeRecord], _ cause: String, in transaction: FleetTransaction, at now: Instant, _ body: (inout VolumeRecord) -> Void
    ) throws {
        for candidate in found {
            guard let old = try VolumeRecord.load(candidate.id, in: transaction), old.life == candidate.life else { continue }
            var record = old
            body(&record)
            guard record.life != old.life else { continue }
            try record.save(since: old, in: transaction, at: now)
            try transaction.appendAudit(
                actor: "connect", action: "volume.\(cause)", subject: record.id.description, detail: "{}", at: now)
        }
    }
}
