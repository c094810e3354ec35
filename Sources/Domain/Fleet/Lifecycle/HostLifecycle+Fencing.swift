public import Primitives

/// Making sure that a silent host runs nothing, and what becomes of it then.
extension HostLifecycle {
    /// Fencing begins: from here on what the host says under its present epoch is refused. Only of a host that is silent, or when an
    /// operator insists.
    public mutating func beginFencing(at now: Instant, byOperator: Bool = false) throws(Refusal) -> Int64 {
        switch health {
        case .fencing: return epoch
        case .suspect: break
        case .waiting where !isFenced: break
        case .up where byOperator: break
        default: throw cannotBeFenced
        }
        enter(.fencing, at: now)
        epoch += 1
        (attempts, nextAttempt, trouble) = (0, now, nil)
        return epoch
    }

    private var cannotBeFenced: Refusal {
        let (why, nearest): (String, String) =
            switch health {
            case .up where duty == .maintenance:
                ("is in maintenance, where its silence says nothing", "end the maintenance; once it is silent and suspect, the same again")
            case .up:
                (
                    "is \(state.rawValue) and answers, so nobody can vouch that it is off",
                    "switch it off, and the same once it is silent and suspect; to empty a host that works, drain it"
                )
            case .enrolled: ("has not been up yet", "the same once it was up and has fallen silent")
            case .fenced, .evacuated, .waiting: ("is known to be off already", "nothing: what can move from it moves")
            case .returning: ("was fenced and is coming back", "let it come back, or switch it off: it is fenced again once it is silent")
            case .retired: ("has been retired", "another host")
            case .suspect, .fencing: ("is \(state.rawValue)", "the same again")
            }
        return Refusal(
            "host.fence", .conflict, "The host \(why).", facts: ["state": .text(state.rawValue), "health": .text(health.rawValue)],
            nearest: nearest)
    }

    /// The epoch to fence under when an attempt is due; counts it.
    public mutating func attemptFencing(at now: Instant, _ policy: HostPolicy) -> Int64? {
        guard health == .fencing, let due = nextAttempt, due <= now else { return nil }
        attempts += 1
        nextAttempt = now + policy.fencingRetry * (1 << min(4, attempts - 1))
        return epoch
    }

    /// It is proven that the host runs nothing. News of an older epoch, or again, changes nothing.
    @discardableResult
    public mutating func fenced(_ proof: Proof, epoch spoken: Int64, at now: Instant) -> Bool {
        guard health == .fencing, spoken == epoch else { return false }
        enter(.fenced, at: now)
        self.proof = proof
        (nextAttempt, trouble) = (nil, nil)
        return true
    }

    /// An attempt failed. It may not be said that nothing happened; so nothing is moved, and it is tried again. A host that has been heard
    /// since fencing began is there after all, and goes on.
    @discardableResult
    public mutating func fencingFailed(_ why: String, epoch spoken: Int64, at now: Instant, _ policy: HostPolicy) -> Bool {
        guard health == .fencing, spoken == epoch else { return false }
        trouble = why
        if lastHeard > healthSince { recover(at: now, policy) }
        return true
    }

    /// An operator vouches that the host is off: as good as the driver's word. Not of a host that answers.
    public mutating func vouchOff(at now: Instant) throws(Refusal) {
        guard health != .fenced, health != .evacuated, !isFenced else { return }
        _ = try beginFencing(at: now)
        fenced(.operator, epoch: epoch, at: now)
    }

    /// Nobody will fence it: what ran there waits.
    @discardableResult
    public mutating func wait(_ why: String, at now: Instant) -> Bool {
        guard health == .suspect || health == .fenced else { return false }
        enter(.waiting, at: now)
        trouble = why
        return true
    }

    /// After fencing: how many instances are still there. None: it is evacuated. None that could move: it waits with them.
    @discardableResult
    public mutating func settle(left: Int, movable: Int, at now: Instant) -> Bool {
        guard isFenced, health == .fenced || health == .waiting || health == .evacuated else { return false }
        let next: Health = left == 0 ? .evacuated : movable > 0 ? .fenced : .waiting
        guard next != health else { return false }
        enter(next, at: now)
        return true
    }
}

/// What operators want of a host.
extension HostLifecycle {
    /// Takes effect whatever the health; asking for what is already so changes nothing.
    @discardableResult
    public mutating func cordon(at now: Instant) throws(Refusal) -> Bool { try change(to: .cordoned, at: now) }

    /// Back in service.
    @discardableResult
    public mutating func uncordon(at now: Instant) throws(Refusal) -> Bool { try change(to: .open, at: now) }

    @discardableResult
    public mutating func drain(at now: Instant) throws(Refusal) -> Bool { try change(to: .draining, at: now) }

    /// Only of a host on which nothing runs: people may switch it off.
    @discardableResult
    public mutating func maintain(running: Int, at now: Instant) throws(Refusal) -> Bool {
        guard running == 0 || duty == .maintenance else {
            throw Refusal(
                "host.maintenance", .conflict, "\(running) instances run on this host.", facts: ["instances": .number(Int64(running))],
                nearest: "drain it, then maintenance")
        }
        return try change(to: .maintenance, at: now)
    }

    /// For good, and only when nothing is left there.
    @discardableResult
    public mutating func retire(holding: Int, at now: Instant) throws(Refusal) -> Bool {
        guard health != .retired else { return false }
        guard holding == 0 else {
            throw Refusal(
                "host.retire", .conflict, "\(holding) instances have their disks on this host, or run there.",
                facts: ["instances": .number(Int64(holding))], nearest: "the same once nothing is left there: drain it, or terminate them")
        }
        enter(.retired, at: now)
        (nextAttempt, trouble, quarantine) = (nil, nil, nil)
        return true
    }

    /// Trust it again.
    @discardableResult
    public mutating func release() -> Bool {
        guard quarantine != nil else { return false }
        quarantine = nil
        recoveries = []
        return true
    }

    private mutating func change(to duty: Duty, at now: Instant) throws(Refusal) -> Bool {
        guard health != .retired else {
            throw Refusal("host.retired", .conflict, "This host has been retired.", nearest: "another host")
        }
        guard self.duty != duty else { return false }
        // It was switched off with leave: its silence counts from now.
        if self.duty == .maintenance { lastHeard = max(lastHeard, now) }
        self.duty = duty
        return true
    }
}
