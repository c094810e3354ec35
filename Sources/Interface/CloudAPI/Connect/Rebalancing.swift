public import Primitives

public enum RebalancingGoalName: String, Codable, Sendable, CaseIterable {
    /// As many empty hosts as possible.
    case consolidate
    /// Room on one host for a large instance.
    case makeRoom = "make-room"
    /// No host busier than so many percent of its hardware threads, as its node measured in the last minutes.
    case relieve
}

/// What is to be reached in a pod, and what it may cost.
public struct RebalancePod: Codable, Sendable {
    public var goal: RebalancingGoalName
    /// For `make-room`: the instance there is to be room for.
    public var room: Resources?
    /// For `relieve`: 10 to 100; 80 when absent.
    public var busyPercent: Int64?
    /// 1 to 1,000; 20 when absent.
    public var mostMoves: Int64?
    /// Moves a host takes part in at once, coming and going together, 1 to 16; 2 when absent.
    public var perHost: Int64?
    /// Running instances may be shut down and started again elsewhere; false when absent: then only stopped ones move.
    public var mayRestart: Bool?
    public init(
        goal: RebalancingGoalName, room: Resources? = nil, mostMoves: Int64? = nil, perHost: Int64? = nil, mayRestart: Bool? = nil,
        busyPercent: Int64? = nil
    ) {
        self.goal = goal
        self.room = room
        self.busyPercent = busyPercent
        self.mostMoves = mostMoves
        self.perHost = perHost
        self.mayRestart = mayRestart
    }
}

public enum RebalancingMoveState: String, Codable, Sendable, CaseIterable {
    case planned, moving, moved
    case givenUp = "given-up"
}

public struct RebalancingMoveView: Codable, Sendable, Hashable {
    public var instance: InstanceID
    public var source: HostID
    public var sourceName: String?
    public var target: HostID
    public var targetName: String?
    /// Memory the instance has on its host.
    public var memoryMiB: Int64
    /// It is shut down and started again.
    public var restarts: Bool
    /// Moves of one round go on at the same time; a round begins when the one before is over.
    public var round: Int64
    public var state: RebalancingMoveState
    /// Why it was given up.
    public var reason: String?
    public init(
        instance: InstanceID, source: HostID, sourceName: String?, target: HostID, targetName: String?, memoryMiB: Int64, restarts: Bool,
        round: Int64, state: RebalancingMoveState, reason: String?
    ) {
        self.instance = instance
        self.source = source
        self.sourceName = sourceName
        self.target = target
        self.targetName = targetName
        self.memoryMiB = memoryMiB
        self.restarts = restarts
        self.round = round
        self.state = state
        self.reason = reason
    }
}

/// Machines that stay where they are, whatever the goal, since a rule of theirs is not planned with.
public struct RebalancingLeftOut: Codable, Sendable, Hashable {
    /// `host`, `together`, `apart`, `spread`, `gpu` or `numa`, as placement names its rules.
    public var rule: String
    public var machines: Int64
    public init(rule: String, machines: Int64) {
        self.rule = rule
        self.machines = machines
    }
}

/// A rebalancing of a pod: planned only, or being carried out.
public struct RebalancingView: Codable, Sendable {
    public var pod: String
    public var goal: RebalancingGoalName
    /// In the goal's own measure, lower is better. `consolidate`: hosts with an instance. `make-room`: what is missing on the best host, in
    /// millionths of the room, all components added. `relieve`: load above the limit, of all hosts, in thousandths of a hardware thread.
    public var before: Int64
    /// The same with all moves made but those that were given up; for `relieve` it is at best that once any was.
    public var after: Int64
    public var moves: [RebalancingMoveView]
    /// Absent: it is only planned.
    public var began: Instant?
    public var ended: Instant?
    /// No more moves are begun.
    public var cancelled: Bool?
    /// For `make-room`, when it is planned: what the best host has too little of now.
    public var missing: Resources?
    /// When it is planned and nothing would move: restarting machines would help.
    public var restartHelps: Bool?
    /// When it is planned: absent when there are none.
    public var leftOut: [RebalancingLeftOut]?
    public init(
        pod: String, goal: RebalancingGoalName, before: Int64, after: Int64, moves: [RebalancingMoveView], began: Instant? = nil,
        ended: Instant? = nil
    ) {
        self.pod = pod
        self.goal = goal
        self.before = before
        self.after = after
        self.moves = moves
        self.began = began
        self.ended = ended
    }
}

extension ConnectAPI {
    public static let planRebalancing = Endpoint(
        "planRebalancing", .post, "/v1/pods/{pod}/rebalancing/plan", "What rebalancing a pod would move, and nothing is done.",
        access: [.operator], request: RebalancePod.self, response: RebalancingView.self)
    public static let startRebalancing = Endpoint(
        "startRebalancing", .post, "/v1/pods/{pod}/rebalancing", "Rebalance a pod, round by round.", access: [.operator], success: 202,
        request: RebalancePod.self, response: RebalancingView.self)
    public static let showRebalancing = Endpoint(
        "showRebalancing", .get, "/v1/pods/{pod}/rebalancing", "The latest rebalancing of a pod.", access: [.operator],
        request: Empty.self, response: RebalancingView.self)
    public static let cancelRebalancing = Endpoint(
        "cancelRebalancing", .delete, "/v1/pods/{pod}/rebalancing", "Begin no more moves of a pod's rebalancing.", access: [.operator],
        request: Empty.self, response: RebalancingView.self)
}
