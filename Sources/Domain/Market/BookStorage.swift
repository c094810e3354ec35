/// The flat storage of all order books: one pool of orders, queues linked by slot numbers, one ladder of price levels for each side
/// of each book, and one index from identifiers to slots.
///
/// Most of what an operation touches is in no cache, so the time it takes is that of the memory it waits for. Therefore an operation
/// touches little (the chain of its identifier, the order, its level), and no branch depends on what had to be waited for if it can
/// be helped: the processor goes on with the next operation meanwhile.
///
/// Everything in it is plain memory, so a copy made by assignment is the same storage: `BookStorage` owns one and frees it.
struct BookState {
    typealias Slot = Int32

    struct Resting: BitwiseCopyable {
        var id: UInt64
        /// Of its level.
        var key: Int64
        var ladder: Int32
        /// The next in the queue of the level; in a free slot, the next free one.
        var next = BookState.none
        var previous = BookState.none
        /// The next whose identifier has the same hash.
        var chained = BookState.none
        var owner: Int32
        /// What others see of it.
        var shown: Int32
        /// What comes up when the shown part is taken; `wholeOnly` when it is taken whole or not at all.
        var hidden: Int32
        /// How much is shown at a time.
        var display: Int32

        static let wholeOnly: Int32 = -1
        var isWholeOnly: Bool { hidden == Self.wholeOnly }
        var lots: Int64 { Int64(shown) &+ Int64(max(0, hidden)) }
    }

    static let none: Slot = -1

    /// The first is nobody's: what would be written to the order before the first of a queue, or behind its last, goes there.
    private var pool: FlatPool<Resting>
    private var orders: UnsafeMutablePointer<Resting> { pool.base + 1 }
    /// Bids of book n at 2n, asks at 2n + 1.
    private var ladders: FlatPool<Ladder>
    private var index: SlotIndex
    private var firstFree = none

    init(capacity: Int) {
        pool = FlatPool(capacity: capacity + 1)
        pool.append(Resting(id: 0, key: 0, ladder: 0, owner: 0, shown: 0, hidden: 0, display: 0))
        ladders = FlatPool(capacity: 8)
        index = SlotIndex(capacity: capacity)
    }

    init(copying other: BookState) {
        pool = FlatPool(copying: other.pool)
        ladders = FlatPool(copying: other.ladders)
        for ladder in 0..<ladders.count { ladders.base[ladder] = Ladder(copying: other.ladders.base[ladder]) }
        index = SlotIndex(copying: other.index)
        firstFree = other.firstFree
    }

    func free() {
        pool.free()
        for ladder in 0..<ladders.count { ladders.base[ladder].free() }
        ladders.free()
        index.free()
    }

    // MARK: Reading

    var count: Int { index.count }
    var ladderCount: Int { ladders.count }
    func order(_ slot: Slot) -> Resting { orders[Int(slot)] }

    /// Worst first. Others than the best may be empty.
    func levels(_ ladder: Int) -> UnsafeBufferPointer<Ladder.Level> { ladders.base[ladder].all }

    func reaches(_ ladder: Int, _ key: Int64) -> Bool { ladders.base[ladder].reaches(key) }

    func slot(of id: UInt64) -> Slot? {
        let slot = index.find(id, orders)
        return slot == Self.none ? nil : slot
    }

    // MARK: Changing

    mutating func openLadders() {
        for _ in 0..<2 { ladders.append(Ladder()) }
    }

    /// Puts an order at the end of the queue of its price. No other has its identifier.
    mutating func rest(_ order: Resting) -> Slot {
        let slot = place(order)
        index.insert(order.id, slot, orders)
        append(slot, to: ladders.base[Int(order.ladder)].levelToFill(at: order.key))
        return slot
    }

    // Whether a queue is empty, or an order its first or last, cannot be foreseen, so there are no branches here.

    @inline(__always)
    private func append(_ slot: Slot, to level: UnsafeMutablePointer<Ladder.Level>) {
        let order = orders + Int(slot)
        let last = level.pointee.last
        order.pointee.previous = last
        order.pointee.next = Self.none
        orders[Int(last)].next = slot
        level.pointee.first = last == Self.none ? slot : level.pointee.first
        level.pointee.last = slot
        level.pointee.lots &+= Int64(order.pointee.shown)
        level.pointee.orders &+= 1
    }

    @inline(__always)
    private func unlink(_ slot: Slot, from level: UnsafeMutablePointer<Ladder.Level>) {
        let order = orders + Int(slot)
        let (next, previous) = (order.pointee.next, order.pointee.previous)
        orders[Int(previous)].next = next
        orders[Int(next)].previous = previous
        level.pointee.first = previous == Self.none ? next : level.pointee.first
        level.pointee.last = next == Self.none ? previous : level.pointee.last
        level.pointee.lots &-= Int64(order.pointee.shown)
        level.pointee.orders &-= 1
    }

    mutating func remove(id: UInt64) -> Bool {
        let slot = index.find(id, orders)
        if slot == Self.none { return false }
        remove(slot)
        return true
    }

    /// Takes an order out of its book.
    @inline(__always)
    mutating func remove(_ slot: Slot) {
        let order = orders + Int(slot)
        let ladder = ladders.base + Int(order.pointee.ladder)
        let level = ladder.pointee.level(at: order.pointee.key)
        index.remove(slot, orders)
        unlink(slot, from: level)
        ladder.pointee.hasShrunk(level)
        order.pointee.next = firstFree
        firstFree = slot
    }

    /// Takes lots from what an order shows. True when that was all it showed and its next part came up, at the end of the queue.
    mutating func take(_ lots: Int32, from slot: Slot) -> Bool {
        let order = orders + Int(slot)
        precondition(lots > 0 && lots <= order.pointee.shown, "a fill fits the order it was found on")
        if lots == order.pointee.shown, order.pointee.hidden <= 0 {
            remove(slot)
            return false
        }
        let level = level(of: slot)
        if lots < order.pointee.shown {
            order.pointee.shown &-= lots
            level.pointee.lots &-= Int64(lots)
            return false
        }
        unlink(slot, from: level)
        order.pointee.shown = min(order.pointee.display, order.pointee.hidden)
        order.pointee.hidden &-= order.pointee.shown
        append(slot, to: level)
        return true
    }

    /// Makes an order smaller, hidden part first; it keeps its place.
    mutating func reduce(_ slot: Slot, to lots: Int64) {
        let order = orders + Int(slot)
        precondition(lots > 0 && lots <= order.pointee.lots, "an order is made smaller, not larger and not nothing")
        let shown = Int32(truncatingIfNeeded: min(Int64(order.pointee.shown), lots))
        level(of: slot).pointee.lots &-= Int64(order.pointee.shown &- shown)
        order.pointee.shown = shown
        if !order.pointee.isWholeOnly { order.pointee.hidden = Int32(truncatingIfNeeded: lots &- Int64(shown)) }
    }

    private func level(of slot: Slot) -> UnsafeMutablePointer<Ladder.Level> {
        let order = orders[Int(slot)]
        return ladders.base[Int(order.ladder)].level(at: order.key)
    }

    // MARK: Storage

    private mutating func place(_ order: Resting) -> Slot {
        let slot = firstFree
        guard slot != Self.none else {
            precondition(pool.count < Int(Slot.max), "slot numbers have 31 bits")
            pool.append(order)
            return Slot(truncatingIfNeeded: pool.count - 2)
        }
        firstFree = orders[Int(slot)].next
        orders[Int(slot)] = order
        return slot
    }
}

/// Holds the state of all books. Its properties never change, only what they point to, and that only while one value holds it: see
/// `OrderBooks.own`. So tasks may share it.
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
