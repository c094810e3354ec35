import CloudAPI
import Foundation
import Primitives
import Store

/// An order that rests.
struct BookEntry: Sendable {
    var id: String
    var participant: String
    var series: String
    var isBuy: Bool
    var price: Int64
    /// Not yet traded.
    var lots: Int64
    /// Of these, up now.
    var shown: Int64
    var filled: Int64
    var priority: Int64
    var datacenter: String?
    var conditions: OrderConditionsView

    init(_ row: Row) throws {
        id = try row.text("id")
        participant = try row.text("participant")
        series = try row.text("series")
        isBuy = try row.text("side") == "buy"
        price = try row.integer("price")
        filled = try row.integer("filled")
        lots = try row.integer("lots") - filled
        shown = try row.optionalInteger("shown") ?? lots
        priority = try row.integer("priority")
        datacenter = try row.optionalText("datacenter")
        conditions = try WireJSON.decode(OrderConditionsView.self, from: Data(try row.text("conditions").utf8))
    }
}

struct PastTrade: Sendable {
    var number: Int64
    var price: Int64
    var lots: Int64
}

/// Two orders that meet.
private struct Meeting: Hashable {
    var maker: String
    var price: Int64
    var lots: Int64
}

// Matching done again, with the plainest book there is: whether each new trade is the one price and time ask for.

extension StepAuditor {
    mutating func trading(_ context: any ReadContext) throws {
        let before = series
        try readSeries(context)
        let rows = try context.query(
            "SELECT * FROM orders WHERE state = 'resting' OR priority > $1 ORDER BY priority", [SQLValue(lastPriority)])
        let trades = try context.query("SELECT * FROM trades WHERE number > $1 ORDER BY number", [SQLValue(lastTrade)])
        let (old, last) = (resting, lastPriority)
        let now = try rows.filter { try $0.text("state") == "resting" }.map(BookEntry.init)
        resting = Dictionary(uniqueKeysWithValues: now.map { ($0.id, $0) })
        let takers = try rows.filter { row in
            guard try row.integer("priority") > last else { return false }
            guard let was = old[try row.text("id")] else { return true }
            return try was.price != row.integer("price") || was.lots + was.filled != row.integer("lots")
        }
        if takers.count > 1 { found.append("\(takers.count) orders came in at once") }
        if takers.isEmpty, !trades.isEmpty { found.append("\(trades.count) trades, and no order came in") }
        if let taker = takers.first { try replay(taker, trades, on: old, series: before) }
        try checkFilled(trades, old, context)
        try checkBooks()
        for row in trades { try remember(row, context) }
        try readBusts(context)
        for row in rows { lastPriority = max(lastPriority, try row.integer("priority")) }
    }

    private mutating func readSeries(_ context: any ReadContext) throws {
        series = try context.query("SELECT * FROM series WHERE stage <> 'expired'").reduce(into: series) { all, row in
            all[try row.text("id")] = Listed(
                product: try row.text("product"), kind: try row.text("kind"), start: try row.optionalInteger("delivery_start"),
                end: try row.optionalInteger("delivery_end"), stage: try row.text("stage"),
                isHalted: try row.optionalText("halted") != nil, haltedUntil: try row.optionalInteger("halted_until"),
                setPrice: try row.optionalInteger("reference_price"), setAfter: try row.optionalInteger("reference_after"))
        }
        for (id, listed) in series {
            if let until = listed.haltedUntil, until <= clock { found.append("\(id) should have reopened at \(until)") }
            guard listed.stage == "trading", let start = listed.start else { continue }
            if clock >= start - (listed.kind == "hour" ? 900 : 3_600) * 1_000_000 { found.append("\(id) trades too late") }
        }
    }

    // MARK: The incoming order

    private mutating func replay(_ row: Row, _ trades: [Row], on old: [String: BookEntry], series before: [String: Listed]) throws {
        let taker = try BookEntry(row)
        guard let was = before[taker.series], let terms = products[was.product] else { return }
        if was.isHalted || was.stage != "trading" { found.append("\(taker.id) was taken while its series is closed") }
        let wanted = taker.lots + taker.filled - (old[taker.id]?.filled ?? 0)
        let limit = try reach(of: row, taker, was, terms)
        var expected = meetings(taker, wanted: wanted, limit: limit, old)
        let whole = expected.map(\.lots).reduce(0, +)
        if let halted = series[taker.series], halted.haltedUntil != nil, !was.isHalted {
            count("volatility halt")
            guard let band = range(was, taker.series, terms.definition.risk?.bandThousandths) else {
                return found.append("\(taker.series) halted without a band")
            }
            let inside = expected.prefix { band.contains($0.price) }
            if inside.count == expected.count { found.append("\(taker.series) halted by \(taker.id) inside its band") }
            expected = Array(inside)
        } else if let band = range(was, taker.series, terms.definition.risk?.bandThousandths),
            expected.contains(where: { !band.contains($0.price) })
        {
            found.append("\(taker.id) traded outside of \(band)")
        }
        if taker.conditions.allOrNone == true, whole < wanted || expected.map(\.lots).reduce(0, +) < wanted { expected = [] }
        let actual = try trades.map { trade in
            let isBuy = try trade.text("taker") == "buy"
            let own = try trade.text(isBuy ? "buy_order" : "sell_order")
            if own != taker.id || isBuy != taker.isBuy { found.append("\(own) traded, and \(taker.id) came in") }
            return Meeting(
                maker: try trade.text(isBuy ? "sell_order" : "buy_order"), price: try trade.integer("price"),
                lots: try trade.integer("lots"))
        }
        if actual != expected { found.append("\(taker.id) met \(actual); by price and time it is \(expected)") }
    }

    /// The worst price an order may trade at; what is outside of the collar should not have been taken.
    private mutating func reach(of row: Row, _ taker: BookEntry, _ listed: Listed, _ terms: Terms) throws -> Int64 {
        guard let collar = range(listed, taker.series, terms.definition.risk?.collarThousandths) else { return taker.price }
        if try row.text("lifetime") == "market" {
            return taker.isBuy ? min(taker.price, collar.upperBound) : max(taker.price, collar.lowerBound)
        }
        if !collar.contains(taker.price) { found.append("\(taker.id) at \(taker.price) was taken; the collar is \(collar)") }
        return taker.price
    }

    private func meetings(_ taker: BookEntry, wanted: Int64, limit: Int64, _ old: [String: BookEntry]) -> [Meeting] {
        var queue = old.values.filter { $0.series == taker.series && $0.isBuy != taker.isBuy }.sorted {
            $0.price != $1.price ? ($0.price < $1.price) == taker.isBuy : $0.priority < $1.priority
        }
        var met: [Meeting] = []
        var left = wanted
        let passesOwn = taker.conditions.selfMatch == .cancelOldest
        search: while left > 0 {
            for place in queue.indices {
                let maker = queue[place]
                if taker.isBuy ? maker.price > limit : maker.price < limit { break search }
                if maker.participant == taker.participant {
                    if passesOwn { continue }
                    break search
                }
                if maker.conditions.allOrNone == true, maker.lots > left { continue }
                let lots = min(left, maker.shown)
                met.append(Meeting(maker: maker.id, price: maker.price, lots: lots))
                left -= lots
                queue[place].lots -= lots
                queue[place].shown -= lots
                if queue[place].shown == 0 { comesUpAgain(at: place, &queue) }
                continue search
            }
            break
        }
        return met
    }

    /// The next part of an iceberg goes behind everything at its price; what is all gone leaves.
    private func comesUpAgain(at place: Int, _ queue: inout [BookEntry]) {
        var entry = queue.remove(at: place)
        guard entry.lots > 0 else { return }
        entry.shown = min(entry.conditions.display ?? entry.lots, entry.lots)
        let end = queue.indices.dropFirst(place).first { queue[$0].price != entry.price } ?? queue.endIndex
        queue.insert(entry, at: end)
    }

    // MARK: Reference prices

    private func reference(_ listed: Listed, _ id: String) -> Int64? {
        guard let rule = products[listed.product]?.definition.risk else { return nil }
        let last = (past[id] ?? []).filter { $0.number > listed.setAfter ?? 0 }.suffix(Int(rule.referenceTrades ?? 20))
        let lots = last.map(\.lots).reduce(0, +)
        guard lots >= rule.referenceMinimumLots ?? 1 else { return listed.setPrice }
        let turnover = last.map { Int128($0.lots) * Int128($0.price) }.reduce(0, +)
        let (down, rest) = turnover.quotientAndRemainder(dividingBy: Int128(lots))
        return Int64(rest * 2 > Int128(lots) || (rest * 2 == Int128(lots) && down % 2 == 1) ? down + 1 : down)
    }

    private func range(_ listed: Listed, _ id: String, _ thousandths: Int64?) -> ClosedRange<Int64>? {
        guard let thousandths, let terms = products[listed.product], let price = reference(listed, id) else { return nil }
        let reach = max(price * thousandths / 1_000, terms.tick)
        var (low, high) = (max(price - reach, terms.tick), min(price + reach, terms.largestPrice))
        while low % terms.tick != 0 { low += 1 }
        while high % terms.tick != 0 { high -= 1 }
        return low...max(low, high)
    }

    private mutating func remember(_ row: Row, _ context: any ReadContext) throws {
        let number = try row.integer("number")
        if number != lastTrade + 1 { found.append("trade \(lastTrade + 1) is missing") }
        lastTrade = number
        past[try row.text("series"), default: []].append(
            PastTrade(number: number, price: try row.integer("price"), lots: try row.integer("lots")))
        count("trade: \(series[try row.text("series")]?.kind ?? "?")")
        let same = try context.queryOne(
            "SELECT id FROM contracts WHERE id = $1 AND trade = $2 AND number = $3 AND lots = $4 AND price = $5 AND series = $6",
            [row["contract"], row["id"], row["number"], row["lots"], row["price"], row["series"]])
        if same == nil { found.append("trade \(number) and its contract differ") }
    }

    private mutating func readBusts(_ context: any ReadContext) throws {
        for row in try context.query("SELECT * FROM busts") {
            let (id, number) = (try row.text("series"), try row.integer("number"))
            guard let place = past[id]?.firstIndex(where: { $0.number == number }) else { continue }
            past[id]?[place].lots = 0
        }
    }

    // MARK: Books

    /// What orders say is filled is what they traded; who left the book has a reason.
    private mutating func checkFilled(_ trades: [Row], _ old: [String: BookEntry], _ context: any ReadContext) throws {
        var traded: [String: Int64] = [:]
        for row in trades {
            for side in ["buy_order", "sell_order"] { traded[try row.text(side), default: 0] += try row.integer("lots") }
        }
        for id in Set(old.keys).union(traded.keys).union(resting.keys) {
            let (before, lots) = (old[id], traded[id] ?? 0)
            if let now = resting[id] {
                if now.filled != (before?.filled ?? 0) + lots { found.append("\(id) is filled \(now.filled), and traded \(lots)") }
                continue
            }
            guard let row = try context.queryOne("SELECT * FROM orders WHERE id = $1", [.text(id)]) else {
                found.append("\(id) is gone")
                continue
            }
            let (filled, left) = (try row.integer("filled"), try row.integer("lots") - row.integer("filled"))
            let reason = try row.optionalText("cancel_reason")
            if filled != (before?.filled ?? 0) + lots || (left == 0) != (reason == nil) {
                found.append("\(id) left with \(filled) filled, \(left) not, after \(lots); \(reason ?? "no reason")")
            }
            if let reason { count("cancelled: \(reason)") }
        }
    }

    /// Never crossed, but for orders that trade whole or not at all; nobody rests beyond its time or in a series that is closed.
    private mutating func checkBooks() throws {
        for (id, orders) in Dictionary(grouping: resting.values, by: \.series) {
            if series[id]?.stage != "trading" { found.append("\(orders.count) orders rest in \(id)") }
            let plain = orders.filter { $0.conditions.allOrNone != true }
            let (bid, ask) = (plain.filter(\.isBuy).map(\.price).max(), plain.filter { !$0.isBuy }.map(\.price).min())
            if let bid, let ask, bid >= ask { found.append("the book of \(id) is crossed: \(bid) bid, \(ask) asked") }
        }
        for order in resting.values {
            if let expires = order.conditions.expires, expires.microseconds <= clock { found.append("\(order.id) has expired") }
            if order.lots <= 0 || order.shown <= 0 || order.shown > order.lots { found.append("\(order.id) rests with \(order.lots) lots") }
        }
    }
}
