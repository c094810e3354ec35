import Primitives

/// What will happen, soonest first; what is due at one moment happens in the order it was told.
struct EventQueue<Event: Sendable>: Sendable {
    private struct Entry: Sendable {
        let at: Instant
        let number: UInt64
        let event: Event

        func isBefore(_ other: Entry) -> Bool { (at, number) < (other.at, other.number) }
    }

    private var heap: ContiguousArray<Entry> = []
    private var told: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var next: Instant? { heap.first?.at }

    mutating func add(_ event: Event, at moment: Instant) {
        told += 1
        heap.append(Entry(at: moment, number: told, event: event))
        var child = heap.count - 1
        while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func take() -> (at: Instant, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return (first.at, first.event) }
        heap[0] = last
        var parent = 0
        while true {
            var least = 2 * parent + 1
            guard least < heap.count else { break }
            if least + 1 < heap.count, heap[least + 1].isBefore(heap[least]) { least += 1 }
            guard heap[least].isBefore(heap[parent]) else { break }
            heap.swapAt(parent, least)
            parent = least
        }
        return (first.at, first.event)
    }
}
