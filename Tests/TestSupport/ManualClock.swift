public import Primitives
import Synchronization

/// A clock that stands still until a test moves it.
public final class ManualClock: Sendable {
    private let moment: Mutex<Instant>

    /// Starts at 2026-01-01T00:00:00Z unless told otherwise.
    public init(_ start: Instant = Instant(seconds: 1_767_225_600)) { moment = Mutex(start) }

    public var now: Instant { moment.withLock { $0 } }

    /// Moves on and returns the new time.
    @discardableResult
    public func advance(by span: Span) -> Instant {
        moment.withLock { moment in
            moment = moment + span
            return moment
        }
    }

    public func set(_ instant: Instant) { moment.withLock { $0 = instant } }
}

/// Identifiers from a seed: the same test gives the same ones.
public final class SeededIDs: IDSource {
    private let generator: Mutex<SeededGenerator>

    public init(seed: UInt64 = 1) { generator = Mutex(SeededGenerator(seed: seed)) }

    public func nextBits() -> UInt64 { generator.withLock { $0.next() } }
}
