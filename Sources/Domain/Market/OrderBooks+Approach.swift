// Memory ahead of time. With many books hardly anything an operation touches is in a near cache, and each thing it reads says where the
// next one lies, so that it waits several times. Of operations that are known ahead, all first reads can be under way together, then
// all second ones: when they are done one after the other, everything is near.

extension OrderBooks {
    /// An operation that is about to come. What it says need not come true.
    @frozen public struct Coming: Sendable {
        public let id: UInt64
        public let price: Int64
        /// Where it is to trade or to rest; below zero when it takes an order out.
        public let book: Int32
        public let side: Side
        /// The order it will touch first, as far as is known.
        @usableFromInline var slot: Slot = -1
        @usableFromInline var level: Int32 = 0

        /// An order that is to be matched, and to rest when nothing is left to trade with.
        @inlinable
        public init(order id: UInt64, book: Int32, side: Side, price: Int64) {
            self.id = id
            self.price = price
            self.book = book
            self.side = side
        }

        /// One that is to be taken out.
        @inlinable
        public init(removal id: UInt64) { self.init(order: id, book: -1, side: .buy, price: 0) }

        @inline(__always) var isRemoval: Bool { book < 0 }
        @inline(__always) var key: Int64 { OrderBooks.key(side, price) }
        /// Where it may rest.
        @inline(__always) var ladder: Int { OrderBooks.ladder(Int(book), side) }
        /// The ladder it may trade with.
        @inline(__always) var across: Int { ladder ^ 1 }
    }

    /// How many operations should be announced at a time: enough to have many reads under way, few enough that the first is still near
    /// when it is its turn.
    public static let horizon = 32
    /// With fewer resting orders everything is near enough.
    private static let fewOrders = 32_768

    /// Whether `approach` is worth its time.
    public var isLarge: Bool { count >= Self.fewOrders }

    /// Brings near what some operations will need. Changes nothing that anybody could see.
    /// - Parameter coming: at most `horizon`, in any order, fastest when removals come first; scratch space, to be forgotten.
    public mutating func approach(_ coming: UnsafeMutableBufferPointer<Coming>) {
        guard count > 0 else { return }
        own.pointee.approach(coming)
    }
}

extension BookState {
    // Each pass reads what the one before has brought near, of operations that do not wait for each other. `seen` takes something of
    // everything read, so that the compiler leaves the reads in.

    fileprivate mutating func approach(_ coming: UnsafeMutableBufferPointer<OrderBooks.Coming>) {
        var seen: Int64 = 0
        for place in coming.indices { findLevelOrHead(&coming[place], &seen) }
        for place in coming.indices { findOrder(&coming[place]) }
        for place in coming.indices { touchNeighbours(coming[place], &seen) }
        self.seen ^= seen
    }

    /// Of a removal, the head of its chain in the index; of an order, that too, and the level it will trade with or else rest at.
    @inline(__always)
    private func findLevelOrHead(_ coming: inout OrderBooks.Coming, _ seen: inout Int64) {
        let head = head(of: coming.id)
        if coming.isRemoval {
            coming.slot = head
            return
        }
        seen ^= Int64(head)
        let trades = reaches(coming.across, -coming.key)
        coming.level = nearLevel(trades ? coming.across : coming.ladder, trades ? .max : coming.key)
    }

    /// Of a removal, its level; of an order, the order it will trade with or else stand behind.
    @inline(__always)
    private func findOrder(_ coming: inout OrderBooks.Coming) {
        if coming.isRemoval {
            coming.level = order(coming.slot).level
        } else {
            let level = level(coming.level)
            coming.slot = reaches(coming.across, -coming.key) ? level.first : level.last
        }
    }

    /// Of a removal, its level and the orders before and behind it; of an order, the one it will trade with or stand behind.
    @inline(__always)
    private func touchNeighbours(_ coming: OrderBooks.Coming, _ seen: inout Int64) {
        let order = order(coming.slot)
        if coming.isRemoval {
            seen ^= level(coming.level).lots ^ Int64(self.order(order.next).level) ^ Int64(self.order(order.previous).level)
        } else if reaches(coming.across, -coming.key) {
            seen ^= Int64(head(of: order.id)) ^ Int64(self.order(order.next).level)
        } else {
            seen ^= Int64(order.next)
        }
    }
}
