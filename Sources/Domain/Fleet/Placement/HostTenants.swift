/// The allocations on each host, in no particular order, and beside each its party and whether it is interruptible: those of one host
/// lie together, so that whether a party is there is one look over a few cache lines.
struct HostTenants: Sendable {
    private struct Block: Sendable, BitwiseCopyable {
        /// Of the slots in `pool`; the marks follow after `capacity` of them.
        var start: Int32 = 0
        var count: Int32 = 0
        var capacity: Int32 = 0
    }

    private var blocks = FlatArray<Block>()
    private var pool = FlatArray<Int32>()
    /// Blocks given back, by the binary logarithm of their capacity: the first of each, which holds the next; -1: none.
    private var returned = FlatArray<Int32>(repeating: -1, count: 32)

    var footprint: Int { blocks.footprint + pool.footprint }

    mutating func join(_ host: Int) { while blocks.count <= host { blocks.append(Block()) } }

    @inline(__always) func count(_ host: Int) -> Int { Int(blocks[host].count) }

    /// Slots of the allocations on a host.
    @inline(__always) func slots(_ host: Int) -> UnsafeBufferPointer<Int32> {
        UnsafeBufferPointer(start: pool.base + Int(blocks[host].start), count: count(host))
    }

    /// Calls for the slot of each interruptible allocation on a host.
    @inline(__always) func forEachInterruptible(on host: Int, _ body: (Int) -> Void) {
        let block = blocks[host]
        let (slots, marks) = (pool.base + Int(block.start), pool.base + Int(block.start &+ block.capacity))
        for index in 0..<Int(block.count) where marks[index] & 1 == 1 { body(Int(slots[index])) }
    }

    /// A party, and in the lowest bit whether the allocation is interruptible.
    @inline(__always) private static func mark(_ party: Int32, _ isInterruptible: Bool) -> Int32 { party << 1 | (isInterruptible ? 1 : 0) }

    /// The party of one of the allocations; -1: there are none.
    @inline(__always) func anyParty(_ host: Int) -> Int32 {
        let block = blocks[host]
        return block.count > 0 ? pool[Int(block.start &+ block.capacity)] >> 1 : -1
    }

    @inline(__always) func has(_ party: Int32, on host: Int) -> Bool {
        let block = blocks[host]
        let marks = pool.base + Int(block.start &+ block.capacity)
        var found: Int32 = 0
        // Without a way out, so that several are compared at a step.
        for index in 0..<Int(block.count) { found |= marks[index] >> 1 == party ? 1 : 0 }
        return found != 0
    }

    mutating func enter(_ slot: Int32, _ party: Int32, isInterruptible: Bool, on host: Int) {
        if blocks[host].count == blocks[host].capacity { grow(host) }
        let block = blocks[host]
        let slots = pool.owned + Int(block.start &+ block.count)
        slots[0] = slot
        slots[Int(block.capacity)] = Self.mark(party, isInterruptible)
        blocks[host].count = block.count &+ 1
    }

    mutating func exit(_ slot: Int32, from host: Int) {
        let block = blocks[host]
        let slots = pool.owned + Int(block.start)
        var place: Int32 = 0
        for index in 0..<block.count { place |= slots[Int(index)] == slot ? index : 0 }
        precondition(slots[Int(place)] == slot, "the allocation is not on that host")
        let (hole, last, capacity) = (Int(place), Int(block.count &- 1), Int(block.capacity))
        slots[hole] = slots[last]
        slots[capacity &+ hole] = slots[capacity &+ last]
        blocks[host].count = block.count &- 1
    }

    private mutating func grow(_ host: Int) {
        let old = blocks[host]
        let start = take(max(8, old.capacity * 2))
        let capacity = max(8, old.capacity * 2)
        let pool = pool.owned
        for index in 0..<Int(old.count) {
            pool[Int(start) + index] = pool[Int(old.start) + index]
            pool[Int(start + capacity) + index] = pool[Int(old.start + old.capacity) + index]
        }
        if old.capacity > 0 {
            let size = old.capacity.trailingZeroBitCount
            pool[Int(old.start)] = returned[size]
            returned[size] = old.start
        }
        blocks[host] = Block(start: start, count: old.count, capacity: capacity)
    }

    /// A block for so many.
    private mutating func take(_ capacity: Int32) -> Int32 {
        let size = capacity.trailingZeroBitCount
        let known = returned[size]
        if known >= 0 {
            returned[size] = pool[Int(known)]
            return known
        }
        precondition(pool.count <= Int(Int32.max) - 2 * Int(capacity), "places in the pool have 31 bits")
        pool.append(repeating: -1, count: Int(capacity) * 2)
        return Int32(pool.count - 2 * Int(capacity))
    }
}
