import Fleet
import Primitives
import Synchronization

/// What was seen of the leases of hosts that are silent. In memory only: a connect that starts anew watches anew, which proves less.
final class LeaseDesk: Sendable {
    private let watches = Mutex<[HostID: LeaseWatch]>([:])
    private let start = ContinuousClock.now

    /// On a clock that never goes back, and is this desk's own.
    var now: Instant {
        let passed = (ContinuousClock.now - start).components
        return Instant(microseconds: passed.seconds * 1_000_000 + passed.attoseconds / 1_000_000_000_000)
    }

    /// See `LeaseWatch.see`.
    func see(_ host: HostID, _ record: LeaseWatch.Record?, reading: Period, below epoch: Int64) -> Bool {
        watches.withLock { $0[host, default: LeaseWatch()].see(record, reading: reading, below: epoch) }
    }

    func record(of host: HostID) -> LeaseWatch.Record? { watches.withLock { $0[host]?.record } }

    /// Time until it has run out, should it not be renewed; nil: it will prove nothing.
    func left(of host: HostID) -> Span? {
        let now = now
        return watches.withLock { $0[host]?.expires }.map { max(.zero, $0 - now) }
    }

    /// Hosts that are heard again need not be watched.
    func keepOnly(_ hosts: Set<HostID>) { watches.withLock { watches in watches = watches.filter { hosts.contains($0.key) } } }
}
