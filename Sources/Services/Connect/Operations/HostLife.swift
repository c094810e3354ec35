import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// What operators do about a host: cordon, drain, fence, release, and what they see of its life.

extension ConnectCore {
    func act(_ call: Call<ActOnHost>, onHost text: String) async throws -> HostDetail {
        let (body, reason) = (call.body, call.body.reason ?? "")
        if body.action == .cordon { try Self.checkReason(reason) }
        return try await change(text, body.action.rawValue, ["reason": reason], call, status: 200) { cordon in
            switch body.action {
            case .cordon: try cordon.cordon(cause: HostCordon.byOperator, reason: reason)
            case .uncordon:
                try cordon.lift()
                try cordon.endWindows()
            case .release: try cordon.changeLife { life, _ in life.release() }
            }
        }
    }

    func drainHost(_ call: Call<DrainHost>, _ text: String) async throws -> HostDetail {
        let (moves, reason) = (call.body.concurrentMoves ?? 2, call.body.reason)
        try Self.checkReason(reason)
        guard (1...50).contains(moves) else {
            throw Refusal("drain.moves", .invalid, "\(moves) moves at once.", facts: ["moves": .number(moves)], nearest: "1 to 50")
        }
        let drain = Drain(concurrentMoves: Int(moves), mayRestart: call.body.mayRestart ?? false)
        return try await change(text, "drain", ["reason": reason], call) { try $0.drain(drain, reason: reason) }
    }

    func fenceHost(_ call: Call<FenceHost>, _ text: String) async throws -> HostDetail {
        let vouched = call.body.vouchedOff ?? false
        return try await change(text, vouched ? "vouch-off" : "fence", [:], call) { [self] cordon in
            let means = means(for: cordon.record, at: cordon.now)
            try cordon.changeLife { life, now in
                if vouched { return try life.vouchOff(at: now) }
                guard means != .none else {
                    throw Refusal(
                        "host.power", .conflict,
                        "This connect has no power driver, and no lease of the host on its pod's storage was seen.",
                        nearest: life.health == .up
                            ? "switch the host off, and vouch for it once it is silent and suspect; to empty a host that works, drain it"
                            : "switch the host off, then vouch that it is off")
                }
                _ = try life.beginFencing(at: now, byOperator: true)
            }
        }
    }

    /// Asks the host of a stuck instance again.
    func retryInstance(_ call: Call<Empty>, _ id: InstanceID) async throws -> InstanceView {
        let now = time.now()
        return try await write { [self] transaction in
            var record = try instance(id, under: nil, in: transaction)
            let old = record.life
            try record.life.retry(at: now)
            try record.saveChange(kind: "retry", since: old, in: transaction, at: now)
            try transaction.appendAudit(
                actor: call.principal.name, action: "instance.retry", subject: id.description, detail: "{}", at: now)
            let view = record.view(hostName: memory.hostName(record.host), at: now)
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
    }

    private func change<Body>(
        _ text: String, _ action: String, _ detail: [String: String], _ call: Call<Body>, status: Int = 202,
        _ body: @escaping @Sendable (inout HostCordon) throws -> Void
    ) async throws -> HostDetail {
        let (now, actor, idempotency) = (time.now(), call.principal.name, call.idempotency)
        return try await write { [self] transaction in
            let id = try Self.hostID(text, in: transaction)
            var cordon = try cordon(of: id, in: transaction, at: now)
            try body(&cordon)
            try transaction.appendAudit(
                actor: actor, action: "host.\(action)", subject: id.description, detail: try WireJSON.text(detail), at: now)
            var view = try hostDetail(id, in: transaction)
            view.endedWindows = cordon.ended.isEmpty ? nil : cordon.ended
            try transaction.remember(view, status: status, for: idempotency, at: now)
            return view
        }
    }

    static func checkReason(_ reason: String) throws(Refusal) {
        if let control = reason.unicodeScalars.first(where: { $0.properties.generalCategory == .control }) {
            throw Refusal(
                "host.reason", .invalid, "A reason is one line of text; this has the control character \(control.value).",
                facts: ["character": .number(Int64(control.value))], nearest: "the same without it")
        }
        guard (1...200).contains(reason.count) else {
            throw Refusal(
                "host.reason", .invalid, "A reason has 1 to 200 characters, not \(reason.count).",
                facts: ["characters": .number(Int64(reason.count))], nearest: "a few words for those who wonder")
        }
    }

    // MARK: Looking

    /// Nil: its node has not joined yet.
    func lifeView(of id: HostID, in context: any ReadContext) throws -> HostLifeView? {
        guard let host = try hostLife(id, in: context) else { return nil }
        let records = try Self.instances(on: id, in: context)
        let isFailed = ![.up, .enrolled, .suspect].contains(host.life.health)
        let waiting = isFailed ? records.filter { $0.life.desired == .running && $0.life.move == nil } : []
        return HostLifeView(
            health: host.life.health.rawValue, duty: host.life.duty.rawValue, since: host.life.healthSince, epoch: host.life.epoch,
            proof: host.life.proof?.rawValue, trouble: host.life.trouble, quarantine: host.life.quarantine?.reason,
            waiting: waiting.map { waits($0, host) }, drain: try drainView(host, records, in: context))
    }

    /// What an instance waits for whose host has failed.
    private func waits(_ record: InstanceRecord, _ host: HostLifeRecord) -> BlockedView {
        var view = BlockedView(
            instance: record.id, rule: "host.\(host.life.health.rawValue)",
            message: record.life.reason?.message ?? "Its host is \(host.life.state.rawValue).",
            nearest: host.sharesStorage ? "fence the host, or vouch that it is off" : "repair the host, or terminate the instance")
        guard host.life.isFenced, host.sharesStorage || record.life.neverRan else { return view }
        do throws(Refusal) {
            _ = try findTarget(for: record, at: time.now())
            (view.message, view.nearest) = ("It is started on another host next.", nil)
        } catch {
            (view.rule, view.message) = (error.rule, error.message)
            view.nearest = error.nearest ?? "repair the host, or terminate the instance"
        }
        return view
    }

    private func drainView(_ host: HostLifeRecord, _ records: [InstanceRecord], in context: any ReadContext) throws -> DrainView? {
        guard host.life.duty == .draining, let asked = try DrainRecord.load(host.id, in: context) else { return nil }
        let now = time.now()
        let step = try step(asked.drain, host, records, in: context, at: now)
        let byID = Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0) })
        return DrainView(
            began: asked.began, mayRestart: asked.drain.mayRestart, concurrentMoves: Int64(asked.drain.concurrentMoves),
            underWay: Int64(step.underWay), settling: Int64(step.settling.count), queued: Int64(step.queued + step.moves.count),
            unsettled: step.settling.prefix(Self.heldTold).compactMap { byID[$0]?.life.unsettled($0, at: now) },
            blockedCount: Int64(step.blocked.count),
            blocked: step.blocked.prefix(Self.heldTold).map {
                BlockedView(instance: $0.instance, rule: $0.why.rule, message: $0.why.message, nearest: $0.why.nearest)
            }, done: step.isDone)
    }

    /// Of those that hold a drain up.
    private static let heldTold = 50
}

extension InstanceLifecycle {
    /// Why it does not move yet, while it is on its way to something else.
    fileprivate func unsettled(_ id: InstanceID, at now: Instant) -> BlockedView {
        if let stuck = stuck(at: now) {
            return BlockedView(instance: id, rule: "move.unsettled", message: stuck.reason.message, nearest: stuck.nearest)
        }
        let doing =
            switch state {
            case .pending: "launch"
            case .stopping: "shutdown"
            default: "removal"
            }
        let last = reason.map { " \($0.message)" } ?? ""
        return BlockedView(
            instance: id, rule: "move.unsettled",
            message: "Its \(doing) is under way since \(stateChanged); it comes to rest first.\(last)",
            nearest: state == .shuttingDown ? nil : "wait\(deadline.map { " until \($0) at most" } ?? ""), or terminate it")
    }
}
