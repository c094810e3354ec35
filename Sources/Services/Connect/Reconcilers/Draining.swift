import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

/// A drain as it was asked for.
struct DrainRecord: Sendable {
    var began: Instant
    var drain: Drain

    static func load(_ host: HostID, in context: any ReadContext) throws -> DrainRecord? {
        try context.queryOne("SELECT began, may_restart, concurrent_moves FROM host_drains WHERE host = $1", [SQLValue(host)]).map {
            DrainRecord(
                began: try $0.instant("began"),
                drain: Drain(
                    concurrentMoves: Int(try $0.integer("concurrent_moves")), mayRestart: try $0.integer("may_restart") != 0))
        }
    }

    func save(_ host: HostID, in transaction: FleetTransaction) throws {
        try transaction.execute(
            """
            INSERT INTO host_drains (host, began, may_restart, concurrent_moves) VALUES ($1, $2, $3, $4)
            ON CONFLICT (host) DO UPDATE SET may_restart = excluded.may_restart, concurrent_moves = excluded.concurrent_moves
            """, [SQLValue(host), SQLValue(began), .integer(drain.mayRestart ? 1 : 0), SQLValue(drain.concurrentMoves)])
    }
}

extension ConnectCore {
    /// Takes the next step of a drain.
    func drain(_ host: HostLifeRecord, in transaction: FleetTransaction, at now: Instant) throws {
        guard let asked = try DrainRecord.load(host.id, in: transaction) else { return }
        let records = try Self.instances(on: host.id, in: transaction)
        for move in try step(asked.drain, host, records, in: transaction, at: now).moves {
            guard var record = records.first(where: { $0.id == move.instance }),
                let target = try? findTarget(for: record, preferring: move.target, at: now)
            else { continue }
            try beginMove(.drain, of: &record, to: target, mayRestart: asked.drain.mayRestart, kind: "drain", in: transaction, at: now)
        }
    }

    /// Time a guest gets to shut down before it moves.
    static let moveGraceSeconds: Int64 = 60

    /// What a drain would do now.
    func step(
        _ drain: Drain, _ host: HostLifeRecord, _ records: [InstanceRecord], in context: any ReadContext, at now: Instant
    ) throws -> Drain.Step {
        let byID = Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0) })
        let guests = try records.map { record in
            Drain.Guest(
                record, sharesStorage: host.sharesStorage,
                obstacle: host.sharesStorage && record.life.state == .running ? try obstacle(leaving: record, in: context) : nil)
        }
        var problem: (any Error)?
        let step = drain.next(guests) { guest throws(Refusal) in
            guard let record = byID[guest.id] else { throw Refusal.unknownInstance(guest.id, "here") }
            let target = try findTarget(for: record, at: now)
            guard guest.condition == .running, !drain.mayRestart else { return target.host }
            let obstacle: String?
            do { obstacle = try self.obstacle(to: target, for: record, in: context) } catch {
                problem = error
                return target.host
            }
            if let obstacle { throw Drain.cannotMoveLive(guest.id, obstacle) }
            return target.host
        }
        if let problem { throw problem }
        return step
    }
}

extension Drain.Guest {
    /// - Parameter obstacle: why it cannot leave its host while it runs.
    fileprivate init(_ record: InstanceRecord, sharesStorage: Bool, obstacle: String?) {
        let condition: Condition =
            switch record.life.state {
            case _ where record.life.move != nil: .moving
            case .running: .running
            case .stopped: .stopped
            default: .changing
            }
        self.init(
            id: record.id, resources: record.spec.resources, restartPriority: record.spec.restartPriority ?? 50, condition: condition,
            sharesStorage: sharesStorage, movesLive: obstacle == nil, whyCold: obstacle)
    }
}
