import CloudAPI
import Drivers
import Node
import Primitives
import Testing

@Suite struct NextStepTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var desired: DesiredState
        var machine: MachineState
        var cause: StopCause?
        var ran: Int64 = 0
        var reboots: Int64 = 0
        var removed: Int64?
        var step: Step?
        var seen: ObservedState
        var seenAfterFailure: ObservedState?
        var testDescription: String { "\(desired) \(machine) \(cause.map { "\($0)" } ?? "") ran \(ran) removed \(removed ?? -1)" }
    }

    private static let grace = Span.seconds(30)

    /// The intent is generation 3 with one reboot asked for so far.
    static let cases: [Case] = [
        Case(desired: .running, machine: .absent, step: .launch, seen: .preparing, seenAfterFailure: .failed),
        Case(desired: .running, machine: .stopped, cause: .forced, ran: 2, step: .launch, seen: .preparing, seenAfterFailure: .failed),
        // Started again after the guest had switched itself off under an older intent.
        Case(desired: .running, machine: .stopped, cause: .guest, ran: 2, step: .launch, seen: .preparing, seenAfterFailure: .failed),
        // Switched itself off under this one: connect decides.
        Case(desired: .running, machine: .stopped, cause: .guest, ran: 3, step: nil, seen: .stopped, seenAfterFailure: .stopped),
        // Shut down by `bourse node shutdown`, say: that was not the guest's own wish.
        Case(desired: .running, machine: .stopped, cause: .asked, ran: 3, step: .launch, seen: .preparing, seenAfterFailure: .failed),
        // What did not end by the guest's will is started again.
        Case(desired: .running, machine: .stopped, cause: .crashed, ran: 3, step: .launch, seen: .preparing, seenAfterFailure: .failed),
        Case(
            desired: .running, machine: .stopped, cause: .hostRestarted, ran: 3, step: .launch, seen: .preparing, seenAfterFailure: .failed),
        Case(desired: .running, machine: .running, reboots: 1, step: nil, seen: .running, seenAfterFailure: .running),
        Case(desired: .running, machine: .running, reboots: 0, step: .reboot(grace: grace), seen: .running, seenAfterFailure: .running),
        Case(desired: .running, machine: .paused, reboots: 1, step: nil, seen: .running, seenAfterFailure: .running),
        Case(desired: .stopped, machine: .running, step: .stop(grace: grace), seen: .stopping, seenAfterFailure: .failed),
        Case(desired: .stopped, machine: .paused, step: .stop(grace: grace), seen: .stopping, seenAfterFailure: .failed),
        Case(desired: .stopped, machine: .stopped, cause: .guest, step: nil, seen: .stopped, seenAfterFailure: .stopped),
        Case(desired: .stopped, machine: .absent, step: nil, seen: .stopped, seenAfterFailure: .stopped),
        Case(desired: .absent, machine: .running, step: .stop(grace: grace), seen: .stopping, seenAfterFailure: .failed),
        Case(desired: .absent, machine: .stopped, cause: .forced, step: .remove, seen: .preparing, seenAfterFailure: .failed),
        // Even when nothing is seen of it, a disk or a port may be left from a launch that was cut off.
        Case(desired: .absent, machine: .absent, step: .remove, seen: .preparing, seenAfterFailure: .failed),
        Case(desired: .absent, machine: .absent, removed: 2, step: .remove, seen: .preparing, seenAfterFailure: .failed),
        Case(desired: .absent, machine: .absent, removed: 3, step: nil, seen: .absent, seenAfterFailure: .absent),
    ]

    @Test(arguments: cases) func decides(_ test: Case) {
        let intent = sampleIntent(1, generation: 3, desired: test.desired).with { $0.reboots = 1 }
        let sight = InstanceSight(
            machine: test.machine, cause: test.cause, ranGeneration: test.ran, rebootsDone: test.reboots, removedGeneration: test.removed)
        #expect(nextStep(intent, sight) == test.step)
        #expect(observedState(intent, sight, failed: false) == test.seen)
        #expect(observedState(intent, sight, failed: true) == test.seenAfterFailure)
    }

    /// Whatever is so, taking the steps one after the other ends, and ends in what is wanted.
    @Test func stepsLeadThere() {
        for desired in DesiredState.allCases {
            for machine in [MachineState.absent, .stopped, .running, .paused] {
                for cause in [nil, .guest, .asked, .forced, .crashed, .hostRestarted] as [StopCause?] {
                    var sight = InstanceSight(machine: machine, cause: cause, ranGeneration: 1, rebootsDone: 0, removedGeneration: nil)
                    let intent = sampleIntent(1, generation: 2, desired: desired).with { $0.reboots = 1 }
                    var steps = 0
                    while let step = nextStep(intent, sight), steps < 10 {
                        steps += 1
                        switch step {
                        case .launch: (sight.machine, sight.ranGeneration, sight.rebootsDone) = (.running, 2, 1)
                        case .reboot: sight.rebootsDone = 1
                        case .stop: (sight.machine, sight.cause) = (.stopped, .forced)
                        case .remove: (sight.machine, sight.removedGeneration) = (.absent, 2)
                        }
                    }
                    let expected: ObservedState = desired == .running ? .running : desired == .stopped ? .stopped : .absent
                    #expect(steps <= 2 && observedState(intent, sight, failed: false) == expected)
                }
            }
        }
    }

    @Test func failuresAreTriedAgainEverMoreSeldom() {
        #expect((1...9).map { retryDelay(afterFailures: $0).components.seconds } == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    }
}
