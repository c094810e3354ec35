/// Identifier → slot, in one flat table: open addressing, linear probing, at most half full, removal by shifting back, so that there
/// are no tombstones and no allocation but when the table doubles.
///
/// A cell has half of the identifier's hash and the slot; the order in the slot has the identifier itself.
struct SlotIndex {
    private struct Cell: BitwiseCopyable {
        var hash: UInt32
        /// Below zero: empty.
        var slot: Int32
    }

    private static let empty = Cell(hash: 0, slot: -1)

    private var cells: UnsafeMutablePointer<Cell>
    private var mask: Int
    private var shift: UInt32
    private(set) var count = 0

    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        cells = .allocate(capacity: size)
        cells.initialize(repeating: Self.empty, count: size)
        mask = size - 1
        shift = UInt32(32 - size.trailingZeroBitCount)
    }

    init(copying other: SlotIndex) {
        (mask, shift, count) = (other.mask, other.shift, other.count)
        cells = .allocate(capacity: mask + 1)
        cells.initialize(from: other.cells, count: mask + 1)
    }

    func free() { cells.deallocate() }

    subscript(place: Int) -> Int32 { cells[place].slot }

    /// The place of an identifier in the table, or -1.
    func find(_ id: UInt64, _ orders: UnsafeMutablePointer<BookState.Resting>) -> Int {
        let hash = Self.hash(id)
        var place = home(hash)
        while cells[place].slot >= 0 {
            if cells[place].hash == hash, orders[Int(cells[place].slot)].id == id { return place }
            place = (place &+ 1) & mask
        }
        return -1
    }

    mutating func insert(_ id: UInt64, _ slot: Int32, _ orders: UnsafeMutablePointer<BookState.Resting>) {
        if (count + 1) * 2 > mask + 1 { grow() }
        let hash = Self.hash(id)
        var place = home(hash)
        while cells[place].slot >= 0 {
            precondition(cells[place].hash != hash || orders[Int(cells[place].slot)].id != id, "one identifier names one order")
            place = (place &+ 1) & mask
        }
        cells[place] = Cell(hash: hash, slot: slot)
        count &+= 1
    }

    mutating func remove(at place: Int) {
        precondition(place >= 0, "only what is there is removed")
        var hole = place
        var place = (hole &+ 1) & mask
        while cells[place].slot >= 0 {
            // A cell may move into the hole when the hole lies between its home and where it is now.
            let fromHome = (place &- home(cells[place].hash)) & mask
            if fromHome >= (place &- hole) & mask {
                cells[hole] = cells[place]
                hole = place
            }
            place = (place &+ 1) & mask
        }
        cells[hole] = Self.empty
        count &-= 1
    }

    /// Fibonacci hashing: the upper bits of the product.
    private static func hash(_ id: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: (id &* 0x9E37_79B9_7F4A_7C15) >> 32) }
    private func home(_ hash: UInt32) -> Int { Int(hash >> shift) }

    private mutating func grow() {
        precondition(mask < 1 << 31, "the table has 32 bits of hash to go by")
        var larger = SlotIndex(capacity: mask + 1)
        for place in 0...mask where cells[place].slot >= 0 {
            var target = larger.home(cells[place].hash)
            while larger.cells[target].slot >= 0 { target = (target &+ 1) & larger.mask }
            larger.cells[target] = cells[place]
        }
        larger.count = count
        cells.deallocate()
        self = larger
    }
}
