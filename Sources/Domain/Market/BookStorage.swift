/// The flat storage of all order books: one pool of orders and one of price levels, queues linked by slot numbers, one ladder of
/// prices for each side of each book, and one index from identifiers to slots.
///
/// Everything in it is plain memory, so a copy made by assignment is the same storage: `BookStorage` owns one and frees it.
struct BookState {
    typealias Slot = Int32

    struct Resting: BitwiseCopyable {
        var id: UInt64
        var lots: Int64
        /// The next in the queue of the level; in a free slot, the next free one.
        var next: Slot
        var previous: Slot
        var level: Int32
        var owner: Int32
    }

    struct Level: BitwiseCopyable {
        var key: Int64
        var lots: Int64
        /// Head of the queue; in a free level, the next free one.
        var first: Slot
        var last: Slot
        var orders: Int32
        var ladder: Int32
    }

    /// A price on a ladder. Larger is better: the price of bids, the negated price of asks.
    struct Rung: BitwiseCopyable {
        var key: Int64
        var level: Int32
    }

    static let none: Slot = -1

    private var orders: FlatPool<Resting>
    private var levels: FlatPool<Level>
    /// Bids of book n at 2n, asks at 2n + 1; the best rung last, because that is where most orders come and go.
    private var ladders: FlatPool<FlatPool<Rung>>
    private var index: SlotIndex
    private var firstFree = none
    private var firstFreeLevel = none

    init(capacity: Int) {
        orders = FlatPool(capacity: capacity)
        levels = FlatPool(capacity: 64)
        ladders = FlatPool(capacity: 8)
        index = SlotIndex(capacity: capacity)
    }

    init(copying other: BookState) {
        orders = FlatPool(copying: other.orders)
        levels = FlatPool(copying: other.levels)
        ladders = FlatPool(copying: other.ladders)
        for ladder in 0..<ladders.count { ladders.base[ladder] = FlatPool(copying: other.ladders.base[ladder]) }
        index = SlotIndex(copying: other.index)
        (firstFree, firstFreeLevel) = (other.firstFree, other.firstFreeLevel)
    }

    func free() {
        orders.free()
        levels.free()
        for ladder in 0..<ladders.count { ladders.base[ladder].free() }
        ladders.free()
        index.free()
    }

    // MARK: Reading

    var count: Int { index.count }
    var ladderCount: Int { ladders.count }
    func order(_ slot: Slot) -> Resting { orders.base[Int(slot)] }
    func level(_ number: Int32) -> Level { levels.base[Int(number)] }

    func rungs(_ ladder: Int) -> UnsafeBufferPointer<Rung> {
        UnsafeBufferPointer(start: ladders.base[ladder].base, count: ladders.base[ladder].count)
    }

    func slot(of id: UInt64) -> Slot? {
        let place = index.find(id, orders.base)
        return place < 0 ? nil : index[place]
    }

    // MARK: Changing

    mutating func openLadders() {
        for _ in 0..<2 { ladders.append(FlatPool(capacity: 16)) }
    }

    /// Puts an order at the end of the queue of its price.
    mutating func rest(ladder: Int, key: Int64, lots: Int64, owner: Int32, id: UInt64) -> Slot {
        let number = level(of: key, on: ladder)
        let level = levels.base + Int(number)
        let last = level.pointee.last
        let slot = place(Resting(id: id, lots: lots, next: Self.none, previous: last, level: number, owner: owner))
        if last == Self.none { level.pointee.first = slot } else { orders.base[Int(last)].next = slot }
        level.pointee.last = slot
        level.pointee.lots &+= lots
        level.pointee.orders &+= 1
        index.insert(id, slot, orders.base)
        return slot
    }

    /// Takes an order out of its queue; an emptied level leaves its ladder.
    mutating func remove(_ slot: Slot) {
        let order = orders.base + Int(slot)
        let (next, previous, number) = (order.pointee.next, order.pointee.previous, order.pointee.level)
        let level = levels.base + Int(number)
        if previous == Self.none { level.pointee.first = next } else { orders.base[Int(previous)].next = next }
        if next == Self.none { level.pointee.last = previous } else { orders.base[Int(next)].previous = previous }
        level.pointee.lots &-= order.pointee.lots
        level.pointee.orders &-= 1
        if level.pointee.orders == 0 { drop(number) }
        index.remove(order.pointee.id, orders.base)
        order.pointee.lots = 0
        order.pointee.next = firstFree
        firstFree = slot
    }

    /// Takes lots from an order that keeps some.
    mutating func reduce(_ slot: Slot, by lots: Int64) {
        let order = orders.base + Int(slot)
        order.pointee.lots &-= lots
        levels.base[Int(order.pointee.level)].lots &-= lots
    }

    // MARK: Storage

    private mutating func place(_ order: Resting) -> Slot {
        let slot = firstFree
        guard slot != Self.none else {
            precondition(orders.count < Int(Slot.max), "slot numbers have 31 bits")
            orders.append(order)
            return Slot(truncatingIfNeeded: orders.count - 1)
        }
        firstFree = orders.base[Int(slot)].next
        orders.base[Int(slot)] = order
        return slot
    }

    private mutating func level(of key: Int64, on ladder: Int) -> Int32 {
        let position = Self.position(of: key, in: rungs(ladder))
        let found = rungs(ladder)
        if position < found.count, found[position].key == key { return found[position].level }
        let new = Level(key: key, lots: 0, first: Self.none, last: Self.none, orders: 0, ladder: Int32(truncatingIfNeeded: ladder))
        var number = firstFreeLevel
        if number == Self.none {
            levels.append(new)
            number = Int32(truncatingIfNeeded: levels.count - 1)
        } else {
            firstFreeLevel = levels.base[Int(number)].first
            levels.base[Int(number)] = new
        }
        ladders.base[ladder].insert(Rung(key: key, level: number), at: position)
        return number
    }

    private mutating func drop(_ number: Int32) {
        let level = levels.base + Int(number)
        let ladder = Int(level.pointee.ladder)
        ladders.base[ladder].remove(at: Self.position(of: level.pointee.key, in: rungs(ladder)))
        level.pointee.first = firstFreeLevel
        firstFreeLevel = number
    }

    /// The first rung that is not below `key`. Without a branch that depends on the prices: which way such a search goes, no processor
    /// guesses right.
    private static func position(of key: Int64, in rungs: UnsafeBufferPointer<Rung>) -> Int {
        guard var low = rungs.baseAddress, let start = rungs.baseAddress, rungs.count > 0 else { return 0 }
        var length = rungs.count
        while length > 1 {
            let half = length >> 1
            low = low[half - 1].key < key ? low + half : low
            length -= half
        }
        return low - start + (low.pointee.key < key ? 1 : 0)
    }
}

/// Holds the state of all books. Its properties never change, only what they point to, and that only while one value holds it: see
/// `OrderBooks.own()`. So tasks may share it.
final class BookStorage: @unchecked Sendable {
    let state: UnsafeMutablePointer<BookState>

    init(_ state: BookState) {
        self.state = .allocate(capacity: 1)
        self.state.initialize(to: state)
    }

    deinit {
        state.pointee.free()
        state.deallocate()
    }
}
