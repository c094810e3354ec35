import Fleet
import Primitives
import Testing

@Suite struct HostLifecycleTests {
    let start = Instant(seconds: 10_000)
    let policy = HostPolicy()

    private func up() throws -> HostLifecycle {
        var host = HostLifecycle(enrolledAt: start)
        let greeting = try host.greet(at: start, policy)
        #expect(greeting == .welcome(epoch: 0))
        return host
    }

    private func suspect() throws -> HostLifecycle {
        var host = try up()
        let turn = host.pass(to: start + .seconds(31), listeningSince: .zero, policy)
        #expect(turn == .becameSuspect)
        return host
    }

    @Test func silenceMakesAHostSuspectThenFailed() throws {
        var host = try up()
        holds(host.pass(to: start + policy.suspectAfter, listeningSince: .zero, policy) == nil)
        #expect(host.takesNew)
        host = try suspect()
        #expect(!host.takesNew && host.state == .suspect)
        holds(host.pass(to: start + policy.failAfter, listeningSince: .zero, policy) == nil)
        holds(host.pass(to: start + policy.failAfter + .seconds(1), listeningSince: .zero, policy) == .failed)
    }

    @Test func silenceBeforeConnectListenedSaysNothing() throws {
        var host = try up()
        let back = start + .hours(1)
        holds(host.pass(to: back + policy.suspectAfter, listeningSince: back, policy) == nil)
        holds(host.pass(to: back + policy.suspectAfter + .seconds(1), listeningSince: back, policy) == .becameSuspect)
    }

    @Test func aHostInMaintenanceMayBeSilent() throws {
        var host = try up()
        #expect(throws: Refusal.self) { try host.maintain(running: 1, at: start) }
        let changed = try host.maintain(running: 0, at: start)
        #expect(changed && host.state == .maintenance)
        holds(host.pass(to: start + .days(2), listeningSince: .zero, policy) == nil)
        _ = try host.uncordon(at: start + .days(2))
        holds(host.pass(to: start + .days(2) + .seconds(1), listeningSince: .zero, policy) == nil, "its silence counts from now")
        #expect(host.state == .up)
    }

    /// Whoever wants to fence what cannot be fenced is told what would be possible in that very state.
    @Test func whatCannotBeFencedSaysWhatCan() throws {
        let fenced: (inout HostLifecycle) throws -> Void = { try $0.vouchOff(at: start + .minutes(3)) }
        func refusal(_ host: HostLifecycle, _ body: (inout HostLifecycle) throws -> Void) -> Refusal? {
            var host = host
            do { try body(&host) } catch { return error as? Refusal }
            return nil
        }
        let works = try #require(refusal(up(), fenced))
        #expect(works.rule == "host.fence" && works.message.contains("answers"))
        #expect(works.nearest?.contains("switch it off") == true && works.nearest?.contains("drain") == true)
        var serviced = try up()
        _ = try serviced.maintain(running: 0, at: start)
        #expect(refusal(serviced, fenced)?.nearest?.contains("end the maintenance") == true)
        var off = try suspect()
        try fenced(&off)
        let again = try #require(refusal(off) { _ = try $0.beginFencing(at: start + .minutes(4), byOperator: true) })
        #expect(again.message.contains("off already") && again.nearest != nil)
        #expect(refusal(HostLifecycle(enrolledAt: start), fenced)?.nearest?.isEmpty == false)
    }

    @Test func aFencedHostDropsFirst() throws {
        var host = try suspect()
        let epoch = try host.beginFencing(at: start + .minutes(3))
        #expect(epoch == 1 && !host.isFenced)
        #expect(throws: Refusal.self, "what it says under its old epoch is refused") {
            try host.hear(epoch: 0, at: start + .minutes(3), policy)
        }
        holds(host.fenced(.power, epoch: 0, at: start + .minutes(3)) == false, "news of an earlier fencing")
        holds(host.fenced(.power, epoch: 1, at: start + .minutes(3)))
        #expect(host.isFenced && host.state == .fenced)
        holds(host.settle(left: 0, movable: 0, at: start + .minutes(4)) && host.state == .evacuated)

        try holds(host.greet(at: start + .minutes(9), policy) == .dropFirst(epoch: 1))
        try holds(host.hear(epoch: 1, at: start + .minutes(9), policy) == false, "not believed before it has dropped")
        #expect(host.isFenced, "so what moved away may go on moving")
        holds(host.dropped(epoch: 1, at: start + .minutes(9), policy))
        #expect(host.state == .up && !host.isFenced)
        try holds(host.hear(epoch: 1, at: start + .minutes(9), policy))
        holds(!host.dropped(epoch: 1, at: start + .minutes(9), policy), "again changes nothing")
    }

    @Test func aHostThatFallsSilentWhileReturningGetsANewEpoch() throws {
        var host = try suspect()
        try host.vouchOff(at: start + .minutes(3))
        #expect(host.proof == .operator)
        _ = try host.greet(at: start + .minutes(4), policy)
        _ = host.pass(to: start + .minutes(9), listeningSince: .zero, policy)
        #expect(host.state == .fenced && host.epoch == 2)
        holds(!host.dropped(epoch: 1, at: start + .minutes(9), policy))
        try holds(host.greet(at: start + .minutes(9), policy) == .dropFirst(epoch: 2))
    }

    @Test func fencingIsTriedAgainAndAHostThatIsThereGoesOn() throws {
        var host = try suspect()
        let begun = start + .minutes(3)
        _ = try host.beginFencing(at: begun)
        holds(host.attemptFencing(at: begun, policy) == 1)
        holds(host.attemptFencing(at: begun, policy) == nil, "one attempt at a time")
        host.fencingFailed("no answer", epoch: 1, at: begun + .seconds(1), policy)
        #expect(host.state == .fencing && host.trouble == "no answer" && !host.isFenced)
        holds(host.attemptFencing(at: begun + policy.fencingRetry, policy) == 1)
        #expect(throws: Refusal.self) { try host.greet(at: begun + .seconds(16), policy) }
        host.fencingFailed("still none", epoch: 1, at: begun + .seconds(17), policy)
        #expect(host.state == .up, "it was heard, and nothing of it was moved")
    }

    @Test func aHostThatComesAndGoesIsQuarantined() throws {
        var host = try up()
        var now = start
        for round in 1...3 {
            now = now + .minutes(10)
            _ = host.pass(to: now, listeningSince: .zero, policy)
            #expect(host.state == .suspect)
            _ = try host.hear(epoch: 0, at: now, policy)
            #expect(host.state == (round < 3 ? .up : .quarantined))
        }
        #expect(host.quarantine?.reason.contains("3 times") == true)
        var released = host
        let did = released.release()
        #expect(did && released.state == .up && released.recoveries.isEmpty)

        for _ in 0..<121 {
            now = now + .seconds(30)
            _ = try host.hear(epoch: 0, at: now, policy)
            _ = host.pass(to: now, listeningSince: .zero, policy)
        }
        #expect(host.state == .up, "after an hour without a break")
    }

    @Test func recoveriesFarApartAreNoReason() throws {
        var host = try up()
        for round in 1...10 {
            let now = start + .hours(Int64(round))
            _ = host.pass(to: now, listeningSince: .zero, policy)
            _ = try host.hear(epoch: 0, at: now, policy)
            #expect(host.state == .up)
        }
    }

    @Test func onlyAnEmptyHostIsRetiredAndForGood() throws {
        var host = try up()
        #expect(throws: Refusal.self) { try host.retire(holding: 1, at: start) }
        #expect(host.state == .up)
        _ = try host.retire(holding: 0, at: start)
        #expect(host.state == .retired)
        #expect(throws: Refusal.self) { try host.greet(at: start, policy) }
        #expect(throws: Refusal.self) { try host.hear(epoch: 0, at: start, policy) }
        #expect(throws: Refusal.self) { try host.cordon(at: start) }
        #expect(throws: Refusal.self) { try host.beginFencing(at: start, byOperator: true) }
    }

    /// Any events in any order: epochs never fall, retired is final, and nothing that has not been fenced counts as fenced.
    @Test func anySequenceKeepsTheRules() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<500 {
            var host = HostLifecycle(enrolledAt: start)
            var now = start
            var proven: Set<Int64> = []
            for _ in 0..<60 {
                let before = host
                now = now + .seconds(.random(in: 0...90, using: &generator))
                let epoch = max(0, host.epoch - .random(in: 0...1, using: &generator))
                switch Int.random(in: 0..<12, using: &generator) {
                case 0, 1: _ = try? host.greet(at: now, policy)
                case 2, 3: _ = try? host.hear(epoch: epoch, at: now, policy)
                case 4: host.dropped(epoch: epoch, at: now, policy)
                case 5: _ = try? host.beginFencing(at: now)
                case 6: if host.fenced(.power, epoch: epoch, at: now) { proven.insert(host.epoch) }
                case 7: host.fencingFailed("no", epoch: epoch, at: now, policy)
                case 8: host.settle(left: .random(in: 0...1, using: &generator), movable: 0, at: now)
                case 9: host.wait("nothing to fence with", at: now)
                case 10: _ = try? host.retire(holding: .random(in: 0...4, using: &generator), at: now)
                default:
                    if host.pass(to: now, listeningSince: .zero, policy) == nil, host.epoch > before.epoch { proven.insert(host.epoch) }
                }
                #expect(host.epoch >= before.epoch)
                if before.health == .retired { #expect(host == before) }
                if host.isFenced { #expect(proven.contains(host.epoch)) }
                if host.isFenced { #expect(!host.takesNew) }
            }
        }
    }
}
