/// All order books of a market, by price and then time. What rests lies in flat storage: one pool of orders and one of price
/// levels for all books, queues linked by slot numbers, and one index from order identifiers to slots.
///
/// Matching is in two steps, so that a caller can refuse in between: `match` looks and changes nothing, `take` does what `match`
/// found. Prices are above zero. A slot names an order from `rest` until it is removed or taken whole; then it is used again.
public struct OrderBooks: Sendable {
    public typealias Slot = Int32

    /// Lots to be taken from a resting order.
    public struct Fill: Hashable, Sendable {
        public var maker: Slot
        public var price: Int64
        public var lots: Int64
    }

    public struct Match: Hashable, Sendable {
        /// How many lots were found.
        public var lots: Int64
        /// The order of the same owner where the search stopped.
        public var ownOrder: Slot?
    }

    private struct Resting {
        var id: UInt64
        var lots: Int64
        /// The next in the queue of the level; in a free slot, the next free one.
        var next: Slot
        var previous: Slot
        var level: Int32
        var owner: Int32
    }

    private struct Level {
        var key: Int64
        var lots: Int64
        /// Head of the queue; in a free level, the next free one.
        var first: Slot
        var last: Slot
        var orders: Int32
        var ladder: Int32
    }

    private static let none: Slot = -1

    private var resting: ContiguousArray<Resting> = []
    private var levels: ContiguousArray<Level> = []
    /// Bids of book n at 2n, asks at 2n + 1.
    private var ladders: ContiguousArray<Ladder> = []
    private var firstFree = none
    private var firstFreeLevel = none
    private var index: SlotIndex

    /// - Parameter capacity: resting orders for which room is made ahead.
    public init(capacity: Int = 0) {
        index = SlotIndex(capacity: capacity)
        resting.reserveCapacity(capacity)
    }

    /// Opens a book and returns its number: 0, 1, 2, …
    public mutating func open() -> Int {
        ladders.append(Ladder())
        ladders.append(Ladder())
        return ladders.count / 2 - 1
    }

    // MARK: Matching

    /// Finds what an order would take, best price and then longest wait first, and appends it to `fills`. Stops at an order of
    /// the same owner. Changes nothing.
    public func match(
        book: Int, side: Side, price: Int64, lots: Int64, owner: Int32, into fills: inout ContiguousArray<Fill>
    ) -> Match {
        let rungs = ladders[Self.ladder(book, side.opposite)].rungs
        let worst = -Self.key(side, price)
        var wanted = lots
        var position = rungs.count - 1
        while wanted > 0, position >= 0, rungs[position].key >= worst {
            let level = levels[Int(rungs[position].level)]
            let price = Self.price(side.opposite, level.key)
            var slot = level.first
            while wanted > 0, slot != Self.none {
                let maker = resting[Int(slot)]
                if maker.owner == owner { return Match(lots: lots - wanted, ownOrder: slot) }
                let taken = min(wanted, maker.lots)
                fills.append(Fill(maker: slot, price: price, lots: taken))
                wanted -= taken
                slot = maker.next
            }
            position -= 1
        }
        return Match(lots: lots - wanted, ownOrder: nil)
    }

    /// Takes what `match` found from the resting order, which leaves the book when nothing of it is left.
    public mutating func take(_ fill: Fill) {
        let slot = Int(fill.maker)
        let left = resting[slot].lots - fill.lots
        precondition(left >= 0 && fill.lots > 0, "a fill fits the order it was found on")
        if left == 0 {
            remove(fill.maker)
        } else {
            resting[slot].lots = left
            levels[Int(resting[slot].level)].lots -= fill.lots
        }
    }

    /// Puts an order at the end of the queue of its price.
    @discardableResult
    public mutating func rest(book: Int, side: Side, price: Int64, lots: Int64, owner: Int32, id: UInt64) -> Slot {
        precondition(lots > 0 && price > 0, "what rests has a price and a volume")
        let level = level(of: Self.key(side, price), on: Self.ladder(book, side))
        let last = levels[Int(level)].last
        let slot = place(Resting(id: id, lots: lots, next: Self.none, previous: last, level: level, owner: owner))
        if last == Self.none { levels[Int(level)].first = slot } else { resting[Int(last)].next = slot }
        levels[Int(level)].last = slot
        levels[Int(level)].lots += lots
        levels[Int(level)].orders += 1
        index.insert(id, slot)
        return slot
    }

    /// Takes an order out of its book.
    public mutating func remove(_ slot: Slot) {
        let order = resting[Int(slot)]
        let level = Int(order.level)
        if order.previous == Self.none { levels[level].first = order.next } else { resting[Int(order.previous)].next = order.next }
        if order.next == Self.none { levels[level].last = order.previous } else { resting[Int(order.next)].previous = order.previous }
        levels[level].lots -= order.lots
        levels[level].orders -= 1
        if levels[level].orders == 0 { drop(order.level) }
        index.remove(order.id)
        resting[Int(slot)].lots = 0
        resting[Int(slot)].next = firstFree
        firstFree = slot
    }

    // MARK: Reading

    /// How many orders rest in all books.
    public var count: Int { index.count }

    public func slot(of id: UInt64) -> Slot? { index[id] }
    public func lots(at slot: Slot) -> Int64 { resting[Int(slot)].lots }
    public func id(at slot: Slot) -> UInt64 { resting[Int(slot)].id }

    public func bestPrice(book: Int, side: Side) -> Int64? {
        ladders[Self.ladder(book, side)].rungs.last.map { Self.price(side, $0.key) }
    }

    /// Price, volume and number of orders of the best levels, best first.
    public func depth(book: Int, side: Side, levels limit: Int) -> [DepthLevel] {
        ladders[Self.ladder(book, side)].rungs.reversed().prefix(limit).map { rung in
            let level = levels[Int(rung.level)]
            return DepthLevel(price: Self.price(side, level.key), lots: level.lots, orders: Int64(level.orders))
        }
    }

    /// The slots of one side, in the order in which they would be taken.
    public func queue(book: Int, side: Side) -> [Slot] {
        var slots: [Slot] = []
        for rung in ladders[Self.ladder(book, side)].rungs.reversed() {
            var slot = levels[Int(rung.level)].first
            while slot != Self.none {
                slots.append(slot)
                slot = resting[Int(slot)].next
            }
        }
        return slots
    }

    /// Digest of what rests in a book: price, identifier and volume of each order in the order it would be taken, bids and then asks.
    public func stateHash(book: Int) -> UInt64 {
        var hash = StateHash()
        for side in Side.allCases {
            hash.combine(queue(book: book, side: side)) { hash, slot in
                let order = resting[Int(slot)]
                hash.combine(Self.price(side, levels[Int(order.level)].key))
                hash.combine(order.id)
                hash.combine(order.lots)
            }
        }
        return hash.value
    }

    // MARK: Storage

    private static func ladder(_ book: Int, _ side: Side) -> Int { book * 2 + (side == .buy ? 0 : 1) }
    private static func key(_ side: Side, _ price: Int64) -> Int64 { side == .buy ? price : -price }
    private static func price(_ side: Side, _ key: Int64) -> Int64 { side == .buy ? key : -key }

    private mutating func place(_ order: Resting) -> Slot {
        let slot = firstFree
        guard slot != Self.none else {
            precondition(resting.count < Int(Slot.max), "slot numbers have 31 bits")
            resting.append(order)
            return Slot(resting.count - 1)
        }
        firstFree = resting[Int(slot)].next
        resting[Int(slot)] = order
        return slot
    }

    private mutating func level(of key: Int64, on ladder: Int) -> Int32 {
        let (position, existing) = ladders[ladder].find(key)
        if let existing { return existing }
        let new = Level(key: key, lots: 0, first: Self.none, last: Self.none, orders: 0, ladder: Int32(ladder))
        var number = firstFreeLevel
        if number == Self.none {
            levels.append(new)
            number = Int32(levels.count - 1)
        } else {
            firstFreeLevel = levels[Int(number)].first
            levels[Int(number)] = new
        }
        ladders[ladder].insert(Ladder.Rung(key: key, level: number), at: position)
        return number
    }

    private mutating func drop(_ level: Int32) {
        ladders[Int(levels[Int(level)].ladder)].remove(levels[Int(level)].key)
        levels[Int(level)].first = firstFreeLevel
        firstFreeLevel = level
    }
}

/// One price of one side of a book. Anonymous.
public struct DepthLevel: Hashable, Sendable {
    public var price: Int64
    public var lots: Int64
    public var orders: Int64

    public init(price: Int64, lots: Int64, orders: Int64) {
        self.price = price
        self.lots = lots
        self.orders = orders
    }
}
