/// The flat storage of all order books: one pool of orders and one of price levels, queues linked by slot numbers, one ladder of
/// prices for each side of each book, and one index from identifiers to slots.
///
/// Everything in it is plain memory, so a copy made by assignment is the same storage: `BookStorage` owns one and frees it.
struct BookState {
    typealias Slot = Int32

    struct Resting: BitwiseCopyable {
        var id: UInt64
        /// What others see of it.
        var shown: Int32
        /// What comes up when the shown part is taken; `wholeOnly` when it is taken whole or not at all.
        var hidden: Int32
        /// The next in the queue of the level; in a free slot, the next free one.
        var next: Slot
        var previous: Slot
        var level: Int32
        var owner: Int32

        static let wholeOnly: Int32 = -1
        var isWholeOnly: Bool { hidden == Self.wholeOnly }
        var lots: Int64 { Int64(shown) &+ Int64(max(0, hidden)) }
    }

    struct Level: BitwiseCopyable {
        var key: Int64
        /// Shown.
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

    /// One side of one book: its prices, the best last, because that is where most orders come and go.
    struct Ladder: BitwiseCopyable {
        var rungs: FlatPool<Rung>
        /// The keys of the first and the last rung; nonsense when there is none.
        private var low: Int64 = 0
        private var high: Int64 = 0

        init() { rungs = FlatPool(capacity: 16) }

        init(copying other: Ladder) {
            rungs = FlatPool(copying: other.rungs)
            (low, high) = (other.low, other.high)
        }

        mutating func insert(_ rung: Rung, at position: Int) {
            rungs.insert(rung, at: position)
            if position == 0 { low = rung.key }
            if position == rungs.count - 1 { high = rung.key }
        }

        mutating func remove(at position: Int) {
            rungs.remove(at: position)
            guard rungs.count > 0 else { return }
            if position == 0 { low = rungs.base[0].key }
            if position == rungs.count { high = rungs.base[position - 1].key }
        }

        /// Whether somebody offers this or better.
        func reaches(_ key: Int64) -> Bool { rungs.count > 0 && high >= key }

        /// The first rung that is not below `key`. Prices stand close together, so the guess between first and last is off by little.
        func position(of key: Int64) -> Int {
            let count = rungs.count
            if count == 0 || key > high { return count }
            if key <= low { return 0 }
            let base = rungs.base
            var place = Int(Double(key &- low) * Double(count - 1) / Double(high &- low))
            var steps = 0
            if base[place].key < key {
                repeat {
                    place &+= 1
                    steps &+= 1
                    if steps > Self.longestWalk { return search(key, from: place, to: count - 1) }
                } while base[place].key < key
                return place
            }
            while base[place - 1].key >= key {
                place &-= 1
                steps &+= 1
                if steps > Self.longestWalk { return search(key, from: 0, to: place) }
            }
            return place
        }

        private static let longestWalk = 8

        /// Binary search; the answer is among the places given.
        private func search(_ key: Int64, from low: Int, to high: Int) -> Int {
            var (low, high) = (low, high)
            while low < high {
                let middle = (low + high) >> 1
                if rungs.base[middle].key < key { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    static let none: Slot = -1

    private var orders: FlatPool<Resting>
    /// By slot: how much of an order is shown at a time.
    private var displays: FlatPool<Int32>
    private var levels: FlatPool<Level>
    /// Bids of book n at 2n, asks at 2n + 1.
    private var ladders: FlatPool<Ladder>
    private var index: SlotIndex
    private var firstFree = none
    private var firstFreeLevel = none

    init(capacity: Int) {
        orders = FlatPool(capacity: capacity)
        displays = FlatPool(capacity: capacity)
        levels = FlatPool(capacity: 64)
        ladders = FlatPool(capacity: 8)
        index = SlotIndex(capacity: capacity)
    }

    init(copying other: BookState) {
        orders = FlatPool(copying: other.orders)
        displays = FlatPool(copying: other.displays)
        levels = FlatPool(copying: other.levels)
        ladders = FlatPool(copying: other.ladders)
        for ladder in 0..<ladders.count { ladders.base[ladder] = Ladder(copying: other.ladders.base[ladder]) }
        index = SlotIndex(copying: other.index)
        (firstFree, firstFreeLevel) = (other.firstFree, other.firstFreeLevel)
    }

    func free() {
        orders.free()
        displays.free()
        levels.free()
        for ladder in 0..<ladders.count { ladders.base[ladder].rungs.free() }
        ladders.free()
        index.free()
    }

    // MARK: Reading

    var count: Int { index.count }
    var ladderCount: Int { ladders.count }
    func order(_ slot: Slot) -> Resting { orders.base[Int(slot)] }
    func display(_ slot: Slot) -> Int32 { displays.base[Int(slot)] }
    func level(_ number: Int32) -> Level { levels.base[Int(number)] }

    func rungs(_ ladder: Int) -> UnsafeBufferPointer<Rung> {
        UnsafeBufferPointer(start: ladders.base[ladder].rungs.base, count: ladders.base[ladder].rungs.count)
    }

    func reaches(_ ladder: Int, _ key: Int64) -> Bool { ladders.base[ladder].reaches(key) }

    func slot(of id: UInt64) -> Slot? {
        let place = index.find(id, orders.base)
        return place < 0 ? nil : index[place]
    }

    // MARK: Changing

    mutating func openLadders() {
        for _ in 0..<2 { ladders.append(Ladder()) }
    }

    /// Puts an order at the end of the queue of its price.
    mutating func rest(ladder: Int, key: Int64, shown: Int32, hidden: Int32, display: Int32, owner: Int32, id: UInt64) -> Slot {
        let number = level(of: key, on: ladder)
        let slot = place(
            Resting(id: id, shown: shown, hidden: hidden, next: Self.none, previous: Self.none, level: number, owner: owner),
            display: display)
        append(slot, to: number)
        index.insert(id, slot, orders.base)
        return slot
    }

    private mutating func append(_ slot: Slot, to number: Int32) {
        let (order, level) = (orders.base + Int(slot), levels.base + Int(number))
        let last = level.pointee.last
        order.pointee.previous = last
        order.pointee.next = Self.none
        if last == Self.none { level.pointee.first = slot } else { orders.base[Int(last)].next = slot }
        level.pointee.last = slot
        level.pointee.lots &+= Int64(order.pointee.shown)
        level.pointee.orders &+= 1
    }

    /// Takes an order out of its book; an emptied level leaves its ladder.
    mutating func remove(_ slot: Slot) { remove(slot, at: index.find(orders.base[Int(slot)].id, orders.base)) }

    mutating func remove(id: UInt64) -> Bool {
        let place = index.find(id, orders.base)
        if place < 0 { return false }
        remove(index[place], at: place)
        return true
    }

    private mutating func remove(_ slot: Slot, at place: Int) {
        let order = orders.base + Int(slot)
        let number = order.pointee.level
        unlink(slot, from: number)
        if levels.base[Int(number)].orders == 0 { drop(number) }
        index.remove(at: place)
        order.pointee.shown = 0
        order.pointee.next = firstFree
        firstFree = slot
    }

    private mutating func unlink(_ slot: Slot, from number: Int32) {
        let (order, level) = (orders.base + Int(slot), levels.base + Int(number))
        let (next, previous) = (order.pointee.next, order.pointee.previous)
        if previous == Self.none { level.pointee.first = next } else { orders.base[Int(previous)].next = next }
        if next == Self.none { level.pointee.last = previous } else { orders.base[Int(next)].previous = previous }
        level.pointee.lots &-= Int64(order.pointee.shown)
        level.pointee.orders &-= 1
    }

    /// Takes lots from what an order shows. True when that was all it showed and its next part came up, at the end of the queue.
    mutating func take(_ lots: Int32, from slot: Slot) -> Bool {
        let order = orders.base + Int(slot)
        precondition(lots > 0 && lots <= order.pointee.shown, "a fill fits the order it was found on")
        if lots == order.pointee.shown, order.pointee.hidden <= 0 {
            remove(slot)
            return false
        }
        let number = order.pointee.level
        if lots < order.pointee.shown {
            order.pointee.shown &-= lots
            levels.base[Int(number)].lots &-= Int64(lots)
            return false
        }
        unlink(slot, from: number)
        order.pointee.shown = min(displays.base[Int(slot)], order.pointee.hidden)
        order.pointee.hidden &-= order.pointee.shown
        append(slot, to: number)
        return true
    }

    /// Makes an order smaller, hidden part first; it keeps its place.
    mutating func reduce(_ slot: Slot, to lots: Int64) {
        let order = orders.base + Int(slot)
        precondition(lots > 0 && lots <= order.pointee.lots, "an order is made smaller, not larger and not nothing")
        let shown = Int32(truncatingIfNeeded: min(Int64(order.pointee.shown), lots))
        levels.base[Int(order.pointee.level)].lots &-= Int64(order.pointee.shown &- shown)
        order.pointee.shown = shown
        if !order.pointee.isWholeOnly { order.pointee.hidden = Int32(truncatingIfNeeded: lots &- Int64(shown)) }
    }

    // MARK: Storage

    private mutating func place(_ order: Resting, display: Int32) -> Slot {
        let slot = firstFree
        guard slot != Self.none else {
            precondition(orders.count < Int(Slot.max), "slot numbers have 31 bits")
            orders.append(order)
            displays.append(display)
            return Slot(truncatingIfNeeded: orders.count - 1)
        }
        firstFree = orders.base[Int(slot)].next
        orders.base[Int(slot)] = order
        // Who shows all has nothing to come up.
        if order.hidden > 0 { displays.base[Int(slot)] = display }
        return slot
    }

    private mutating func level(of key: Int64, on ladder: Int) -> Int32 {
        let position = ladders.base[ladder].position(of: key)
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
        ladders.base[ladder].remove(at: ladders.base[ladder].position(of: level.pointee.key))
        level.pointee.first = firstFreeLevel
        firstFreeLevel = number
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
