public import Primitives
import Synchronization

/// Leases that exist in memory only, on storage that can hang or be out of one host's reach.
public final class SimulatedLeases: LeaseStore {
    private struct State {
        var leases: [HostID: StorageLease] = [:]
        var taken: [HostID: Int64] = [:]
        var unreachableFor: Set<HostID> = []
        var isHanging = false
    }

    private let state = Mutex(State())
    private let faults: SimulatedFaults
    private let deadline: Duration

    public init(_ behaviour: SimulatedBehaviour, deadline: Duration = .milliseconds(100)) {
        faults = SimulatedFaults(behaviour)
        self.deadline = deadline
    }

    public func change(_ edit: (inout SimulatedBehaviour) -> Void) { faults.change(edit) }
    /// What the host itself asks fails; others go on reading and taking.
    public func setUnreachable(_ host: HostID, _ isUnreachable: Bool) {
        state.withLock { state in
            if isUnreachable { state.unreachableFor.insert(host) } else { state.unreachableFor.remove(host) }
        }
    }
    /// Nothing answers, whoever asks.
    public func setHanging(_ isHanging: Bool) { state.withLock { $0.isHanging = isHanging } }

    public func renew(_ lease: StorageLease) async throws(Refusal) {
        try await reach(lease.host, "renew")
        let taken = state.withLock { state in
            let taken = state.taken[lease.host] ?? 0
            if lease.epoch >= taken { state.leases[lease.host] = lease }
            return taken
        }
        try lease.check(against: taken)
    }

    public func release(_ lease: StorageLease) async throws(Refusal) {
        try await reach(lease.host, "release")
        state.withLock {
            $0.leases[lease.host] = lease
            $0.leases[lease.host]?.isReleased = true
        }
    }

    public func read(_ host: HostID) async throws(Refusal) -> StorageLease? {
        try await reach(nil, "read")
        return state.withLock { $0.leases[host] }
    }

    public func take(_ host: HostID, epoch: Int64) async throws(Refusal) {
        try await reach(nil, "take")
        state.withLock { $0.taken[host] = max($0.taken[host] ?? 0, epoch) }
    }

    public func taken(_ host: HostID) async throws(Refusal) -> Int64 {
        try await reach(nil, "taken")
        return state.withLock { $0.taken[host] ?? 0 }
    }

    private func reach(_ host: HostID?, _ call: String) async throws(Refusal) {
        if state.withLock({ $0.isHanging }) {
            try? await Task.sleep(for: deadline)
            throw Refusal("lease.deadline", .unavailable, "The storage has not answered within \(deadline), as simulated.", facts: [:])
        }
        try await faults.strike(call)
        guard let host, state.withLock({ $0.unreachableFor.contains(host) }) else { return }
        throw Refusal("simulated.unreachable", .unavailable, "The storage does not answer \(host), as simulated.", facts: [:])
    }
}
