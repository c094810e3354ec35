import CloudAPI
import CloudClient
import Foundation
import Primitives
import Store

/// What must be true of reservations, by rules of its own over the rows: it shares no code with connect.
struct CapacityAuditor: Sendable {
    private struct Held: Sendable {
        var reservation: String
        var product: String
        var state: String
        var host: String
        var lots: Int64
        var lot: Resources
        var start: Int64
        var end: Int64
    }

    let town: SellingTown

    /// What is wrong at any time.
    func problems() async throws -> [String] {
        var found = try await town.database.read { context in
            try unbalanced(context) + crowded(context) + workList(context)
        }
        for row in try await town.admin.items(of: ExchangeAPI.listDeclaredCapacity, path: ["datacenter": town.datacenter.description])
        where row.offered + row.sold + row.forwardsPeak > row.declared {
            found.append("\(row.productName): \(row.offered) on offer and \(row.sold) sold of \(row.declared) declared")
        }
        return found
    }

    /// What is wrong besides once nothing is under way: connect has what the exchange has, and has told it so.
    func differences() async throws -> [String] {
        let held = try await town.database.read { try rows($0) }
        var found: [String] = []
        var wanted: [String: (offered: Int64, sold: Int64)] = [:]
        for order in try await town.admin.items(of: ExchangeAPI.listOrders, query: ["state": "resting"]) where order.side == .sell {
            let series = try await town.admin.call(ExchangeAPI.showSeries, path: ["series": order.series.description])
            wanted[series.product.description, default: (0, 0)].offered += order.lots - order.filled
        }
        for contract in try await town.admin.items(of: ExchangeAPI.listContracts)
        where contract.state == .created || contract.state == .delivering {
            wanted[contract.product.description, default: (0, 0)].sold += contract.lots
        }
        let declared = try await town.admin.items(of: ExchangeAPI.listDeclaredCapacity, path: ["datacenter": town.datacenter.description])
        for product in [town.small, town.large] {
            let name = product.id.description
            let mine = held.filter { $0.product == name }
            let (offered, sold) = (sum(mine, "offered"), sum(mine, "sold"))
            let there = wanted[name] ?? (0, 0)
            if (offered, sold) != there {
                found.append("\(product.definition.name): \((offered, sold)) reserved, \(there) at the exchange")
            }
            if sum(mine, "pending") != 0 { found.append("\(product.definition.name): something is pending") }
            let told = declared.first { $0.product == product.id }?.declared ?? 0
            if told != peak(mine) { found.append("\(product.definition.name): \(told) declared, \(peak(mine)) reserved") }
        }
        return found
    }

    private func sum(_ rows: [Held], _ state: String) -> Int64 { rows.filter { $0.state == state }.map(\.lots).reduce(0, +) }

    private func peak(_ rows: [Held]) -> Int64 {
        ([0] + rows.map(\.start)).map { moment in
            rows.filter { $0.start <= moment && moment < $0.end || $0.end == .max }.map(\.lots).reduce(0, +)
        }
        .max() ?? 0
    }

    private func rows(_ context: any ReadContext) throws -> [Held] {
        var sums: [[String]: Held] = [:]
        for row in try context.query(
            """
            SELECT r.product, r.lot, r.period_start, r.period_end, e.reservation, e.state, e.host, e.lots
            FROM reservation_entries e JOIN reservations r ON r.id = e.reservation
            """)
        {
            let key = [try row.text("reservation"), try row.text("state"), try row.text("host")]
            guard ["pending", "offered", "sold"].contains(key[1]) else { continue }
            let lot = try JSONDecoder().decode(Resources.self, from: Data(try row.text("lot").utf8))
            let new = Held(
                reservation: key[0], product: try row.text("product"), state: key[1], host: key[2], lots: 0, lot: lot,
                start: try row.optionalInteger("period_start") ?? 0, end: try row.optionalInteger("period_end") ?? .max)
            sums[key, default: new].lots += try row.integer("lots")
        }
        return sums.values.filter { $0.lots != 0 }
    }

    private func unbalanced(_ context: any ReadContext) throws -> [String] {
        var totals: [Int64: Int64] = [:]
        for row in try context.query("SELECT movement, lots FROM reservation_entries") {
            totals[try row.integer("movement"), default: 0] += try row.integer("lots")
        }
        let negative = try rows(context).filter { $0.lots < 0 }
        return totals.filter { $0.value != 0 }.map { "movement \($0.key) adds up to \($0.value)" }
            + negative.map { "\($0.reservation) has \($0.lots) lots \($0.state) on '\($0.host)'" }
    }

    /// At every moment at which something begins, what lies on a host that is up fits it.
    private func crowded(_ context: any ReadContext) throws -> [String] {
        let held = try rows(context)
        return try context.query("SELECT id, hardware FROM hosts WHERE state = 'up'").flatMap { row -> [String] in
            let (host, hardware) = (
                try row.text("id"), try JSONDecoder().decode(Resources.self, from: Data(try row.text("hardware").utf8))
            )
            let here = held.filter { $0.host == host }
            return ([0] + here.map(\.start)).compactMap { moment in
                let then = here.filter { $0.start <= moment && moment < $0.end || $0.end == .max }
                let used = then.reduce(Resources.zero) { $0 + $1.lot * $1.lots }
                return used.fits(in: hardware) ? nil : "\(host) holds \(used) at \(moment), more than \(hardware)"
            }
        }
    }

    private func workList(_ context: any ReadContext) throws -> [String] {
        let open = Set(try context.query("SELECT reservation FROM open_reservations").map { try $0.text("reservation") })
        let held = Set(try rows(context).map(\.reservation))
        return open == held ? [] : ["\(open.symmetricDifference(held).sorted()) are open and empty, or the other way round"]
    }
}
