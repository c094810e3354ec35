import HeapModule
import Primitives

/// Reservations in the order in which they end. Those given back or taken up before stay in it until their time comes.
struct ExpiryHeap: Sendable {
    struct Entry: Comparable, Sendable {
        var end: Instant
        var instance: InstanceID

        static func < (a: Entry, b: Entry) -> Bool { (a.end, a.instance) < (b.end, b.instance) }
    }

    private var entries: Heap<Entry> = []
    private var ends: [InstanceID: Instant] = [:]

    /// When a reservation ends; nil: there is none.
    func end(of instance: InstanceID) -> Instant? { ends[instance] }

    mutating func remove(_ instance: InstanceID) { ends[instance] = nil }

    mutating func push(_ end: Instant, _ instance: InstanceID) {
        ends[instance] = end
        entries.insert(Entry(end: end, instance: instance))
    }

    /// The next entry that ends at `now` or before.
    mutating func pop(dueAt now: Instant) -> Entry? {
        guard let first = entries.min, first.end <= now else { return nil }
        return entries.popMin()
    }
}
