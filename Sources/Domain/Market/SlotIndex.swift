/// Identifier bits → slot, in one flat table: open addressing, linear probing, at most half full, removal by shifting back, so
/// that there are no tombstones and no allocation but when the table doubles.
struct SlotIndex: Sendable {
    private struct Cell {
        var key: UInt64
        /// Below zero: empty.
        var slot: Int32
    }

    private static let empty = Cell(key: 0, slot: -1)

    private var cells: ContiguousArray<Cell>
    private var mask: Int
    private var shift: UInt64
    private(set) var count = 0

    init(capacity: Int = 8) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        cells = ContiguousArray(repeating: Self.empty, count: size)
        mask = size - 1
        shift = UInt64(64 - size.trailingZeroBitCount)
    }

    subscript(key: UInt64) -> Int32? {
        var place = home(key)
        while cells[place].slot >= 0 {
            if cells[place].key == key { return cells[place].slot }
            place = (place + 1) & mask
        }
        return nil
    }

    mutating func insert(_ key: UInt64, _ slot: Int32) {
        if (count + 1) * 2 > cells.count { grow() }
        var place = home(key)
        while cells[place].slot >= 0 {
            precondition(cells[place].key != key, "one identifier names one order")
            place = (place + 1) & mask
        }
        cells[place] = Cell(key: key, slot: slot)
        count += 1
    }

    mutating func remove(_ key: UInt64) {
        var hole = home(key)
        while cells[hole].key != key || cells[hole].slot < 0 {
            precondition(cells[hole].slot >= 0, "only what is there is removed")
            hole = (hole + 1) & mask
        }
        var place = (hole + 1) & mask
        while cells[place].slot >= 0 {
            // A cell may move into the hole when the hole lies between its home and where it is now.
            let fromHome = (place &- home(cells[place].key)) & mask
            if fromHome >= (place &- hole) & mask {
                cells[hole] = cells[place]
                hole = place
            }
            place = (place + 1) & mask
        }
        cells[hole] = Self.empty
        count -= 1
    }

    /// Fibonacci hashing: the upper bits of the product.
    private func home(_ key: UInt64) -> Int { Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift) }

    private mutating func grow() {
        var larger = SlotIndex(capacity: cells.count)
        for cell in cells where cell.slot >= 0 { larger.insert(cell.key, cell.slot) }
        self = larger
    }
}
