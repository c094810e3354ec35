import CloudAPI
import Primitives
import Store

/// An order for one instance's capacity, written down before it is sent: sent again after a crash, it is the same order.
struct PurchaseRecord: Sendable {
    let instance: InstanceID
    /// 1, 2, 3: an order that found nothing is followed by another.
    let attempt: Int64
    let series: SeriesID
    let lots: Int64
    let limit: Int64
    /// What it bought; nil while the answer is not known.
    var contracts: [ContractID]?

    var key: String { "\(instance)-\(attempt)" }

    var order: PlaceOrder {
        PlaceOrder(series: series, side: .buy, type: .immediateOrCancel, price: limit, lots: lots, clientOrderID: key)
    }

    static func latest(of instance: InstanceID, in context: any ReadContext) throws -> PurchaseRecord? {
        try context.queryOne(
            "SELECT attempt, series, lots, price_limit, contracts FROM purchases WHERE instance = $1 ORDER BY attempt DESC LIMIT 1",
            [SQLValue(instance)]
        ).map { row in
            PurchaseRecord(
                instance: instance, attempt: try row.integer("attempt"), series: try row.id("series"), lots: try row.integer("lots"),
                limit: try row.integer("price_limit"), contracts: try row.optionalText("contracts").map { _ in try row.json("contracts") })
        }
    }

    func insert(at now: Instant, in transaction: any WriteContext) throws {
        try transaction.execute(
            "INSERT INTO purchases (instance, attempt, series, lots, price_limit, created) VALUES ($1, $2, $3, $4, $5, $6)",
            [SQLValue(instance), .integer(attempt), SQLValue(series), .integer(lots), .integer(limit), SQLValue(now)])
    }

    func close(with contracts: [ContractID], at now: Instant, in transaction: any WriteContext) throws {
        try transaction.execute(
            "UPDATE purchases SET contracts = $3 WHERE instance = $1 AND attempt = $2",
            [SQLValue(instance), .integer(attempt), .text(try WireJSON.text(contracts))])
        try transaction.executeMany(
            "INSERT INTO bought_contracts (contract, instance, bought) VALUES ($1, $2, $3) ON CONFLICT (contract) DO NOTHING",
            contracts.map { [SQLValue($0), SQLValue(instance), SQLValue(now)] })
    }
}
