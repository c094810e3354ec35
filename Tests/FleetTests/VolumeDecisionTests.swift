import Fleet
import Primitives
import Testing

@Suite struct VolumeDecisionTests {
    private func decision(_ desired: VolumeDecision.Desired, done: Bool, changed: Bool = false, lost: Bool = false, failed: Bool = false)
        -> VolumeDecision
    {
        VolumeDecision(
            desired: desired, generation: 5, doneGeneration: done ? 5 : 4, isMachineChanged: changed, isLost: lost, hasFailed: failed)
    }

    @Test func eachWishHasItsStepUntilItIsDone() {
        let steps: [VolumeDecision.Desired: VolumeDecision.Step] = [
            .available: .provide, .attached: .plug, .absent: .remove, .released: .release,
        ]
        for desired in VolumeDecision.Desired.allCases {
            #expect(decision(desired, done: false).next == steps[desired])
            #expect(decision(desired, done: true).next == nil)
            #expect(decision(desired, done: false).seen == nil, "what is on its way is not told")
            #expect(decision(desired, done: false, failed: true).seen == .failed)
        }
        #expect(decision(.attached, done: true, changed: true).next == .plug, "a new run of the machine is looked at again")
        #expect(decision(.attached, done: true, changed: true).seen == .attached)
    }

    @Test func aLostFileIsToldWhateverWasDone() {
        for done in [true, false] {
            #expect(decision(.available, done: done, lost: true, failed: true).seen == .absent)
            #expect(decision(.attached, done: done, lost: true, failed: true).seen == .absent)
        }
        #expect(decision(.absent, done: true, lost: true).seen == .absent)
    }
}
