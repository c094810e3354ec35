import Synchronization

/// One that sleeps until it is woken or its task is cancelled, whichever comes first and even when that was before it fell asleep.
public final class Sleeper: Sendable {
    private enum State {
        case awake
        case asleep(CheckedContinuation<Void, Never>)
        case woken
    }

    private let state = Mutex(State.awake)

    public init() {}

    /// For one task, once.
    public func sleep() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustSleep = state.withLock { state -> Bool in
                    guard case .awake = state else { return false }
                    state = .asleep(continuation)
                    return true
                }
                if !mustSleep { continuation.resume() }
            }
        } onCancel: {
            wake()
        }
    }

    public func wake() {
        let sleeping = state.withLock { state -> CheckedContinuation<Void, Never>? in
            defer { state = .woken }
            if case .asleep(let continuation) = state { return continuation }
            return nil
        }
        sleeping?.resume()
    }
}
