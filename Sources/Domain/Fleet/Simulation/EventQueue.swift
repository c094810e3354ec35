import HeapModule
import Primitives

/// What will happen, soonest first; what is due at one moment happens in the order it was told.
struct EventQueue<Event: Sendable>: Sendable {
    private struct Entry: Comparable, Sendable {
        let at: Instant
        let number: UInt64
        let event: Event

        static func < (a: Entry, b: Entry) -> Bool { (a.at, a.number) < (b.at, b.number) }
        static func == (a: Entry, b: Entry) -> Bool { a.number == b.number }
    }

    private var heap: Heap<Entry> = []
    private var told: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var next: Instant? { heap.min?.at }

    mutating func add(_ event: Event, at moment: Instant) {
        told += 1
        heap.insert(Entry(at: moment, number: told, event: event))
    }

    mutating func take() -> (at: Instant, event: Event)? { heap.popMin().map { ($0.at, $0.event) } }
}
