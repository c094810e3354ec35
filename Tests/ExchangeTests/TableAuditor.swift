import Store

/// Looks at the tables of an exchange and says what must not be so. Knows the columns, and nothing of the code that writes them.
enum TableAuditor {
    static func problems(in context: any ReadContext) throws -> [String] {
        try [
            ledger(context), trading(context), capacity(context), margins(context), contracts(context), held(context), bilateral(context),
            certificates(context), origins(context), audit(context),
        ].flatMap { $0 }
    }

    private static func ledger(_ context: any ReadContext) throws -> [String] {
        var found: [String] = []
        var sums: [String: Int64] = [:]
        var perPosting: [Int64: Int64] = [:]
        let lines = try context.query("SELECT * FROM credit_lines ORDER BY participant, number")
        let postings = try context.query("SELECT id, at, reason FROM postings").reduce(into: [Int64: (at: Int64, reason: String)]()) {
            $0[try $1.integer("id")] = (try $1.integer("at"), try $1.text("reason"))
        }
        for row in try context.query("SELECT * FROM entries ORDER BY posting, line") {
            let account = "\(try row.text("owner"))/\(try row.text("kind"))/\(try row.text("currency"))"
            sums[account, default: 0] += try row.integer("amount")
            perPosting[try row.integer("posting"), default: 0] += try row.integer("amount")
            if try row.integer("balance") != sums[account] {
                found.append("\(account) is said to be \(try row.integer("balance")), is \(sums[account] ?? 0)")
            }
            let posting = postings[try row.integer("posting")]
            let mayOwe = try row.text("kind") == "cash" && posting?.reason != "withdrawal"
            let line = try mayOwe ? largestLine(of: row.text("owner"), at: posting?.at ?? 0, lines) : 0
            if try row.text("owner") != "", (sums[account] ?? 0) < -line { found.append("\(account) is \(sums[account] ?? 0)") }
        }
        found += perPosting.filter { $0.value != 0 }.map { "posting \($0.key) sums to \($0.value)" }
        if sums.values.reduce(0, +) != 0 { found.append("the ledger sums to \(sums.values.reduce(0, +))") }
        for row in try context.query("SELECT * FROM balances") {
            let account = "\(try row.text("owner"))/\(try row.text("kind"))/\(try row.text("currency"))"
            if try row.integer("amount") != sums.removeValue(forKey: account) {
                found.append("the balance of \(account) is not the sum of its entries")
            }
        }
        let ids = try context.query("SELECT id FROM postings ORDER BY id").map { try $0.integer("id") }
        if ids != Array(1...Int64(max(ids.count, 1))), !ids.isEmpty { found.append("postings are not numbered from 1 on") }
        return found + sums.keys.map { "\($0) has no balance" }
    }

    /// The credit line at a moment; the largest of those it had at that very moment.
    private static func largestLine(of owner: String, at moment: Int64, _ lines: [Row]) throws -> Int64 {
        let own = try lines.filter { try $0.text("participant") == owner }
        let before = try own.last { try $0.integer("at") < moment }?.integer("amount") ?? 0
        return try own.filter { try $0.integer("at") == moment }.map { try $0.integer("amount") }.reduce(before) { $0 > $1 ? $0 : $1 }
    }

    private static func trading(_ context: any ReadContext) throws -> [String] {
        var found: [String] = []
        var filled: [String: Int64] = [:]
        for row in try context.query("SELECT * FROM trades") {
            filled[try row.text("buy_order"), default: 0] += try row.integer("lots")
            filled[try row.text("sell_order"), default: 0] += try row.integer("lots")
            if try context.queryOne("SELECT id FROM contracts WHERE id = $1 AND trade = $2", [row["contract"], row["id"]]) == nil {
                found.append("trade \(try row.text("id")) has no contract")
            }
        }
        for row in try context.query("SELECT * FROM orders") where try row.integer("filled") != filled[try row.text("id")] ?? 0 {
            found.append(
                "order \(try row.text("id")) is filled \(try row.integer("filled")), its trades say \(filled[try row.text("id")] ?? 0)")
        }
        let trades = try context.queryOne("SELECT COUNT(*) AS n FROM trades")?.integer("n")
        let contracts = try context.queryOne("SELECT COUNT(*) AS n FROM contracts")?.integer("n")
        return found + (trades == contracts ? [] : ["\(trades ?? 0) trades and \(contracts ?? 0) contracts"])
    }

    private static func capacity(_ context: any ReadContext) throws -> [String] {
        try context.query("SELECT datacenter, product, declared FROM offerings").compactMap { row in
            let sold = try context.query(
                """
                SELECT lots, delivery_start, delivery_end FROM contracts
                WHERE state NOT IN ('ended', 'settled') AND datacenter = $1 AND product = $2
                """,
                [row["datacenter"], row["product"]])
            let offered = try context.query(
                """
                SELECT o.lots - o.filled AS lots, s.delivery_start, s.delivery_end FROM orders o JOIN series s ON s.id = o.series
                WHERE o.state = 'resting' AND o.datacenter = $1 AND s.product = $2
                """, [row["datacenter"], row["product"]])
            let uses = try (sold + offered).map {
                (try $0.integer("lots"), try $0.optionalInteger("delivery_start") ?? .min, try $0.optionalInteger("delivery_end") ?? .max)
            }
            // At each moment at which something begins: the most there is at once.
            let used = uses.map(\.1).map { moment in uses.filter { $0.1 <= moment && moment < $0.2 }.map(\.0).reduce(0, +) }.max() ?? 0
            let declared = try row.integer("declared")
            return used > declared ? "\(used) lots sold and offered at once of \(declared)" : nil
        }
    }

    /// An accepted proposal is one trade, and no other trade is of a proposal. Bars are made of what was traded in books and stands.
    private static func bilateral(_ context: any ReadContext) throws -> [String] {
        var found: [String] = []
        let accepted = try context.query("SELECT * FROM proposals WHERE state = 'accepted'")
        for row in accepted {
            let made = try context.query(
                """
                SELECT t.id FROM trades t JOIN contracts c ON c.id = t.contract AND c.proposal = t.proposal
                WHERE t.proposal = $1 AND t.id = $2 AND c.id = $3 AND t.price = $4 AND t.lots = $5 AND t.series = $6 AND t.at = $7
                  AND c.datacenter = $8 AND c.buyer = $9 AND c.seller = $10
                """,
                ["id", "trade", "contract", "price", "lots", "series", "decided", "datacenter"].map { row[$0] }
                    + (try row.text("side") == "buy" ? ["proposer", "counterparty"] : ["counterparty", "proposer"]).map { row[$0] })
            if made.count != 1 { found.append("\(try row.text("id")) made \(made.count) trades") }
        }
        let trades = try context.query("SELECT id FROM trades WHERE proposal IS NOT NULL")
        if trades.count != accepted.count { found.append("\(trades.count) bilateral trades of \(accepted.count) proposals") }
        let left = try context.query("SELECT id FROM proposals WHERE state <> 'accepted' AND (trade IS NOT NULL OR contract IS NOT NULL)")
        found += try left.map { "\(try $0.text("id")) was not accepted and made a trade" }
        let book = try context.query(
            "SELECT lots FROM trades t WHERE proposal IS NULL AND NOT EXISTS (SELECT 1 FROM busts b WHERE b.trade = t.id)")
        let bars = try context.query("SELECT lots FROM bars WHERE span = 60000000").map { try $0.integer("lots") }.reduce(0, +)
        let lots = try book.map { try $0.integer("lots") }.reduce(0, +)
        return found + (bars == lots ? [] : ["bars of \(bars) lots, and \(lots) were traded in books"])
    }

    /// What margins and bonds contracts say is put up, and what of it orders that rest must have put up beside, is in the accounts.
    private static func margins(_ context: any ReadContext) throws -> [String] {
        let closed = try context.query(
            "SELECT o.id FROM orders o JOIN series s ON s.id = o.series WHERE o.state = 'resting' AND s.stage <> 'trading'")
        var found = try closed.map { "\(try $0.text("id")) rests in a series that is closed" }
        for (kind, party, side) in [("margin", "buyer", "buy"), ("bond", "seller", "sell")] {
            for row in try context.query("SELECT owner, amount FROM balances WHERE kind = $1", [.text(kind)]) {
                let owner = try row.text("owner")
                let inContracts = try context.query("SELECT \(kind) AS amount FROM contracts WHERE \(party) = $1", [.text(owner)])
                    .map { try $0.integer("amount") }.reduce(0, +)
                let resting = try context.query(
                    """
                    SELECT o.id FROM orders o JOIN series s ON s.id = o.series
                    WHERE o.state = 'resting' AND o.participant = $1 AND o.side = $2 AND s.kind <> 'spot'
                    """, [.text(owner), .text(side)])
                let beside = try row.integer("amount") - inContracts
                if beside < 0 || resting.isEmpty && beside != 0 {
                    found.append("\(kind) of \(owner) is \(try row.integer("amount")), contracts say \(inContracts)")
                }
            }
        }
        return found
    }

    private static func contracts(_ context: any ReadContext) throws -> [String] {
        try context.query("SELECT * FROM contracts").flatMap { try contract($0, context) }
    }

    /// What a settled contract charged is the price of its time, to half a micro-unit; all of it went to the seller or back to the buyer.
    static func contract(_ row: Row, _ context: any ReadContext) throws -> [String] {
        let id = try row.text("id")
        if try context.queryOne("SELECT trade FROM busts WHERE contract = $1", [.text(id)]) != nil { return try busted(row, context) }
        let entries = try context.query(
            """
            SELECT p.reason, e.owner, e.kind, e.amount FROM entries e JOIN postings p ON p.id = e.posting
            WHERE p.contract = $1 AND p.reason IN ('settlement', 'service-credit')
            """, [.text(id)])
        let charged = try entries.filter { try $0.text("kind") == "held-for-contracts" }.map { try -$0.integer("amount") }.reduce(0, +)
        let paid = try entries.filter { try $0.text("owner") == row.text("seller") }.map { try $0.integer("amount") }.reduce(0, +)
        let back = try -entries.filter { try $0.text("reason") == "service-credit" && $0.text("kind") == "held-for-contracts" }
            .map { try $0.integer("amount") }.reduce(0, +)
        let matches = try charged == paid + back && paid == row.integer("settled") && back == row.integer("credited")
        var found = matches ? [] : ["\(id): \(charged) charged, \(paid) paid, \(back) given back"]
        found += try deliveries(of: id, charged: charged, context)
        for (side, kind) in [("buyer", "fees"), ("seller", "cash")] {
            let taken = try context.query(
                "SELECT e.amount FROM entries e JOIN postings p ON p.id = e.posting WHERE p.contract = $1 AND p.reason = 'fee' AND e.owner = $2 AND e.kind = $3",
                [.text(id), row[side], .text(kind)]
            ).map { try -$0.integer("amount") }.reduce(0, +)
            let exact = Int128(paid) * Int128(try row.integer("\(side)_fee_rate"))
            if try taken != row.integer("\(side)_fee") || (Int128(taken) * 1_000_000 - exact).magnitude * 2 > 1_000_000 {
                found.append("\(id): the \(side)'s fees are \(taken) of \(paid)")
            }
        }
        guard try row.text("state") == "settled" else { return found }
        let time = try row.integer("period_end") - row.integer("period_start")
        let exact = Int128(try row.integer("price")) * Int128(try row.integer("lots")) * Int128(time)
        if (Int128(charged) * 3_600_000_000 - exact).magnitude * 2 > 3_600_000_000 {
            found.append("\(id): \(charged) charged for \(time) µs")
        }
        let live = try context.query(
            "SELECT serial FROM certificates WHERE contract = $1 AND revoked IS NULL AND not_after >= $2",
            [.text(id), row["period_end"]])
        return found + live.map { _ in "\(id) is over and a certificate of it is not" }
    }

    /// Nobody has gained or lost by a contract whose trade was declared void.
    private static func busted(_ row: Row, _ context: any ReadContext) throws -> [String] {
        let id = try row.text("id")
        let entries = try context.query(
            "SELECT e.owner, e.amount FROM entries e JOIN postings p ON p.id = e.posting WHERE p.contract = $1", [.text(id)])
        let net = try entries.reduce(into: [String: Int64]()) { $0[try $1.text("owner"), default: 0] += try $1.integer("amount") }
        let isOver = try row.text("state") == "settled" && row.integer("settled") == 0
        return net.values.allSatisfy { $0 == 0 } && isOver ? [] : ["\(id) is busted and left \(net)"]
    }

    /// The stretches of a contract follow on each other, and account for all that was charged.
    private static func deliveries(of contract: String, charged: Int64, _ context: any ReadContext) throws -> [String] {
        let rows = try context.query("SELECT * FROM deliveries WHERE contract = $1 ORDER BY period_start", [.text(contract)])
        var found: [String] = []
        for (row, next) in zip(rows, rows.dropFirst()) where try row.integer("period_end") != next.integer("period_start") {
            found.append("\(contract): a gap or an overlap after \(try row.integer("period_end"))")
        }
        let moved = try rows.map { try $0.integer("paid") + $0.integer("credited") }.reduce(0, +)
        if moved != charged { found.append("\(contract): \(moved) moved by its stretches, \(charged) by its postings") }
        for row in rows where try row.text("state") == "settled" {
            if try row.integer("paid") + row.integer("credited") != row.integer("charge") {
                found.append("\(contract): settled, and not all of \(try row.integer("charge")) is paid")
            }
        }
        return found
    }

    /// What is held for contracts is what is paid ahead and what of the past is not paid yet.
    private static func held(_ context: any ReadContext) throws -> [String] {
        var due: [String: Int64] = [:]
        for row in try context.query("SELECT buyer, held FROM contracts") {
            due[try row.text("buyer"), default: 0] += try row.integer("held")
        }
        let open = "SELECT c.buyer, d.charge, d.paid, d.credited FROM deliveries d JOIN contracts c ON c.id = d.contract"
        for row in try context.query(open) {
            due[try row.text("buyer"), default: 0] += try row.integer("charge") - row.integer("paid") - row.integer("credited")
        }
        return try context.query("SELECT owner, amount FROM balances WHERE kind = 'held-for-contracts'").compactMap { row in
            let (owner, amount) = (try row.text("owner"), try row.integer("amount"))
            return amount == due[owner] ?? 0 ? nil : "\(owner) has \(amount) held for contracts, not \(due[owner] ?? 0)"
        }
    }

    /// Certificates are of a contract, a side of it and the program of that side, and do not outlive it. They live for a day at most, those of a
    /// forward from its delivery on.
    static func certificates(_ context: any ReadContext) throws -> [String] {
        let rows = try context.query(
            """
            SELECT c.serial FROM certificates c LEFT JOIN contracts k ON k.id = c.contract WHERE c.contract IS NOT NULL
              AND (k.id IS NULL OR c.issued < k.created OR (c.revoked IS NULL AND c.not_after >= k.period_end)
                OR c.not_after - CASE WHEN k.delivery_start > c.issued THEN k.delivery_start ELSE c.issued END > 86400000000
                OR NOT ((c.side = 'buyer' AND c.participant = k.buyer AND c.role = 'manage' AND k.confirmed_buyer IS NOT NULL)
                  OR (c.side = 'seller' AND c.participant = k.seller AND c.program = k.datacenter AND k.confirmed_seller IS NOT NULL)))
            """)
        return try rows.map { "the certificate \(try $0.text("serial")) is not one of its contract" }
    }

    /// Contracts say what their trades and orders say, at a price both orders allow.
    private static func origins(_ context: any ReadContext) throws -> [String] {
        let rows = try context.query(
            """
            SELECT t.id FROM trades t LEFT JOIN contracts c ON c.id = t.contract LEFT JOIN orders b ON b.id = t.buy_order
              LEFT JOIN orders s ON s.id = t.sell_order
            WHERE t.proposal IS NULL AND (c.id IS NULL OR b.id IS NULL OR s.id IS NULL OR c.trade <> t.id OR c.lots <> t.lots OR c.price <> t.price
              OR c.series <> t.series OR b.series <> t.series OR s.series <> t.series OR b.side <> 'buy' OR s.side <> 'sell'
              OR c.buyer <> b.participant OR c.seller <> s.participant OR c.datacenter <> s.datacenter OR b.participant = s.participant)
            """)
        return try rows.map { "trade \(try $0.text("id")) is not what its orders and its contract say" }
    }

    private static func audit(_ context: any ReadContext) throws -> [String] {
        try context.verifyAudit().problem.map { ["the audit trail: \($0)"] } ?? []
    }
}
