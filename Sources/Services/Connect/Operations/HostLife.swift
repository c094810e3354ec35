import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// What operators do about a host: look, drain, fence, release.

extension ConnectCore {
    func hostLife(_ id: HostID) async throws -> HostLifeView {
        try await database.read { [self] in try view(of: try host(id, in: $0), in: $0) }
    }

    func drainHost(_ call: Call<DrainHost>, _ id: HostID) async throws -> HostLifeView {
        let moves = call.body.concurrentMoves ?? 2
        guard (1...50).contains(moves) else {
            throw Refusal("drain.moves", .invalid, "\(moves) moves at once.", facts: ["moves": .number(moves)], nearest: "1 to 50")
        }
        let drain = Drain(concurrentMoves: Int(moves), mayRestart: call.body.mayRestart ?? false)
        return try await change(id, "drain", call.principal, call.idempotency) { life, transaction, now in
            try life.drain(at: now)
            try DrainRecord(began: now, drain: drain).save(id, in: transaction)
        }
    }

    func cancelDrain(_ call: Call<Empty>, _ id: HostID) async throws -> HostLifeView {
        try await change(id, "cancel-drain", call.principal, call.idempotency) { life, transaction, now in
            guard life.duty == .draining else { return }
            try life.uncordon(at: now)
            try transaction.execute("DELETE FROM host_drains WHERE host = $1", [SQLValue(id)])
            for var record in try Self.instances(on: id, in: transaction) {
                let old = record.life
                if record.life.cancelMove(at: now) { try record.saveChange(kind: "drain-off", since: old, in: transaction, at: now) }
            }
        }
    }

    func fenceHost(_ call: Call<FenceHost>, _ id: HostID) async throws -> HostLifeView {
        let (vouched, hasPower) = (call.body.vouchedOff ?? false, configuration.power != nil)
        return try await change(id, vouched ? "vouch-off" : "fence", call.principal, call.idempotency) { life, _, now in
            if vouched { return try life.vouchOff(at: now) }
            guard hasPower else {
                throw Refusal(
                    "host.power", .conflict, "This connect has no power driver.", nearest: "switch the host off, then vouch that it is off")
            }
            _ = try life.beginFencing(at: now, byOperator: true)
        }
    }

    func releaseHost(_ call: Call<Empty>, _ id: HostID) async throws -> HostLifeView {
        try await change(id, "release", call.principal, call.idempotency) { life, _, _ in life.release() }
    }

    /// Asks the host of a stuck instance again.
    func retryInstance(_ call: Call<Empty>, _ id: InstanceID) async throws -> InstanceView {
        let now = time.now()
        return try await database.write { [self] transaction in
            var record = try instance(id, under: nil, in: transaction)
            let old = record.life
            try record.life.retry(at: now)
            try record.saveChange(kind: "retry", since: old, in: transaction, at: now)
            try transaction.appendAudit(
                actor: call.principal.name, action: "instance.retry", subject: id.description, detail: "{}", at: now)
            let view = record.view(hostName: try hostName(record.host, in: transaction), at: now)
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
    }

    private func change(
        _ id: HostID, _ action: String, _ principal: Principal, _ idempotency: IdempotentRequest?,
        _ body: @escaping @Sendable (inout HostLifecycle, any WriteContext, Instant) throws -> Void
    ) async throws -> HostLifeView {
        let now = time.now()
        return try await database.write { [self] transaction in
            var record = try host(id, in: transaction)
            let old = record.life
            try body(&record.life, transaction, now)
            try record.save(since: old, in: transaction, at: now)
            try transaction.appendAudit(
                actor: principal.name, action: "host.\(action)", subject: id.description, detail: "{}", at: now)
            let view = try view(of: try host(id, in: transaction), in: transaction)
            try transaction.remember(view, status: 202, for: idempotency, at: now)
            return view
        }
    }

    private func host(_ id: HostID, in context: any ReadContext) throws -> HostLifeRecord {
        guard let record = try HostLifeRecord.load(id, in: context) else {
            throw Refusal("host.unknown", .notFound, "There is no host \(id) here.", facts: ["host": .text(id.description)])
        }
        return record
    }

    private func view(of host: HostLifeRecord, in context: any ReadContext) throws -> HostLifeView {
        let records = try Self.instances(on: host.id, in: context)
        let isFailed = ![.up, .enrolled, .suspect].contains(host.life.health)
        let waiting = isFailed ? records.filter { $0.life.desired == .running && $0.life.move == nil } : []
        return HostLifeView(
            id: host.id, name: host.name, state: host.life.state.rawValue, health: host.life.health.rawValue,
            duty: host.life.duty.rawValue, since: host.life.healthSince, lastHeard: host.life.lastHeard, epoch: host.life.epoch,
            proof: host.life.proof?.rawValue, trouble: host.life.trouble, quarantine: host.life.quarantine?.reason,
            instances: Int64(records.count),
            waiting: waiting.map { record in
                BlockedView(
                    instance: record.id, rule: "host.\(host.life.health.rawValue)",
                    message: record.life.reason?.message ?? "Its host is \(host.life.state.rawValue).",
                    nearest: host.sharesStorage ? "fence the host, or vouch that it is off" : "repair the host, or terminate the instance")
            }, drain: try drainView(host, records, in: context))
    }

    private func drainView(_ host: HostLifeRecord, _ records: [InstanceRecord], in context: any ReadContext) throws -> DrainView? {
        guard host.life.duty == .draining, let asked = try DrainRecord.load(host.id, in: context) else { return nil }
        var targets = try MoveTargets(for: host.id, in: context)
        let step = Self.step(asked.drain, host, records, &targets)
        return DrainView(
            began: asked.began, mayRestart: asked.drain.mayRestart, concurrentMoves: Int64(asked.drain.concurrentMoves),
            underWay: Int64(step.underWay), queued: Int64(step.queued + step.moves.count),
            blocked: step.blocked.map {
                BlockedView(instance: $0.instance, rule: $0.why.rule, message: $0.why.message, nearest: $0.why.nearest)
            }, done: step.isDone)
    }
}
