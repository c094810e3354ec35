public import Primitives

/// A live move as connect keeps it: its two hosts each have a part in it, and this says what they are to do and when it is over.
///
/// What hosts say is final where it says so (`MoveDecision`): the target that has taken the instance runs it; the target that is void never
/// will; the source that stays does not send any more. Everything else may change, and is waited for. So there is no moment at which two
/// hosts may run it, whatever is lost, late or doubled.
public struct LiveMove: Hashable, Sendable {
    public enum Phase: String, Sendable, CaseIterable {
        /// The target makes ready; the source knows of nothing.
        case preparing
        case copying
        /// It is given up: the source stops sending if it still can, the target lets go unless it has taken it.
        case cancelling
        /// The target never will run it, and the source is to.
        case returning
        /// It runs on the target.
        case arrived
        /// It runs on the source, as before.
        case stayed
        /// Neither has it any more; it starts again on the source.
        case lost
        /// Its guest switched itself off on the source, and stays off.
        case off

        public var isOver: Bool { self == .arrived || self == .stayed || self == .lost || self == .off }
    }

    public struct Progress: Hashable, Sendable {
        public var doneMiB: Int64
        public var leftMiB: Int64
        /// How long the guest stood still; before it has: how long it is expected to.
        public var downtimeMilliseconds: Int64?
        public init(doneMiB: Int64 = 0, leftMiB: Int64, downtimeMilliseconds: Int64? = nil) {
            self.doneMiB = doneMiB
            self.leftMiB = leftMiB
            self.downtimeMilliseconds = downtimeMilliseconds
        }
    }

    public enum Part: Hashable, Sendable { case source, target }

    /// The generation under which it began; tells one attempt from another.
    public var attempt: Int64
    public private(set) var phase: Phase
    public var source: HostID
    public var target: HostID
    public var began: Instant
    /// Given up when it is not over by then.
    public var deadline: Instant
    /// Where the target waits for it, `address:port`.
    public private(set) var endpoint: String?
    public private(set) var sourceSaid: MoveDecision.Said?
    public private(set) var targetSaid: MoveDecision.Said?
    public private(set) var progress: Progress
    /// Why it did not, or will not, arrive.
    public private(set) var why: String?

    public init(attempt: Int64, from source: HostID, to target: HostID, memoryMiB: Int64, bandwidthMiB: Int64, at now: Instant) {
        self.attempt = attempt
        self.source = source
        self.target = target
        phase = .preparing
        began = now
        deadline = now + Self.limit(memoryMiB: memoryMiB, bandwidthMiB: bandwidthMiB)
        progress = Progress(leftMiB: memoryMiB)
    }

    /// As it was kept.
    public init(
        attempt: Int64, phase: Phase, source: HostID, target: HostID, began: Instant, deadline: Instant, endpoint: String?,
        sourceSaid: MoveDecision.Said?, targetSaid: MoveDecision.Said?, progress: Progress, why: String?
    ) {
        self.attempt = attempt
        self.phase = phase
        self.source = source
        self.target = target
        self.began = began
        self.deadline = deadline
        self.endpoint = endpoint
        self.sourceSaid = sourceSaid
        self.targetSaid = targetSaid
        self.progress = progress
        self.why = why
    }

    /// Time for the image to be fetched, and for the memory to go over four times.
    public static func limit(memoryMiB: Int64, bandwidthMiB: Int64) -> Span { .seconds(180 + 4 * memoryMiB / max(1, bandwidthMiB)) }

    // MARK: What the hosts are to do

    public var sourceCommand: MoveDecision.Command? {
        switch phase {
        case .copying: .send
        case .cancelling: .cancel
        case .returning: .stay
        case .preparing, .arrived, .stayed, .lost, .off: nil
        }
    }

    public var targetCommand: MoveDecision.Command? {
        switch phase {
        case .preparing, .copying: .receive
        case .cancelling, .returning: .drop
        case .arrived, .stayed, .lost, .off: nil
        }
    }

    // MARK: What the hosts say. Each returns whether anything changed.

    public mutating func hear(
        _ said: MoveDecision.Said, from part: Part, attempt: Int64, endpoint: String? = nil, progress: Progress? = nil, why: String? = nil
    ) -> Bool {
        guard attempt == self.attempt, !phase.isOver else { return false }
        let before = self
        switch part {
        case .source where sourceSaid != .stays: sourceSaid = said
        case .target where targetSaid != .arrived && targetSaid != .void: targetSaid = said
        case .source, .target: break
        }
        if let endpoint, part == .target { self.endpoint = endpoint }
        if let progress, part == .source { self.progress = progress }
        if let why, self.why == nil, said == .stays || said == .void || said == .lost { self.why = why }
        // It cannot even lay down that it never will. Nobody has been told to send anything, so that its word is enough.
        if part == .target, said == .preparing, let why, phase == .preparing { _ = giveUp(why) }
        settle()
        return self != before
    }

    /// A part's host is proven to run nothing. What it did last, nobody knows.
    public mutating func fenced(_ part: Part) -> Bool {
        let before = self
        guard !phase.isOver else { return false }
        switch part {
        case .source: if sourceSaid != .stays, sourceSaid != .off { sourceSaid = .lost }
        case .target: isTargetGone = true
        }
        why = why ?? "The \(part) was fenced."
        if phase == .copying { phase = .cancelling }
        settle()
        return self != before
    }

    /// The target is fenced: it says nothing any more, and may have run the instance before.
    public var isTargetGone: Bool {
        get { targetSaid == .lost }
        set { if newValue, targetSaid != .arrived, targetSaid != .void { targetSaid = .lost } }
    }

    /// It is not wanted any more, or takes too long.
    public mutating func giveUp(_ why: String) -> Bool {
        guard phase == .preparing || phase == .copying else { return false }
        self.why = self.why ?? why
        phase = phase == .preparing ? .stayed : .cancelling
        settle()
        return true
    }

    public mutating func pass(to now: Instant) -> Bool {
        guard now >= deadline else { return false }
        return giveUp("It did not come to an end within \((deadline - began).seconds) s; \(progress.leftMiB) MiB were left.")
    }

    private mutating func settle() {
        guard !phase.isOver else { return }
        if targetSaid == .arrived { return phase = .arrived }
        if phase == .preparing {
            if sourceSaid == .off { return switchOff() }
            if targetSaid == .ready, endpoint != nil { phase = .copying } else if targetSaid == .void || isTargetGone { phase = .stayed }
            return
        }
        // It has not been sent whole, and never will be.
        if sourceSaid == .stays { return phase = .stayed }
        if targetSaid == .void {
            if sourceSaid == .off { return switchOff() }
            return phase = sourceSaid == .lost ? .lost : .returning
        }
        // Sent to a host that is gone: what it wrote to the disk there, the memory here does not know of. It starts again from the disk, as
        // after any failure of its host.
        if isTargetGone, sourceSaid == .sent || sourceSaid == .lost || sourceSaid == .off { return phase = .arrived }
        // A guest that switched itself off may have been sent before: only the target knows that it was not.
        if phase == .copying, sourceSaid == .lost || sourceSaid == .off { phase = .cancelling }
    }

    private mutating func switchOff() {
        phase = .off
        why = "The guest shut itself down."
    }
}

extension InstanceLifecycle {
    /// A live move of it is over: from here on its host is told what is wanted in the ordinary way.
    public mutating func endLiveMove(as phase: LiveMove.Phase, why: String?, at now: Instant) {
        guard move?.kind == .live else { return }
        move = nil
        switch phase {
        case .lost where desired == .running:
            return want(
                .running, .pending, Reason(ReasonCode.maintenance, "Its live move failed: \(why ?? "the machine is gone")"), at: now)
        case .off where desired == .running: return shutItselfDown(at: now)
        default: break
        }
        generation += 1
        wanted = now
        if desired == .running, state == .running { reason = nil }
    }

    /// Its hosts are told the next thing about its live move.
    public mutating func advanceLiveMove(at now: Instant) { generation += 1 }
}
