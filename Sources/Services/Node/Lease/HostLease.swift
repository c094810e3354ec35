import Drivers
import Fleet
import Primitives
import Synchronization

/// What this node knows of its host's lease on the pod's storage. Spans are measured by a clock that never goes back and counts while the
/// host sleeps.
final class HostLease: Sendable {
    let store: any LeaseStore
    let watchdog: (any Watchdog)?
    let lasts: Span

    private struct State {
        var hold: LeaseHold
        /// Launches under way under the lease.
        var launches = 0
        var isReleased = false
    }

    private let state: Mutex<State>
    private let start = ContinuousClock.now

    init(store: any LeaseStore, watchdog: (any Watchdog)?, lasts: Span) {
        self.store = store
        self.watchdog = watchdog
        self.lasts = lasts
        state = Mutex(State(hold: LeaseHold(lasts: lasts)))
    }

    /// On the lease's own clock.
    var now: Instant {
        let passed = (ContinuousClock.now - start).components
        return Instant(microseconds: passed.seconds * 1_000_000 + passed.attoseconds / 1_000_000_000_000)
    }

    var isHeld: Bool { state.withLock { $0.hold.isHeld(at: now) } }
    var isTaken: Bool { state.withLock { $0.hold.isTaken } }
    var interval: Duration { state.withLock { $0.hold.renewalInterval.duration } }

    func renewed(begun: Instant) {
        state.withLock {
            $0.hold.renewed(begun: begun)
            $0.isReleased = false
        }
    }

    func taken() { state.withLock { $0.hold.taken() } }
    func epochChanged() { state.withLock { $0.hold.epochChanged() } }

    /// Whether it was taken, nothing is being launched under it any more, and the storage has not been told yet.
    var mustRelease: Bool { state.withLock { $0.hold.isTaken && $0.launches == 0 && !$0.isReleased } }
    func noteReleased() { state.withLock { $0.isReleased = true } }

    /// Launches something while the lease is held; who lets go of the lease waits for the end of that.
    func whileHeld<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        try state.withLock { state in
            guard state.hold.isHeld(at: now) else {
                throw Refusal(
                    "node.lease", .unavailable, "This host does not hold its lease on the pod's storage, so nothing is started here.",
                    nearest: "the same once the storage answers")
            }
            state.launches += 1
        }
        defer { state.withLock { $0.launches -= 1 } }
        return try await body()
    }
}
