import Primitives
import Synchronization

/// Where commands wait for the desk. Callers put them here without waiting for the desk itself, which takes many at a time.
final class DeskInbox: Sendable {
    /// More than this many waiting commands are refused.
    static let bound = 10_000

    private struct State {
        var waiting: [Waiting] = []
        var isClosed = false
    }
    private let state = Mutex(State())

    var count: Int { state.withLock { $0.waiting.count } }

    /// Puts a command at the end, or fails it at once. True when none waited: the desk may have to be woken.
    func offer(_ command: Waiting) -> Bool {
        let (refusal, isFirst) = state.withLock { state -> (Refusal?, Bool) in
            if state.isClosed { return (Self.stopping, false) }
            guard state.waiting.count < Self.bound else { return (Self.busy(state.waiting.count), false) }
            state.waiting.append(command)
            return (nil, state.waiting.count == 1)
        }
        if let refusal { command.fail(refusal) }
        return isFirst
    }

    /// The first ones, at most as many as said.
    func take(_ most: Int) -> [Waiting] {
        state.withLock { state in
            if state.waiting.count <= most {
                defer { state.waiting = [] }
                return state.waiting
            }
            defer { state.waiting.removeFirst(most) }
            return Array(state.waiting.prefix(most))
        }
    }

    /// Takes no more; what waits is failed.
    func close() {
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiting in left { waiting.fail(Self.stopping) }
    }

    private static var stopping: Refusal { Refusal("service.stopping", .unavailable, "The exchange is stopping.") }

    private static func busy(_ waiting: Int) -> Refusal {
        Refusal(
            "exchange.busy", .throttled, "\(waiting) commands wait already.", facts: ["waiting": .number(Int64(waiting))],
            nearest: "the same request, a little later")
    }
}
