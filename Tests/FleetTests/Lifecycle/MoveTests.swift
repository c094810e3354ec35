import Fleet
import Primitives
import Testing

@Suite struct MoveTests {
    let start = Instant(seconds: 1_000)
    let here = HostID(bits: 1)
    let there = HostID(bits: 2)
    let user = InstanceLifecycle.Reason("Client.UserInitiatedShutdown", "user")

    private func running() -> InstanceLifecycle {
        var life = InstanceLifecycle(launchedAt: start)
        _ = life.observe(.running, generation: 1, reason: nil, executed: start, at: start)
        return life
    }

    @Test func aColdMoveStopsThenStartsElsewhere() throws {
        var life = running()
        let isThere = try life.beginMove(.cold, .drain, from: here, to: there, grace: 60, at: start)
        #expect(!isThere && life.state == .stopping && life.desired == .stopped)
        holds(life.handOver(at: start) == nil, "the source has not let go")
        _ = life.observe(.stopped, generation: life.generation, reason: nil, executed: nil, at: start)
        let generation = life.generation
        holds(life.handOver(at: start) == there)
        holds(life.handOver(at: start) == nil, "once")
        #expect(life.state == .pending && life.desired == .running && life.generation == generation + 1)
        _ = life.observe(.running, generation: life.generation, reason: nil, executed: start, at: start)
        #expect(life.state == .running && life.move == nil && life.reason == nil)
    }

    @Test func aStoppedInstanceIsThereAtOnce() throws {
        var life = running()
        _ = try life.stop(grace: 0, reason: user, at: start)
        _ = life.observe(.stopped, generation: 2, reason: nil, executed: nil, at: start)
        let isThere = try life.beginMove(.cold, .drain, from: here, to: there, grace: 60, at: start)
        #expect(isThere && life.state == .stopped && life.generation == 3 && life.reason == user)
    }

    @Test func aUserWhoStopsItMidwayFindsItStopped() throws {
        var life = running()
        _ = try life.beginMove(.cold, .drain, from: here, to: there, grace: 60, at: start)
        let again = try life.start(at: start)
        #expect(!again, "it is to run already")
        let stopped = try life.stop(grace: 60, reason: user, at: start)
        #expect(stopped)
        _ = life.observe(.stopped, generation: life.generation, reason: nil, executed: nil, at: start)
        holds(life.handOver(at: start) == there)
        #expect(life.state == .stopped && life.desired == .stopped && life.move == nil && life.reason == user)
    }

    @Test func aLiveMoveRunsAllTheTime() throws {
        var life = running()
        _ = try life.beginMove(.live, .drain, from: here, to: there, grace: 60, at: start)
        #expect(life.state == .running && life.desired == .running)
        holds(life.handOver(at: start) == nil)
        let (generation, given) = (life.generation, life.cancelMove(at: start))
        #expect(!given, "its hosts say how it ends")
        let changed = life.observe(.stopped, generation: generation, reason: nil, executed: nil, at: start)
        #expect(!changed, "what is seen on the way is about the way")
        #expect(throws: Refusal.self) { try life.reboot(at: start) }
        life.endLiveMove(as: .stayed, why: nil, at: start)
        #expect(life.state == .running && life.move == nil && life.generation == generation + 1)
    }

    @Test func aMachineThatNeitherHostHasStartsAgain() throws {
        var life = running()
        _ = try life.beginMove(.live, .drain, from: here, to: there, grace: 60, at: start)
        life.endLiveMove(as: .lost, why: "gone", at: start)
        #expect(life.state == .pending && life.desired == .running && life.move == nil)
    }

    @Test func aMoveIsGivenUpBeforeItsHandOver() throws {
        var life = running()
        _ = try life.beginMove(.cold, .drain, from: here, to: there, grace: 60, at: start)
        let given = life.cancelMove(at: start)
        #expect(given && life.state == .pending && life.desired == .running && life.move == nil)
        let again = life.cancelMove(at: start)
        #expect(!again)
    }

    @Test func whatIsOnItsWayDoesNotMove() throws {
        var pending = InstanceLifecycle(launchedAt: start)
        #expect(throws: Refusal.self) { try pending.beginMove(.cold, .drain, from: here, to: there, grace: 60, at: start) }
        var life = running()
        #expect(throws: Refusal.self, "to where it is") { try life.beginMove(.cold, .drain, from: here, to: here, grace: 60, at: start) }
    }

    @Test func deletionWaitsForTheHostOrForAFencedOne() {
        var life = running()
        _ = life.terminate(reason: user, at: start)
        let failed = life.hostFailed("silent", at: start)
        #expect(!failed && life.state == .shuttingDown, "silence is no proof")
        let fenced = life.hostFenced(at: start)
        #expect(fenced && life.state == .terminated)
        let evacuated = life.evacuate(from: here, to: there, at: start)
        #expect(!evacuated)
    }

    @Test func evacuationStartsItElsewhere() {
        var life = running()
        let noted = life.hostFailed("silent", at: start)
        let twice = life.hostFailed("silent", at: start)
        #expect(noted && !twice && life.state == .running)
        #expect(life.stuck(at: start)?.reason.code == "Server.HostFailed")
        let evacuated = life.evacuate(from: here, to: there, at: start + .minutes(3))
        #expect(evacuated && life.state == .pending && life.generation == 2)
        #expect(life.stuck(at: start + .minutes(3)) == nil)
        _ = life.observe(.running, generation: 1, reason: nil, executed: nil, at: start + .minutes(4))
        #expect(life.state == .pending, "the old host's word counts no more")
        let late = life.giveUpIfLate(at: start + .hours(1))
        #expect(!late, "an evacuated instance is never given up")
        #expect(life.stuck(at: start + .hours(1))?.reason.code == "Server.Stuck")
    }

    @Test func interruptionIsAnnouncedOnceAndThenDone() {
        var life = running()
        let moment = start + .minutes(2)
        let announced = life.announceInterruption(at: moment)
        let again = life.announceInterruption(at: moment + .minutes(5))
        #expect(announced && !again && life.interruption == moment && life.generation == 2 && life.state == .running)
        let early = life.interruptIfDue(at: moment - .seconds(1))
        #expect(!early)
        let due = life.interruptIfDue(at: moment)
        #expect(due && life.state == .shuttingDown && life.reason?.code == "Server.SpotInstanceTermination" && life.interruption == nil)
    }

    @Test func stuckSaysSinceWhenAndRetryAsksAgain() throws {
        var life = running()
        _ = try life.stop(grace: 30, reason: user, at: start)
        let deadline = start + .seconds(30) + InstanceLifecycle.stepLimit
        #expect(life.stuck(at: deadline) == nil)
        #expect(throws: Refusal.self) { try life.retry(at: deadline) }
        let later = deadline + .seconds(1)
        #expect(life.stuck(at: later)?.since == deadline)
        try life.retry(at: later)
        #expect(life.generation == 3 && life.stuck(at: later) == nil && life.state == .stopping)
    }

    @Test func aStartThatTakesTooLongKeepsTheDisk() throws {
        var life = running()
        _ = try life.stop(grace: 0, reason: user, at: start)
        _ = life.observe(.stopped, generation: 2, reason: nil, executed: nil, at: start)
        _ = try life.start(at: start)
        let late = life.giveUpIfLate(at: start + InstanceLifecycle.launchLimit + .seconds(1))
        #expect(late && life.desired == .stopped && life.state == .stopping && life.reason?.code == "Server.LaunchTimeout")
    }
}
