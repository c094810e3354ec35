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
    /// passes the refusal on when that would not help, or is not wanted. The refused request itself has changed nothing.
    func makeRoom(for spec: CreateInstance, under terms: ContractTerms, after refusal: Refusal) async throws -> Refusal {
        guard spec.preempt != false else { return refusal }
        let (core, now) = (self, time.now())
        let announced = try await write { transaction -> Instant? in
            guard let contract = core.memory.contract(terms.contract), contract.isActive(at: now),
                let request = try core.admit([spec], under: contract, at: now, in: transaction).first?.request, !request.interruptible
            else { return nil }
            if let until = try core.roomOnItsWay(for: request, in: transaction, at: now) { return until }
            guard let proposal = try core.memory.reading({ try $0.occupancy.preemption(for: request, at: now) }) else { return nil }
            return try core.announce(proposal, for: spec.id, under: contract.id, in: transaction, at: now)
        }
        guard let announced else { return refusal }
        return Refusal(
            "placement.reclaiming", .unavailable, "No host has room now; room is being made until \(announced).",
            facts: ["until": .text(announced.description)], nearest: "the same request after \(announced)")
    }

    /// When a request fits once those have left whose end is announced; nil: not even then.
    private func roomOnItsWay(for request: PlacementRequest, in context: any ReadContext, at now: Instant) throws -> Instant? {
        let rows = try context.query(
            """
            SELECT id, interruption FROM instances
            WHERE interruption IS NOT NULL OR (interruptible = 1 AND state = 'shutting-down') ORDER BY id
            """)
        guard !rows.isEmpty else { return nil }
        let leaving = try rows.map {
            (try $0.id("id", as: InstanceID.self), try $0.optionalInstant("interruption") ?? now + Self.departure)
        }
        return memory.reading { state in
            var world = state.occupancy.world
            let ends = leaving.filter { state.occupancy[$0.0] != nil }
            for (id, _) in ends { world.release(id) }
            guard let host = try? world.find(request, at: now) else { return nil }
            return ends.filter { state.occupancy[$0.0]?.host == host }.map(\.1).max()
        }
    }

    /// How long one that was told to go takes, or nearly.
    private static let departure = Span.seconds(10)

    /// - Returns: when all of them have had their notice.
    private func announce(
        _ proposal: PreemptionProposal, for instance: InstanceID, under contract: ContractID, in transaction: FleetTransaction,
        at now: Instant
    ) throws -> Instant? {
        let end = now + .seconds(configuration.interruptionNoticeSeconds)
        var last: Instant?
        for id in proposal.victims {
            guard var record = try InstanceRecord.load(id, in: transaction) else { continue }
            let old = record.life
            if record.life.announceInterruption(at: end, evenStopped: isMetal(record.host)) {
                try record.saveChange(kind: "interruption", since: old, in: transaction, at: now)
                try transaction.appendAudit(
                    actor: "connect", action: "instance.interruption", subject: id.description,
                    detail: try WireJSON.text(["for": instance.description, "contract": contract.description]), at: now)
                metrics.count("bourse_interruptions_announced")
            }
            last = max(last ?? .zero, record.life.interruption ?? now + Self.departure)
        }
        return last
    }

    /// There a machine that is off has its host to itself as one that runs.
    private func isMetal(_ host: HostID) -> Bool { memory.reading { $0.occupancy.host(host)?.placement.kind } == .metal }

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
                _ = record.life.interruptIfDue(at: now, evenStopped: isMetal(record.host))
                if record.life != old { try record.saveChange(kind: "interrupted", since: old, in: transaction, at: now) }
            }
        }
    }
}
