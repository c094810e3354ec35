import CloudAPI
import Primitives
import ServiceKit
import Store

extension ReadContext {
    /// A page of a list in ascending order of `key`. In `sql`, `$1` is the cursor and `$2` a filter.
    func page<Item>(
        _ query: QueryValues, _ sql: String, filter: String, key: String, _ item: (Row) throws -> Item
    ) throws -> CloudAPI.Page<Item> {
        let limit = try query.limit()
        let rows = try self.query(sql + " LIMIT $3", [.text(query.text("cursor") ?? ""), .text(filter), SQLValue(limit + 1)])
        let shown = rows.prefix(limit)
        return CloudAPI.Page(try shown.map(item), next: rows.count > limit ? try shown.last?.text(key) : nil)
    }

    /// A page of a list, newest first, by a running number. `conditions` follow `WHERE`; `$1` is the cursor, `$2` the limit, and the
    /// arguments come after these.
    func newest<Item>(
        _ query: QueryValues, _ select: String, number: String, where conditions: [String], _ arguments: [SQLValue],
        _ item: (Row) throws -> Item
    ) throws -> CloudAPI.Page<Item> {
        let limit = try query.limit()
        let cursor = query.text("cursor")
        guard let before = cursor.map(Int64.init) ?? .max else {
            throw Refusal.cursor(cursor ?? "")
        }
        let sql = "\(select) WHERE \((["\(number) < $1"] + conditions).joined(separator: " AND ")) ORDER BY \(number) DESC LIMIT $2"
        let rows = try self.query(sql, [SQLValue(before), SQLValue(limit + 1)] + arguments)
        let shown = rows.prefix(limit)
        return CloudAPI.Page(try shown.map(item), next: rows.count > limit ? try shown.last.map { String(try $0.integer("number")) } : nil)
    }
}

extension Scope {
    /// An SQL condition on the columns of an order, its arguments numbered from `first`.
    func orderCondition(first: Int) -> (conditions: [String], arguments: [SQLValue]) {
        switch self {
        case .all: ([], [])
        case .participant(let id): (["participant = $\(first)"], [SQLValue(id)])
        case .datacenter(let datacenter, let id):
            (["participant = $\(first)", "datacenter = $\(first + 1)"], [SQLValue(id), SQLValue(datacenter)])
        }
    }

    /// The same for the columns of a contract.
    func contractCondition(first: Int) -> (conditions: [String], arguments: [SQLValue]) {
        switch self {
        case .all: ([], [])
        case .participant(let id): (["(buyer = $\(first) OR seller = $\(first))"], [SQLValue(id)])
        case .datacenter(let datacenter, let id):
            (["seller = $\(first)", "datacenter = $\(first + 1)"], [SQLValue(id), SQLValue(datacenter)])
        }
    }
}
