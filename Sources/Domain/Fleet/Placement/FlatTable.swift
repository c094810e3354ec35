/// A hash table from 64-bit keys to numbers from 0, in two flat arrays: open addressing with linear probing, deletion by shifting back
/// (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
struct FlatTable: Sendable {
    private var keys: ContiguousArray<UInt64>
    /// -1: the place is empty.
    private var values: ContiguousArray<Int32>
    private(set) var count = 0
    private var shift: UInt64

    init(capacity: Int = 16) {
        var bits: UInt64 = 4
        while (1 << bits) < capacity * 2 { bits += 1 }
        shift = 64 - bits
        keys = ContiguousArray(repeating: 0, count: 1 << Int(bits))
        values = ContiguousArray(repeating: -1, count: 1 << Int(bits))
    }

    /// Bytes held.
    var footprint: Int { keys.capacity * 8 + values.capacity * 4 }

    @inline(__always) private func home(_ key: UInt64) -> Int {
        // Fibonacci hashing, after folding the high half in: keys that differ only there must not meet.
        Int(truncatingIfNeeded: ((key ^ (key >> 32)) &* 0x9E37_79B9_7F4A_7C15) >> shift)
    }

    @inline(__always) private func place(_ key: UInt64) -> Int {
        let mask = values.count &- 1
        var at = home(key)
        while values[at] >= 0, keys[at] != key { at = (at &+ 1) & mask }
        return at
    }

    /// -1: not there.
    subscript(key: UInt64) -> Int32 { values[place(key)] }

    /// Calls for each entry, in no particular order.
    func forEach(_ body: (UInt64, Int32) -> Void) {
        for at in keys.indices where values[at] >= 0 { body(keys[at], values[at]) }
    }

    mutating func set(_ key: UInt64, _ value: Int32) {
        if (count + 1) * 4 > values.count * 3 { grow() }
        let at = place(key)
        if values[at] < 0 {
            count += 1
            keys[at] = key
        }
        values[at] = value
    }

    /// Counts one more, from none; returns the new count.
    mutating func increment(_ key: UInt64) -> Int32 {
        let at = place(key)
        if values[at] >= 0 {
            values[at] += 1
            return values[at]
        }
        set(key, 1)
        return 1
    }

    /// Counts one less; an entry that comes to 0 goes. Returns the new count.
    mutating func decrement(_ key: UInt64) -> Int32 {
        let at = place(key)
        precondition(values[at] > 0, "counted below zero")
        values[at] -= 1
        let left = values[at]
        if left == 0 { removeEntry(at) }
        return left
    }

    mutating func remove(_ key: UInt64) {
        let at = place(key)
        if values[at] >= 0 { removeEntry(at) }
    }

    private mutating func removeEntry(_ start: Int) {
        let mask = values.count - 1
        var hole = start
        var at = (hole + 1) & mask
        while values[at] >= 0 {
            // An entry may move back to the hole unless its home lies after the hole, up to itself.
            if (at - home(keys[at])) & mask >= (at - hole) & mask {
                keys[hole] = keys[at]
                values[hole] = values[at]
                hole = at
            }
            at = (at + 1) & mask
        }
        values[hole] = -1
        count -= 1
    }

    private mutating func grow() {
        var larger = FlatTable(capacity: values.count)
        for at in keys.indices where values[at] >= 0 { larger.set(keys[at], values[at]) }
        self = larger
    }
}
