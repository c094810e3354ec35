import Primitives
import Synchronization

/// How a simulated part of the world misbehaves. The same seed and the same calls in the same order misbehave the same way.
public struct SimulatedBehaviour: Sendable {
    public var seed: UInt64
    /// Calls that fail, of a thousand.
    public var failuresPerThousand: Int
    /// How long a call takes.
    public var delay: ClosedRange<Duration>

    public init(seed: UInt64, failuresPerThousand: Int = 0, delay: ClosedRange<Duration> = .zero...(.zero)) {
        self.seed = seed
        self.failuresPerThousand = failuresPerThousand
        self.delay = delay
    }
}

/// Draws delays and failures.
final class SimulatedFaults: Sendable {
    private let behaviour: Mutex<SimulatedBehaviour>
    private let generator: Mutex<SeededGenerator>

    init(_ behaviour: SimulatedBehaviour) {
        self.behaviour = Mutex(behaviour)
        generator = Mutex(SeededGenerator(seed: behaviour.seed))
    }

    func change(_ edit: (inout SimulatedBehaviour) -> Void) { behaviour.withLock { edit(&$0) } }

    /// Waits, then perhaps fails. What a real driver would do half is done before or after, never in between.
    func strike(_ call: String) async throws(Refusal) {
        let behaviour = behaviour.withLock { $0 }
        let (wait, fails) = generator.withLock { generator in
            let share = Double.random(in: 0...1, using: &generator)
            let wait = behaviour.delay.lowerBound + (behaviour.delay.upperBound - behaviour.delay.lowerBound) * share
            return (wait, Int.random(in: 0..<1_000, using: &generator) < behaviour.failuresPerThousand)
        }
        if wait > .zero { try? await Task.sleep(for: wait) }
        if fails { throw Refusal("simulated.failure", .unavailable, "\(call) failed, as simulated", facts: ["call": .text(call)]) }
    }
}
