import CloudAPI
import Foundation
import Primitives
import Store

/// Looks at the tables after every step of a scenario: at all that is open, and at all that was written since the last look. Knows the
/// columns and the rules, and nothing of the code that writes them. `TableAuditor` looks at everything, now and then.
struct StepAuditor: Sendable {
    /// A product, as its definition says.
    struct Terms: Sendable {
        var definition: ProductDefinition
        var largestPrice: Int64
        var tick: Int64

        /// Millionths of a charge.
        func fee(taker: Bool) -> Int64 { (taker ? definition.risk?.takerFeeMillionths : definition.risk?.makerFeeMillionths) ?? 0 }
        var margin: Int64 { definition.forwards?.initialMargin ?? 0 }
        var bond: Int64 { definition.forwards?.performanceBond ?? 0 }
        var spot: Int64 { definition.spotPeriodSeconds * 1_000_000 }
    }

    /// A series, with what its reference price is made of.
    struct Listed: Sendable {
        var product: String
        var kind: String
        var start: Int64?
        var end: Int64?
        var stage: String
        var isHalted: Bool
        var haltedUntil: Int64?
        var setPrice: Int64?
        var setAfter: Int64?
    }

    /// A contract that is not settled.
    struct Open: Sendable {
        var id: String
        var number: Int64
        var product: String
        var buyer: String
        var seller: String
        var datacenter: String
        var series: String
        var state: String
        var lots: Int64
        var created: Int64
        var isClosing: Bool
        var isForward: Bool
        var confirmBy: Int64
        var isConfirmedByBuyer: Bool
        var isConfirmedBySeller: Bool
    }

    /// A stretch that is not settled.
    struct Waiting: Sendable {
        var contract: String
        var number: Int64
        var start: Int64
        var state: String
        var dispute: String?
        var due: Int64
    }

    var found: [String] = []
    /// What happened, by kind.
    var seen: [String: Int] = [:]

    var products: [String: Terms] = [:]
    var series: [String: Listed] = [:]
    var resting: [String: BookEntry] = [:]
    var past: [String: [PastTrade]] = [:]
    var open: [Open] = []
    var waiting: [Waiting] = []
    var clock: Int64 = 0
    private var lastPosting: Int64 = 0
    var lastTrade: Int64 = 0
    var lastPriority: Int64 = 0
    private var chain = AuditHead.start
    private var balances: [String: Int64] = [:]
    var states: [String: String] = [:]

    /// Looks, and returns what must not be so.
    mutating func look(at context: any ReadContext) throws -> [String] {
        found = []
        clock = try context.queryOne("SELECT clock FROM market_state WHERE id = 1")?.integer("clock") ?? 0
        try readProducts(context)
        let touched = try ledger(context)
        try trading(context)
        try readOpen(context)
        try money(context)
        try capacity(context)
        // A dispute over all of a stretch moves no money when it opens.
        let disputed = waiting.filter { $0.state == "disputed" && states["\($0.contract) \($0.start)"] == nil }.map(\.contract)
        for id in Set(touched + disputed).sorted() {
            for row in try context.query("SELECT * FROM contracts WHERE id = $1", [.text(id)]) {
                found += try TableAuditor.contract(row, context)
                try deliveries(of: row, context)
            }
        }
        found += try TableAuditor.certificates(context)
        let report = try context.verifyAudit(from: chain)
        if let problem = report.problem { found.append("the audit trail: \(problem)") }
        chain = report.head
        return found
    }

    mutating func count(_ what: String) { seen[what, default: 0] += 1 }

    private mutating func readProducts(_ context: any ReadContext) throws {
        let known = try context.queryOne("SELECT COUNT(*) AS n FROM products")?.integer("n") ?? 0
        guard known != Int64(products.count) else { return }
        for row in try context.query("SELECT * FROM products") {
            let definition = try WireJSON.decode(ProductDefinition.self, from: Data(try row.text("definition").utf8))
            products[try row.text("id")] = Terms(
                definition: definition, largestPrice: try row.integer("largest_price"), tick: try row.integer("tick"))
        }
    }

    // MARK: The ledger

    /// New postings sum to zero, follow on the balances before, and leave the balances that are in the tables. Returns their contracts.
    private mutating func ledger(_ context: any ReadContext) throws -> [String] {
        let postings = try context.query("SELECT * FROM postings WHERE id > $1 ORDER BY id", [SQLValue(lastPosting)])
        let entries = try context.query("SELECT * FROM entries WHERE posting > $1 ORDER BY posting, line", [SQLValue(lastPosting)])
        let lines = try context.query("SELECT id, credit_line FROM participants").reduce(into: [String: Int64]()) {
            $0[try $1.text("id")] = try $1.integer("credit_line")
        }
        var reasons: [Int64: String] = [:]
        var contracts: Set<String> = []
        for row in postings {
            lastPosting += 1
            if try row.integer("id") != lastPosting { found.append("posting \(lastPosting) is missing") }
            reasons[try row.integer("id")] = try row.text("reason")
            count("posting: \(try row.text("reason"))")
            if let contract = try row.optionalText("contract") { contracts.insert(contract) }
        }
        var sums: [Int64: [String: Int64]] = [:]
        for row in entries {
            let (owner, kind, currency) = (try row.text("owner"), try row.text("kind"), try row.text("currency"))
            let (account, amount, posting) = ("\(owner)/\(kind)/\(currency)", try row.integer("amount"), try row.integer("posting"))
            sums[posting, default: [:]][currency, default: 0] += amount
            balances[account, default: 0] += amount
            let balance = balances[account] ?? 0
            if try row.integer("balance") != balance {
                found.append("\(account) is said to be \(try row.integer("balance")), is \(balance)")
            }
            let mayOwe = kind == "cash" && reasons[posting] != "withdrawal" ? lines[owner] ?? 0 : 0
            if !owner.isEmpty, balance < -mayOwe { found.append("\(account) is \(balance)") }
            if balance < 0, kind == "cash" { count("credit used") }
        }
        found += sums.filter { $0.value.values.contains { $0 != 0 } }.map { "posting \($0.key) sums to \($0.value)" }
        if Set(sums.keys) != Set(reasons.keys) { found.append("postings \(reasons.keys.sorted()) have entries of \(sums.keys.sorted())") }
        let stored = try context.query("SELECT * FROM balances").reduce(into: [String: Int64]()) {
            $0["\(try $1.text("owner"))/\(try $1.text("kind"))/\(try $1.text("currency"))"] = try $1.integer("amount")
        }
        if stored != balances { found.append("the balances are \(stored.filter { balances[$0.key] != $0.value }), not \(balances)") }
        for (currency, all) in Dictionary(grouping: stored, by: { $0.key.suffix(3) }) where all.map(\.value).reduce(0, +) != 0 {
            found.append("all accounts in \(currency) sum to \(all.map(\.value).reduce(0, +))")
        }
        return contracts.sorted()
    }

    func balance(of owner: String, _ kind: String) -> Int64 { balances["\(owner)/\(kind)/EUR"] ?? 0 }

    // MARK: What is open

    private mutating func readOpen(_ context: any ReadContext) throws {
        let rows = try context.query("SELECT * FROM contracts WHERE state <> 'settled' ORDER BY number")
        open = try rows.map { row in
            Open(
                id: try row.text("id"), number: try row.integer("number"), product: try row.text("product"),
                buyer: try row.text("buyer"), seller: try row.text("seller"), datacenter: try row.text("datacenter"),
                series: try row.text("series"), state: try row.text("state"), lots: try row.integer("lots"),
                created: try row.integer("created"), isClosing: try row.optionalText("closing_cause") != nil,
                isForward: try row.optionalInteger("delivery_start") != nil, confirmBy: try row.integer("confirm_by"),
                isConfirmedByBuyer: try row.optionalInteger("confirmed_buyer") != nil,
                isConfirmedBySeller: try row.optionalInteger("confirmed_seller") != nil)
        }
        for row in rows { try checkTimes(of: row) }
    }

    /// A contract that goes on has paid for its time, and only for its time; what is over holds nothing.
    private mutating func checkTimes(of row: Row) throws {
        let (id, state) = (try row.text("id"), try row.text("state"))
        let (held, paidUntil, settledUntil) = (try row.integer("held"), try row.integer("paid_until"), try row.integer("settled_until"))
        if state == "ended" {
            if try held != 0 || settledUntil != row.integer("period_end") { found.append("\(id) has ended and holds \(held)") }
            return
        }
        let exact = Int128(try row.integer("price")) * Int128(try row.integer("lots")) * Int128(paidUntil - settledUntil)
        if (Int128(held) * 3_600_000_000 - exact).magnitude > 3_600_000_000 {
            found.append("\(id) holds \(held) for \(paidUntil - settledUntil) µs")
        }
        let start = try row.optionalInteger("delivery_start")
        if (state == "delivering") != (start.map { $0 <= clock } ?? true) { found.append("\(id) is \(state) at \(clock)") }
        if start == nil, try row.integer("period_end") <= clock { found.append("\(id) is over and goes on") }
        let confirmed = try (row.optionalInteger("confirmed_buyer"), row.optionalInteger("confirmed_seller"))
        if try row.integer("confirm_by") <= clock, confirmed.0 == nil || confirmed.1 == nil {
            found.append("\(id) was never confirmed and goes on")
        }
    }

    // MARK: Capacity

    /// Σ offered and sold ≤ declared, per datacenter and product, at each moment at which something begins.
    private mutating func capacity(_ context: any ReadContext) throws {
        struct Use {
            var lots: Int64
            var start: Int64
            var end: Int64
        }
        var uses: [String: [Use]] = [:]
        for contract in open where contract.state != "ended" {
            let listed = series[contract.series]
            uses["\(contract.datacenter) \(contract.product)", default: []].append(
                Use(lots: contract.lots, start: listed?.start ?? .min, end: listed?.end ?? .max))
        }
        for order in resting.values {
            guard let datacenter = order.datacenter, let listed = series[order.series] else { continue }
            uses["\(datacenter) \(listed.product)", default: []].append(
                Use(lots: order.lots, start: listed.start ?? .min, end: listed.end ?? .max))
        }
        for row in try context.query("SELECT * FROM offerings") {
            let place = "\(try row.text("datacenter")) \(try row.text("product"))"
            let own = uses.removeValue(forKey: place) ?? []
            let most = own.map { use in own.filter { $0.start <= use.start && use.start < $0.end }.map(\.lots).reduce(0, +) }.max() ?? 0
            if most > (try row.integer("declared")) { found.append("\(place): \(most) lots of \(try row.integer("declared"))") }
        }
        found += uses.keys.map { "\($0) is on offer or sold, and was never declared" }
    }
}
