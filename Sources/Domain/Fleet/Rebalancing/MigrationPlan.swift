public import Primitives

/// What rebalancing may cost.
public struct MigrationLimits: Hashable, Sendable {
    public var mostMoves: Int
    /// Moves a host takes part in at once, coming and going together.
    public var perHost: Int
    /// For one move, between any two hosts.
    public var mbps: Int64
    /// All memory that is copied.
    public var mostMemoryMiB: Int64
    /// Instances that cannot move live may be restarted.
    public var allowsRestart: Bool

    public init(mostMoves: Int, perHost: Int = 2, mbps: Int64 = 10_000, mostMemoryMiB: Int64 = .max, allowsRestart: Bool = false) {
        precondition(mostMoves >= 0 && perHost > 0 && mbps > 0, "limits are positive")
        self.mostMoves = mostMoves
        self.perHost = perHost
        self.mbps = mbps
        self.mostMemoryMiB = mostMemoryMiB
        self.allowsRestart = allowsRestart
    }
}

public struct Migration: Hashable, Sendable {
    public enum Downtime: String, Hashable, Sendable {
        /// Below a second, at the end of a live move.
        case blink
        /// Shut down and started again.
        case restart
    }
    public var instance: InstanceID
    public var source: HostID
    public var target: HostID
    public var memoryMiB: Int64
    public var downtime: Downtime
    /// How long it takes at the limit's bandwidth.
    public var takes: Span
    /// Moves of one round may run at the same time, in any order. A round begins when the one before is over.
    public var round: Int

    public init(instance: InstanceID, source: HostID, target: HostID, memoryMiB: Int64, downtime: Downtime, takes: Span, round: Int) {
        self.instance = instance
        self.source = source
        self.target = target
        self.memoryMiB = memoryMiB
        self.downtime = downtime
        self.takes = takes
        self.round = round
    }
}

/// A costed list of moves. Whatever part of it has been done, and however those of a round overlap, no rule is violated: an instance on
/// its way counts on both hosts.
public struct MigrationPlan: Hashable, Sendable {
    public var moves: [Migration] = []
    /// What the plan is good for, in its goal's own measure; lower is better. Without moves the two are equal.
    public var before: Int64
    public var after: Int64

    public var memoryMiB: Int64 { moves.map(\.memoryMiB).reduce(0, +) }
    public var rounds: Int { (moves.last?.round ?? -1) + 1 }
    public var restarts: Int { moves.count { $0.downtime == .restart } }
    /// The longest move of each round, one round after the other.
    public var takes: Span {
        var longest: [Int: Span] = [:]
        for move in moves { longest[move.round] = max(longest[move.round] ?? .zero, move.takes) }
        return longest.values.reduce(.zero, +)
    }
}

/// What one rebalancing is for.
public enum RebalancingGoal: Hashable, Sendable {
    /// As many empty hosts as possible. Measure: open hosts with an instance.
    case consolidate
    /// No host above so many thousandths of its processors. Measure: milli-vCPU of load above that, of all open hosts.
    case relieve(perMille: Int64)
    /// Room for one large instance, in a zone or anywhere. Measure: what is missing for it on the best host, in millionths of the request,
    /// all components added.
    case makeRoom(for: Resources, zone: Int32?)
}

/// What a goal is measured in.
public enum RebalancingMeasure: Hashable, Sendable {
    /// Open hosts with an instance.
    case hosts
    /// What is missing of a room.
    case room
    /// Load above a threshold.
    case load
}

extension RebalancingFleet {
    /// A plan that makes the goal's measure smaller, or an empty one.
    public func plan(_ goal: RebalancingGoal, _ limits: MigrationLimits) -> MigrationPlan {
        var draft = MigrationDraft(self, limits)
        let before: Int64
        switch goal {
        case .consolidate:
            before = draft.occupied
            draft.consolidate()
            return draft.plan(before, draft.occupied)
        case .relieve(let perMille):
            before = draft.excess(perMille)
            draft.relieve(perMille)
            return draft.plan(before, draft.excess(perMille))
        case .makeRoom(let request, let zone):
            before = draft.missing(request, zone)
            draft.makeRoom(for: request, zone)
            return draft.plan(before, draft.missing(request, zone))
        }
    }
}
