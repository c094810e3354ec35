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
            let plan = try fleet(of: try Self.podRow(name, in: context), for: wish.goal, in: context).plan(wish.goal, wish.limits)
            return RebalancingView(
                pod: name, goal: terms.goal, before: plan.before, after: plan.after,
                moves: plan.moves.map { RebalancingMoveView(.init($0), memory.hostName) })
        }
    }

    func startRebalancing(_ call: Call<RebalancePod>, of name: String) async throws -> RebalancingView {
        let (wish, now) = (try RebalancingWish(call.body), time.now())
        return try await write { [self] transaction in
            let pod = try Self.podRow(name, in: transaction)
            if let former = try RebalancingRecord.load(pod.id, in: transaction), former.ended == nil {
                throw Refusal(
                    "rebalancing.running", .conflict, "Pod \(name) is being rebalanced since \(former.began).",
                    facts: ["pod": .text(name), "since": .text(former.began.description)], nearest: "the same once it is over, or cancel it"
                )
            }
            let plan = try fleet(of: pod, for: wish.goal, in: transaction).plan(wish.goal, wish.limits)
            let record = RebalancingRecord(
                pod.id, name, call.body.goal, plan, perHost: Int64(wish.limits.perHost), at: now)
            try record.insert(in: transaction)
            try transaction.appendAudit(
                actor: call.principal.name, action: "pod.rebalance", subject: pod.id.description,
                detail: try WireJSON.text(["goal": call.body.goal.rawValue, "moves": "\(plan.moves.count)"]), at: now)
            let view = record.view(memory.hostName)
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
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

    // MARK: What there is

    private struct PodRow: Sendable {
        var id: PodID
        var name: String
        var sharesStorage: Bool
    }

    private static func podRow(_ name: String, in context: any ReadContext) throws -> PodRow {
        guard let row = try context.queryOne("SELECT id, storage FROM pods WHERE name = $1 AND removed IS NULL", [.text(name)]) else {
            throw try Refusal.unknownPod(name, in: context)
        }
        return PodRow(
            id: try row.id("id"), name: name, sharesStorage: try row.text("storage") != StorageArchitecture.das.rawValue)
    }

    private static func rebalancing(of name: String, in context: any ReadContext) throws -> RebalancingRecord {
        guard let record = try RebalancingRecord.load(try podRow(name, in: context).id, in: context) else {
            throw Refusal(
                "rebalancing.unknown", .notFound, "Pod \(name) has not been rebalanced yet.", facts: ["pod": .text(name)],
                nearest: "the same after a plan was made for it: `bourse pod rebalance plan \(name)`")
        }
        return record
    }

    /// A pod as rebalancing sees it. What runs and cannot move live can only be restarted; what is stopped holds its disk and moves at
    /// once. Where load counts, hosts that have not told theirs are left alone.
    private func fleet(of pod: PodRow, for goal: RebalancingGoal, in context: any ReadContext) throws -> RebalancingFleet {
        let hosts = memory.reading { state in
            state.occupancy.hostIDs.sorted().compactMap { state.occupancy.host($0) }.filter { $0.placement.pod == pod.id }
        }
        let numbers = Dictionary(uniqueKeysWithValues: hosts.enumerated().map { ($0.element.id, $0.offset) })
        let loads = hosts.map { self.loads.load(of: $0.id, at: time.now()) }
        if case .relieve = goal { try requireLoads(loads, of: pod) }
        let sites = zip(hosts, loads).map { host, load in
            var isOpen = host.state == .up
            if case .relieve = goal { isOpen = isOpen && load != nil }
            return RebalancingFleet.Site(
                id: host.id, rack: 0, zone: 0, promised: host.promised, hardwareMilliCPU: host.hardwareMilliCPU,
                ownLoad: load?.own.value ?? 0, isOpen: isOpen)
        }
        var guests: [RebalancingFleet.Guest] = []
        var groups: [String: Int32] = [:]
        for (host, load) in zip(hosts, loads) {
            for record in try Self.instances(on: host.id, in: context) {
                let held = memory.reading { $0.occupancy[record.id]?.allocated } ?? record.spec.resources
                let mobility: RebalancingFleet.Mobility =
                    switch record.life.state {
                    case _ where record.life.move != nil || !pod.sharesStorage || record.spec.placement?.host != nil: .pinned
                    case .running: try obstacle(leaving: record, in: context) == nil ? .live : .cold
                    case .stopped: .live
                    default: .pinned
                    }
                guests.append(
                    .init(
                        id: record.id, site: numbers[host.id] ?? 0, resources: held, load: load?.milliCPU(of: record.id) ?? 0,
                        mobility: mobility, apart: group(of: record, &groups), address: record.spec.network == nil ? record.address : nil))
            }
        }
        return RebalancingFleet(sites: sites, guests: guests)
    }

    /// The group whose members are on hosts of their own; there is one of a buyer's for each name.
    private func group(of record: InstanceRecord, _ numbers: inout [String: Int32]) -> RebalancingFleet.Group? {
        let apart = record.spec.placement?.groups?.first { $0.rule == .apart && ($0.domain ?? .host) == .host }
        guard let apart, let buyer = memory.reading({ $0.contracts[record.contract]?.view.buyer }) else { return nil }
        let name = "\(buyer) \(apart.name)"
        let number = numbers[name] ?? Int32(numbers.count)
        numbers[name] = number
        return RebalancingFleet.Group(number: number, scope: .host)
    }

    private func requireLoads(_ loads: [LoadBook.HostLoad?], of pod: PodRow) throws(Refusal) {
        let told = loads.count { $0 != nil }
        guard told == 0 else { return }
        throw Refusal(
            "rebalancing.load", .conflict,
            "None of the \(loads.count) hosts of pod \(pod.name) has told how busy it is in the last \(LoadBook.fresh.seconds / 60) minutes.",
            facts: ["hosts": .number(Int64(loads.count)), "told": .number(0)], nearest: "the same a minute after a node has reported")
    }
}

/// What is asked for, checked.
private struct RebalancingWish: Sendable {
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
