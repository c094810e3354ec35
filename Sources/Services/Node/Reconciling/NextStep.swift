package import CloudAPI
package import Drivers
package import Primitives

/// What the node knows of one instance when it decides what to do next.
package struct InstanceSight: Sendable, Hashable {
    package var machine: MachineState
    package var cause: StopCause?
    /// The latest generation for which the machine was seen to run.
    package var ranGeneration: Int64
    package var rebootsDone: Int64
    /// The generation for which everything was removed.
    package var removedGeneration: Int64?

    package init(machine: MachineState, cause: StopCause?, ranGeneration: Int64, rebootsDone: Int64, removedGeneration: Int64?) {
        self.machine = machine
        self.cause = cause
        self.ranGeneration = ranGeneration
        self.rebootsDone = rebootsDone
        self.removedGeneration = removedGeneration
    }
}

/// One thing to do, each done by idempotent calls on the drivers.
package enum Step: Sendable, Hashable {
    case launch
    case reboot(grace: Span)
    case stop(grace: Span)
    case remove
}

extension InstanceSight {
    var isAlive: Bool { machine == .running || machine == .paused }

    /// True when the guest switched itself off while it was wanted running. It stays off until connect has taken note of that.
    func switchedItselfOff(under intent: InstanceIntent) -> Bool {
        machine == .stopped && cause == .guest && ranGeneration == intent.generation
    }
}

/// The next step towards what is wanted; nil when there is nothing to do.
package func nextStep(_ intent: InstanceIntent, _ sight: InstanceSight) -> Step? {
    let grace = Span.seconds(max(0, intent.graceSeconds))
    switch intent.desired {
    case .running:
        if sight.isAlive { return intent.reboots > sight.rebootsDone ? .reboot(grace: grace) : nil }
        return sight.switchedItselfOff(under: intent) ? nil : .launch
    case .stopped:
        return sight.isAlive ? .stop(grace: grace) : nil
    case .absent:
        if sight.isAlive { return .stop(grace: grace) }
        return sight.removedGeneration == intent.generation ? nil : .remove
    }
}

/// What connect is told.
package func observedState(_ intent: InstanceIntent, _ sight: InstanceSight, failed: Bool) -> ObservedState {
    let settled: ObservedState? =
        switch intent.desired {
        case .running: sight.isAlive ? .running : sight.switchedItselfOff(under: intent) ? .stopped : nil
        case .stopped: sight.isAlive ? nil : .stopped
        case .absent: sight.removedGeneration == intent.generation && !sight.isAlive ? .absent : nil
        }
    if let settled { return settled }
    if failed { return .failed }
    return sight.isAlive ? .stopping : .preparing
}

/// Time until a failed step is tried again: doubling from one second to one minute.
package func retryDelay(afterFailures failures: Int) -> Duration {
    .seconds(min(60, 1 << min(6, max(0, failures - 1))))
}
