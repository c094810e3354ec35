public import Primitives

/// An instance on its way from one host to another. Its disk is on storage that both reach, or there is none yet to be kept.
public struct InstanceMove: Hashable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// It is shut down on the source and started on the target.
        case cold
        /// It runs all the time: memory is copied while it does (Clark et al., "Live Migration of Virtual Machines", NSDI 2005).
        case live
    }
    public enum Cause: String, Sendable, CaseIterable {
        case drain, evacuation, rebalancing
    }
    public enum Phase: String, Sendable, CaseIterable {
        /// The source is to let go of it.
        case releasing
        /// The target is to take it up.
        case arriving
    }

    public var kind: Kind
    public var cause: Cause
    public var phase: Phase
    public var source: HostID
    public var target: HostID
    /// It is to run on the target; else it arrives stopped.
    public var resumes: Bool

    public init(kind: Kind, cause: Cause, phase: Phase, source: HostID, target: HostID, resumes: Bool) {
        self.kind = kind
        self.cause = cause
        self.phase = phase
        self.source = source
        self.target = target
        self.resumes = resumes
    }
}

extension InstanceLifecycle {
    /// Codes of reasons of ours, as EC2 would name them.
    public enum ReasonCode {
        public static let hostFailed = "Server.HostFailed"
        public static let maintenance = "Server.HostMaintenance"
        public static let evacuated = "Server.Evacuated"
        public static let interrupted = "Server.SpotInstanceTermination"
        public static let stuck = "Server.Stuck"
    }

    /// True while it never ran: there is no disk that would have to be kept.
    public var neverRan: Bool { executed == nil }

    /// Begins to move it, one thing at a time: an instance that starts, stops or is removed first comes to rest. A stopped one needs no
    /// work of its source and is on the target at once.
    /// - Returns: whether it is on the target already.
    public mutating func beginMove(
        _ kind: InstanceMove.Kind, _ cause: InstanceMove.Cause, from source: HostID, to target: HostID, grace: Int64, at now: Instant
    ) throws(Refusal) -> Bool {
        guard move == nil, source != target, state == .running || state == .stopped else {
            throw Refusal(
                "instance.move", .conflict,
                "The instance is \(state.rawValue)\(move == nil ? "" : " and on its way already") and is not moved now.",
                facts: ["state": .text(state.rawValue)], nearest: "the same once it is running or stopped")
        }
        let why = Reason(ReasonCode.maintenance, "It moves to another host.")
        guard state == .running else {
            // Counted up, so that whatever the source says from here on is about an earlier time.
            generation += 1
            wanted = now
            return true
        }
        move = InstanceMove(kind: kind, cause: cause, phase: .releasing, source: source, target: target, resumes: true)
        switch kind {
        case .cold:
            graceSeconds = grace
            want(.stopped, .stopping, why, at: now)
        case .live:
            generation += 1
            wanted = now
            reason = why
        }
        return false
    }

    /// The source has let go, and the target takes over. Called when it was seen stopped; of a live move `LiveMove` says when.
    /// - Returns: the host it is on now; nil when nothing changed.
    public mutating func handOver(at now: Instant) -> HostID? {
        guard var move, move.phase == .releasing, move.kind == .cold, state == .stopped else { return nil }
        let target = move.target
        guard move.resumes else {
            self.move = nil
            generation += 1
            wanted = now
            return target
        }
        move.phase = .arriving
        self.move = move
        want(.running, .pending, Reason(ReasonCode.maintenance, "It moved to another host."), at: now)
        return target
    }

    /// A move that has not reached its target is given up: it starts again where it is. Returns whether anything changed.
    public mutating func cancelMove(at now: Instant) -> Bool {
        guard let move, move.phase == .releasing, move.kind == .cold else { return false }
        self.move = nil
        guard move.resumes else { return true }
        want(.running, .pending, Reason(ReasonCode.maintenance, "Its move was given up."), at: now)
        return true
    }

    // MARK: The host it is on failed

    /// Its host is silent: noted where it should be running, and nothing else changed, because it may well run.
    public mutating func hostFailed(_ message: String, at now: Instant) -> Bool {
        guard desired == .running, state == .running || state == .pending, reason?.code != ReasonCode.hostFailed else { return false }
        reason = Reason(ReasonCode.hostFailed, message)
        return true
    }

    /// Its host is heard again: that it was not is no reason any more. Returns whether anything changed.
    public mutating func hostReturned() -> Bool {
        guard reason?.code == ReasonCode.hostFailed else { return false }
        reason = nil
        return true
    }

    /// Its host is proven to run nothing: what was to stop there is stopped, what was to be removed is removed. Returns whether anything
    /// changed. What is to run stays as it is, for `evacuate` or until its host is back.
    public mutating func hostFenced(at now: Instant) -> Bool {
        // Its other host may have it.
        guard move?.kind != .live else { return false }
        switch (desired, state) {
        case (.absent, .shuttingDown):
            enter(.terminated, reason, at: now)
            return true
        case (.stopped, .stopping):
            enter(.stopped, reason, at: now)
            return true
        default: return false
        }
    }

    /// It goes to another host, because its own is fenced. What it was on its way to becomes of it there. Calls `hostFenced` first.
    /// - Returns: false when there is nothing to take elsewhere.
    public mutating func evacuate(from source: HostID, to target: HostID, at now: Instant) -> Bool {
        _ = hostFenced(at: now)
        guard state != .terminated, source != target, move?.kind != .live else { return false }
        let resumes = desired == .running || move?.resumes == true
        guard resumes else {
            move = nil
            generation += 1
            wanted = now
            return true
        }
        move = InstanceMove(kind: .cold, cause: .evacuation, phase: .arriving, source: source, target: target, resumes: true)
        want(.running, .pending, Reason(ReasonCode.evacuated, "Its host failed; it starts again on another."), at: now)
        return true
    }

    // MARK: Interruption

    /// Announces that it is taken away at a moment. Said again, the first announcement holds. Returns whether anything changed.
    /// - Parameter evenStopped: it holds what is needed though it is off, as on bare metal.
    public mutating func announceInterruption(at moment: Instant, evenStopped: Bool = false) -> Bool {
        guard interruption == nil else { return false }
        if evenStopped, desired == .stopped, state == .stopped {
            interruption = moment
            return true
        }
        guard desired == .running, state == .running || state == .pending else { return false }
        interruption = moment
        // Its host must tell the guest.
        generation += 1
        return true
    }

    /// Takes it away when its moment has come; one that was stopped meanwhile only when that does not free what is needed. Returns whether
    /// anything changed.
    public mutating func interruptIfDue(at now: Instant, evenStopped: Bool = false) -> Bool {
        guard let moment = interruption, moment <= now else { return false }
        interruption = nil
        guard desired == .running || evenStopped && desired == .stopped else { return false }
        return terminate(
            reason: Reason(ReasonCode.interrupted, "\(ReasonCode.interrupted): its capacity was needed for firm contracts."), at: now)
    }
}
