/// A hash table from 64-bit keys to numbers from 0, in one flat array: open addressing with linear probing, deletion by shifting back
/// (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
struct FlatTable: Sendable {
    private struct Entry: Sendable, BitwiseCopyable {
        var key: UInt64 = 0
        /// -1: the place is empty.
        var value: Int32 = -1
    }

    private var entries: FlatArray<Entry>
    private(set) var count = 0
    private var shift: UInt64

    init(capacity: Int = 16) {
        var bits: UInt64 = 4
        while (1 << bits) < capacity * 2 { bits += 1 }
        shift = 64 - bits
        entries = FlatArray(repeating: Entry(), count: 1 << Int(bits))
    }

    /// Bytes held.
    var footprint: Int { entries.footprint }

    @inline(__always) private func home(_ key: UInt64) -> Int {
        // Fibonacci hashing, after folding the high half in: keys that differ only there must not meet.
        Int(truncatingIfNeeded: ((key ^ (key >> 32)) &* 0x9E37_79B9_7F4A_7C15) >> shift)
    }

    @inline(__always) private func place(_ key: UInt64) -> Int {
        let mask = entries.count &- 1
        var at = home(key)
        while entries[at].value >= 0, entries[at].key != key { at = (at &+ 1) & mask }
        return at
    }

    /// -1: not there.
    subscript(key: UInt64) -> Int32 { entries[place(key)].value }

    /// Calls for each entry, in no particular order.
    func forEach(_ body: (UInt64, Int32) -> Void) {
        for at in 0..<entries.count where entries[at].value >= 0 { body(entries[at].key, entries[at].value) }
    }

    mutating func set(_ key: UInt64, _ value: Int32) {
        if (count + 1) * 4 > entries.count * 3 { grow() }
        let at = place(key)
        if entries[at].value < 0 {
            count += 1
            entries[at].key = key
        }
        entries[at].value = value
    }

    /// Counts one more, from none; returns the new count.
    mutating func increment(_ key: UInt64) -> Int32 {
        let at = place(key)
        if entries[at].value >= 0 {
            entries[at].value += 1
            return entries[at].value
        }
        set(key, 1)
        return 1
    }

    /// Counts one less; an entry that comes to 0 goes. Returns the new count.
    mutating func decrement(_ key: UInt64) -> Int32 {
        let at = place(key)
        precondition(entries[at].value > 0, "counted below zero")
        entries[at].value -= 1
        let left = entries[at].value
        if left == 0 { removeEntry(at) }
        return left
    }

    mutating func remove(_ key: UInt64) {
        let at = place(key)
        if entries[at].value >= 0 { removeEntry(at) }
    }

    private mutating func removeEntry(_ start: Int) {
        let mask = entries.count - 1
        var hole = start
        var at = (hole + 1) & mask
        while entries[at].value >= 0 {
            // An entry may move back to the hole unless its home lies after the hole, up to itself.
            if (at - home(entries[at].key)) & mask >= (at - hole) & mask {
                entries[hole] = entries[at]
                hole = at
            }
            at = (at + 1) & mask
        }
        entries[hole].value = -1
        count -= 1
    }

    private mutating func grow() {
        var larger = FlatTable(capacity: entries.count)
        for at in 0..<entries.count where entries[at].value >= 0 { larger.set(entries[at].key, entries[at].value) }
        self = larger
    }
}
