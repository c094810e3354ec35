import CDispatch
import Foundation
import Glibc
import Synchronization
public import Primitives

/// The time, as programs know it. Tests bring a clock of their own.
public protocol TimeSource: Sendable {
    func now() -> Instant
}

public struct SystemTime: TimeSource {
    public init() {}
    public func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}

/// Identifiers from the system's random generator.
public struct RandomIDs: IDSource {
    public init() {}
    public func nextBits() -> UInt64 { Self.drawn.withLock { $0.next() } }

    /// The system's randomness, drawn for many identifiers at a time: asking for it costs more than an order does.
    private struct Drawn {
        private var bits: [UInt64] = []

        mutating func next() -> UInt64 {
            if bits.isEmpty {
                // Up to 256 bytes come whole: getentropy(3).
                bits = [UInt64](repeating: 0, count: 32)
                let failed = bits.withUnsafeMutableBytes { getentropy($0.baseAddress, $0.count) }
                precondition(failed == 0, "the system has no randomness")
            }
            return bits.removeLast()
        }
    }
    private static let drawn = Mutex(Drawn())
}

/// Places where a test may kill the program: `BOURSE_FAULT=connect.launch.placed` (or `…:3` for the third time) makes the
/// program end there as `kill -9` would. Costs one comparison when not armed.
public enum FaultPoint {
    private static let armed: (name: String, left: Countdown)? = {
        guard let text = ProcessInfo.processInfo.environment["BOURSE_FAULT"], !text.isEmpty else { return nil }
        let parts = text.split(separator: ":", maxSplits: 1)
        return (String(parts[0]), Countdown(parts.count > 1 ? Int(parts[1]) ?? 1 : 1))
    }()

    /// Whether a test may end the program somewhere.
    public static var isArmed: Bool { armed != nil }

    public static func hit(_ name: StaticString) {
        guard let armed, armed.name == name.description else { return }
        if armed.left.reachedZero() { kill(getpid(), SIGKILL) }
    }
}

private final class Countdown: Sendable {
    private let left: Mutex<Int>
    init(_ count: Int) { left = Mutex(count) }
    func reachedZero() -> Bool {
        left.withLock { value in
            value -= 1
            return value == 0
        }
    }
}
