public import Primitives

/// Why an instance does not get where it should, since when, and what would help.
public struct StuckInstance: Hashable, Sendable {
    public var reason: InstanceLifecycle.Reason
    /// When its deadline passed.
    public var since: Instant
    /// What a person may do.
    public var nearest: String

    public init(reason: InstanceLifecycle.Reason, since: Instant, nearest: String) {
        self.reason = reason
        self.since = since
        self.nearest = nearest
    }
}

extension InstanceLifecycle {
    /// Time a host gets for a step beyond what the guest may take.
    public static let stepLimit = Span.minutes(2)

    /// When what is wanted now should have come about; nil: it has.
    public var deadline: Instant? {
        switch state {
        case .running where move?.phase == .releasing: wanted + Self.moveLimit
        case .running, .stopped, .terminated: nil
        case .pending: wanted + Self.launchLimit
        case .stopping: wanted + .seconds(graceSeconds) + Self.stepLimit
        case .shuttingDown: wanted + Self.stepLimit
        }
    }

    /// How long memory may be copied.
    public static let moveLimit = Span.minutes(30)

    /// Whether it is stuck. Nothing is kept of it that could be wrong later: it follows from what is wanted since when. An instance that
    /// waits for a failed host is stuck from the moment that was noted.
    public func stuck(at now: Instant) -> StuckInstance? {
        if reason?.code == ReasonCode.hostFailed, desired == .running, let reason {
            return StuckInstance(
                reason: reason, since: max(wanted, stateChanged),
                nearest: "repair its host, or vouch that it is off where its disk can move")
        }
        guard let deadline, deadline < now else { return nil }
        let last = reason.map { " Last known: \($0.message)" } ?? ""
        return StuckInstance(
            reason: Reason(ReasonCode.stuck, "It should have been \(goal) by \(deadline).\(last)"), since: deadline,
            nearest: "retry it; if its host is gone, fence or retire the host")
    }

    private var goal: String {
        switch desired {
        case .running: move?.phase == .releasing ? "on another host" : "running"
        case .stopped: "stopped"
        case .absent: "removed"
        }
    }

    /// Asks its host again, with a new generation and a new deadline. Of one that is not stuck it is refused: it is on its way.
    public mutating func retry(at now: Instant) throws(Refusal) {
        guard stuck(at: now) != nil else {
            throw Refusal(
                "instance.retry", .conflict, "The instance is \(state.rawValue) and not stuck.", facts: ["state": .text(state.rawValue)],
                nearest: deadline.map { "the same request after \($0)" } ?? "nothing needs to be done")
        }
        generation += 1
        wanted = now
    }
}
