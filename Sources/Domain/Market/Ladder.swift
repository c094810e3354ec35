/// One side of one book: its price levels side by side, the best last, because that is where most orders come and go.
///
/// A level that loses its last order stays, unless it was the best, and prices between two that stand close together get levels ahead
/// of their orders. So levels rarely move, and where each tick has one, a level is found by arithmetic alone. The best level is never
/// empty, others may be, but not many more than have orders.
struct Ladder: BitwiseCopyable {
    struct Level: BitwiseCopyable {
        /// Larger is better: the price of bids, the negated price of asks.
        var key: Int64
        /// Shown.
        var lots: Int64 = 0
        /// Of the queue of its orders.
        var first = BookState.none
        var last = BookState.none
        var orders: Int32 = 0
    }

    private var levels: FlatPool<Level>
    /// The keys of the first and the last level; nonsense when there is none.
    private var low: Int64 = 0
    private(set) var high: Int64 = 0
    /// Levels for each unit of key between them.
    private var density: Double = 0
    /// The smallest distance between two levels so far.
    private var tick = Int64.max
    /// How many levels are empty.
    private var empty = 0
    /// So that a ladder is a cache line.
    private var unused: Int64 = 0

    init() { levels = FlatPool(capacity: 16) }

    /// A copy with memory of its own.
    init(copying other: Ladder) {
        self = other
        levels = FlatPool(copying: other.levels)
    }

    func free() { levels.free() }

    /// Worst first.
    var all: UnsafeBufferPointer<Level> { UnsafeBufferPointer(start: levels.base, count: levels.count) }

    /// Whether somebody offers this or better.
    func reaches(_ key: Int64) -> Bool { levels.count > 0 && high >= key }

    /// The level of a price that has one.
    @inline(__always)
    func level(at key: Int64) -> UnsafeMutablePointer<Level> {
        let guess = levels.base + guess(key)
        return guess.pointee.key == key ? guess : levels.base + position(of: key)
    }

    /// The level for one more order at a price, made when there is none.
    @inline(__always)
    mutating func levelToFill(at key: Int64) -> UnsafeMutablePointer<Level> {
        if levels.count > 0, key <= high, key >= low {
            let guess = levels.base + guess(key)
            if guess.pointee.key == key {
                empty &-= guess.pointee.orders == 0 ? 1 : 0
                return guess
            }
        }
        return levelBesideGuess(key)
    }

    @inline(never)
    private mutating func levelBesideGuess(_ key: Int64) -> UnsafeMutablePointer<Level> {
        let position = position(of: key)
        if position < levels.count, levels.base[position].key == key {
            empty &-= levels.base[position].orders == 0 ? 1 : 0
            return levels.base + position
        }
        let made = insert(key, at: position)
        return levels.base + made
    }

    /// Where few ticks lie between a new level and its neighbours, they get levels too. Returns where the new one is.
    private mutating func insert(_ key: Int64, at position: Int) -> Int {
        let below = position > 0 ? fillers(between: levels.base[position - 1].key, and: key) : 0
        let above = position < levels.count ? fillers(between: key, and: levels.base[position].key) : 0
        levels.makeRoom(for: below + 1 + above, at: position)
        for step in -below...above { levels.base[position + below + step] = Level(key: key + Int64(step) * (step == 0 ? 0 : tick)) }
        empty += below + above
        measure()
        return position + below
    }

    /// Keys of one ladder have the same sign, so their distance is a number too.
    private mutating func fillers(between low: Int64, and high: Int64) -> Int {
        tick = min(tick, high - low)
        let (ticks, rest) = (high - low).quotientAndRemainder(dividingBy: tick)
        return rest == 0 && ticks <= Self.widestFilled ? Int(ticks) - 1 : 0
    }

    /// In ticks.
    private static let widestFilled = 16

    /// An order has left a level.
    @inline(__always)
    mutating func hasShrunk(_ level: UnsafeMutablePointer<Level>) {
        let isEmpty = level.pointee.orders == 0
        empty &+= isEmpty ? 1 : 0
        // One branch, hardly ever taken.
        if isEmpty, level.pointee.key == high || empty > Self.mostEmpty(of: levels.count) { tidy() }
    }

    /// Few enough that who walks over the levels meets orders, many enough that they rarely move.
    @inline(__always)
    private static func mostEmpty(of levels: Int) -> Int { (levels &* 3 &+ 256) >> 2 }

    @inline(never)
    private mutating func tidy() {
        dropEmptyBest()
        if empty > Self.mostEmpty(of: levels.count) { dropEmpty() }
    }

    private mutating func dropEmptyBest() {
        while let last = all.last, last.orders == 0 {
            levels.removeLast()
            empty -= 1
        }
        // The first level stays as long as there is one, and is far away: it need not be read.
        guard let last = all.last else { return measure() }
        high = last.key
        density = density(from: low, to: high)
    }

    private mutating func dropEmpty() {
        levels.removeAll { $0.orders == 0 }
        empty = 0
        measure()
    }

    private mutating func measure() {
        guard let first = all.first, let last = all.last else {
            tick = .max
            return
        }
        (low, high) = (first.key, last.key)
        density = density(from: low, to: high)
    }

    private func density(from low: Int64, to high: Int64) -> Double { Double(levels.count - 1) / Double(max(1, high - low)) }

    /// Where the level of a price between the first and the last should be. Prices stand close together, so this is off by little.
    @inline(__always)
    private func guess(_ key: Int64) -> Int { Int(Double(key &- low) * density + 0.5) }

    /// The first level that is not below `key`.
    private func position(of key: Int64) -> Int {
        let count = levels.count
        if count == 0 || key > high { return count }
        if key <= low { return 0 }
        let base = levels.base
        var place = guess(key)
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
            if levels.base[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
