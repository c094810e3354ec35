import Market
import Primitives
import Synchronization

/// Refused self-matches of the running minute: the first in a series leaves a row at once, and the others are counted here until the
/// row's number is raised. So a program that runs into its own orders again and again costs a row a minute.
final class SelfMatchLog: Sendable {
    private struct Key: Hashable {
        let participant: ParticipantID
        let series: SeriesID
        let side: Side

        init(_ match: SelfMatch) { (participant, series, side) = (match.participant, match.series, match.side) }
    }

    private struct Entry {
        let minute: Instant
        /// Of the row; nil while it is being written.
        var number: Int64?
        var repeats: Int64 = 0
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        /// By the number of the row.
        var repeats: [Int64: Int64] = [:]

        mutating func collect(_ key: Key) {
            guard let entry = entries[key], let number = entry.number, entry.repeats > 0 else { return }
            repeats[number, default: 0] += entry.repeats
            entries[key]?.repeats = 0
        }
    }

    private let state = Mutex(State())

    /// True for the first of its minute, which is to be written; others are counted.
    func isFirst(_ match: SelfMatch) -> Bool {
        let (key, minute) = (Key(match), match.at.floored(to: .minutes(1)))
        return state.withLock { state in
            if state.entries[key]?.minute == minute {
                state.entries[key]?.repeats += 1
                return false
            }
            state.collect(key)
            state.entries[key] = Entry(minute: minute)
            return true
        }
    }

    /// The row of a minute's first.
    func wrote(_ match: SelfMatch, as number: Int64) {
        state.withLock { $0.entries[Key(match)]?.number = number }
    }

    /// The row could not be written: the next one is the first.
    func missed(_ match: SelfMatch) { state.withLock { $0.entries[Key(match)] = nil } }

    /// What was counted since the last call, by the number of the row; forgets minutes that are over.
    func takeRepeats(at now: Instant) -> [Int64: Int64] {
        state.withLock { state in
            for key in state.entries.keys { state.collect(key) }
            state.entries = state.entries.filter { $0.value.minute + .minutes(1) > now || $0.value.number == nil }
            defer { state.repeats = [:] }
            return state.repeats
        }
    }
}
