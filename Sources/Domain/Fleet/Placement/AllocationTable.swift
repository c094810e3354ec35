/// One instance's place, as kept: 96 bytes.
struct AllocationRecord: Sendable {
    /// Bits of its identifier.
    var instance: UInt64
    /// Bits; 0: none.
    var contract: UInt64
    /// Microseconds since 1970 when it is expected to end; `Int64.max`: nobody knows.
    var predictedEnd: Int64
    var host: Int32
    /// Neighbours in the list of the host's allocations; -1: none.
    var previous: Int32 = -1
    var need: SIMD8<Int32>
    var next: Int32 = -1
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

    struct Flags: OptionSet, Sendable {
        var rawValue: UInt8
        static let interruptible = Flags(rawValue: 1)
        /// Held for an instance that has not come yet.
        static let reserved = Flags(rawValue: 2)
        /// Its groups are in the side table.
        static let grouped = Flags(rawValue: 4)
        static let live = Flags(rawValue: 8)
    }
}

/// All allocations in one flat array, found by instance, and linked to a list for each host.
struct AllocationTable: Sendable {
    private(set) var records: ContiguousArray<AllocationRecord> = []
    private var unused: ContiguousArray<Int32> = []
    private var slots: FlatTable
    /// First allocation of each host; -1: none.
    private(set) var heads: ContiguousArray<Int32> = []
    /// How many each host has.
    private(set) var counts: ContiguousArray<Int32> = []

    init(capacity: Int) {
        slots = FlatTable(capacity: capacity)
        records.reserveCapacity(capacity)
    }

    var count: Int { slots.count }
    var footprint: Int { records.capacity * MemoryLayout<AllocationRecord>.stride + slots.footprint + unused.capacity * 4 }

    /// Nil: no such instance.
    @inline(__always) func find(_ instance: UInt64) -> Int? {
        let slot = slots[instance]
        return slot < 0 ? nil : Int(slot)
    }

    @inline(__always) subscript(slot: Int) -> AllocationRecord { records[slot] }

    mutating func join(_ host: Int) {
        while heads.count <= host {
            heads.append(-1)
            counts.append(0)
        }
    }

    mutating func insert(_ record: AllocationRecord) -> Int {
        let slot: Int
        if let again = unused.popLast() {
            slot = Int(again)
            records[slot] = record
        } else {
            slot = records.count
            records.append(record)
        }
        slots.set(record.instance, Int32(slot))
        let host = Int(record.host)
        let head = heads[host]
        records[slot].previous = -1
        records[slot].next = head
        if head >= 0 { records[Int(head)].previous = Int32(slot) }
        heads[host] = Int32(slot)
        counts[host] += 1
        return slot
    }

    mutating func remove(_ slot: Int) {
        let (previous, next, host) = (records[slot].previous, records[slot].next, Int(records[slot].host))
        if previous >= 0 { records[Int(previous)].next = next } else { heads[host] = next }
        if next >= 0 { records[Int(next)].previous = previous }
        counts[host] -= 1
        slots.remove(records[slot].instance)
        records[slot].flags = []
        unused.append(Int32(slot))
    }

    mutating func update(_ slot: Int, _ change: (inout AllocationRecord) -> Void) { change(&records[slot]) }

    /// Calls for each allocation of a host, the latest first.
    @inline(__always) func forEach(on host: Int, _ body: (Int, AllocationRecord) -> Void) {
        var slot = heads[host]
        while slot >= 0 {
            body(Int(slot), records[Int(slot)])
            slot = records[Int(slot)].next
        }
    }
}
