import Primitives
import Synchronization

/// How long it takes until what was accepted is known to run: when each launch was answered, and when its report was acknowledged.
/// The time the simulated hypervisor took is left out.
public final class LagMeter: Sendable {
    private struct State {
        var accepted: [InstanceID: ContinuousClock.Instant] = [:]
        var told: [InstanceID: ContinuousClock.Instant] = [:]
        var lags: [Duration] = []
    }

    private let state = Mutex(State())

    public init() {}

    /// A launch was accepted. Its host may know before the buyer does.
    func accepted(_ instance: InstanceID) {
        let now = ContinuousClock.now
        state.withLock { state in
            guard let told = state.told.removeValue(forKey: instance) else { return state.accepted[instance] = now }
            state.lags.append(max(.zero, told - now))
        }
    }

    /// Connect has acknowledged that it runs; the simulated hypervisor took so long.
    func acknowledged(_ instance: InstanceID, working: Duration) {
        let now = ContinuousClock.now - working
        state.withLock { state in
            guard let accepted = state.accepted.removeValue(forKey: instance) else { return state.told[instance] = now }
            state.lags.append(max(.zero, now - accepted))
        }
    }

    /// Launches that were accepted and are not known to run yet.
    public var open: Int { state.withLock { $0.accepted.count } }
    public var settled: Int { state.withLock { $0.lags.count } }

    /// Seconds within which so many percent were known to run.
    public func seconds(percent: Double) -> Double {
        let sorted = state.withLock { $0.lags }.sorted()
        guard !sorted.isEmpty else { return 0 }
        let (seconds, attoseconds) = sorted[min(sorted.count - 1, Int(Double(sorted.count) * percent / 100))].components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
