/// One instance's place, as kept: one cache line.
struct AllocationRecord: Sendable, BitwiseCopyable {
    var need: SIMD8<Int32>
    /// Bits of its identifier.
    var instance: UInt64
    var host: Int32
    var party: Int32
    /// Number of the tenancy terms.
    var tenancy: Int32
    /// Number of the network; -1: none.
    var network: Int32
    var priority: Int16
    /// Bits of the GPUs taken.
    var gpus: UInt16
    /// NUMA cell taken; -1: none.
    var cell: Int8
    var flags: Flags

    struct Flags: OptionSet, Sendable, BitwiseCopyable {
        var rawValue: UInt8
        static let interruptible = Flags(rawValue: 1)
        /// Held for an instance that has not come yet.
        static let reserved = Flags(rawValue: 2)
        /// Its groups are in the side table.
        static let grouped = Flags(rawValue: 4)
        static let live = Flags(rawValue: 8)
    }
}

/// All allocations in one flat array, found by instance. Which are on a host, `HostTenants` knows.
struct AllocationTable: Sendable {
    private(set) var records = FlatArray<AllocationRecord>()
    private var unused = FlatArray<Int32>()
    private var slots: SlotTable

    init(capacity: Int) {
        slots = SlotTable(capacity: capacity)
        records = FlatArray(capacity: capacity)
    }

    var count: Int { slots.count }
    var footprint: Int { records.footprint + slots.footprint + unused.footprint }

    /// Nil: no such instance.
    @inline(__always) func find(_ instance: UInt64) -> Int? {
        let slot = slots.find(instance, in: records)
        return slot < 0 ? nil : Int(slot)
    }

    @inline(__always) subscript(slot: Int) -> AllocationRecord { records[slot] }

    mutating func insert(_ record: AllocationRecord) -> Int {
        let slot: Int
        if let again = unused.popLast() {
            slot = Int(again)
            records[slot] = record
        } else {
            slot = records.count
            records.append(record)
        }
        slots.insert(record.instance, Int32(slot))
        return slot
    }

    mutating func remove(_ slot: Int) {
        slots.remove(records[slot].instance, Int32(slot))
        records[slot].flags = []
        unused.append(Int32(slot))
    }

    mutating func update(_ slot: Int, _ change: (inout AllocationRecord) -> Void) { change(&records[slot]) }
}
