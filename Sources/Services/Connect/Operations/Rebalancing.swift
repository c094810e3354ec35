import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// Emptying hosts, or clearing one, within a pod: a plan that costs something, and its moves one after the other.

extension ConnectCore {
    func addRebalancingRoutes(to router: ProgramRouter) {
        router.on(ConnectAPI.planRebalancing) { call in try await planRebalancing(call.body, of: call.text("pod")) }
        router.on(ConnectAPI.startRebalancing) { call in try await startRebalancing(call, of: call.text("pod")) }
        router.on(ConnectAPI.showRebalancing) { call in
            let pod = call.text("pod")
            return try await database.read { [self] in try Self.rebalancing(of: pod, in: $0).view(memory.hostName) }
        }
        router.on(ConnectAPI.cancelRebalancing) { call in try await cancelRebalancing(call, of: call.text("pod")) }
    }

    func planRebalancing(_ terms: RebalancePod, of name: String) async throws -> RebalancingView {
        let wish = try RebalancingWish(terms)
        return try await database.read { [self] context in
            let found = try rebalanced(try RebalancedPod(name, in: context), for: wish.goal, in: context)
            let plan = try self.plan(wish, found, of: name)
            let view = RebalancingView(
                pod: name, goal: terms.goal, before: plan.before, after: plan.after,
                moves: plan.moves.map { RebalancingMoveView(.init($0), memory.hostName) })
            return view.explained(wish, plan, found)
        }
    }

    func startRebalancing(_ call: Call<RebalancePod>, of name: String) async throws -> RebalancingView {
        let (wish, now) = (try RebalancingWish(call.body), time.now())
        return try await write { [self] transaction in
            let pod = try RebalancedPod(name, in: transaction)
            if let former = try RebalancingRecord.load(pod.id, in: transaction), former.ended == nil {
                throw Refusal(
                    "rebalancing.running", .conflict, "Pod \(name) is being rebalanced since \(former.began).",
                    facts: ["pod": .text(name), "since": .text(former.began.description)], nearest: "the same once it is over, or cancel it"
                )
            }
            let found = try rebalanced(pod, for: wish.goal, in: transaction)
            let plan = try self.plan(wish, found, of: name)
            let record = RebalancingRecord(
                pod.id, name, call.body.goal, plan, perHost: Int64(wish.limits.perHost), at: now)
            try record.insert(in: transaction)
            try transaction.appendAudit(
                actor: call.principal.name, action: "pod.rebalance", subject: pod.id.description,
                detail: try WireJSON.text(["goal": call.body.goal.rawValue, "moves": "\(plan.moves.count)"]), at: now)
            let view = record.view(memory.hostName).explained(wish, plan, found)
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
    }

    /// Refuses room that no host has even when it is empty.
    private func plan(_ wish: RebalancingWish, _ found: RebalancedFleet, of pod: String) throws(Refusal) -> MigrationPlan {
        guard case .makeRoom(let room, _) = wish.goal else { return found.fleet.plan(wish.goal, wish.limits) }
        guard let largest = found.fleet.largest(for: room) else {
            throw Refusal(
                "rebalancing.hosts", .conflict, "No host of pod \(pod) is up.", facts: ["pod": .text(pod)],
                nearest: "the same once a host of it is up")
        }
        guard largest.missing != .zero else { return found.fleet.plan(wish.goal, wish.limits) }
        let name = memory.hostName(largest.host) ?? largest.host.description
        throw Refusal(
            "rebalancing.room-too-large", .capacity,
            "No host of pod \(pod) that is up is large enough for \(room.amounts): \(name), which comes nearest, gives \(largest.room.amounts) when it is empty.",
            facts: ["pod": .text(pod), "host": .text(largest.host.description)],
            nearest: "room for at most \((room - largest.missing).amounts)")
    }

    func cancelRebalancing(_ call: Call<Empty>, of name: String) async throws -> RebalancingView {
        let now = time.now()
        return try await write { [self] transaction in
            var record = try Self.rebalancing(of: name, in: transaction)
            if record.ended == nil {
                let old = record.run
                record.run.cancel()
                if record.run.isOver { record.ended = now }
                try record.update(since: old, in: transaction)
                try transaction.appendAudit(
                    actor: call.principal.name, action: "pod.rebalance-cancel", subject: record.pod.description, detail: "{}", at: now)
            }
            let view = record.view(memory.hostName)
            try transaction.remember(view, status: 200, for: call.idempotency, at: now)
            return view
        }
    }

    private static func rebalancing(of name: String, in context: any ReadContext) throws -> RebalancingRecord {
        guard let record = try RebalancingRecord.load(try RebalancedPod(name, in: context).id, in: context) else {
            throw Refusal(
                "rebalancing.unknown", .notFound, "Pod \(name) has not been rebalanced yet.", facts: ["pod": .text(name)],
                nearest: "the same after it was begun: `bourse pod rebalance \(name) --apply`")
        }
        return record
    }
}

/// What is asked for, checked.
struct RebalancingWish: Sendable {
    var goal: RebalancingGoal
    var limits: MigrationLimits

    init(_ terms: RebalancePod) throws(Refusal) {
        let (moves, perHost) = (terms.mostMoves ?? 20, terms.perHost ?? 2)
        guard (1...1_000).contains(moves), (1...16).contains(perHost) else {
            throw Refusal(
                "rebalancing.limits", .invalid, "\(moves) moves, \(perHost) at once for each host.",
                facts: ["mostMoves": .number(moves), "perHost": .number(perHost)], nearest: "1 to 1000 moves, 1 to 16 at once for each host"
            )
        }
        limits = MigrationLimits(mostMoves: Int(moves), perHost: Int(perHost), allowsRestart: terms.mayRestart ?? false)
        let busy = terms.busyPercent ?? 80
        guard (10...100).contains(busy), terms.busyPercent == nil || terms.goal == .relieve else {
            throw Refusal(
                "rebalancing.busy", .invalid, "Hosts are relieved above \(busy) percent; that is for relieve, and for nothing else.",
                facts: ["busyPercent": .number(busy)], nearest: "relieve above 10 to 100 percent")
        }
        switch (terms.goal, terms.room) {
        case (.consolidate, nil): goal = .consolidate
        case (.relieve, nil): goal = .relieve(perMille: busy * 10)
        case (.makeRoom, let room?) where room.isNonNegative && room != .zero: goal = .makeRoom(for: room, zone: nil)
        default:
            throw Refusal(
                "rebalancing.room", .invalid, "Room is named for make-room, and for nothing else.",
                nearest: "consolidate or relieve without room, or make-room with the resources of an instance")
        }
    }
}
