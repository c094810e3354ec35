import Market

/// The simplest book that could be right: one list, searched from end to end each time. Shares nothing with the real one.
struct NaiveBook {
    struct Entry: Equatable {
        var id: UInt64
        var side: Side
        var price: Int64
        var lots: Int64
        var owner: Int32
        var arrival: Int
    }
    struct Fill: Equatable {
        var maker: UInt64
        var price: Int64
        var lots: Int64
    }

    private(set) var entries: [Entry] = []
    private var arrivals = 0

    func queue(_ side: Side) -> [Entry] {
        entries.filter { $0.side == side }.sorted { a, b in
            if a.price != b.price { return side == .buy ? a.price > b.price : a.price < b.price }
            return a.arrival < b.arrival
        }
    }

    /// What an order would take; nil when it would meet an order of its owner.
    func fills(side: Side, price: Int64, lots: Int64, owner: Int32) -> [Fill]? {
        var left = lots
        var fills: [Fill] = []
        for entry in queue(side == .buy ? .sell : .buy) {
            if left == 0 { break }
            if side == .buy ? entry.price > price : entry.price < price { break }
            if entry.owner == owner { return nil }
            let taken = entry.lots < left ? entry.lots : left
            fills.append(Fill(maker: entry.id, price: entry.price, lots: taken))
            left -= taken
        }
        return fills
    }

    mutating func take(_ fill: Fill) {
        guard let place = entries.firstIndex(where: { $0.id == fill.maker }) else { return }
        entries[place].lots -= fill.lots
        if entries[place].lots == 0 { entries.remove(at: place) }
    }

    mutating func rest(id: UInt64, side: Side, price: Int64, lots: Int64, owner: Int32) {
        arrivals += 1
        entries.append(Entry(id: id, side: side, price: price, lots: lots, owner: owner, arrival: arrivals))
    }

    mutating func remove(_ id: UInt64) { entries.removeAll { $0.id == id } }

    var stateHash: UInt64 {
        var hash = StateHash()
        for side in [Side.buy, .sell] {
            let queue = queue(side)
            hash.combine(UInt64(queue.count))
            for entry in queue {
                hash.combine(entry.price)
                hash.combine(entry.id)
                hash.combine(entry.lots)
            }
        }
        return hash.value
    }
}
