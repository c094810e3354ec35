import Fleet
import Primitives
import Testing

@Suite struct InstanceLifecycleTests {
    let start = Instant(seconds: 1_000)
    let user = InstanceLifecycle.Reason("Client.UserInitiatedShutdown", "user")

    private func running() -> InstanceLifecycle {
        var life = InstanceLifecycle(launchedAt: start)
        _ = life.observe(.running, generation: 1, reason: nil, executed: start, at: start + .seconds(1))
        return life
    }

    @Test func aLaunchBecomesRunning() {
        var life = InstanceLifecycle(launchedAt: start)
        #expect(life.state == .pending)
        let changed = life.observe(.running, generation: 1, reason: nil, executed: start + .seconds(1), at: start + .seconds(2))
        #expect(changed)
        #expect(life.state == .running)
        #expect(life.executed == start + .seconds(1))
        #expect(life.stateChanged == start + .seconds(2))
    }

    @Test func observationsOfAnOlderGenerationSayNothing() throws {
        var life = running()
        _ = try life.stop(grace: 60, reason: user, at: start + .seconds(5))
        let changed = life.observe(.running, generation: 1, reason: nil, executed: nil, at: start + .seconds(6))
        #expect(!changed)
        #expect(life.state == .stopping)
    }

    @Test func stopThenStart() throws {
        var life = running()
        let stopped = try life.stop(grace: 60, reason: user, at: start + .seconds(5))
        #expect(stopped)
        let again = try life.stop(grace: 60, reason: user, at: start + .seconds(6))
        #expect(!again, "stopping what stops changes nothing")
        let harder = try life.stop(grace: 0, reason: user, at: start + .seconds(7))
        #expect(harder, "but a shorter grace does")
        _ = life.observe(.stopped, generation: life.generation, reason: nil, executed: nil, at: start + .seconds(8))
        #expect(life.state == .stopped)
        #expect(life.reason == user)
        #expect(!life.holdsCompute && life.holdsDisk)
        let started = try life.start(at: start + .seconds(9))
        #expect(started)
        #expect(life.state == .pending)
        #expect(life.reason == nil)
    }

    @Test func aGuestThatSwitchesItselfOffIsStopped() {
        var life = running()
        let generation = life.generation
        _ = life.observe(.stopped, generation: generation, reason: nil, executed: nil, at: start + .seconds(9))
        #expect(life.state == .stopped)
        #expect(life.desired == .stopped)
        #expect(life.generation == generation + 1)
        #expect(life.reason?.code == "Client.InstanceInitiatedShutdown")
    }

    @Test func terminationIsFinalAndWaitsForTheHost() {
        var life = running()
        let first = life.terminate(reason: user, at: start)
        let second = life.terminate(reason: user, at: start)
        #expect(first && !second)
        #expect(life.state == .shuttingDown && life.holdsDisk)
        _ = life.observe(.absent, generation: life.generation, reason: nil, executed: nil, at: start)
        #expect(life.state == .terminated && !life.holdsDisk)
        for action in [{ (life: inout InstanceLifecycle) throws in _ = try life.start(at: start) }, { _ = try $0.reboot(at: start) }] {
            var copy = life
            #expect(throws: Refusal.self) { try action(&copy) }
            #expect(copy == life, "a refusal changes nothing")
        }
    }

    @Test func rebootsNeedARunningInstance() throws {
        var life = running()
        let done = try life.reboot(at: start)
        #expect(done)
        #expect(life.reboots == 1 && life.generation == 2)
        var pending = InstanceLifecycle(launchedAt: start)
        #expect(throws: Refusal.self) { try pending.reboot(at: start) }
    }

    @Test func aLaunchThatTakesTooLongIsGivenUp() {
        var life = InstanceLifecycle(launchedAt: start)
        _ = life.observe(.failed, generation: 1, reason: .init("Server.Disk", "the disk is full"), executed: nil, at: start)
        let early = life.giveUpIfLate(at: start + InstanceLifecycle.launchLimit)
        #expect(!early)
        let late = life.giveUpIfLate(at: start + InstanceLifecycle.launchLimit + .seconds(1))
        #expect(late)
        #expect(life.desired == .absent)
        #expect(life.reason?.code == "Server.LaunchTimeout")
        #expect(life.reason?.message.contains("the disk is full") == true)
    }

    /// Under any sequence of actions and observations: generations never fall, and terminated stays terminated.
    @Test func anySequenceKeepsTheRules() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<500 {
            var life = InstanceLifecycle(launchedAt: start)
            for step in 0..<40 {
                let before = life
                let now = start + .seconds(Int64(step))
                switch Int.random(in: 0..<6, using: &generator) {
                case 0: _ = try? life.start(at: now)
                case 1: _ = try? life.stop(grace: .random(in: 0...60, using: &generator), reason: user, at: now)
                case 2: _ = try? life.reboot(at: now)
                case 3 where step > 30: _ = life.terminate(reason: user, at: now)
                default:
                    let seen = InstanceLifecycle.Seen.allCases.randomElement(using: &generator) ?? .running
                    let generation = Int64.random(in: max(1, life.generation - 1)...life.generation, using: &generator)
                    _ = life.observe(seen, generation: generation, reason: nil, executed: nil, at: now)
                }
                #expect(life.generation >= before.generation)
                if before.state == .terminated { #expect(life.state == .terminated) }
            }
        }
    }
}
