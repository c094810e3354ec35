import CloudAPI
import Fleet
import Logging
import PKI
import Primitives
import ServiceKit
import Store

// Interruptible instances give way to firm ones, with notice.

extension ConnectCore {
    /// A firm instance found no host. Announces the end of interruptible ones that hold the room it needs, and says when to come again; or
    /// passes the refusal on when that would not help. The refused request itself has changed nothing.
    func makeRoom(for spec: CreateInstance, under terms: ContractTerms, after refusal: Refusal) async throws -> Refusal {
        let now = time.now()
        let end = now + .seconds(configuration.interruptionNoticeSeconds)
        let announced = try await write { [self] transaction -> Instant? in
            guard let contract = memory.contract(terms.contract), contract.view.firmness != .interruptible,
                spec.interruptible != true
            else { return nil }
            let candidates = try reclaimable(in: spec.zone ?? contract.view.zone, transaction)
            guard let choice = Reclaim.choose(for: spec.resources, among: candidates) else { return nil }
            for id in choice.victims {
                guard var record = try InstanceRecord.load(id, in: transaction) else { continue }
                let old = record.life
                guard record.life.announceInterruption(at: end) else { continue }
                try record.saveChange(kind: "interruption", since: old, in: transaction, at: now)
                try transaction.appendAudit(
                    actor: "connect", action: "instance.interruption", subject: id.description,
                    detail: try WireJSON.text(["for": spec.id.description, "contract": terms.contract.description]), at: now)
            }
            metrics.count("bourse_interruptions_announced", by: choice.victims.count)
            return try transaction.queryOne(
                "SELECT MAX(interruption) AS last FROM instances WHERE host = $1 AND interruption IS NOT NULL", [SQLValue(choice.host)]
            )?.optionalInstant("last")
        }
        guard let announced else { return refusal }
        return Refusal(
            "placement.reclaiming", .unavailable, "No host has room now; room is being made until \(announced).",
            facts: ["until": .text(announced.description)], nearest: "the same request after \(announced)")
    }

    /// Hosts that are up, with what could be taken away there.
    private func reclaimable(in zone: String?, _ context: any ReadContext) throws -> [Reclaim.Candidate] {
        let rows = try context.query(
            "SELECT \(InstanceRecord.columns) FROM instances WHERE interruptible = 1 AND state IN ('pending', 'running', 'shutting-down')")
        let guests = Dictionary(grouping: try rows.map(InstanceRecord.init), by: \.host)
        guard !guests.isEmpty else { return [] }
        return guests.compactMap { id, here in
            guard let host = memory.reading({ $0.occupancy.placeable(id) }), host.state == .up, zone == nil || host.zone == zone else {
                return nil
            }
            return Reclaim.Candidate(
                host: id, free: host.free,
                guests: here.map {
                    Reclaim.Guest(
                        id: $0.id, resources: $0.spec.resources, accepted: $0.life.accepted,
                        isAnnounced: $0.life.interruption != nil || $0.life.desired == .absent)
                })
        }
    }

    /// Ends those whose moment has come.
    func interruptDue() async throws {
        let now = time.now()
        let due = try await database.read { context in
            try context.query("SELECT id FROM instances WHERE interruption IS NOT NULL AND interruption <= $1", [SQLValue(now)])
                .map { try $0.id("id", as: InstanceID.self) }
        }
        guard !due.isEmpty else { return }
        try await write { transaction in
            for id in due {
                guard var record = try InstanceRecord.load(id, in: transaction) else { continue }
                let old = record.life
                _ = record.life.interruptIfDue(at: now)
                if record.life != old { try record.saveChange(kind: "interrupted", since: old, in: transaction, at: now) }
            }
        }
    }
}
