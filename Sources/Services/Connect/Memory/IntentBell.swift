import Primitives
import Synchronization

/// Wakes those who wait for what is wanted of their host, and nobody else.
final class IntentBell: Sendable {
    private struct State {
        var nextTicket: UInt64 = 0
        /// The newest change of each host since this process started.
        var newest: [HostID: Int64] = [:]
        var waiters: [HostID: [UInt64: CheckedContinuation<Void, Never>]] = [:]
    }

    private let state = Mutex(State())
    /// The newest change when this process started; of older ones it knows nothing.
    private let floor = Atomic<Int64>(0)

    func begin(at revision: Int64) { floor.store(revision, ordering: .relaxed) }

    /// Whether there may be something newer: the tables are worth a look.
    func mayHaveNews(for host: HostID, after revision: Int64) -> Bool {
        revision < floor.load(ordering: .relaxed) || state.withLock { $0.newest[host] ?? 0 } > revision
    }

    func ring(_ hosts: [HostID: Int64]) {
        guard !hosts.isEmpty else { return }
        let woken = state.withLock { state in
            hosts.flatMap { host, revision in
                state.newest[host] = max(state.newest[host] ?? 0, revision)
                return state.waiters.removeValue(forKey: host).map { Array($0.values) } ?? []
            }
        }
        for waiter in woken { waiter.resume() }
    }

    /// How many wait.
    var waiting: Int { state.withLock { $0.waiters.values.map(\.count).reduce(0, +) } }

    /// Returns as soon as something newer is wanted of the host, or on timeout, or on cancellation.
    func wait(for host: HostID, after revision: Int64, timeout: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.suspend(host, after: revision) }
            group.addTask { try? await Task.sleep(for: timeout) }
            await group.next()
            group.cancelAll()
        }
    }

    private func suspend(_ host: HostID, after revision: Int64) async {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            return state.nextTicket
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustWait = state.withLock { state -> Bool in
                    // Cancelled before this point: the handler found nobody to wake, so nobody may fall asleep now.
                    guard state.newest[host] ?? 0 <= revision, !Task.isCancelled else { return false }
                    state.waiters[host, default: [:]][ticket] = continuation
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                let waiter = state.waiters[host]?.removeValue(forKey: ticket)
                if state.waiters[host]?.isEmpty == true { state.waiters[host] = nil }
                return waiter
            }
            waiter?.resume()
        }
    }
}
