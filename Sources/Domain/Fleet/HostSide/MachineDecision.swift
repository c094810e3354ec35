/// What a host decides about one instance: the next step towards what is wanted, and what it tells connect. Pure, so that a node and
/// the simulation of thousands of them decide alike.
public struct MachineDecision: Hashable, Sendable {
    /// One thing to do, each done by idempotent calls on drivers.
    public enum Step: Hashable, Sendable { case launch, reboot, stop, remove }

    // What is wanted.
    public var desired: InstanceLifecycle.Desired
    public var generation: Int64
    public var reboots: Int64

    // What is so.
    /// The machine runs or is paused.
    public var isAlive: Bool
    /// It is switched off, and the guest did that by itself.
    public var wasSwitchedOffByGuest: Bool
    /// The latest generation for which it was seen to run.
    public var ranGeneration: Int64
    public var rebootsDone: Int64
    /// The generation for which everything was removed.
    public var removedGeneration: Int64?
    /// The last step failed.
    public var hasFailed: Bool

    public init(
        desired: InstanceLifecycle.Desired, generation: Int64, reboots: Int64, isAlive: Bool, wasSwitchedOffByGuest: Bool,
        ranGeneration: Int64, rebootsDone: Int64, removedGeneration: Int64?, hasFailed: Bool
    ) {
        self.desired = desired
        self.generation = generation
        self.reboots = reboots
        self.isAlive = isAlive
        self.wasSwitchedOffByGuest = wasSwitchedOffByGuest
        self.ranGeneration = ranGeneration
        self.rebootsDone = rebootsDone
        self.removedGeneration = removedGeneration
        self.hasFailed = hasFailed
    }

    /// True when the guest switched itself off while it was wanted running. It stays off until connect has taken note of that.
    public var switchedItselfOff: Bool { wasSwitchedOffByGuest && ranGeneration == generation }

    /// The next step; nil when there is nothing to do.
    public var next: Step? {
        switch desired {
        case .running:
            if isAlive { return reboots > rebootsDone ? .reboot : nil }
            return switchedItselfOff ? nil : .launch
        case .stopped:
            return isAlive ? .stop : nil
        case .absent:
            if isAlive { return .stop }
            return removedGeneration == generation ? nil : .remove
        }
    }

    /// What connect is told.
    public var seen: InstanceLifecycle.Seen {
        let settled: InstanceLifecycle.Seen? =
            switch desired {
            case .running: isAlive ? .running : switchedItselfOff ? .stopped : nil
            case .stopped: isAlive ? nil : .stopped
            case .absent: removedGeneration == generation && !isAlive ? .absent : nil
            }
        if let settled { return settled }
        if hasFailed { return .failed }
        return isAlive ? .stopping : .preparing
    }

    /// Seconds until a failed step is tried again: doubling from one to sixty.
    public static func retrySeconds(afterFailures failures: Int) -> Int64 { min(60, 1 << Int64(min(6, max(0, failures - 1)))) }
}
