public import Primitives

/// The life of one host as connect keeps it: whether it answers (`health`), what operators want of it (`duty`), and whether it is trusted
/// (`quarantine`). The three are independent; `state` says the most telling one.
///
/// Pure transitions. Time comes in; what is to be done in the world comes out. A host that is fenced gets a higher *epoch*, its fencing
/// token: what it says under an older one is refused, so a host that was cut off and comes back cannot speak, or run, for what has been
/// moved away meanwhile (the token of Gray and Cheriton's leases, SOSP 1989; "STONITH" in Pacemaker's words).
public struct HostLifecycle: Hashable, Sendable {
    public enum Health: String, Sendable, CaseIterable {
        case enrolled, up, suspect, fencing, fenced, evacuated, waiting, returning, retired
    }
    public enum Duty: String, Sendable, CaseIterable { case open, cordoned, draining, maintenance }
    /// Why a host is known to run nothing.
    public enum Proof: String, Sendable, CaseIterable {
        /// Its power driver switched it off and saw it off.
        case power
        /// Its lease on the pod's storage ran out, so nothing it runs can write.
        case storageLease = "storage-lease"
        /// A person says so.
        case `operator`
    }
    public struct Quarantine: Hashable, Sendable {
        public var reason: String
        public var since: Instant
        public init(reason: String, since: Instant) {
            self.reason = reason
            self.since = since
        }
    }

    public internal(set) var health: Health
    public internal(set) var duty: Duty
    public internal(set) var quarantine: Quarantine?
    /// Counts the times fencing began.
    public internal(set) var epoch: Int64
    /// Nil unless it is proven to run nothing.
    public internal(set) var proof: Proof?
    public internal(set) var lastHeard: Instant
    public internal(set) var healthSince: Instant
    /// Attempts to fence it since it was last up, and when the next may be made.
    public internal(set) var attempts: Int64
    public internal(set) var nextAttempt: Instant?
    /// What went wrong in the last attempt.
    public internal(set) var trouble: String?
    /// When it came back, oldest first; within the policy's window.
    public internal(set) var recoveries: [Instant]

    public init(enrolledAt now: Instant) {
        self.init(
            health: .enrolled, duty: .open, quarantine: nil, epoch: 0, proof: nil, lastHeard: now, healthSince: now, attempts: 0,
            nextAttempt: nil, trouble: nil, recoveries: [])
    }

    /// As it was kept.
    public init(
        health: Health, duty: Duty, quarantine: Quarantine?, epoch: Int64, proof: Proof?, lastHeard: Instant, healthSince: Instant,
        attempts: Int64, nextAttempt: Instant?, trouble: String?, recoveries: [Instant]
    ) {
        self.health = health
        self.duty = duty
        self.quarantine = quarantine
        self.epoch = epoch
        self.proof = proof
        self.lastHeard = lastHeard
        self.healthSince = healthSince
        self.attempts = attempts
        self.nextAttempt = nextAttempt
        self.trouble = trouble
        self.recoveries = recoveries
    }

    /// The same, heard last at another moment: that is known elsewhere, and changes with every heartbeat.
    public func heard(at moment: Instant) -> HostLifecycle {
        var same = self
        same.lastHeard = moment
        return same
    }

    /// What placement and people see.
    public var state: Host.State {
        switch health {
        case .enrolled: .enrolled
        case .suspect: .suspect
        case .fencing: .fencing
        case .fenced: .fenced
        case .evacuated: .evacuated
        case .waiting: .waiting
        case .returning: .returning
        case .retired: .retired
        case .up:
            switch (quarantine, duty) {
            case (_, .maintenance): .maintenance
            case (_, .draining): .draining
            case (.some, _): .quarantined
            case (nil, .cordoned): .cordoned
            case (nil, .open): .up
            }
        }
    }

    /// New instances may go there.
    public var takesNew: Bool { state == .up }
    /// Proven to run nothing: what ran there may run elsewhere, and what was to be deleted there is gone as far as it can matter.
    public var isFenced: Bool { proof != nil }

    mutating func enter(_ health: Health, at now: Instant) {
        guard self.health != health else { return }
        self.health = health
        healthSince = now
    }

    /// Back in service. Counts as a recovery; too many of them within the window are a reason to trust it less.
    mutating func recover(at now: Instant, _ policy: HostPolicy) {
        enter(.up, at: now)
        (proof, nextAttempt, trouble, attempts) = (nil, nil, nil, 0)
        recoveries = recoveries.filter { now - $0 < policy.flapWindow } + [now]
        if recoveries.count >= policy.flapLimit, quarantine == nil {
            let minutes = policy.flapWindow.seconds / 60
            quarantine = Quarantine(reason: "It came back \(recoveries.count) times within \(minutes) minutes.", since: now)
        }
        // A longer window than this run's recoveries need is never looked at again.
        if recoveries.count > policy.flapLimit { recoveries.removeFirst(recoveries.count - policy.flapLimit) }
    }
}
