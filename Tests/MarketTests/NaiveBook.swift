import Market

/// The simplest book that could be right: one list, searched from end to end each time. Shares nothing with the real one.
struct NaiveBook {
    struct Entry: Equatable {
        var id: UInt64
        var side: Side
        var price: Int64
        /// Shown.
        var lots: Int64
        var owner: Int32
        var arrival: Int
        var hidden: Int64 = 0
        var display: Int64 = 0
        var wholeOnly = false
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
        let walk = walk(side: side, price: price, lots: lots, owner: owner, passingOwn: false)
        return walk.metOwn ? nil : walk.fills
    }

    /// What an order would take before it meets an order of its owner, or passing those by. Tries it out on a copy, one part at a time.
    func walk(side: Side, price: Int64, lots: Int64, owner: Int32, passingOwn: Bool) -> (fills: [Fill], metOwn: Bool) {
        var copy = self
        var left = lots
        var fills: [Fill] = []
        trying: while left > 0 {
            for entry in copy.queue(side == .buy ? .sell : .buy) {
                if side == .buy ? entry.price > price : entry.price < price { break trying }
                if entry.owner == owner {
                    if passingOwn { continue }
                    return (fills, true)
                }
                if entry.wholeOnly, entry.lots > left { continue }
                let fill = Fill(maker: entry.id, price: entry.price, lots: entry.lots < left ? entry.lots : left)
                copy.take(fill)
                fills.append(fill)
                left -= fill.lots
                continue trying
            }
            break
        }
        return (fills, false)
    }

    mutating func take(_ fill: Fill) {
        guard let place = entries.firstIndex(where: { $0.id == fill.maker }) else { return }
        entries[place].lots -= fill.lots
        guard entries[place].lots == 0 else { return }
        guard entries[place].hidden > 0 else {
            entries.remove(at: place)
            return
        }
        arrivals += 1
        let next = entries[place].display < entries[place].hidden ? entries[place].display : entries[place].hidden
        entries[place].lots = next
        entries[place].hidden -= next
        entries[place].arrival = arrivals
    }

    mutating func rest(
        id: UInt64, side: Side, price: Int64, lots: Int64, owner: Int32, display: Int64? = nil, wholeOnly: Bool = false
    ) {
        arrivals += 1
        let shown = display.map { $0 < lots ? $0 : lots } ?? lots
        entries.append(
            Entry(
                id: id, side: side, price: price, lots: shown, owner: owner, arrival: arrivals, hidden: lots - shown, display: shown,
                wholeOnly: wholeOnly))
    }

    /// Smaller, from what is hidden first; its place stays.
    mutating func reduce(_ id: UInt64, to lots: Int64) {
        guard let place = entries.firstIndex(where: { $0.id == id }) else { return }
        if entries[place].lots > lots { entries[place].lots = lots }
        entries[place].hidden = lots - entries[place].lots
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
                hash.combine(entry.lots + entry.hidden)
            }
        }
        return hash.value
    }
}
