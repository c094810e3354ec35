/// The price levels of all ladders. A level keeps its number as long as it is there, so that an order knows its level whatever comes and
/// goes beside it.
struct LevelPool: BitwiseCopyable {
    /// Half a cache line.
    struct Level: BitwiseCopyable {
        /// Larger is better: the price of bids, the negated price of asks.
        var key: Int64
        /// Shown.
        var lots: Int64 = 0
        /// Of the queue of its orders.
        var first = BookState.none
        var last = BookState.none
        var orders: Int32 = 0
        /// Of a free level, the next free one.
        var ladder: Int32
    }

    private var pool: FlatPool<Level>
    private var firstFree = BookState.none

    init(capacity: Int) { pool = FlatPool(capacity: capacity) }

    /// A copy with memory of its own.
    init(copying other: LevelPool) {
        pool = FlatPool(copying: other.pool)
        firstFree = other.firstFree
    }

    func free() { pool.free() }

    var base: UnsafeMutablePointer<Level> { pool.base }

    /// A new level without orders.
    mutating func make(key: Int64, ladder: Int32) -> Int32 {
        let level = Level(key: key, ladder: ladder)
        let number = firstFree
        if number == BookState.none {
            precondition(pool.count < Int(Int32.max), "level numbers have 31 bits")
            pool.append(level)
            return Int32(truncatingIfNeeded: pool.count - 1)
        }
        firstFree = base[Int(number)].ladder
        base[Int(number)] = level
        return number
    }

    /// A level without orders goes.
    mutating func drop(_ number: Int32) {
        base[Int(number)].ladder = firstFree
        firstFree = number
    }
}
