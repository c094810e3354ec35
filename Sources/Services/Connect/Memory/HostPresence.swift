import Primitives
import Synchronization

/// When each host was last heard. The table follows from time to time, so that a heartbeat without news writes nothing.
final class HostPresence: Sendable {
    private struct State {
        var heard: [HostID: Instant] = [:]
        /// Heard since the table was last brought up to date.
        var unwritten: Set<HostID> = []
    }

    private let state = Mutex(State())

    func note(_ host: HostID, at now: Instant) {
        state.withLock { state in
            guard now > state.heard[host] ?? .zero else { return }
            state.heard[host] = now
            state.unwritten.insert(host)
        }
    }

    /// When this process last heard it; nil: not yet.
    func lastHeard(_ host: HostID) -> Instant? { state.withLock { $0.heard[host] } }

    /// Which of some hosts have not been heard since a moment, by this process.
    func silent(since: Instant, among hosts: [HostID]) -> Set<HostID> {
        state.withLock { state in Set(hosts.filter { state.heard[$0] ?? .zero < since }) }
    }

    /// What the table does not say yet. Whoever takes it writes it.
    func takeUnwritten() -> [(host: HostID, at: Instant)] {
        state.withLock { state in
            defer { state.unwritten = [] }
            return state.unwritten.sorted().compactMap { host in state.heard[host].map { (host, $0) } }
        }
    }
}
