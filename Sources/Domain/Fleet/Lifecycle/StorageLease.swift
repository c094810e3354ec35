public import Primitives

// A host on shared storage holds a lease there: a record that it renews. Whoever can read the record can tell a host that stopped writing
// from one that is merely cut off from connect, and can tell a host that is cut off to stop (the delta leases of sanlock; the poison pill
// of SBD). Each side measures spans by a clock of its own that never goes back, so the clocks need not agree.

/// The holder's side: whether the host may go on running guests whose disks others reach.
public struct LeaseHold: Hashable, Sendable {
    /// The host may write for so long after the beginning of a renewal that succeeded.
    public let lasts: Span
    private var renewed: Instant?
    /// Another has taken it: this host's right has ended for this epoch.
    public private(set) var isTaken = false

    public init(lasts: Span) {
        precondition(lasts > .zero, "a lease lasts")
        self.lasts = lasts
    }

    /// Between two renewals: so that several may fail.
    public var renewalInterval: Span { Span(microseconds: lasts.microseconds / 5) }

    /// Guests are stopped once no renewal has succeeded for so long. What is left of the lease is the time to stop them in.
    public var patience: Span { Span(microseconds: lasts.microseconds * 3 / 5) }

    /// A renewal that was begun at a moment is on the storage.
    public mutating func renewed(begun: Instant) {
        guard !isTaken else { return }
        renewed = max(renewed ?? begun, begun)
    }

    public mutating func taken() {
        isTaken = true
        renewed = nil
    }

    /// The host goes on under a new epoch. What was taken was the right under the old one; the new one has to be renewed first.
    public mutating func epochChanged() { isTaken = false }

    /// Guests may run, and start.
    public func isHeld(at now: Instant) -> Bool { renewed.map { now - $0 < patience } ?? false }
}

/// An observer's side: what a lease that was seen again and again proves about its host.
public struct LeaseWatch: Hashable, Sendable {
    /// What the record on the storage says.
    public struct Record: Hashable, Sendable {
        /// The host's fencing token when it wrote this.
        public var epoch: Int64
        /// Another with each renewal.
        public var number: Int64
        public var lasts: Span
        /// A watchdog resets the host when nobody renews in time. Without one a node that hangs stops no guests, and silence proves nothing.
        public var isGuarded: Bool
        /// The holder says that it has stopped all guests and will write no more under this epoch.
        public var isReleased: Bool

        public init(epoch: Int64, number: Int64, lasts: Span, isGuarded: Bool, isReleased: Bool) {
            self.epoch = epoch
            self.number = number
            self.lasts = lasts
            self.isGuarded = isGuarded
            self.isReleased = isReleased
        }
    }

    public private(set) var record: Record?
    /// When this record had been seen first: the host wrote it before.
    private var since: Instant?

    public init() {}

    /// The record was read; the reading began and ended at these moments. Nil: there is none.
    /// - Returns: whether it proves that the host writes nothing under any epoch below `epoch`.
    public mutating func see(_ seen: Record?, reading: Period, below epoch: Int64) -> Bool {
        guard let seen else {
            (record, since) = (nil, nil)
            return false
        }
        if seen != record { (record, since) = (seen, reading.end) }
        guard seen.epoch < epoch else { return false }
        if seen.isReleased { return true }
        guard seen.isGuarded, let since else { return false }
        return reading.start - since >= seen.lasts + Self.margin(seen.lasts)
    }

    /// When it will have run out, should it not be renewed; nil: it proves nothing.
    public var expires: Instant? {
        guard let record, record.isGuarded || record.isReleased, let since else { return nil }
        return since + record.lasts + Self.margin(record.lasts)
    }

    /// Clocks of two machines may run apart by this much over a lease: a tenth.
    private static func margin(_ lasts: Span) -> Span { Span(microseconds: lasts.microseconds / 10) }
}
