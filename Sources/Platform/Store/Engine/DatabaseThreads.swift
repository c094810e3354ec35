import Foundation
import Synchronization

/// Threads of one database. The last one to end runs `finish` and lets those go on who wait for all to end.
final class DatabaseThreads: Sendable {
    struct Body: Sendable {
        let name: String
        var niceness: Int32 = 0
        let run: @Sendable () -> Void
    }
    private struct State {
        var running = 0
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state: Mutex<State>
    private let finish: @Sendable () -> Void

    /// Starts one thread for each body; they block, so they are none of the cooperative pool's.
    init(_ bodies: [Body], finish: @escaping @Sendable () -> Void) {
        state = Mutex(State(running: bodies.count))
        self.finish = finish
        for body in bodies {
            let thread = Thread { [self] in
                // On Linux this is the calling thread's alone. Where it is not allowed, all are equal.
                if body.niceness > 0 { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, body.niceness) }
                body.run()
                leave()
            }
            thread.name = body.name
            thread.start()
        }
    }

    func waitUntilEnded() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.waiters.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }

    private func leave() {
        let isLast = state.withLock { state in
            state.running -= 1
            return state.running == 0
        }
        guard isLast else { return }
        finish()
        let waiters = state.withLock { state in
            state.hasEnded = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
