import Primitives
import Synchronization

/// When each host was last heard. The table follows from time to time, so that a heartbeat without news writes nothing.
final class HostPresence: Sendable {
    private struct State {
        var heard: [HostID: Instant] = [:]
        /// Heard since the table was last brought up to date.
        var unwritten: Set<HostID> = []
        /// When the table of hosts was last read as a whole.
        var looked = Instant.zero
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

    /// True once in so long: reading ten thousand rows takes a tenth of a second.
    func takeTurnToLook(at now: Instant, every span: Span) -> Bool {
        state.withLock { state in
            guard now - state.looked >= span else { return false }
            state.looked = now
            return true
        }
    }

    /// What the table does not say yet. Whoever takes it writes it.
    func takeUnwritten() -> [(host: HostID, at: Instant)] {
        state.withLock { state in
            defer { state.unwritten = [] }
            return state.unwritten.sorted().compactMap { host in state.heard[host].map { (host, $0) } }
        }
    }
}
