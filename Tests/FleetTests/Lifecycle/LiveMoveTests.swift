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
        for event in ["begun", "arrived", "stayed", "lost", "resumed", "target killed", "target fenced", "fenced", "evacuated"] {
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
