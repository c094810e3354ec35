package import Primitives
import ServiceKit
import Synchronization

/// Wakes those who wait for what is wanted of their host, and nobody else.
package final class IntentBell: Sendable {
    private struct State {
        var nextTicket: UInt64 = 0
        /// The newest change of each host since this process started.
        var newest: [HostID: Int64] = [:]
        var waiters: [HostID: [UInt64: Sleeper]] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())
    /// The newest change when this process started; of older ones it knows nothing.
    private let floor = Atomic<Int64>(0)

    package init() {}

    package func begin(at revision: Int64) { floor.store(revision, ordering: .relaxed) }

    /// Whether there may be something newer: the tables are worth a look.
    package func mayHaveNews(for host: HostID, after revision: Int64) -> Bool {
        revision < floor.load(ordering: .relaxed) || state.withLock { $0.newest[host] ?? 0 } > revision
    }

    package func ring(_ hosts: [HostID: Int64]) {
        guard !hosts.isEmpty else { return }
        let woken = state.withLock { state in
            hosts.flatMap { host, revision in
                state.newest[host] = max(state.newest[host] ?? 0, revision)
                return state.waiters.removeValue(forKey: host).map { Array($0.values) } ?? []
            }
        }
        for waiter in woken { waiter.wake() }
    }

    /// How many wait.
    package var waiting: Int { state.withLock { $0.waiters.values.map(\.count).reduce(0, +) } }

    /// Returns as soon as something newer is wanted of the host, or on timeout, on cancellation, or when nobody is to wait any more.
    ///
    /// Ten thousand wait at any time, so a wait is one sleeper and one alarm, and no task of its own.
    package func wait(for host: HostID, after revision: Int64, timeout: Duration) async {
        let sleeper = Sleeper()
        let ticket = state.withLock { state -> UInt64? in
            guard !state.isClosed, state.newest[host] ?? 0 <= revision else { return nil }
            state.nextTicket += 1
            state.waiters[host, default: [:]][state.nextTicket] = sleeper
            return state.nextTicket
        }
        guard let ticket else { return }
        let alarm = CoarseClock.shared.setAlarm(in: timeout) { sleeper.wake() }
        await sleeper.sleep()
        CoarseClock.shared.cancel(alarm)
        state.withLock { state in
            state.waiters[host]?[ticket] = nil
            if state.waiters[host]?.isEmpty == true { state.waiters[host] = nil }
        }
    }

    /// The program ends: all who wait are woken, and nobody waits from now on.
    package func close() {
        let woken = state.withLock { state in
            state.isClosed = true
            defer { state.waiters = [:] }
            return state.waiters.values.flatMap(\.values)
        }
        for waiter in woken { waiter.wake() }
    }
}
