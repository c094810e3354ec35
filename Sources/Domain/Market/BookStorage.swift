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

    /// What an operation touches of an order: half a cache line.
    struct Resting: BitwiseCopyable {
        var id: UInt64
        /// The next in the queue of the level; in a free slot, the next free one.
        var next = BookState.none
        var previous = BookState.none
        /// The next whose identifier has the same hash.
        var chained = BookState.none
        /// Its number in `LevelPool`.
        var level: Int32
        var owner: Int32
        /// What others see of it, and whether there is a `Part` of it.
        private var flags: UInt32

        init(id: UInt64, level: Int32, owner: Int32, shown: Int32, isPlain: Bool) {
            self.id = id
            self.level = level
            self.owner = owner
            flags = UInt32(bitPattern: shown) | (isPlain ? 0 : Self.special)
        }

        private static let special: UInt32 = 1 << 31
        /// All of it is shown and any of it may be taken: nothing else needs to be known of it.
        var isPlain: Bool { flags & Self.special == 0 }
        var shown: Int32 {
            get { Int32(bitPattern: flags & ~Self.special) }
            set { flags = flags & Self.special | UInt32(bitPattern: newValue) }
        }
    }

    /// Of an order that is not plain.
    struct Part: BitwiseCopyable {
        /// What comes up when the shown part is taken; `wholeOnly` when it is taken whole or not at all.
        var hidden: Int32
        /// How much is shown at a time.
        var display: Int32

        static let wholeOnly: Int32 = -1
        var isWholeOnly: Bool { hidden == Self.wholeOnly }
    }

    static let none: Slot = -1

    /// The first is nobody's: what would be written to the order before the first of a queue, or behind its last, goes there.
    private var pool: FlatPool<Resting>
    private var orders: UnsafeMutablePointer<Resting> { pool.base + 1 }
    /// Of the orders in the slots of the same numbers; nonsense for plain ones.
    private var parts: FlatPool<Part>
    private var levels: LevelPool
    /// Bids of book n at 2n, asks at 2n + 1.
    private var ladders: FlatPool<Ladder>
    private var index: SlotIndex
    private var firstFree = none
    /// Means nothing: see `approach`.
    var seen: Int64 = 0

    init(capacity: Int) {
        pool = FlatPool(capacity: capacity + 1)
        pool.append(Resting(id: 0, level: 0, owner: 0, shown: 0, isPlain: true))
        parts = FlatPool(capacity: capacity)
        levels = LevelPool(capacity: 64)
        ladders = FlatPool(capacity: 8)
        index = SlotIndex(capacity: capacity)
    }

    init(copying other: BookState) {
        pool = FlatPool(copying: other.pool)
        parts = FlatPool(copying: other.parts)
        levels = LevelPool(copying: other.levels)
        ladders = FlatPool(copying: other.ladders)
        for ladder in 0..<ladders.count { ladders.base[ladder] = Ladder(copying: other.ladders.base[ladder]) }
        index = SlotIndex(copying: other.index)
        firstFree = other.firstFree
    }

    func free() {
        pool.free()
        parts.free()
        levels.free()
        for ladder in 0..<ladders.count { ladders.base[ladder].free() }
        ladders.free()
        index.free()
    }

    // MARK: Reading

    var count: Int { index.count }
    var ladderCount: Int { ladders.count }
    func order(_ slot: Slot) -> Resting { orders[Int(slot)] }

    func part(_ slot: Slot) -> Part {
        let order = orders[Int(slot)]
        return order.isPlain ? Part(hidden: 0, display: order.shown) : parts.base[Int(slot)]
    }

    /// Shown and hidden.
    func lots(_ slot: Slot) -> Int64 { Int64(orders[Int(slot)].shown) &+ Int64(max(0, part(slot).hidden)) }

    /// Of its level.
    func key(_ slot: Slot) -> Int64 { levels.base[Int(orders[Int(slot)].level)].key }

    @inline(__always)
    func head(of id: UInt64) -> Slot { index.head(id) }

    @inline(__always)
    func level(_ number: Int32) -> LevelPool.Level { levels.base[Int(number)] }

    /// The number of the level of a price, or of one near it; any when there is none.
    @inline(__always)
    func nearLevel(_ ladder: Int, _ key: Int64) -> Int32 { ladders.base[ladder].near(key) }

    /// How many levels a side has. Others than the best may be empty.
    func levelCount(_ ladder: Int) -> Int { ladders.base[ladder].count }

    /// Worst first.
    @inline(__always)
    func level(_ ladder: Int, at position: Int) -> LevelPool.Level { levels.base[Int(ladders.base[ladder].places[position])] }

    @inline(__always)
    func reaches(_ ladder: Int, _ key: Int64) -> Bool { ladders.base[ladder].high >= key }

    func slot(of id: UInt64) -> Slot? {
        let slot = index.find(id, orders)
        return slot == Self.none ? nil : slot
    }

    // MARK: Changing

    mutating func openLadders() {
        for _ in 0..<2 { ladders.append(Ladder(number: Int32(truncatingIfNeeded: ladders.count))) }
    }

    /// Puts an order at the end of the queue of its price. No other has its identifier. A plain order has no part.
    @inline(__always)
    mutating func rest(id: UInt64, key: Int64, ladder: Int, owner: Int32, shown: Int32, part: Part?) -> Slot {
        let level = ladders.base[ladder].levelToFill(at: key, &levels)
        let slot = place(Resting(id: id, level: level, owner: owner, shown: shown, isPlain: part == nil))
        if let part { parts.base[Int(slot)] = part }
        index.insert(id, slot, orders)
        append(slot, to: levels.base + Int(level))
        return slot
    }

    // Whether a queue is empty, or an order its first or last, cannot be foreseen, so there are no branches here.

    @inline(__always)
    private func append(_ slot: Slot, to level: UnsafeMutablePointer<LevelPool.Level>) {
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
    private func unlink(_ slot: Slot, from level: UnsafeMutablePointer<LevelPool.Level>) {
        let order = orders + Int(slot)
        let (next, previous) = (order.pointee.next, order.pointee.previous)
        orders[Int(previous)].next = next
        orders[Int(next)].previous = previous
        level.pointee.first = previous == Self.none ? next : level.pointee.first
        level.pointee.last = next == Self.none ? previous : level.pointee.last
        level.pointee.lots &-= Int64(order.pointee.shown)
        level.pointee.orders &-= 1
    }

    @inline(__always)
    mutating func remove(id: UInt64) -> Bool {
        let slot = index.remove(id, orders)
        if slot == Self.none { return false }
        leave(slot)
        return true
    }

    /// Takes an order out of its book.
    @inline(__always)
    mutating func remove(_ slot: Slot) {
        index.remove(slot, orders)
        leave(slot)
    }

    /// Takes an order that is not in the index any more out of its queue.
    @inline(__always)
    private mutating func leave(_ slot: Slot) {
        let order = orders + Int(slot)
        let level = levels.base + Int(order.pointee.level)
        unlink(slot, from: level)
        ladders.base[Int(level.pointee.ladder)].hasShrunk(level, &levels)
        order.pointee.next = firstFree
        firstFree = slot
    }

    /// Takes lots from what an order shows. True when that was all it showed and its next part came up, at the end of the queue.
    @inline(__always)
    mutating func take(_ lots: Int32, from slot: Slot) -> Bool {
        let order = orders + Int(slot)
        let shown = order.pointee.shown
        precondition(lots > 0 && lots <= shown, "a fill fits the order it was found on")
        if lots < shown {
            order.pointee.shown = shown &- lots
            levels.base[Int(order.pointee.level)].lots &-= Int64(lots)
            return false
        }
        if !order.pointee.isPlain, parts.base[Int(slot)].hidden > 0 {
            showNext(slot)
            return true
        }
        remove(slot)
        return false
    }

    /// What was shown of an order is taken: its next part goes to the end of the queue.
    @inline(never)
    private mutating func showNext(_ slot: Slot) {
        let level = levels.base + Int(orders[Int(slot)].level)
        let part = parts.base + Int(slot)
        unlink(slot, from: level)
        let next = min(part.pointee.display, part.pointee.hidden)
        orders[Int(slot)].shown = next
        part.pointee.hidden &-= next
        append(slot, to: level)
    }

    /// Makes an order smaller, hidden part first; it keeps its place.
    mutating func reduce(_ slot: Slot, to lots: Int64) {
        let order = orders + Int(slot)
        precondition(lots > 0 && lots <= self.lots(slot), "an order is made smaller, not larger and not nothing")
        let shown = Int32(truncatingIfNeeded: min(Int64(order.pointee.shown), lots))
        levels.base[Int(order.pointee.level)].lots &-= Int64(order.pointee.shown &- shown)
        order.pointee.shown = shown
        if part(slot).hidden > 0 { parts.base[Int(slot)].hidden = Int32(truncatingIfNeeded: lots &- Int64(shown)) }
    }

    // MARK: Storage

    @inline(__always)
    private mutating func place(_ order: Resting) -> Slot {
        let slot = firstFree
        if slot == Self.none { return extend(order) }
        firstFree = orders[Int(slot)].next
        orders[Int(slot)] = order
        return slot
    }

    @inline(never)
    private mutating func extend(_ order: Resting) -> Slot {
        precondition(pool.count < Int(Slot.max), "slot numbers have 31 bits")
        pool.append(order)
        parts.append(Part(hidden: 0, display: 0))
        return Slot(truncatingIfNeeded: pool.count - 2)
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
