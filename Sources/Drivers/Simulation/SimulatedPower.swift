public import Primitives
import Synchronization

/// Power that exists in memory only. A verb that fails may have worked nevertheless.
public final class SimulatedPower: PowerDriver {
    private struct State {
        var off: Set<HostID> = []
        /// Every host that was switched off, as often as it was.
        var switchedOff: [HostID] = []
        var isUnreachable = false
        var worksSilently = false
    }

    private let state = Mutex(State())
    private let faults: SimulatedFaults

    public init(_ behaviour: SimulatedBehaviour) { faults = SimulatedFaults(behaviour) }

    public func change(_ edit: (inout SimulatedBehaviour) -> Void) { faults.change(edit) }
    /// Nothing is answered. `worksSilently`: and yet hosts are switched.
    public func setUnreachable(_ isUnreachable: Bool, worksSilently: Bool = false) {
        state.withLock {
            $0.isUnreachable = isUnreachable
            $0.worksSilently = worksSilently
        }
    }
    public var switchedOff: [HostID] { state.withLock { $0.switchedOff } }

    public func ensureOff(_ host: PowerTarget) async throws(Refusal) { try await set(host, off: true) }
    public func ensureOn(_ host: PowerTarget) async throws(Refusal) { try await set(host, off: false) }

    public func state(of host: PowerTarget) async throws(Refusal) -> PowerState {
        try await faults.strike("state")
        if state.withLock({ $0.isUnreachable }) { throw unreachable(host) }
        return state.withLock { $0.off.contains(host.id) } ? .off : .on
    }

    private func set(_ host: PowerTarget, off: Bool) async throws(Refusal) {
        try await faults.strike(off ? "ensureOff" : "ensureOn")
        let isUnreachable = state.withLock { state -> Bool in
            guard !state.isUnreachable || state.worksSilently else { return true }
            if off, state.off.insert(host.id).inserted { state.switchedOff.append(host.id) }
            if !off { state.off.remove(host.id) }
            return state.isUnreachable
        }
        if isUnreachable { throw unreachable(host) }
    }

    private func unreachable(_ host: PowerTarget) -> Refusal {
        Refusal("simulated.unreachable", .unavailable, "The power of \(host.name) does not answer, as simulated.", facts: [:])
    }
}
