import Synchronization

/// Tells waiters that a newer change than the one they know was committed.
public final class ChangeSignal: Sendable {
    private struct State {
        var latest: Int64 = 0
        var nextTicket: UInt64 = 0
        var waiters: [UInt64: Waiter] = [:]
    }
    private struct Waiter {
        let after: Int64
        let continuation: CheckedContinuation<Void, Never>
    }
    private let state = Mutex(State())

    package init() {}

    /// The newest revision this process has heard of; `latestRevision()` in a read is the truth.
    public var latest: Int64 { state.withLock { $0.latest } }

    /// Whether somebody waits now.
    public var isAwaited: Bool { state.withLock { !$0.waiters.isEmpty } }

    /// Returns as soon as a change newer than `revision` is committed, or on timeout, or on cancellation. The caller then reads.
    public func wait(after revision: Int64, timeout: Duration) async {
        guard latest <= revision, timeout > .zero else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.suspend(after: revision) }
            group.addTask { try? await Task.sleep(for: timeout) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Wakes everyone who waits for something older than `revision`. Revisions may arrive in any order.
    package func advance(to revision: Int64) {
        let woken = state.withLock { state -> [Waiter] in
            guard revision > state.latest else { return [] }
            state.latest = revision
            let due = state.waiters.filter { $0.value.after < revision }
            for ticket in due.keys { state.waiters[ticket] = nil }
            return Array(due.values)
        }
        for waiter in woken { waiter.continuation.resume() }
    }

    private func suspend(after revision: Int64) async {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            return state.nextTicket
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustWait = state.withLock { state -> Bool in
                    // Cancelled before this point: the handler found nobody to wake, so nobody may fall asleep now.
                    guard state.latest <= revision, !Task.isCancelled else { return false }
                    state.waiters[ticket] = Waiter(after: revision, continuation: continuation)
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: ticket) }?.continuation.resume()
        }
    }
}
