import Primitives

/// Reservations in the order in which they end: a binary heap. Those given back or taken up before stay in it until their time comes.
struct ExpiryHeap: Sendable {
    struct Entry: Sendable {
        var end: Instant
        var instance: InstanceID

        static func < (a: Entry, b: Entry) -> Bool { (a.end, a.instance) < (b.end, b.instance) }
    }

    private var entries: ContiguousArray<Entry> = []
    private var ends: [InstanceID: Instant] = [:]

    /// When a reservation ends; nil: there is none.
    func end(of instance: InstanceID) -> Instant? { ends[instance] }

    mutating func remove(_ instance: InstanceID) { ends[instance] = nil }

    mutating func push(_ end: Instant, _ instance: InstanceID) {
        ends[instance] = end
        entries.append(Entry(end: end, instance: instance))
        var child = entries.count - 1
        while child > 0, entries[child] < entries[(child - 1) / 2] {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// The next entry that ends at `now` or before.
    mutating func pop(dueAt now: Instant) -> Entry? {
        guard let first = entries.first, first.end <= now else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && entries[child] < entries[least] { least = child }
            guard least != parent else { return first }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}
