public import Primitives

/// How long a host may be silent, and how often it may come and go. All spans are measured by connect's own clock.
public struct HostPolicy: Hashable, Sendable {
    /// Silence after which nothing new goes to a host.
    public var suspectAfter: Span
    /// Silence after which it counts as failed: it is fenced, or waited for.
    public var failAfter: Span
    /// Between two attempts to fence; each later attempt waits twice as long, up to 16 times.
    public var fencingRetry: Span
    /// Recoveries within this stretch count together.
    public var flapWindow: Span
    /// So many recoveries within the window, and the host is quarantined.
    public var flapLimit: Int
    /// How long a quarantined host has to answer without a break before it is released.
    public var calm: Span
    /// Thousandths of a pod's hosts that may be silent at once while hosts are still fenced: beyond that the fault is more likely the
    /// network's or connect's own, and fencing would stop guests that live.
    public var mostSilentPerMille: Int64

    public init(
        suspectAfter: Span = .seconds(30), failAfter: Span = .seconds(120), fencingRetry: Span = .seconds(15),
        flapWindow: Span = .hours(1), flapLimit: Int = 3, calm: Span = .hours(1), mostSilentPerMille: Int64 = 300
    ) {
        precondition(suspectAfter < failAfter, "a host is suspect before it has failed")
        precondition(flapLimit > 0, "a host that never failed does not flap")
        self.suspectAfter = suspectAfter
        self.failAfter = failAfter
        self.fencingRetry = fencingRetry
        self.flapWindow = flapWindow
        self.flapLimit = flapLimit
        self.calm = calm
        self.mostSilentPerMille = mostSilentPerMille
    }
}
