package import CloudAPI
package import Drivers
import Fleet
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

    /// The same as Fleet decides by.
    fileprivate func decision(_ intent: InstanceIntent, failed: Bool) -> MachineDecision {
        let desired: InstanceLifecycle.Desired =
            switch intent.desired {
            case .running: .running
            case .stopped: .stopped
            case .absent: .absent
            }
        return MachineDecision(
            desired: desired, generation: intent.generation, reboots: intent.reboots, isAlive: isAlive,
            wasSwitchedOffByGuest: machine == .stopped && cause == .guest, ranGeneration: ranGeneration, rebootsDone: rebootsDone,
            removedGeneration: removedGeneration, hasFailed: failed)
    }

    /// True when the guest switched itself off while it was wanted running. It stays off until connect has taken note of that.
    func switchedItselfOff(under intent: InstanceIntent) -> Bool { decision(intent, failed: false).switchedItselfOff }
}

/// The next step towards what is wanted; nil when there is nothing to do.
package func nextStep(_ intent: InstanceIntent, _ sight: InstanceSight) -> Step? {
    let grace = Span.seconds(max(0, intent.graceSeconds))
    return switch sight.decision(intent, failed: false).next {
    case .launch: .launch
    case .reboot: .reboot(grace: grace)
    case .stop: .stop(grace: grace)
    case .remove: .remove
    case nil: nil
    }
}

/// What connect is told.
package func observedState(_ intent: InstanceIntent, _ sight: InstanceSight, failed: Bool) -> ObservedState {
    switch sight.decision(intent, failed: failed).seen {
    case .absent: .absent
    case .preparing: .preparing
    case .running: .running
    case .stopping: .stopping
    case .stopped: .stopped
    case .failed: .failed
    }
}

/// Time until a failed step is tried again: doubling from one second to one minute.
package func retryDelay(afterFailures failures: Int) -> Duration {
    .seconds(MachineDecision.retrySeconds(afterFailures: failures))
}
