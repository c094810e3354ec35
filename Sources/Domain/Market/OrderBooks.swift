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
        /// The orders of the same owner that were passed over.
        public var passed: ContiguousArray<Slot> = []
    }

    private var storage: BookStorage

    /// - Parameter capacity: resting orders for which room is made ahead.
    public init(capacity: Int = 0) { storage = BookStorage(BookState(capacity: capacity)) }

    /// What may be changed: storage that this value alone holds.
    var own: UnsafeMutablePointer<BookState> {
        mutating get {
            if !isKnownUniquelyReferenced(&storage) { takeCopy() }
            return storage.state
        }
    }

    @inline(never)
    private mutating func takeCopy() { storage = BookStorage(BookState(copying: storage.state.pointee)) }

    private var state: UnsafeMutablePointer<BookState> { storage.state }

    /// Opens a book and returns its number: 0, 1, 2, …
    public mutating func open() -> Int {
        own.pointee.openLadders()
        return state.pointee.ladderCount / 2 - 1
    }

    // MARK: Matching

    /// Finds what an order would take, best price and then longest wait first, and appends it to `fills`. Changes nothing.
    ///
    /// An order that is taken whole or not at all is passed over when more is not wanted, and keeps its place. An order that shows a
    /// part of itself is taken part by part, each with a place of its own at the end of the queue.
    /// - Parameter passingOwn: orders of the same owner are passed over; else the search stops at the first.
    public func match(
        book: Int, side: Side, price: Int64, lots: Int64, owner: Int32, passingOwn: Bool = false, into fills: inout ContiguousArray<Fill>
    ) -> Match {
        let ladder = Self.ladder(book, side.opposite)
        let worst = -Self.key(side, price)
        // Most orders are not there to trade at once.
        guard state.pointee.reaches(ladder, worst) else { return Match(lots: 0, ownOrder: nil) }
        return search(ladder, worst: worst, side.opposite, Search(wanted: lots, owner: owner, passingOwn: passingOwn), &fills)
    }

    @inline(never)
    private func search(_ ladder: Int, worst: Int64, _ side: Side, _ start: Search, _ fills: inout ContiguousArray<Fill>) -> Match {
        let lots = start.wanted
        var search = start
        var position = state.pointee.levelCount(ladder) - 1
        while search.wanted > 0, position >= 0, search.ownOrder == nil {
            let level = state.pointee.level(ladder, at: position)
            if level.key < worst { break }
            search.price = Self.price(side, level.key)
            search.take(level, state, &fills)
            position -= 1
        }
        return Match(lots: lots - search.wanted, ownOrder: search.ownOrder, passed: search.passed)
    }

    /// One search through a side of a book.
    private struct Search {
        var wanted: Int64
        let owner: Int32
        let passingOwn: Bool
        var price: Int64 = 0
        var ownOrder: Slot?
        var passed: ContiguousArray<Slot> = []

        init(wanted: Int64, owner: Int32, passingOwn: Bool) {
            self.wanted = wanted
            self.owner = owner
            self.passingOwn = passingOwn
        }

        mutating func take(_ level: LevelPool.Level, _ books: UnsafeMutablePointer<BookState>, _ fills: inout ContiguousArray<Fill>) {
            var slot = level.first
            var hasHidden = false
            let first = fills.count
            while wanted > 0, slot != BookState.none {
                let maker = books.pointee.order(slot)
                if maker.owner == owner {
                    guard passingOwn else {
                        ownOrder = slot
                        // What is hidden behind others comes after it in the queue.
                        return
                    }
                    passed.append(slot)
                } else if maker.isPlain || Int64(maker.shown) <= wanted || !books.pointee.part(slot).isWholeOnly {
                    let taken = min(wanted, Int64(maker.shown))
                    fills.append(Fill(maker: slot, price: price, lots: taken))
                    wanted &-= taken
                    hasHidden = hasHidden || !maker.isPlain
                }
                slot = maker.next
            }
            if hasHidden, wanted > 0 { takeHidden(from: first, books, &fills) }
        }

        /// All that is shown at this price is taken; hidden parts come up in the order in which the parts before them were taken.
        private mutating func takeHidden(
            from first: Int, _ books: UnsafeMutablePointer<BookState>, _ fills: inout ContiguousArray<Fill>
        ) {
            var queue = fills[first...].map { (slot: $0.maker, hidden: Int64(books.pointee.part($0.maker).hidden)) }.filter {
                $0.hidden > 0
            }
            var place = 0
            while wanted > 0, place < queue.count {
                let (slot, hidden) = queue[place]
                let shown = min(hidden, Int64(books.pointee.part(slot).display))
                let taken = min(wanted, shown)
                fills.append(Fill(maker: slot, price: price, lots: taken))
                wanted &-= taken
                if hidden > shown { queue.append((slot, hidden - shown)) }
                place += 1
            }
        }
    }

    /// Takes what `match` found from the resting order, which leaves the book when nothing of it is left.
    /// - Returns: true when its next part came up and went to the end of the queue.
    @discardableResult
    public mutating func take(_ fill: Fill) -> Bool { own.pointee.take(Int32(truncatingIfNeeded: fill.lots), from: fill.maker) }

    /// Puts an order at the end of the queue of its price. Orders have at most 2^31 - 1 lots and identifiers that no other has.
    /// - Parameters:
    ///   - display: show at most this much at a time; all when nil.
    ///   - shown: how much of the part that is up is left; `display` when nil.
    ///   - wholeOnly: it is taken whole or not at all.
    @discardableResult
    public mutating func rest(
        book: Int, side: Side, price: Int64, lots: Int64, owner: Int32, id: UInt64, display: Int64? = nil, shown: Int64? = nil,
        wholeOnly: Bool = false
    ) -> Slot {
        precondition(lots > 0 && lots <= Int64(Int32.max) && price > 0, "what rests has a price and a volume")
        let part = min(display ?? lots, lots)
        let up = min(shown ?? part, lots)
        precondition(up > 0 && part > 0, "an order shows something")
        let hidden = wholeOnly ? BookState.Part.wholeOnly : Int32(truncatingIfNeeded: lots - up)
        let isPlain = hidden == 0
        return own.pointee.rest(
            id: id, key: Self.key(side, price), ladder: Self.ladder(book, side), owner: owner, shown: Int32(truncatingIfNeeded: up),
            part: isPlain ? nil : BookState.Part(hidden: hidden, display: Int32(truncatingIfNeeded: part)))
    }

    /// Makes an order smaller; it keeps its place.
    public mutating func reduce(_ slot: Slot, to lots: Int64) { own.pointee.reduce(slot, to: lots) }

    /// Takes an order out of its book.
    public mutating func remove(_ slot: Slot) { own.pointee.remove(slot) }

    /// The same by identifier; false when no such order rests.
    public mutating func remove(id: UInt64) -> Bool { own.pointee.remove(id: id) }

    // MARK: Reading

    /// How many orders rest in all books.
    public var count: Int { state.pointee.count }

    public func slot(of id: UInt64) -> Slot? { state.pointee.slot(of: id) }
    /// Shown and hidden.
    public func lots(at slot: Slot) -> Int64 { state.pointee.lots(slot) }
    public func shown(at slot: Slot) -> Int64 { Int64(state.pointee.order(slot).shown) }
    public func id(at slot: Slot) -> UInt64 { state.pointee.order(slot).id }

    public func bestPrice(book: Int, side: Side) -> Int64? {
        let ladder = Self.ladder(book, side)
        let count = state.pointee.levelCount(ladder)
        return count == 0 ? nil : Self.price(side, state.pointee.level(ladder, at: count - 1).key)
    }

    /// Price, volume and number of orders of the best levels, best first.
    public func depth(book: Int, side: Side, levels limit: Int) -> [DepthLevel] {
        levels(book: book, side: side).filter { $0.orders > 0 }.prefix(limit).map {
            DepthLevel(price: Self.price(side, $0.key), lots: $0.lots, orders: Int64($0.orders))
        }
    }

    /// Best first; others than the best may be empty.
    private func levels(book: Int, side: Side) -> LazyMapSequence<ReversedCollection<Range<Int>>, LevelPool.Level> {
        let (state, ladder) = (state, Self.ladder(book, side))
        return (0..<state.pointee.levelCount(ladder)).reversed().lazy.map { state.pointee.level(ladder, at: $0) }
    }

    /// The slots of one side, in the order in which they would be taken.
    public func queue(book: Int, side: Side) -> [Slot] {
        var slots: [Slot] = []
        walk(book: book, side: side) { slot in
            slots.append(slot)
            return true
        }
        return slots
    }

    /// Shows the slots of one side, in the order in which they would be taken, until the body has seen enough.
    func walk(book: Int, side: Side, _ wantsMore: (Slot) -> Bool) {
        for level in levels(book: book, side: side) {
            var slot = level.first
            while slot != BookState.none {
                guard wantsMore(slot) else { return }
                slot = state.pointee.order(slot).next
            }
        }
    }

    /// Digest of what rests in a book: price, identifier, shown and whole volume of each order in the order it would be taken, bids and then asks.
    public func stateHash(book: Int) -> UInt64 {
        var hash = StateHash()
        for side in Side.allCases {
            hash.combine(queue(book: book, side: side)) { hash, slot in
                let order = state.pointee.order(slot)
                hash.combine(Self.price(side, state.pointee.key(slot)))
                hash.combine(order.id)
                hash.combine(Int64(order.shown))
                hash.combine(state.pointee.lots(slot))
            }
        }
        return hash.value
    }

    static func ladder(_ book: Int, _ side: Side) -> Int { book * 2 + (side == .buy ? 0 : 1) }
    static func key(_ side: Side, _ price: Int64) -> Int64 { side == .buy ? price : -price }
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
