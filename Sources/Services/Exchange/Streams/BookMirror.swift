import CloudAPI
import Market
import Primitives

/// The visible part of one order book, followed order by order, and which of its price levels have changed.
struct BookMirror {
    /// A resting order as others see it.
    struct Resting: Hashable, Sendable {
        var side: Side
        var price: Int64
        /// Shown.
        var lots: Int64
    }

    private struct Level: Hashable {
        var lots: Int64 = 0
        var orders: Int64 = 0
    }

    private struct SideLevels {
        var levels: [Int64: Level] = [:]
        /// By price: what levels that were touched held when changes were last taken.
        var before: [Int64: Level] = [:]

        mutating func add(_ order: Resting, sign: Int64) {
            var level = levels[order.price] ?? Level()
            if before[order.price] == nil { before[order.price] = level }
            level.lots += sign * order.lots
            level.orders += sign
            levels[order.price] = level.orders == 0 ? nil : level
        }

        mutating func takeChanges() -> [PriceLevel] {
            defer { before = [:] }
            return before.compactMap { price, before in
                let now = levels[price] ?? Level()
                return now == before ? nil : PriceLevel(price: price, lots: now.lots, orders: now.orders)
            }
        }

        var all: [PriceLevel] { levels.map { PriceLevel(price: $0.key, lots: $0.value.lots, orders: $0.value.orders) } }
    }

    private var orders: [OrderID: Resting] = [:]
    private var bids = SideLevels()
    private var asks = SideLevels()

    init() {}

    /// What an order is now; nil: it does not rest.
    mutating func set(_ id: OrderID, to now: Resting?) {
        let before = orders[id]
        guard before != now else { return }
        if let before { add(before, sign: -1) }
        if let now { add(now, sign: 1) }
        orders[id] = now
    }

    /// These orders rest, and no others.
    mutating func set(to all: [OrderID: Resting]) {
        for id in orders.keys where all[id] == nil { set(id, to: nil) }
        for (id, order) in all { set(id, to: order) }
    }

    private mutating func add(_ order: Resting, sign: Int64) {
        if order.side == .buy { bids.add(order, sign: sign) } else { asks.add(order, sign: sign) }
    }

    /// The levels that are different than when this was last asked, best first; without lots: gone.
    mutating func takeChanges() -> (bids: [PriceLevel], asks: [PriceLevel]) {
        (bids.takeChanges().sorted { $0.price > $1.price }, asks.takeChanges().sorted { $0.price < $1.price })
    }

    var depth: (bids: [PriceLevel], asks: [PriceLevel]) {
        (bids.all.sorted { $0.price > $1.price }, asks.all.sorted { $0.price < $1.price })
    }
}
