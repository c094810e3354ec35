import NIOCore
import NIOPosix
import Synchronization

/// A clock for waits that mostly end before their time: deadlines of requests, polls for news.
///
/// `Task.sleep` keeps its timer until it was to ring, also when the task was cancelled long before: at some thousand requests a second
/// with a deadline of a minute, those are hundreds of MiB. Here an alarm that is not needed any more is gone at once. It rings up to
/// one tick late.
public final class CoarseClock: Sendable {
    public static let shared = CoarseClock()

    static let tick = Duration.milliseconds(100)

    /// An alarm that was set, for `cancel`.
    public struct Alarm: Sendable {
        fileprivate let slot: Int64
        fileprivate let number: UInt64
    }

    private struct State {
        var nextNumber: UInt64 = 0
        /// The tick up to which alarms have rung.
        var rung: Int64 = 0
        /// Alarms by the tick in which they ring.
        var slots: [Int64: [UInt64: @Sendable () -> Void]] = [:]
    }

    private let state = Mutex(State())
    private let start = ContinuousClock.now

    package init() {
        let tick = TimeAmount(Self.tick)
        MultiThreadedEventLoopGroup.singleton.any().scheduleRepeatedTask(initialDelay: tick, delay: tick) { [self] _ in ring() }
    }

    /// Calls `action` once the time has passed, on a thread that must not be kept.
    public func setAlarm(in time: Duration, _ action: @escaping @Sendable () -> Void) -> Alarm {
        let slot = ticks(until: .now + time) + 1
        return state.withLock { state in
            let alarm = Alarm(slot: max(slot, state.rung + 1), number: state.nextNumber)
            state.nextNumber += 1
            state.slots[alarm.slot, default: [:]][alarm.number] = action
            return alarm
        }
    }

    /// Returns false when it has rung already, or rings now.
    @discardableResult
    public func cancel(_ alarm: Alarm) -> Bool {
        state.withLock { state in
            let found = state.slots[alarm.slot]?.removeValue(forKey: alarm.number) != nil
            if state.slots[alarm.slot]?.isEmpty == true { state.slots[alarm.slot] = nil }
            return found
        }
    }

    /// Returns when the time has passed. Throws at once when the task is cancelled.
    public func sleep(for time: Duration) async throws {
        let wait = Sleeper()
        let alarm = setAlarm(in: time) { wait.wake() }
        await wait.sleep()
        cancel(alarm)
        try Task.checkCancellation()
    }

    /// Alarms that are set.
    package var count: Int { state.withLock { $0.slots.values.map(\.count).reduce(0, +) } }

    private func ticks(until moment: ContinuousClock.Instant) -> Int64 {
        let (seconds, attoseconds) = (moment - start).components
        return seconds * 10 + attoseconds / 100_000_000_000_000_000
    }

    private func ring() {
        let now = ticks(until: .now)
        let due = state.withLock { state -> [@Sendable () -> Void] in
            guard now > state.rung else { return [] }
            let slots = ((state.rung + 1)...now).compactMap { state.slots.removeValue(forKey: $0) }
            state.rung = now
            return slots.flatMap(\.values)
        }
        for action in due { action() }
    }
}
