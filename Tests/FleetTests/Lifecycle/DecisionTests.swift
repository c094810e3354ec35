import Fleet
import Primitives
import Testing

@Suite struct HostFailureTests {
    struct Case: Sendable {
        var shares: Bool, hosts: Int64, silent: Int64
        var means: HostFailure.Means
        var waits: String?
    }

    @Test(arguments: [
        Case(shares: true, hosts: 10, silent: 1, means: .power, waits: nil),
        Case(shares: true, hosts: 10, silent: 3, means: .power, waits: nil),
        Case(shares: true, hosts: 10, silent: 4, means: .power, waits: "4 of 10"),
        Case(shares: true, hosts: 1, silent: 1, means: .power, waits: nil),
        Case(shares: true, hosts: 10, silent: 1, means: .none, waits: "vouch"),
        Case(shares: false, hosts: 10, silent: 1, means: .power, waits: "DAS"),
    ])
    func fencingIsDoneOnlyWhereItHelps(_ example: Case) {
        let pod = HostFailure.Pod(sharesStorage: example.shares, hosts: example.hosts, silent: example.silent)
        switch HostFailure.next(pod, example.means, HostPolicy()) {
        case .fence: #expect(example.waits == nil)
        case .fenceByLease: Issue.record("there is no lease")
        case .wait(let why): #expect(example.waits.map(why.contains) == true, "\(why)")
        }
    }

    @Test func aLeaseFencesWhenItIsOver() {
        let moment = Instant(seconds: 5)
        let pod = HostFailure.Pod(sharesStorage: true, hosts: 3, silent: 1)
        #expect(HostFailure.next(pod, .storageLease(expires: moment), HostPolicy()) == .fenceByLease(at: moment))
    }

    private func guest(_ number: UInt64, priority: Int64 = 50, memory: Int64 = 1_024, resumes: Bool = true, canMove: Bool = true)
        -> HostFailure.Guest
    {
        HostFailure.Guest(
            id: InstanceID(bits: number), resources: Resources(memoryMiB: memory), restartPriority: priority, resumes: resumes,
            canMove: canMove)
    }

    @Test func theMostImportantStartFirst() {
        let guests = [
            guest(1), guest(2, priority: 90), guest(3, memory: 4_096), guest(4, priority: 100, resumes: false), guest(5, canMove: false),
            guest(6, priority: 10),
        ]
        let plan = HostFailure.evacuation(of: guests, limit: 10) { _ throws(Refusal) in HostID(bits: 7) }
        #expect(plan.moves.map(\.guest.id.bits) == [2, 3, 1, 6, 4])
        #expect(plan.waiting.map(\.guest.id.bits) == [5])
        #expect(plan.waiting.first?.why.rule == "move.storage")
        #expect(HostFailure.evacuation(of: guests, limit: 2) { _ throws(Refusal) in HostID(bits: 7) }.moves.map(\.guest.id.bits) == [2, 3])
    }

    @Test func whatFindsNoPlaceWaitsAndTheOthersGo() {
        var room: Int64 = 2_048
        let plan = HostFailure.evacuation(of: [guest(1, memory: 4_096), guest(2)], limit: 10) { guest throws(Refusal) in
            guard guest.resources.memoryMiB <= room else { throw Refusal("placement.capacity", .capacity, "none") }
            room -= guest.resources.memoryMiB
            return HostID(bits: 7)
        }
        #expect(plan.moves.map(\.guest.id.bits) == [2])
        #expect(plan.waiting.map(\.why.rule) == ["placement.capacity"])
    }
}

@Suite struct DrainTests {
    private func guest(
        _ number: UInt64, _ condition: Drain.Guest.Condition, shares: Bool = true, live: Bool = false
    ) -> Drain.Guest {
        Drain.Guest(
            id: InstanceID(bits: number), resources: Resources(memoryMiB: 512), restartPriority: 50, condition: condition,
            sharesStorage: shares, movesLive: live)
    }

    @Test func aFewMovesAtATime() {
        let drain = Drain(concurrentMoves: 2, mayRestart: true)
        let guests = [guest(1, .moving), guest(2, .running, live: true), guest(3, .running), guest(4, .changing)]
        let step = drain.next(guests) { _ throws(Refusal) in HostID(bits: 9) }
        #expect(step.moves == [Drain.Move(instance: InstanceID(bits: 2), target: HostID(bits: 9), kind: .live)])
        #expect(step.underWay == 1 && step.settling == [InstanceID(bits: 4)] && step.queued == 1 && step.blocked.isEmpty && !step.isDone)
    }

    /// They are not moving, and the drain is not done before they are.
    @Test func whatStartsOrStopsIsNotUnderWay() {
        let guests = (1...3).map { guest($0, .changing) }
        let step = Drain(mayRestart: true).next(guests) { _ throws(Refusal) in HostID(bits: 9) }
        #expect(step.underWay == 0 && step.settling.map(\.bits) == [1, 2, 3] && step.moves.isEmpty && !step.isDone)
    }

    @Test func whatCannotMoveIsNamedWithWhy() {
        let drain = Drain(mayRestart: false)
        let guests = [guest(1, .stopped, shares: false), guest(2, .running), guest(3, .stopped)]
        let step = drain.next(guests) { _ throws(Refusal) in throw Refusal("placement.capacity", .capacity, "none") }
        #expect(step.blocked.map(\.why.rule) == ["move.storage", "move.live", "placement.capacity"])
        #expect(step.moves.isEmpty && !step.isDone)
    }

    @Test func anEmptyHostIsDrained() {
        #expect(Drain(mayRestart: false).next([]) { _ throws(Refusal) in HostID(bits: 9) }.isDone)
    }
}
