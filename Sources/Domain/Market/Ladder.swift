/// One side of one book: the numbers of its price levels side by side, the best last, because that is where most orders come and go.
///
/// A level that loses its last order stays, unless it was the best, and prices between two that stand close together get levels ahead
/// of their orders. So levels rarely come and go, and where each tick has one, a level is found by arithmetic alone. The best level is
/// never empty, others may be, but not many more than have orders.
struct Ladder: BitwiseCopyable {
    private var numbers: FlatPool<Int32>
    /// The keys of the first and the last level; that of the last is below all others when there is none.
    private var low: Int64 = 0
    private(set) var high = Int64.min
    /// Levels for each unit of key between them, in units of 2^-62.
    private var density: UInt64 = 0
    /// The smallest distance between two levels so far.
    private var tick = Int64.max
    /// How many levels are empty.
    private var empty: Int32 = 0
    private let number: Int32
    /// So that a ladder is a cache line.
    private var unused: Int64 = 0

    init(number: Int32) {
        numbers = FlatPool(capacity: 16)
        self.number = number
    }

    /// A copy with memory of its own.
    init(copying other: Ladder) {
        self = other
        numbers = FlatPool(copying: other.numbers)
    }

    func free() { numbers.free() }

    var count: Int { numbers.count }
    /// The levels' numbers, worst first.
    var places: UnsafeMutablePointer<Int32> { numbers.base }

    /// The number of the level of a price, or of one near it; any when there is none.
    @inline(__always)
    func near(_ key: Int64) -> Int32 { count == 0 ? 0 : places[guess(max(low, min(key, high)))] }

    /// The level for one more order at a price, made when there is none.
    @inline(__always)
    mutating func levelToFill(at key: Int64, _ levels: inout LevelPool) -> Int32 {
        if key <= high, key >= low {
            let number = places[guess(key)]
            let level = levels.base + Int(number)
            if level.pointee.key == key {
                empty &-= level.pointee.orders == 0 ? 1 : 0
                return number
            }
        }
        return levelBesideGuess(key, &levels)
    }

    @inline(never)
    private mutating func levelBesideGuess(_ key: Int64, _ levels: inout LevelPool) -> Int32 {
        let position = position(of: key, levels)
        if position < count, self.key(at: position, levels) == key {
            empty &-= levels.base[Int(places[position])].orders == 0 ? 1 : 0
            return places[position]
        }
        return insert(key, at: position, &levels)
    }

    private func key(at position: Int, _ levels: LevelPool) -> Int64 { levels.base[Int(places[position])].key }

    /// Where few ticks lie between a new level and its neighbours, they get levels too. Returns the new one's number.
    private mutating func insert(_ key: Int64, at position: Int, _ levels: inout LevelPool) -> Int32 {
        let below = position > 0 ? fillers(between: self.key(at: position - 1, levels), and: key) : 0
        let above = position < count ? fillers(between: key, and: self.key(at: position, levels)) : 0
        numbers.makeRoom(for: below + 1 + above, at: position)
        for step in -below...above {
            places[position + below + step] = levels.make(key: key + Int64(step) * (step == 0 ? 0 : tick), ladder: number)
        }
        empty += Int32(truncatingIfNeeded: below + above)
        measure(levels)
        return places[position + below]
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
    mutating func hasShrunk(_ level: UnsafeMutablePointer<LevelPool.Level>, _ levels: inout LevelPool) {
        let isEmpty = level.pointee.orders == 0
        empty &+= isEmpty ? 1 : 0
        // One branch, hardly ever taken.
        if isEmpty, level.pointee.key == high || empty > Self.mostEmpty(of: count) { tidy(&levels) }
    }

    /// Few enough that who walks over the levels meets orders, many enough that they rarely come and go.
    @inline(__always)
    private static func mostEmpty(of levels: Int) -> Int { (levels &* 3 &+ 256) >> 2 }

    @inline(never)
    private mutating func tidy(_ levels: inout LevelPool) {
        while count > 0, levels.base[Int(places[count - 1])].orders == 0 {
            levels.drop(places[count - 1])
            numbers.removeLast()
            empty -= 1
        }
        if empty > Self.mostEmpty(of: count) { return dropEmpty(&levels) }
        // The first level stays as long as there is one, and is far away: it need not be read. Nor does the density change by much.
        guard count > 0 else { return measure(levels) }
        high = key(at: count - 1, levels)
    }

    private mutating func dropEmpty(_ levels: inout LevelPool) {
        var kept = 0
        for position in 0..<count {
            let number = places[position]
            if levels.base[Int(number)].orders == 0 {
                levels.drop(number)
            } else {
                places[kept] = number
                kept += 1
            }
        }
        numbers.removeLast(count - kept)
        empty = 0
        measure(levels)
    }

    private mutating func measure(_ levels: LevelPool) {
        guard count > 0 else {
            high = .min
            tick = .max
            return
        }
        (low, high) = (key(at: 0, levels), key(at: count - 1, levels))
        let (levels, span) = (UInt64(count - 1), UInt64(high - low))
        density = span == 0 ? 0 : span.dividingFullWidth((levels >> 2, levels << 62)).quotient
    }

    /// Where the level of a price between the first and the last should be. Prices stand close together, so this is off by little.
    @inline(__always)
    private func guess(_ key: Int64) -> Int {
        let product = UInt64(bitPattern: key &- low).multipliedFullWidth(by: density)
        let (fraction, carry) = product.low.addingReportingOverflow(1 << 61)
        return min(Int(truncatingIfNeeded: (product.high &+ (carry ? 1 : 0)) << 2 | fraction >> 62), count &- 1)
    }

    /// The first level that is not below `key`.
    private func position(of key: Int64, _ levels: LevelPool) -> Int {
        if count == 0 || key > high { return count }
        if key <= low { return 0 }
        var place = guess(key)
        var steps = 0
        if self.key(at: place, levels) < key {
            repeat {
                place &+= 1
                steps &+= 1
                if steps > Self.longestWalk { return search(key, from: place, to: count - 1, levels) }
            } while self.key(at: place, levels) < key
            return place
        }
        while self.key(at: place - 1, levels) >= key {
            place &-= 1
            steps &+= 1
            if steps > Self.longestWalk { return search(key, from: 0, to: place, levels) }
        }
        return place
    }

    private static let longestWalk = 8

    /// Binary search; the answer is among the places given.
    private func search(_ key: Int64, from low: Int, to high: Int, _ levels: LevelPool) -> Int {
        var (low, high) = (low, high)
        while low < high {
            let middle = (low + high) >> 1
            if self.key(at: middle, levels) < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
