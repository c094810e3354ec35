import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Store
import TestSupport
import Testing

/// The auditors find what is wrong: each row here is altered in a transaction that is taken back.
@Suite struct SabotageTests {
    private struct TakenBack: Error { var found: [String] }

    /// What an audit finds once a row was altered.
    private func found(
        _ sql: String, in exchange: RunningExchange, _ audit: @escaping @Sendable (any ReadContext) throws -> [String]
    ) async throws -> [String] {
        do {
            try await exchange.database.write { transaction in
                let rows = try transaction.execute(sql)
                guard rows > 0 else { throw TakenBack(found: ["nothing was altered"]) }
                throw TakenBack(found: try audit(transaction))
            }
        } catch let end as TakenBack { return end.found }
        return []
    }

    private func expect(
        _ fragment: String, of sql: String, in exchange: RunningExchange, _ audit: @escaping @Sendable (any ReadContext) throws -> [String]
    ) async throws {
        let found = try await found(sql, in: exchange, audit)
        #expect(found.contains { $0.contains(fragment) }, "\(sql): \(found)")
    }

    /// Some hours of the week, in which contracts were made, delivered, reported on and settled.
    private func afterSomeHours(_ kind: DatabaseKind, _ body: (Week) async throws -> Void) async throws {
        try await withHome(kind) { home in
            home.clock.set(WeekTests.sunday(before: home.clock.now))
            try await withExchange(home) { exchange in
                let (cast, stage) = try await WeekCast.arrive(exchange)
                let week = Week(cast, stage, seed: Week.seed)
                try await week.lasting {
                    try await week.run(to: 14)
                    try await body(week)
                }
            }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `One altered row is found`(_ kind: DatabaseKind) async throws {
        try await afterSomeHours(kind) { week in
            let exchange = week.exchange
            #expect(try await exchange.problems() == [])
            let newest = "(SELECT MAX(number) FROM trades)"
            for (sql, fragment) in [
                ("UPDATE balances SET amount = amount + 1 WHERE kind = 'external'", "is not the sum of its entries"),
                ("UPDATE entries SET amount = amount + 1 WHERE posting = 3 AND line = 0", "posting 3 sums to 1"),
                ("UPDATE entries SET balance = balance - 1 WHERE posting = 2 AND line = 1", "is said to be"),
                ("DELETE FROM entries WHERE posting = (SELECT MAX(id) FROM postings)", "is not the sum of its entries"),
                ("UPDATE trades SET price = price + 1 WHERE number = \(newest)", "is not what its orders and its contract say"),
                ("UPDATE trades SET lots = lots + 1 WHERE number = \(newest)", "its trades say"),
                ("UPDATE contracts SET buyer = seller WHERE number = \(newest)", "is not what its orders and its contract say"),
                (
                    "UPDATE contracts SET held = held + 1 WHERE number = (SELECT MIN(number) FROM contracts WHERE held > 0)",
                    "held for contracts"
                ),
                (
                    "UPDATE contracts SET margin = margin + 1 WHERE number = (SELECT MIN(number) FROM contracts WHERE margin > 0)",
                    "margin of"
                ),
                ("UPDATE contracts SET settled = settled + 1 WHERE number = (SELECT MIN(number) FROM contracts)", "paid"),
                ("UPDATE contracts SET buyer_fee = buyer_fee + 1 WHERE number = (SELECT MIN(number) FROM contracts)", "the buyer's fees"),
                ("UPDATE deliveries SET paid = paid - 1 WHERE state = 'settled'", "settled, and not all of"),
                ("UPDATE deliveries SET period_end = period_end - 1", "a gap or an overlap"),
                ("UPDATE offerings SET declared = 0", "sold and offered at once"),
                ("UPDATE certificates SET not_after = not_after + 86400000000 WHERE contract IS NOT NULL", "is not one of its contract"),
                ("UPDATE certificates SET contract = 'ctr-00000000000000001' WHERE side = 'buyer'", "is not one of its contract"),
                ("UPDATE audit_head SET sequence = sequence + 1", "the audit trail"),
            ] {
                try await expect(fragment, of: sql, in: exchange) { try TableAuditor.problems(in: $0) }
            }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `The audit of a step finds it too, and who was passed over`(_ kind: DatabaseKind) async throws {
        try await afterSomeHours(kind) { week in
            let exchange = week.exchange
            for (sql, fragment) in [
                ("UPDATE balances SET amount = amount + 1 WHERE kind = 'external'", "the balances are"),
                (
                    "UPDATE contracts SET held = held + 10 WHERE number = (SELECT MIN(number) FROM contracts WHERE held > 0)",
                    "held-for-contracts of"
                ),
                (
                    "UPDATE contracts SET fees_held = fees_held + 9 WHERE number = (SELECT MIN(number) FROM contracts WHERE held > 0)",
                    "aside for fees"
                ),
                ("UPDATE contracts SET paid_until = paid_until + 3600000000 WHERE state = 'delivering'", " holds "),
                ("UPDATE offerings SET declared = 1", " lots of 1"),
                ("UPDATE market_state SET clock = clock + 86400000000", "is over and goes on"),
            ] {
                try await expect(fragment, of: sql, in: exchange) { [auditor = week.auditor] context in
                    var auditor = auditor
                    return try auditor.look(at: context)
                }
            }
            // Somebody who never looked sees every stretch for the first time.
            try await expect(
                ", must be (", of: "UPDATE deliveries SET paid = paid - 1, credited = credited + 1 WHERE state = 'settled' AND paid > 0",
                in: exchange
            ) { context in
                var auditor = StepAuditor()
                return try auditor.look(at: context)
            }
            try await passedOver(week)
        }
    }

    /// Two offers, the better one first; the books say that the other one was taken.
    private func passedOver(_ week: Week) async throws {
        let series = week.cast.spot[WeekCast.general]
        for member in week.cast.members.indices {
            _ = try await week.must("cancel all") {
                try await week.stage.clients[member].call(ExchangeAPI.cancelOrders, body: CancelOrders(series: series))
            }
        }
        let price = week.middle(WeekCast.general)
        let best = try await week.must("ask") { try await week.place(WeekCast.nordlicht, week.ask(0, 1, at: price)) }
        let other = try await week.must("ask") { try await week.place(WeekCast.rheinrechen, week.ask(2, 1, at: price)) }
        let before = week.auditor
        _ = try await week.must("buy at once") {
            try await week.place(WeekCast.acme, week.bid(1, at: price, in: series, type: .immediateOrCancel))
        }
        let sql = "UPDATE trades SET sell_order = '\(other.id)' WHERE sell_order = '\(best.id)'"
        try await expect("by price and time it is", of: sql, in: week.exchange) { context in
            var auditor = before
            return try auditor.look(at: context)
        }
        let fair = try await week.exchange.service.read { context in
            var auditor = before
            return try auditor.look(at: context)
        }
        #expect(fair == [])
    }
}
