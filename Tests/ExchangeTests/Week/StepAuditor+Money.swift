import CloudAPI
import Foundation
import Store

// What is put aside, recomputed from orders, contracts and stretches; and where the money of a stretch goes.

extension StepAuditor {
    /// Up, of price × time × thousandths.
    private static func share(_ thousandths: Int64, _ price: Int64, _ microseconds: Int64) -> Int64 {
        let exact = Int128(price) * Int128(microseconds) * Int128(thousandths)
        return Int64(exact / 3_600_000_000_000) + (exact % 3_600_000_000_000 > 0 ? 1 : 0)
    }

    /// What an order that rests has put aside, and where.
    private func aside(_ order: BookEntry) -> (kind: String, amount: Int64)? {
        guard let listed = series[order.series], let terms = products[listed.product] else { return nil }
        guard let start = listed.start, let end = listed.end else {
            guard order.isBuy else { return nil }
            let charge = Self.share(1_000, order.price, terms.spot)
            let fee = (Int128(charge) * Int128(terms.fee(taker: false)) + 999_999) / 1_000_000
            return ("held-for-orders", order.lots * (charge + Int64(fee)))
        }
        let thousandths = order.isBuy ? terms.margin : terms.bond
        return (order.isBuy ? "margin" : "bond", order.lots * Self.share(thousandths, order.price, end - start))
    }

    mutating func money(_ context: any ReadContext) throws {
        var needed: [String: Int64] = [:]
        func add(_ owner: String, _ kind: String, _ amount: Int64) { needed["\(owner)/\(kind)", default: 0] += amount }
        for order in resting.values { if let aside = aside(order) { add(order.participant, aside.kind, aside.amount) } }
        var unpaid: [String: Int64] = [:]
        waiting = []
        let stretches = """
            SELECT d.*, c.buyer, c.number FROM deliveries d JOIN contracts c ON c.id = d.contract WHERE d.state <> 'settled'
            ORDER BY c.number, d.period_start
            """
        for row in try context.query(stretches) {
            let (contract, held) = (
                try row.text("contract"), try row.integer("charge") - row.integer("paid") - row.integer("credited")
            )
            add(try row.text("buyer"), "held-for-contracts", held)
            unpaid[contract, default: 0] += held
            waiting.append(
                Waiting(
                    contract: contract, number: try row.integer("number"), start: try row.integer("period_start"),
                    state: try row.text("state"), dispute: try row.optionalText("dispute_id"), due: try row.integer("due")))
            if try row.integer("due") <= clock { found.append("a stretch of \(contract) was due at \(try row.integer("due"))") }
        }
        for row in try context.query("SELECT * FROM contracts WHERE state <> 'settled'") {
            let (id, buyer, seller) = (try row.text("id"), try row.text("buyer"), try row.text("seller"))
            add(buyer, "held-for-contracts", try row.integer("held"))
            add(buyer, "fees", try row.integer("fees_held"))
            let exact = try Int128(row.integer("held") + (unpaid[id] ?? 0)) * Int128(row.integer("buyer_fee_rate"))
            if (Int128(try row.integer("fees_held")) * 1_000_000 - exact).magnitude > 2_000_000 {
                found.append("\(id) has \(try row.integer("fees_held")) aside for fees")
            }
            guard let start = try row.optionalInteger("delivery_start"), let end = try row.optionalInteger("delivery_end"),
                let terms = products[try row.text("product")], try row.text("state") != "ended"
            else { continue }
            let (lots, price) = (try row.integer("lots"), try row.integer("price"))
            add(buyer, "margin", lots * Self.share(terms.margin, price, end - start))
            add(seller, "bond", lots * Self.share(terms.bond, price, end - start))
        }
        let kinds = ["held-for-orders", "held-for-contracts", "fees", "margin", "bond"]
        for row in try context.query("SELECT id, name FROM participants") {
            for kind in kinds {
                let (has, must) = (balance(of: try row.text("id"), kind), needed["\(try row.text("id"))/\(kind)"] ?? 0)
                if has != must { found.append("\(kind) of \(try row.text("name")) is \(has), must be \(must)") }
            }
        }
    }

    // MARK: Stretches

    /// Of a contract with new postings: whether each stretch that was decided since was decided as the reports and the terms say.
    mutating func deliveries(of contract: Row, _ context: any ReadContext) throws {
        let id = try contract.text("id")
        for row in try context.query("SELECT * FROM deliveries WHERE contract = $1 ORDER BY period_start", [.text(id)]) {
            let key = "\(id) \(try row.integer("period_start"))"
            let (before, state) = (states[key] ?? "waiting", try row.text("state"))
            guard before != state else { continue }
            states[key] = state
            let basis = try row.text("basis")
            if before == "settled" { found.append("\(key) was settled before") }
            if basis == "busted" { continue }
            if before == "waiting" {
                count("stretch: \(basis)")
                try verdict(on: row, contract, key)
            } else {
                try resolution(of: row, key)
            }
        }
    }

    private func missing(_ json: String?) throws -> Int128? {
        struct Received: Decodable {
            struct Report: Decodable {
                struct Part: Decodable { var lotMicroseconds: Int64 }
                var unavailable: [Part]
            }
            var report: Report
        }
        return try json.map {
            try JSONDecoder().decode(Received.self, from: Data($0.utf8)).report.unavailable.map { Int128($0.lotMicroseconds) }.reduce(0, +)
        }
    }

    private mutating func verdict(on row: Row, _ contract: Row, _ key: String) throws {
        guard let terms = products[try contract.text("product")]?.definition.delivery else { return found.append("\(key) has no terms") }
        let charge = try row.integer("charge")
        let volume = try Int128(row.integer("lots")) * Int128(row.integer("period_end") - row.integer("period_start"))
        func back(_ missing: Int128) -> Int64 {
            let share = terms.penalties.filter { (volume - missing) * 1_000 < Int128($0.below) * volume }.map(\.credit).max() ?? 0
            let (down, rest) = (Int128(charge) * Int128(share)).quotientAndRemainder(dividingBy: 1_000)
            return Int64(rest > 500 || (rest == 500 && down % 2 == 1) ? down + 1 : down)
        }
        var (basis, credited, disputed) = ("contracted", Int64(0), Int64(0))
        let isConfirmed = try contract.optionalInteger("confirmed_seller") != nil
        switch (isConfirmed, try missing(row.optionalText("buyer_report")), try missing(row.optionalText("seller_report"))) {
        case (false, _, _): (basis, credited) = ("unconfirmed", charge)
        case (_, nil, nil): break
        case (_, let one?, nil): (basis, credited) = ("buyers-report", back(one))
        case (_, nil, let one?): (basis, credited) = ("sellers-report", back(one))
        case (_, let a?, let b?):
            let (least, most) = (min(a, b), max(a, b))
            if (most - least) * 1_000 > Int128(terms.toleranceThousandths) * volume || back(least) != back(most) {
                (basis, credited, disputed) = ("disputed", back(least), back(most) - back(least))
            } else {
                (basis, credited) = ("agreed", back(least + (most - least) / 2))
            }
        }
        // What differs and costs the same is settled; what was resolved since is looked at as what it is now.
        let now = try (row.text("basis"), row.integer("paid"), row.integer("credited"))
        let isOpen = try row.text("state") == "disputed"
        let paid = charge - credited - disputed
        if now.0 != basis || isOpen != (disputed > 0) || (now.1, now.2) != (paid, credited) {
            found.append("\(key): \(now) of \(charge), must be \((basis, paid, credited))")
        }
        if credited > 0 { count("service credit") }
        if disputed > 0 { count("dispute opened") }
    }

    private mutating func resolution(of row: Row, _ key: String) throws {
        struct Ruling: Decodable {
            struct Answer: Decodable { var toBuyer: Int64 }
            struct Outcome: Decodable {
                var outcome: String
                var toBuyer: Int64
            }
            var amount: Int64
            var buyer: Answer?
            var seller: Answer?
            var resolution: Outcome?
        }
        guard let text = try row.optionalText("dispute"),
            let ruling = try? JSONDecoder().decode(Ruling.self, from: Data(text.utf8)), let end = ruling.resolution
        else { return found.append("\(key) was disputed, and nobody said how it ended") }
        count("dispute \(end.outcome)")
        let isRight =
            switch (end.outcome, ruling.buyer?.toBuyer, ruling.seller?.toBuyer) {
            case ("agreed", let asked?, let offered?): asked <= end.toBuyer && end.toBuyer <= offered
            case ("ruled", _, _): (0...ruling.amount).contains(end.toBuyer)
            case ("expired", let asked?, nil): end.toBuyer == asked
            case ("expired", nil, let offered?): end.toBuyer == offered
            case ("expired", nil, nil):
                try end.toBuyer
                    == (missing(row.optionalText("seller_report")) ?? 0 < missing(row.optionalText("buyer_report")) ?? 0
                        ? 0 : ruling.amount)
            default: false
            }
        let all = try row.integer("paid") + row.integer("credited")
        if try !isRight || all != row.integer("charge") { found.append("\(key) ended \(end) of \(ruling.amount)") }
    }
}
