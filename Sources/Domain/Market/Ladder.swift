/// The price levels of one side of one book, the best last. Most orders come and go near the best price, so most changes move
/// little memory; a level is found by binary search.
struct Ladder: Sendable {
    struct Rung {
        /// Larger is better: the price of bids, the negated price of asks.
        var key: Int64
        var level: Int32
    }

    private(set) var rungs: ContiguousArray<Rung> = []

    /// The level with this key, or where it would be.
    func find(_ key: Int64) -> (position: Int, level: Int32?) {
        var low = 0
        var high = rungs.count
        // The best levels first: that is where the market is.
        if let best = rungs.last {
            if best.key == key { return (high - 1, best.level) }
            if best.key < key { return (high, nil) }
        }
        while low < high {
            let middle = (low + high) >> 1
            if rungs[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return (low, low < rungs.count && rungs[low].key == key ? rungs[low].level : nil)
    }

    mutating func insert(_ rung: Rung, at position: Int) { rungs.insert(rung, at: position) }

    mutating func remove(_ key: Int64) {
        let (position, level) = find(key)
        precondition(level != nil, "a level that is emptied is on its ladder")
        if position == rungs.count - 1 { rungs.removeLast() } else { rungs.remove(at: position) }
    }
}
