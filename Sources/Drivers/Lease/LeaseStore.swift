public import Primitives

/// A host's lease as it is on its pod's storage.
public struct StorageLease: Hashable, Sendable {
    public var host: HostID
    /// The host's fencing token.
    public var epoch: Int64
    /// Another with each renewal.
    public var number: Int64
    /// The host may write for so long after the beginning of a renewal.
    public var lasts: Span
    /// A watchdog resets the host when nobody renews in time.
    public var isGuarded: Bool
    /// The host has stopped all guests and writes no more under this epoch.
    public var isReleased: Bool

    public init(host: HostID, epoch: Int64, number: Int64, lasts: Span, isGuarded: Bool, isReleased: Bool = false) {
        self.host = host
        self.epoch = epoch
        self.number = number
        self.lasts = lasts
        self.isGuarded = isGuarded
        self.isReleased = isReleased
    }
}

/// The seam to leases on a pod's storage. Real: `FileLeases` on a file system that hosts share. Simulated: `SimulatedLeases`.
///
/// Each verb may be called again at any time and has a deadline. After an error nobody knows whether it was done, or will be done yet.
public protocol LeaseStore: Sendable {
    /// Writes the host's own lease; returns once it is there for all to read. `lease.taken`: it was taken for a later epoch, before or
    /// meanwhile.
    func renew(_ lease: StorageLease) async throws(Refusal)

    /// Writes that the host has let go: also when it was taken.
    func release(_ lease: StorageLease) async throws(Refusal)

    /// Nil: the host has never had one here.
    func read(_ host: HostID) async throws(Refusal) -> StorageLease?

    /// Ends the host's right under every epoch below this one; returns once it is there for the host to read. A later one holds.
    func take(_ host: HostID, epoch: Int64) async throws(Refusal)

    /// Since which epoch the host has a right again; 0 when it was never taken.
    func taken(_ host: HostID) async throws(Refusal) -> Int64
}

extension StorageLease {
    /// A refusal when this lease is under an older epoch than the one it was taken for.
    func check(against taken: Int64) throws(Refusal) {
        guard epoch >= taken else {
            throw Refusal(
                "lease.taken", .conflict, "The lease of \(host) under epoch \(epoch) was taken: it may write from epoch \(taken) on.",
                facts: ["host": .text(host.description), "epoch": .number(epoch), "taken": .number(taken)],
                nearest: "stop all guests, then hello at connect")
        }
    }
}
