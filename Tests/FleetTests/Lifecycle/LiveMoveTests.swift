import Fleet
import Primitives
import Testing

@Suite struct LiveMoveTests {
    private let here = HostID(bits: 1)
    private let there = HostID(bits: 2)
    private let start = Instant(seconds: 1_000)

    private func move() -> LiveMove {
        LiveMove(attempt: 7, from: here, to: there, memoryMiB: 1_024, bandwidthMiB: 100, at: start)
    }

    private func copying() -> LiveMove {
        var move = move()
        _ = move.hear(.ready, from: .target, attempt: 7, endpoint: "10.0.0.2:49152")
        return move
    }

    @Test func itGoesItsWay() {
        var move = move()
        #expect(move.sourceCommand == nil && move.targetCommand == .receive)
        let stale = move.hear(.ready, from: .target, attempt: 6, endpoint: "10.0.0.2:49152")
        #expect(!stale && move.phase == .preparing, "another attempt")
        _ = move.hear(.ready, from: .target, attempt: 7, endpoint: "10.0.0.2:49152")
        #expect(move.phase == .copying && move.sourceCommand == .send && move.endpoint == "10.0.0.2:49152")
        _ = move.hear(.copying, from: .source, attempt: 7, progress: .init(doneMiB: 500, leftMiB: 524))
        #expect(move.progress.leftMiB == 524)
        _ = move.hear(.sent, from: .source, attempt: 7, progress: .init(doneMiB: 1_024, leftMiB: 0, downtimeMilliseconds: 80))
        #expect(move.phase == .copying, "nobody has said that it runs there")
        _ = move.hear(.arrived, from: .target, attempt: 7)
        #expect(move.phase == .arrived && move.sourceCommand == nil && move.targetCommand == nil)
        let late = move.hear(.void, from: .target, attempt: 7)
        #expect(!late, "what is over is over")
    }

    @Test func aTargetThatDiesLeavesItWhereItWas() {
        var move = copying()
        _ = move.hear(.stays, from: .source, attempt: 7, why: "the connection broke")
        #expect(move.phase == .stayed && move.why == "the connection broke")
    }

    @Test func whatWasSentComesBackOnceTheTargetIsVoid() {
        var move = copying()
        _ = move.hear(.sent, from: .source, attempt: 7)
        let given = move.pass(to: move.deadline)
        #expect(given && move.phase == .cancelling && move.sourceCommand == .cancel && move.targetCommand == .drop)
        _ = move.hear(.void, from: .target, attempt: 7)
        #expect(move.phase == .returning && move.sourceCommand == .stay)
        _ = move.hear(.stays, from: .source, attempt: 7)
        #expect(move.phase == .stayed)
    }

    @Test func aTargetThatTookItWins() {
        var move = copying()
        _ = move.giveUp("It is to be stopped.")
        _ = move.hear(.sent, from: .source, attempt: 7)
        _ = move.hear(.arrived, from: .target, attempt: 7)
        #expect(move.phase == .arrived)
    }

    @Test func whatNeitherHasStartsAgain() {
        var move = copying()
        _ = move.hear(.lost, from: .source, attempt: 7)
        #expect(move.phase == .cancelling, "the target may have it")
        _ = move.hear(.void, from: .target, attempt: 7)
        #expect(move.phase == .lost)
    }

    @Test func aGuestThatSwitchesItselfOffStaysOff() throws {
        var early = move()
        _ = early.hear(.off, from: .source, attempt: 7)
        #expect(early.phase == .off, "nothing was sent yet")
        var going = copying()
        _ = going.hear(.off, from: .source, attempt: 7)
        #expect(going.phase == .cancelling && going.targetCommand == .drop, "the target may have it")
        var taken = going
        _ = taken.hear(.arrived, from: .target, attempt: 7)
        #expect(taken.phase == .arrived, "it was sent whole before")
        var gone = going
        _ = gone.fenced(.target)
        #expect(gone.phase == .arrived, "it may have run there")
        _ = going.fenced(.source)
        _ = going.hear(.void, from: .target, attempt: 7, why: "the connection broke")
        #expect(going.phase == .off && going.sourceCommand == nil && going.targetCommand == nil)
        #expect(going.why == "The guest shut itself down.")

        var life = InstanceLifecycle(launchedAt: start)
        _ = life.observe(.running, generation: 1, reason: nil, executed: start, at: start)
        _ = try life.beginMove(.live, .drain, from: here, to: there, grace: 60, at: start)
        let generation = life.generation
        life.endLiveMove(as: .off, why: going.why, at: start)
        #expect(life.state == .stopped && life.desired == .stopped && life.move == nil && life.generation == generation + 1)
        #expect(life.reason?.code == "Client.InstanceInitiatedShutdown")
    }

    @Test func onlyAMachineThatIsGoneIsSwitchedOff() {
        func said(_ sight: MoveSight, _ command: MoveDecision.Command = .send) -> MoveDecision.Said {
            MoveDecision(command: command, attempt: 7, sight: sight).said
        }
        let off = MoveSight(attempt: 7, isAlive: false, isSwitchedOff: true, transfer: .none, ruling: nil)
        #expect(said(off) == .off && said(off, .cancel) == .off && said(off, .stay) == .off)
        #expect(MoveDecision(command: .stay, attempt: 7, sight: off).next == nil)
        #expect(said(MoveSight(attempt: 7, isAlive: false, transfer: .none, ruling: nil)) == .lost)
        #expect(said(MoveSight(attempt: 7, isAlive: true, isSwitchedOff: true, transfer: .active, ruling: nil)) == .copying)
        #expect(said(off, .receive) == .preparing, "what was here before is no part of it")
    }

    /// A user's wish goes before what the guest did.
    @Test func aGuestThatIsToGoIsGoneAlsoWhenItSwitchedItselfOff() throws {
        var life = InstanceLifecycle(launchedAt: start)
        _ = life.observe(.running, generation: 1, reason: nil, executed: start, at: start)
        _ = try life.beginMove(.live, .drain, from: here, to: there, grace: 60, at: start)
        _ = life.terminate(reason: .init("Client.UserInitiatedShutdown", "user"), at: start)
        life.endLiveMove(as: .off, why: nil, at: start)
        #expect(life.desired == .absent && life.state == .shuttingDown && life.reason?.message == "user")
    }

    @Test func aTargetThatCannotMakeReadySaysWhy() {
        var early = move()
        _ = early.hear(.preparing, from: .target, attempt: 7)
        #expect(early.phase == .preparing, "it makes ready")
        _ = early.hear(.preparing, from: .target, attempt: 7, why: "no space")
        #expect(early.phase == .stayed && early.why == "no space")
        var late = copying()
        _ = late.hear(.preparing, from: .target, attempt: 7, why: "no space")
        #expect(late.phase == .copying, "what may have been sent needs more than a word")
    }

    @Test func aFencedHostSaysNothingMore() {
        var early = move()
        _ = early.fenced(.target)
        #expect(early.phase == .stayed, "nothing was sent")
        var sent = copying()
        _ = sent.hear(.sent, from: .source, attempt: 7)
        _ = sent.fenced(.target)
        #expect(sent.phase == .arrived, "it may have run there, so that the memory here is of the past")
        var source = copying()
        _ = source.fenced(.source)
        #expect(source.phase == .cancelling, "the target may have it")
    }

    /// Everything goes wrong at random; then all is calm, and every instance runs once, where it is wanted, and has its room there.
    @Test func whateverGoesWrongNoneRunsTwice() {
        var counts: [String: Int] = [:]
        for seed in 1...300 as ClosedRange<UInt64> {
            var world = LiveMoveWorld(seed: seed)
            world.run(400)
            world.calmDown()
            world.run(200)
            #expect(world.problems.isEmpty, "seed \(seed): \(world.problems.first ?? "")")
            #expect(world.unsettled.isEmpty, "seed \(seed): \(world.unsettled.joined(separator: "; "))")
            if !world.problems.isEmpty || !world.unsettled.isEmpty { return }
            counts.merge(world.counts, uniquingKeysWith: +)
        }
        for event in ["begun", "arrived", "stayed", "lost", "off", "resumed", "target killed", "target fenced", "fenced", "evacuated"] {
            #expect(counts[event] ?? 0 > 50, "\(event) \(counts[event] ?? 0) times: the runs try nothing")
        }
    }

    /// A source that runs on because it was told to stop sending runs it twice: the runs above would notice.
    @Test func whatWasSentIsNotTheSourcesAnyMore() {
        let doubled = (1...60 as ClosedRange<UInt64>).contains { seed in
            var world = LiveMoveWorld(seed: seed)
            world.trustsTheSource = true
            world.run(400)
            return !world.problems.isEmpty
        }
        #expect(doubled)
    }
}
