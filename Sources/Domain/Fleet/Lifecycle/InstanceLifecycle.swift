public import Primitives

/// The life of one instance as connect keeps it: what is wanted, what was seen, and since when.
///
/// Pure transitions: an action changes what is wanted and counts the generation up; an observation changes what is known.
public struct InstanceLifecycle: Hashable, Sendable {
    public enum Desired: String, Sendable, CaseIterable { case running, stopped, absent }
    /// EC2's names.
    public enum State: String, Sendable, CaseIterable {
        case pending, running, stopping, stopped
        case shuttingDown = "shutting-down"
        case terminated
    }
    public enum Seen: String, Sendable, CaseIterable { case absent, preparing, running, stopping, stopped, failed }
    public struct Reason: Hashable, Sendable {
        public var code: String
        public var message: String
        public init(_ code: String, _ message: String) {
            self.code = code
            self.message = message
        }
    }

    public var desired: Desired
    public var state: State
    public var generation: Int64
    public var reboots: Int64
    /// Seconds the guest gets to shut down.
    public var graceSeconds: Int64
    public var reason: Reason?
    public var accepted: Instant
    public var executed: Instant?
    public var stateChanged: Instant
    /// When what is wanted now was asked for, or asked for again: deadlines run from here.
    public var wanted: Instant
    /// When it is taken away in favour of firm capacity; nil: not announced.
    public var interruption: Instant?
    /// On its way from one host to another.
    public var move: InstanceMove?

    /// How long a launch or start may stay pending before it is given up.
    public static let launchLimit = Span.minutes(5)

    public init(launchedAt now: Instant) {
        desired = .running
        state = .pending
        generation = 1
        reboots = 0
        graceSeconds = 60
        accepted = now
        stateChanged = now
        wanted = now
    }

    public init(
        desired: Desired, state: State, generation: Int64, reboots: Int64, graceSeconds: Int64, reason: Reason?, accepted: Instant,
        executed: Instant?, stateChanged: Instant, wanted: Instant? = nil, interruption: Instant? = nil, move: InstanceMove? = nil
    ) {
        self.desired = desired
        self.state = state
        self.generation = generation
        self.reboots = reboots
        self.graceSeconds = graceSeconds
        self.reason = reason
        self.accepted = accepted
        self.executed = executed
        self.stateChanged = stateChanged
        self.wanted = wanted ?? stateChanged
        self.interruption = interruption
        self.move = move
    }

    /// True while the instance holds processor and memory on its host.
    public var holdsCompute: Bool { state != .terminated && state != .stopped }
    public var holdsDisk: Bool { state != .terminated }

    // MARK: Actions. Each returns whether anything changed; asking for what is already so changes nothing.

    public mutating func start(at now: Instant) throws(Refusal) -> Bool {
        switch state {
        case .running, .pending: return false
        case .stopping where move?.resumes == true: return false
        case .stopped:
            want(.running, .pending, nil, at: now)
            return true
        case .stopping, .shuttingDown, .terminated: throw refusal("started", nearest: "stopped")
        }
    }

    public mutating func stop(grace: Int64, reason: Reason, at now: Instant) throws(Refusal) -> Bool {
        switch state {
        case .stopped: return false
        case .stopping:
            if move?.resumes == true {
                // It stops in order to move; now it is to stay stopped there.
                move?.resumes = false
                self.reason = reason
                guard grace < graceSeconds else { return true }
            }
            guard grace < graceSeconds else { return false }
        case .running, .pending: break
        case .shuttingDown, .terminated: throw refusal("stopped", nearest: "running")
        }
        graceSeconds = grace
        if move?.phase == .arriving { move = nil }
        want(.stopped, .stopping, reason, at: now)
        return true
    }

    public mutating func reboot(at now: Instant) throws(Refusal) -> Bool {
        guard state == .running else { throw refusal("rebooted", nearest: "running") }
        guard move?.kind != .live else {
            throw Refusal(
                "instance.moving", .unavailable, "The instance is on its way to another host and is not rebooted before it is there.",
                nearest: "the same request in a minute")
        }
        reboots += 1
        generation += 1
        wanted = now
        return true
    }

    public mutating func terminate(reason: Reason, at now: Instant) -> Bool {
        guard desired != .absent else { return false }
        graceSeconds = 0
        if move?.kind != .live { move = nil }
        interruption = nil
        want(.absent, .shuttingDown, reason, at: now)
        return true
    }

    mutating func want(_ desired: Desired, _ state: State, _ reason: Reason?, at now: Instant) {
        self.desired = desired
        generation += 1
        wanted = now
        enter(state, reason, at: now)
    }

    mutating func enter(_ state: State, _ reason: Reason?, at now: Instant) {
        if self.state != state { stateChanged = now }
        self.state = state
        self.reason = reason
    }

    private func refusal(_ verb: String, nearest: String) -> Refusal {
        Refusal(
            "instance.state", .conflict, "The instance is \(state.rawValue) and cannot be \(verb) now.",
            facts: ["state": .text(state.rawValue)],
            nearest: "the same request once it is \(nearest)")
    }

    // MARK: Observations

    /// Takes in what the host saw while driving towards `generation`. Older generations say nothing about what is wanted now.
    /// Returns whether anything changed.
    public mutating func observe(
        _ seen: Seen, generation seenGeneration: Int64, reason seenReason: Reason?, executed: Instant?, at now: Instant
    ) -> Bool {
        guard seenGeneration == generation else { return false }
        // What is seen on the way is about the way: `LiveMove` takes it in.
        guard move?.kind != .live else { return false }
        let before = self
        if let executed { self.executed = executed }
        switch (desired, seen) {
        case (.running, .running):
            enter(.running, nil, at: now)
            if move?.phase == .arriving { move = nil }
        case (.running, .stopped):
            move = nil
            shutItselfDown(at: now)
        case (.running, .failed):
            reason = seenReason ?? reason
        case (.stopped, .stopped): enter(.stopped, reason, at: now)
        case (.absent, .absent): enter(.terminated, reason, at: now)
        case (_, .failed): reason = seenReason ?? reason
        default: break
        }
        return self != before
    }

    /// The guest switched itself off: that is now what is wanted.
    mutating func shutItselfDown(at now: Instant) {
        want(.stopped, .stopped, Reason("Client.InstanceInitiatedShutdown", "The guest shut itself down."), at: now)
    }

    /// Gives up a launch that takes too long: one that never ran is removed, one that ran before is stopped again and keeps its disk. One
    /// that is moved is stuck instead, for people to look at. Returns whether anything changed.
    public mutating func giveUpIfLate(at now: Instant) -> Bool {
        guard state == .pending, move == nil, now - wanted > Self.launchLimit else { return false }
        let cause = reason.map { " Last seen: \($0.message)" } ?? ""
        let late = Reason("Server.LaunchTimeout", "The host did not start the instance within \(Self.launchLimit.seconds) s.\(cause)")
        guard executed != nil else { return terminate(reason: late, at: now) }
        want(.stopped, .stopping, late, at: now)
        return true
    }
}
