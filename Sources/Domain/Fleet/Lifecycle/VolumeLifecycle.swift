public import Primitives

/// The life of one volume as connect keeps it, with EC2's names. The same discipline as an instance's: an action changes what is wanted
/// and counts the generation up, an observation of that generation changes what is known, nothing leaves `deleted`.
public struct VolumeLifecycle: Hashable, Sendable {
    public enum State: String, Sendable, CaseIterable {
        case creating, available, attaching
        case inUse = "in-use"
        case detaching, deleting, deleted, error
    }
    public enum Desired: String, Sendable, CaseIterable { case available, attached, absent }
    public enum Seen: String, Sendable, CaseIterable { case absent, present, attached, failed }
    public struct Attachment: Hashable, Sendable {
        public var instance: InstanceID
        /// As the guest sees it, e.g. `vdb`.
        public var device: String
        public init(instance: InstanceID, device: String) {
            self.instance = instance
            self.device = device
        }
    }
    public typealias Reason = InstanceLifecycle.Reason

    public private(set) var desired: Desired
    public private(set) var state: State
    public private(set) var generation: Int64
    /// From the moment it is asked for until its end has been seen.
    public private(set) var attachment: Attachment?
    public private(set) var reason: Reason?
    public private(set) var stateChanged: Instant
    public private(set) var wanted: Instant

    /// How long a step may take before it is stuck.
    public static let stepLimit = Span.minutes(5)

    public init(createdAt now: Instant) {
        self.init(
            desired: .available, state: .creating, generation: 1, attachment: nil, reason: nil, stateChanged: now, wanted: now)
    }

    /// As it was kept.
    public init(
        desired: Desired, state: State, generation: Int64, attachment: Attachment?, reason: Reason?, stateChanged: Instant, wanted: Instant
    ) {
        self.desired = desired
        self.state = state
        self.generation = generation
        self.attachment = attachment
        self.reason = reason
        self.stateChanged = stateChanged
        self.wanted = wanted
    }

    /// It holds its room in the contract's volume and in the pool until it is known to be gone.
    public var holdsDisk: Bool { state != .deleted }
    public var isSettled: Bool { state == .available || state == .inUse || state == .deleted }

    // MARK: Actions. Each returns whether anything changed.

    public mutating func attach(to attachment: Attachment, at now: Instant) throws(Refusal) -> Bool {
        if self.attachment == attachment, desired == .attached { return false }
        guard state == .available else { throw refusal("attached", nearest: "available") }
        self.attachment = attachment
        want(.attached, .attaching, at: now)
        return true
    }

    public mutating func detach(at now: Instant) throws(Refusal) -> Bool {
        switch state {
        case .available, .detaching: return false
        case .inUse, .attaching:
            want(.available, .detaching, at: now)
            return true
        case .error where attachment != nil && desired != .absent:
            want(.available, .detaching, at: now)
            return true
        case .creating, .deleting, .deleted, .error: throw refusal("detached", nearest: "in-use")
        }
    }

    /// Only of one that no instance uses.
    public mutating func delete(at now: Instant) throws(Refusal) -> Bool {
        guard desired != .absent else { return false }
        guard attachment == nil else { throw refusal("deleted", nearest: "available") }
        want(.absent, .deleting, at: now)
        return true
    }

    /// Its instance goes to another host, which is to attach it there.
    public mutating func follow(at now: Instant) {
        guard desired == .attached else { return }
        want(.attached, .attaching, at: now)
    }

    /// Something about it is to change while it stays as it is: its size, or the host that serves it.
    public mutating func amend(at now: Instant) throws(Refusal) {
        guard state == .available || state == .inUse else { throw refusal("changed", nearest: "available or in-use") }
        generation += 1
        wanted = now
    }

    /// The host that serves it is proven to run nothing: nobody uses it any more, and what was to be deleted is out of reach for all.
    /// Returns whether anything changed.
    public mutating func hostFenced(at now: Instant) -> Bool {
        if desired == .absent, state != .deleted {
            enter(.deleted, reason, at: now)
            return true
        }
        guard attachment != nil, desired != .attached else { return false }
        attachment = nil
        enter(.available, nil, at: now)
        return true
    }

    /// Asks for the same again, with a new generation and deadline.
    public mutating func retry(at now: Instant) throws(Refusal) {
        guard state == .error || isStuck(at: now) else { throw refusal("retried", nearest: "stuck or in error") }
        let again: State =
            switch desired {
            case .available: attachment == nil ? .creating : .detaching
            case .attached: .attaching
            case .absent: .deleting
            }
        want(desired, again, at: now)
    }

    public func isStuck(at now: Instant) -> Bool { !isSettled && (state == .error || now - wanted > Self.stepLimit) }

    private mutating func want(_ desired: Desired, _ state: State, at now: Instant) {
        self.desired = desired
        generation += 1
        wanted = now
        enter(state, nil, at: now)
    }

    private mutating func enter(_ state: State, _ reason: Reason?, at now: Instant) {
        if self.state != state { stateChanged = now }
        self.state = state
        self.reason = reason
    }

    private func refusal(_ verb: String, nearest: String) -> Refusal {
        Refusal(
            "volume.state", .conflict, "The volume is \(state.rawValue) and cannot be \(verb) now.",
            facts: ["state": .text(state.rawValue)], nearest: "the same request once it is \(nearest)")
    }

    // MARK: Observations

    /// Takes in what a driver saw while driving towards `generation`. Returns whether anything changed.
    public mutating func observe(_ seen: Seen, generation seenGeneration: Int64, reason seenReason: Reason?, at now: Instant) -> Bool {
        guard seenGeneration == generation, state != .deleted else { return false }
        let before = self
        switch (desired, seen) {
        case (.available, .present):
            attachment = nil
            enter(.available, nil, at: now)
        case (.attached, .attached): enter(.inUse, nil, at: now)
        case (.absent, .absent):
            attachment = nil
            enter(.deleted, reason, at: now)
        case (.available, .absent) where state != .creating, (.attached, .absent):
            enter(.error, seenReason ?? Reason("Server.VolumeLost", "The storage no longer has this volume."), at: now)
        // What has come about is not undone by news of an attempt before.
        case (_, .failed) where !isSettled:
            enter(.error, seenReason ?? Reason("Server.VolumeFailed", "The storage gave no reason."), at: now)
        // Growing it did not succeed: it is in use as before, and says why.
        case (_, .failed) where state != .deleted: enter(state, seenReason, at: now)
        default: break
        }
        return self != before
    }
}
