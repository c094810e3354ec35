// Memory ahead of time. With many books hardly anything an operation touches is in a near cache, and each thing it reads says where
// the next one lies, so it waits several times. Of operations that are known ahead, all first reads can be under way together, then
// all second ones: by the time they are done one after the other, everything is near.

extension OrderBooks {
    /// An order that is about to be matched, and to rest when nothing is left to trade with.
    public struct Arrival: BitwiseCopyable, Sendable {
        let id: UInt64
        let key: Int64
        let ladder: Int32
        /// The ladder it may trade with.
        let across: Int32

        public init(book: Int, side: Side, price: Int64, id: UInt64) {
            self.id = id
            key = OrderBooks.key(side, price)
            ladder = Int32(truncatingIfNeeded: OrderBooks.ladder(book, side))
            across = Int32(truncatingIfNeeded: OrderBooks.ladder(book, side.opposite))
        }
    }

    /// Below this many resting orders everything is near enough.
    private static let fewOrders = 32_768

    /// Whether `approach` is worth its time.
    public var isLarge: Bool { count >= Self.fewOrders }

    /// Brings near what some operations will need; a few dozen at a time, else the first is far again before it is its turn. Changes
    /// nothing, and what it says need not come true.
    /// - Parameter removals: identifiers of orders about to be taken out.
    /// - Returns: a number that means nothing, and must be kept all the same: reads whose result nobody uses are left out.
    public func approach(_ arrivals: ContiguousArray<Arrival>, removals: ContiguousArray<UInt64>) -> Int64 {
        var seen: Int64 = 0
        let books = state.pointee
        for id in removals { seen ^= books.approach(id) }
        for arrival in arrivals { seen ^= books.approach(arrival) }
        for id in removals { seen ^= books.approachOrder(id) }
        for arrival in arrivals { seen ^= books.approachLevel(arrival) }
        for id in removals { seen ^= books.approachNeighbours(id) }
        for arrival in arrivals { seen ^= books.approachOrder(arrival) }
        for arrival in arrivals { seen ^= books.approachNext(arrival) }
        return seen
    }
}
