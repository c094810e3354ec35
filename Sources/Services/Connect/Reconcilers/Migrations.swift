import Fleet
import Primitives
import ServiceKit
import Store

// Carrying out rebalancings: the moves of one round, then those of the next.

extension ConnectCore {
    /// Takes each rebalancing that is under way as far as it can go now.
    func keepRebalancing() async throws {
        let now = time.now()
        for pod in try await database.read({ try RebalancingRecord.pods(underWay: $0) }) {
            guard try await database.read({ try Self.advanced(pod, in: $0)?.isNews == true }) else { continue }
            try await write { [self] transaction in
                guard let found = try Self.advanced(pod, in: transaction) else { return }
                var record = found.record
                for index in found.due { try begin(index, of: &record.run, in: transaction, at: now) }
                if record.run.isOver { record.ended = now }
                try record.update(since: found.old, in: transaction)
            }
        }
    }

    private struct Advanced: Sendable {
        var record: RebalancingRecord
        var old: RebalancingRun
        var due: [Int]
        var isNews: Bool { !due.isEmpty || record.run != old }
    }

    private static func advanced(_ pod: PodID, in context: any ReadContext) throws -> Advanced? {
        guard var record = try RebalancingRecord.load(pod, in: context), record.ended == nil else { return nil }
        let old = record.run
        var situations: [InstanceID: RebalancingRun.Situation] = [:]
        for entry in old.entries where !entry.progress.isOver {
            let instance = try InstanceRecord.load(entry.move.instance, in: context)
            situations[entry.move.instance] = instance.map(RebalancingRun.Situation.init)
        }
        let due = record.run.advance { situations[$0] ?? .gone }
        return Advanced(record: record, old: old, due: due)
    }

    private func begin(_ index: Int, of run: inout RebalancingRun, in transaction: FleetTransaction, at now: Instant) throws {
        let move = run.entries[index].move
        guard var record = try InstanceRecord.load(move.instance, in: transaction) else { return run.give(up: index, "It is gone.") }
        let target: MoveTarget
        do throws(Refusal) {
            target = try findTarget(for: record, preferring: move.target, at: now)
        } catch {
            return run.give(up: index, (try? obstacle(to: move.target, for: record, at: now)) ?? error.message)
        }
        // Elsewhere it would not serve the plan.
        guard target.host == move.target else {
            let name = memory.hostName(move.target) ?? move.target.description
            return run.give(
                up: index, (try? obstacle(to: move.target, for: record, at: now)) ?? "Host \(name) does not take it now.")
        }
        guard record.life.state == .running || record.life.state == .stopped, record.life.move == nil else {
            return run.give(up: index, "It is \(record.life.state.rawValue).")
        }
        let begins = try beginMove(
            .rebalancing, of: &record, to: target, mayRestart: move.downtime == .restart, kind: "rebalancing", in: transaction, at: now)
        guard begins else {
            let obstacle = try obstacle(to: target, for: record, in: transaction) ?? "it cannot now"
            return run.give(up: index, "The plan has it move while it runs: \(obstacle).")
        }
        run.begin(index)
    }
}

extension RebalancingRun.Situation {
    fileprivate init(_ record: InstanceRecord) {
        switch record.life.state {
        case .terminated: self = .gone
        case _ where record.life.move != nil: self = .moving
        case .running, .stopped: self = .atRest(record.host)
        default: self = .changing
        }
    }
}
