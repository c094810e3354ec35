/// Finds the slot of an allocation by its instance: open addressing with linear probing, deletion by shifting back, as in `FlatTable`.
/// It keeps half a hash for each, and leaves the instances to the records, so that eight entries lie in a cache line.
struct SlotTable: Sendable {
    private struct Entry: Sendable, BitwiseCopyable {
        var hash: UInt32 = 0
        /// -1: the place is empty.
        var slot: Int32 = -1
    }

    private var entries: FlatArray<Entry>
    private(set) var count = 0
    private var shift: UInt32

    init(capacity: Int = 16) {
        var bits: UInt32 = 4
        while (1 << bits) < capacity * 2 { bits += 1 }
        shift = 32 - bits
        entries = FlatArray(repeating: Entry(), count: 1 << Int(bits))
    }

    /// Bytes held.
    var footprint: Int { entries.footprint }

    @inline(__always) private static func hash(_ instance: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: ((instance ^ (instance >> 32)) &* 0x9E37_79B9_7F4A_7C15) >> 32)
    }

    @inline(__always) private func home(_ hash: UInt32) -> Int { Int(hash >> shift) }

    /// -1: not there.
    @inline(__always) func find(_ instance: UInt64, in records: FlatArray<AllocationRecord>) -> Int32 {
        let (mask, hash, entries) = (entries.count &- 1, Self.hash(instance), entries.base)
        var at = home(hash)
        while true {
            let entry = entries[at]
            if entry.slot < 0 { return -1 }
            if entry.hash == hash, records[Int(entry.slot)].instance == instance { return entry.slot }
            at = (at &+ 1) & mask
        }
    }

    /// Enters an instance that is not there.
    mutating func insert(_ instance: UInt64, _ slot: Int32) {
        if (count + 1) * 4 > entries.count * 3 { grow() }
        insert(Entry(hash: Self.hash(instance), slot: slot))
    }

    private mutating func insert(_ entry: Entry) {
        let (mask, entries) = (entries.count &- 1, entries.owned)
        var at = home(entry.hash)
        while entries[at].slot >= 0 { at = (at &+ 1) & mask }
        entries[at] = entry
        count += 1
    }

    /// Takes out an instance that is there.
    mutating func remove(_ instance: UInt64, _ slot: Int32) {
        let (mask, entries) = (entries.count &- 1, entries.owned)
        var hole = home(Self.hash(instance))
        while entries[hole].slot != slot { hole = (hole &+ 1) & mask }
        var at = (hole &+ 1) & mask
        while entries[at].slot >= 0 {
            // An entry may move back to the hole unless its home lies after the hole, up to itself.
            if (at &- home(entries[at].hash)) & mask >= (at &- hole) & mask {
                entries[hole] = entries[at]
                hole = at
            }
            at = (at &+ 1) & mask
        }
        entries[hole].slot = -1
        count -= 1
    }

    private mutating func grow() {
        var larger = SlotTable(capacity: entries.count)
        for at in 0..<entries.count where entries[at].slot >= 0 { larger.insert(entries[at]) }
        self = larger
    }
}
