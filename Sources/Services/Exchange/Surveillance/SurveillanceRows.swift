import CloudAPI
import Market
import Primitives
import Store

// The tables of surveillance: made from the change feed, behind the market and never in its way.

/// A stretch of the change feed as surveillance sees it.
struct SurveillanceBatch: Sendable {
    let after: Int64
    let until: Int64
    var conduct: [Conduct.Key: Conduct] = [:]
    var selfMatches: [SelfMatch] = []

    /// True when there was as much as is read at once: there may be more.
    var isFull = false

    mutating func add(_ conduct: Conduct, _ participant: ParticipantID, _ series: SeriesID, at: Instant) {
        let key = Conduct.Key(day: at.floored(to: .days(1)), participant: participant, series: series)
        self.conduct[key] = (self.conduct[key] ?? Conduct()) + conduct
    }
}

extension ReadContext {
    func surveillanceBatch(limit: Int) throws -> SurveillanceBatch {
        let after = try surveillanceCursor()
        let changes = try changes(topics: nil, after: after, limit: limit)
        var batch = SurveillanceBatch(after: after, until: changes.last?.revision ?? after)
        batch.isFull = changes.count == limit
        for change in changes {
            switch change.kind {
            case "order.filled", "order.cancelled": try readOrder(change.subject, ended: change.at, into: &batch)
            case "trade.created": try readTrade(change.subject, Conduct(trades: 1), into: &batch)
            case MarketFeed.bilateral where change.body != MarketFeed.copy:
                try readTrade(change.subject, Conduct(bilateral: 1), into: &batch)
            default: break
            }
        }
        return batch
    }

    /// Up to which revision the change feed has been taken in.
    func surveillanceCursor() throws -> Int64 {
        try queryOne("SELECT revision FROM surveillance_cursor WHERE id = 1")?.integer("revision") ?? 0
    }

    private func readOrder(_ id: String, ended: Instant, into batch: inout SurveillanceBatch) throws {
        guard let order = try queryOne("SELECT * FROM orders WHERE id = $1", [.text(id)]).map(Order.init(row:)) else { return }
        let draft = order.draft
        let best = try depth(of: draft.series, draft.side, levels: 1).first?.price
        batch.add(Conduct(order, ended: ended, best: best), draft.participant, draft.series, at: ended)
        guard order.cancelReason == .selfMatch else { return }
        batch.selfMatches.append(
            SelfMatch(
                participant: draft.participant, series: draft.series, side: draft.side, price: draft.price, lots: order.remaining,
                order: id,
                outcome: .prevented, at: ended))
    }

    private func readTrade(_ id: String, _ conduct: Conduct, into batch: inout SurveillanceBatch) throws {
        let sql = "SELECT t.series, t.at, c.buyer, c.seller FROM trades t JOIN contracts c ON c.id = t.contract WHERE t.id = $1"
        guard let row = try queryOne(sql, [.text(id)]) else { return }
        for side in ["buyer", "seller"] {
            batch.add(conduct, try row.id(side), try row.id("series"), at: try row.instant("at"))
        }
    }
}

extension WriteContext {
    /// False when another process has taken this stretch in already.
    func write(_ batch: SurveillanceBatch) throws -> Bool {
        let moved = try execute(
            "UPDATE surveillance_cursor SET revision = $1 WHERE id = 1 AND revision = $2", [SQLValue(batch.until), SQLValue(batch.after)])
        guard moved == 1 else { return false }
        try executeMany(
            """
            INSERT INTO conduct (day, participant, series, orders, withdrawn, fleeting, far, trades, bilateral)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (day, participant, series) DO UPDATE SET orders = conduct.orders + excluded.orders,
              withdrawn = conduct.withdrawn + excluded.withdrawn, fleeting = conduct.fleeting + excluded.fleeting,
              far = conduct.far + excluded.far, trades = conduct.trades + excluded.trades,
              bilateral = conduct.bilateral + excluded.bilateral
            """,
            batch.conduct.map { key, conduct in
                [SQLValue(key.day), SQLValue(key.participant), SQLValue(key.series)]
                    + [conduct.orders, conduct.withdrawn, conduct.fleeting, conduct.far, conduct.trades, conduct.bilateral].map {
                        SQLValue($0)
                    }
            })
        for selfMatch in batch.selfMatches { _ = try record(selfMatch) }
        return true
    }

    /// - Returns: the number of the row.
    func record(_ selfMatch: SelfMatch) throws -> Int64 {
        try execute(
            """
            INSERT INTO self_matches (number, participant, series, side, price, lots, order_id, outcome, at)
            SELECT COALESCE(MAX(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 FROM self_matches
            """,
            [
                SQLValue(selfMatch.participant), SQLValue(selfMatch.series), SQLValue(selfMatch.side), SQLValue(selfMatch.price),
                SQLValue(selfMatch.lots), .text(selfMatch.order), SQLValue(selfMatch.outcome), SQLValue(selfMatch.at),
            ])
        // One writer at a time: it is this one's.
        return try queryOne("SELECT number FROM self_matches ORDER BY number DESC LIMIT 1")?.integer("number") ?? 0
    }
}
