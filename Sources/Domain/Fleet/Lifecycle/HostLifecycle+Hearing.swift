public import Primitives

/// What a host says, and what its silence says.
extension HostLifecycle {
    /// What a host that introduces itself has to do.
    public enum Greeting: Hashable, Sendable {
        /// Go on under this epoch.
        case welcome(epoch: Int64)
        /// Take this epoch, drop what was moved away, and run nothing and report nothing else before that is confirmed.
        case dropFirst(epoch: Int64)
    }

    /// A host introduces itself: at its start, or because its epoch was refused. Saying so twice changes nothing.
    public mutating func greet(at now: Instant, _ policy: HostPolicy) throws(Refusal) -> Greeting {
        switch health {
        case .retired: throw retired
        case .fencing:
            // Noted: should fencing fail, it is known to be there.
            lastHeard = max(lastHeard, now)
            throw Refusal(
                "host.fencing", .unavailable, "This host was silent and is being fenced now.",
                facts: ["epoch": .number(epoch)], nearest: "the same request in a few seconds")
        case .fenced, .evacuated, .returning:
            hearing(at: now)
            enter(.returning, at: now)
            return .dropFirst(epoch: epoch)
        case .waiting where isFenced:
            hearing(at: now)
            enter(.returning, at: now)
            return .dropFirst(epoch: epoch)
        case .enrolled:
            hearing(at: now)
            enter(.up, at: now)
        case .suspect, .waiting:
            hearing(at: now)
            recover(at: now, policy)
        case .up: hearing(at: now)
        }
        return .welcome(epoch: epoch)
    }

    /// A report or heartbeat. Returns whether what it observed may be believed: not from a host that has something to drop first.
    /// One that speaks under an older epoch is refused, and nothing of it is taken.
    public mutating func hear(epoch spoken: Int64, at now: Instant, _ policy: HostPolicy) throws(Refusal) -> Bool {
        guard spoken == epoch, health != .enrolled else { throw mustGreet(spoken) }
        switch health {
        case .retired: throw retired
        case .fencing, .fenced, .evacuated: throw mustGreet(spoken)
        case .waiting where isFenced: throw mustGreet(spoken)
        case .returning:
            hearing(at: now)
            return false
        case .suspect, .waiting:
            hearing(at: now)
            recover(at: now, policy)
        case .up, .enrolled: hearing(at: now)
        }
        return true
    }

    /// It has dropped all that was moved away. Of an older epoch, or again: changes nothing. Returns whether it is in service now.
    @discardableResult
    public mutating func dropped(epoch spoken: Int64, at now: Instant, _ policy: HostPolicy) -> Bool {
        guard health == .returning, spoken == epoch else { return false }
        recover(at: now, policy)
        return true
    }

    /// What passing time changes, one thing at a time.
    public enum Turn: Hashable, Sendable {
        case becameSuspect
        /// Silent for so long that something must be decided about it: see `HostFailure`.
        case failed
        /// Calm for long enough: out of quarantine.
        case released
    }

    /// Called again and again. In maintenance silence means nothing. `heardAll` is the moment since which connect itself has listened:
    /// silence before it says nothing.
    public mutating func pass(to now: Instant, listeningSince heardAll: Instant, _ policy: HostPolicy) -> Turn? {
        let silence = now - max(lastHeard, heardAll)
        switch health {
        case .up where duty != .maintenance && silence > policy.suspectAfter:
            enter(.suspect, at: now)
            return .becameSuspect
        case .suspect where duty != .maintenance && silence > policy.failAfter: return .failed
        // A host that began to come back and fell silent again is fenced still: it may run nothing. What it confirms late must not
        // count for what is moved away from now on, so its epoch is over.
        case .returning where silence > policy.failAfter:
            enter(.fenced, at: now)
            epoch += 1
            return nil
        case .up:
            guard let quarantine, now - max(quarantine.since, healthSince) >= policy.calm else { return nil }
            self.quarantine = nil
            recoveries = []
            return .released
        default: return nil
        }
    }

    private mutating func hearing(at now: Instant) { lastHeard = max(lastHeard, now) }

    private func mustGreet(_ spoken: Int64) -> Refusal {
        Refusal(
            "host.epoch", .conflict, "This host spoke under epoch \(spoken); it has to introduce itself to go on under \(epoch).",
            facts: ["spoken": .number(spoken), "epoch": .number(epoch), "health": .text(health.rawValue)], nearest: "hello, then the report"
        )
    }

    private var retired: Refusal {
        Refusal("host.retired", .forbidden, "This host has been retired.", nearest: "a new enrolment, under a new identifier")
    }
}
