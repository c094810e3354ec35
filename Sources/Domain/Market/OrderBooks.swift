/// All order books of a market, by price and then time. What rests lies in flat storage: see `BookState`.
///
/// Matching is in two steps, so that a caller can refuse in between: `match` looks and changes nothing, `take` does what `match`
/// found. Prices are above zero. A slot names an order from `rest` until it is removed or taken whole; then it is used again.
/// A value: a copy has storage of its own from the first change on.
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

    private var storage: BookStorage

    /// - Parameter capacity: resting orders for which room is made ahead.
    public init(capacity: Int = 0) { storage = BookStorage(BookState(capacity: capacity)) }

    /// What may be changed: storage that this value alone holds.
    private var own: UnsafeMutablePointer<BookState> {
        mutating get {
            if !isKnownUniquelyReferenced(&storage) { storage = BookStorage(BookState(copying: storage.state.pointee)) }
            return storage.state
        }
    }

    private var state: UnsafeMutablePointer<BookState> { storage.state }

    /// Opens a book and returns its number: 0, 1, 2, …
    public mutating func open() -> Int {
        own.pointee.openLadders()
        return state.pointee.ladderCount / 2 - 1
    }

    // MARK: Matching

    /// Finds what an order would take, best price and then longest wait first, and appends it to `fills`. Stops at an order of
    /// the same owner. Changes nothing.
    public func match(
        book: Int, side: Side, price: Int64, lots: Int64, owner: Int32, into fills: inout ContiguousArray<Fill>
    ) -> Match {
        let rungs = state.pointee.rungs(Self.ladder(book, side.opposite))
        let worst = -Self.key(side, price)
        var wanted = lots
        var position = rungs.count - 1
        while wanted > 0, position >= 0, rungs[position].key >= worst {
            var slot = state.pointee.level(rungs[position].level).first
            let price = Self.price(side.opposite, rungs[position].key)
            while wanted > 0, slot != BookState.none {
                let maker = state.pointee.order(slot)
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
        let books = own
        let left = books.pointee.order(fill.maker).lots - fill.lots
        precondition(left >= 0 && fill.lots > 0, "a fill fits the order it was found on")
        if left == 0 { books.pointee.remove(fill.maker) } else { books.pointee.reduce(fill.maker, by: fill.lots) }
    }

    /// Puts an order at the end of the queue of its price.
    @discardableResult
    public mutating func rest(book: Int, side: Side, price: Int64, lots: Int64, owner: Int32, id: UInt64) -> Slot {
        precondition(lots > 0 && price > 0, "what rests has a price and a volume")
        return own.pointee.rest(ladder: Self.ladder(book, side), key: Self.key(side, price), lots: lots, owner: owner, id: id)
    }

    /// Takes an order out of its book.
    public mutating func remove(_ slot: Slot) { own.pointee.remove(slot) }

    // MARK: Reading

    /// How many orders rest in all books.
    public var count: Int { state.pointee.count }

    public func slot(of id: UInt64) -> Slot? { state.pointee.slot(of: id) }
    public func lots(at slot: Slot) -> Int64 { state.pointee.order(slot).lots }
    public func id(at slot: Slot) -> UInt64 { state.pointee.order(slot).id }

    public func bestPrice(book: Int, side: Side) -> Int64? {
        state.pointee.rungs(Self.ladder(book, side)).last.map { Self.price(side, $0.key) }
    }

    /// Price, volume and number of orders of the best levels, best first.
    public func depth(book: Int, side: Side, levels limit: Int) -> [DepthLevel] {
        state.pointee.rungs(Self.ladder(book, side)).reversed().prefix(limit).map { rung in
            let level = state.pointee.level(rung.level)
            return DepthLevel(price: Self.price(side, level.key), lots: level.lots, orders: Int64(level.orders))
        }
    }

    /// The slots of one side, in the order in which they would be taken.
    public func queue(book: Int, side: Side) -> [Slot] {
        var slots: [Slot] = []
        for rung in state.pointee.rungs(Self.ladder(book, side)).reversed() {
            var slot = state.pointee.level(rung.level).first
            while slot != BookState.none {
                slots.append(slot)
                slot = state.pointee.order(slot).next
            }
        }
        return slots
    }

    /// Digest of what rests in a book: price, identifier and volume of each order in the order it would be taken, bids and then asks.
    public func stateHash(book: Int) -> UInt64 {
        var hash = StateHash()
        for side in Side.allCases {
            hash.combine(queue(book: book, side: side)) { hash, slot in
                let order = state.pointee.order(slot)
                hash.combine(Self.price(side, state.pointee.level(order.level).key))
                hash.combine(order.id)
                hash.combine(order.lots)
            }
        }
        return hash.value
    }

    private static func ladder(_ book: Int, _ side: Side) -> Int { book * 2 + (side == .buy ? 0 : 1) }
    private static func key(_ side: Side, _ price: Int64) -> Int64 { side == .buy ? price : -price }
    private static func price(_ side: Side, _ key: Int64) -> Int64 { side == .buy ? key : -key }
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
