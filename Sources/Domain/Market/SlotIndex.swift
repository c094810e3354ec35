/// Identifier → slot: a table of the heads of short chains, which go on through the orders themselves (`BookState.Resting.chained`).
/// At most half as many orders as heads, so most chains are one order long, and to put an order in touches nothing but its head.
struct SlotIndex {
    typealias Orders = UnsafeMutablePointer<BookState.Resting>

    private var heads: UnsafeMutablePointer<Int32>
    /// Groups of heads, a power of two.
    private var groups: Int
    private var shift: UInt64
    private(set) var count = 0

    /// Heads in a cache line.
    private static let group = 16

    init(capacity: Int) {
        var groups = 2
        while groups * Self.group < capacity * 2 { groups *= 2 }
        self.groups = groups
        shift = UInt64(64 - groups.trailingZeroBitCount)
        heads = Self.memory(groups * Self.group)
        heads.initialize(repeating: BookState.none, count: groups * Self.group)
    }

    init(copying other: SlotIndex) {
        self = other
        heads = Self.memory(groups * Self.group)
        heads.initialize(from: other.heads, count: groups * Self.group)
    }

    func free() { heads.deallocate() }

    /// The slot of an identifier, or none.
    @inline(__always)
    func find(_ id: UInt64, _ orders: Orders) -> Int32 {
        var slot = heads[home(id)]
        while slot != BookState.none, orders[Int(slot)].id != id { slot = orders[Int(slot)].chained }
        return slot
    }

    /// The first slot of the chain an identifier would be in, or none.
    @inline(__always)
    func head(_ id: UInt64) -> Int32 { heads[home(id)] }

    /// The identifier is in no chain yet.
    @inline(__always)
    mutating func insert(_ id: UInt64, _ slot: Int32, _ orders: Orders) {
        if (count &+ 1) &* 2 > groups &* Self.group { grow(orders) }
        let home = home(id)
        orders[Int(slot)].chained = heads[home]
        heads[home] = slot
        count &+= 1
    }

    /// Takes an identifier out. Returns its slot, or none.
    @inline(__always)
    mutating func remove(_ id: UInt64, _ orders: Orders) -> Int32 {
        let head = heads + home(id)
        let slot = head.pointee
        if slot == BookState.none { return slot }
        if orders[Int(slot)].id == id {
            head.pointee = orders[Int(slot)].chained
            count &-= 1
            return slot
        }
        return removeBehind(slot, id, orders)
    }

    @inline(__always)
    private mutating func removeBehind(_ first: Int32, _ id: UInt64, _ orders: Orders) -> Int32 {
        var before = first
        while true {
            let slot = orders[Int(before)].chained
            if slot == BookState.none { return slot }
            if orders[Int(slot)].id == id {
                orders[Int(before)].chained = orders[Int(slot)].chained
                count &-= 1
                return slot
            }
            before = slot
        }
    }

    @inline(__always)
    mutating func remove(_ slot: Int32, _ orders: Orders) {
        let head = heads + home(orders[Int(slot)].id)
        let next = orders[Int(slot)].chained
        count &-= 1
        if head.pointee == slot {
            head.pointee = next
            return
        }
        var before = head.pointee
        while orders[Int(before)].chained != slot { before = orders[Int(before)].chained }
        orders[Int(before)].chained = next
    }

    /// Fibonacci hashing: the upper bits of a product choose the group. Identifiers that follow each other are neighbours in one.
    @inline(__always)
    private func home(_ id: UInt64) -> Int {
        let hash = (id &>> 4) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: (hash &>> shift) &<< 4 | (id &+ (hash &>> 16)) & 15)
    }

    private mutating func grow(_ orders: Orders) {
        var larger = SlotIndex(capacity: groups * Self.group)
        for head in 0..<(groups * Self.group) {
            var slot = heads[head]
            while slot != BookState.none {
                let next = orders[Int(slot)].chained
                larger.insert(orders[Int(slot)].id, slot, orders)
                slot = next
            }
        }
        heads.deallocate()
        self = larger
    }

    private static func memory(_ count: Int) -> UnsafeMutablePointer<Int32> {
        UnsafeMutableRawPointer.allocate(byteCount: count * 4, alignment: 64).bindMemory(to: Int32.self, capacity: count)
    }
}
