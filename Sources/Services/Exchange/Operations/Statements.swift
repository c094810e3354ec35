import CloudAPI
import Crypto
import Foundation
import Market
import Primitives
import ServiceKit
import Store

extension ExchangeCore {
    /// What happened to a participant's money on a UTC day, from the ledger's tables alone.
    func statement(_ call: Call<Empty>) async throws -> StatementView {
        let id = try call.id("participant", as: ParticipantID.self)
        if let own = try Scope(call.principal).participant, own != id { throw Refusal.unknownParticipant(id) }
        let (day, now) = (call.text("day"), time.now())
        let period = try Self.period(of: day, now: now)
        // Asked before the tables are read: what is closed then is all there.
        let closed = try await isClosed(period.end, now: now, asks: try Scope(call.principal).participant)
        var statement = try await database.read { context in
            try context.statement(of: try context.participant(id), day: day, period, closed: closed)
        }
        if closed {
            statement.hash = SHA256.hash(data: try WireJSON.encode(statement)).map { byte in
                (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }.joined()
        }
        return statement
    }

    private static func period(of day: String, now: Instant) throws(Refusal) -> Period {
        let today = String(now.description.prefix(10))
        guard day.utf8.count == 10, let start = Instant(day + "T00:00:00Z") else {
            throw Refusal(
                "statement.day", .invalid, "'\(day.prefix(20))' is not a day such as \(today).",
                facts: ["day": .text(String(day.prefix(20)))],
                nearest: today)
        }
        guard start <= now else {
            throw Refusal(
                "statement.day", .invalid, "The day \(day) has not begun; it is \(now).",
                facts: ["day": .text(day), "now": .text("\(now)")],
                nearest: today)
        }
        return Period(start: start, end: start + .days(1))
    }

    /// Whether nothing can be posted before a moment any more: the market's clock has come to it. The clock stands still while nothing
    /// happens, so it is moved on when it is behind, by the process that runs the market.
    private func isClosed(_ end: Instant, now: Instant, asks caller: ParticipantID?) async throws -> Bool {
        guard end <= now else { return false }
        let clock = try await database.read { try $0.queryOne("SELECT clock FROM market_state WHERE id = 1")?.instant("clock") }
        if let clock, clock >= end { return true }
        do {
            return try await perform(.tick, by: caller) { market, _ in market.clock >= end }
        } catch is Refusal {
            return false
        }
    }
}

extension ReadContext {
    private static var mostLines: Int { 100_000 }
    /// All there are, named so that the index by account is of use.
    private static var kinds: String { LedgerAccount.Kind.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ") }

    fileprivate func statement(
        of participant: Participant, day: String, _ period: Period, closed: Bool
    ) throws -> StatementView {
        let (first, end) = (try firstPosting(since: period.start), try firstPosting(since: period.end))
        let lines = try lines(of: participant.id, from: first, to: end)
        guard lines.count <= Self.mostLines else {
            throw Refusal(
                "statement.length", .invalid, "The statement of \(day) has more than \(Self.mostLines) lines.",
                facts: ["largest": .number(Int64(Self.mostLines))], nearest: "the postings, page by page: GET /v1/postings")
        }
        return StatementView(
            participant: participant.id, name: participant.name, currency: participant.currency, day: day, closed: closed,
            accounts: try accounts(of: participant.id, before: first, lines), lines: lines)
    }

    /// The number of the first posting that is not before a moment, or the next there will be. Postings are numbered from 1 in the order
    /// of their times, so halving finds it without an index that each order would have to pay for.
    private func firstPosting(since moment: Instant) throws -> Int64 {
        var low: Int64 = 1
        var high = (try queryOne("SELECT id FROM postings ORDER BY id DESC LIMIT 1")?.integer("id") ?? 0) + 1
        while low < high {
            let middle = low + (high - low) / 2
            guard let at = try queryOne("SELECT at FROM postings WHERE id = $1", [SQLValue(middle)])?.instant("at") else {
                throw StoreError.corrupted("there is no posting \(middle)")
            }
            if at >= moment { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Accounts that had something or changed, and cash.
    private func accounts(
        of participant: ParticipantID, before posting: Int64, _ lines: [StatementLine]
    ) throws -> [StatementAccount] {
        let used = Set(try query("SELECT kind FROM balances WHERE owner = $1", [SQLValue(participant)]).map { try $0.text("kind") })
        return try LedgerAccount.chart.filter {
            $0.holder == .participant && (used.contains($0.kind.rawValue) || $0.kind == .cash)
        }.compactMap { definition in
            let kind = definition.kind.rawValue
            let last = try queryOne(
                "SELECT balance FROM entries WHERE owner = $1 AND kind = $2 AND posting < $3 ORDER BY posting DESC, line DESC LIMIT 1",
                [SQLValue(participant), .text(kind), SQLValue(posting)])
            let opening = try last?.integer("balance") ?? 0
            let own = lines.filter { $0.account == kind }
            guard opening != 0 || !own.isEmpty || definition.kind == .cash else { return nil }
            // A day may move more than an account can hold.
            let amounts = own.map { Int128($0.amountMicroUnits) }
            let (credit, debit) = (amounts.filter { $0 > 0 }.reduce(0, +), amounts.filter { $0 < 0 }.reduce(0, +))
            let closing = own.last?.balanceMicroUnits ?? opening
            guard Int128(opening) + credit + debit == Int128(closing) else {
                throw StoreError.corrupted("\(kind) of \(participant) opens with \(opening) and closes with \(closing)")
            }
            return StatementAccount(
                account: kind, openingMicroUnits: opening, creditMicroUnits: Int64(clamping: credit),
                debitMicroUnits: Int64(clamping: debit),
                closingMicroUnits: closing)
        }
    }

    /// At most one more than a statement may have.
    private func lines(of participant: ParticipantID, from first: Int64, to end: Int64) throws -> [StatementLine] {
        let arguments = [SQLValue(participant), SQLValue(first), SQLValue(end)]
        let rows = try query(
            """
            SELECT e.posting, e.kind, e.amount, e.balance, p.at, p.reason, p.order_id, p.contract, p.reference
            FROM entries e JOIN postings p ON p.id = e.posting
            WHERE e.owner = $1 AND e.kind IN (\(Self.kinds)) AND e.posting >= $2 AND e.posting < $3 ORDER BY e.posting, e.line LIMIT \(Self.mostLines + 1)
            """, arguments)
        guard let last = try rows.last?.integer("posting") else { return [] }
        let entries = try query(
            """
            SELECT posting, owner, kind, amount FROM entries WHERE posting IN
              (SELECT posting FROM entries WHERE owner = $1 AND kind IN (\(Self.kinds)) AND posting >= $2 AND posting <= $3) ORDER BY posting, line
            """, [arguments[0], arguments[1], SQLValue(last)])
        let postings = Dictionary(grouping: try entries.map(EntrySide.init), by: \.posting)
        return try rows.map { row in
            try StatementLine(row, entries: postings[try row.integer("posting")] ?? [])
        }
    }
}

/// One entry, as far as others name it as theirs' other side.
private struct EntrySide {
    let posting: Int64
    let amount: Int64
    let account: CounterAccount

    init(row: Row) throws {
        posting = try row.integer("posting")
        amount = try row.integer("amount")
        account = CounterAccount(participant: ParticipantID(try row.text("owner")), account: try row.text("kind"))
    }
}

extension StatementLine {
    fileprivate init(_ row: Row, entries: [EntrySide]) throws {
        let amount = try row.integer("amount")
        self.init(
            posting: PostingID(bits: UInt64(bitPattern: try row.integer("posting"))), at: try row.instant("at"),
            account: try row.text("kind"), amountMicroUnits: amount, balanceMicroUnits: try row.integer("balance"),
            reason: try row.text("reason"), counterAccounts: entries.filter { ($0.amount > 0) != (amount > 0) }.map(\.account),
            contract: try row.optionalID("contract"), order: try row.optionalID("order_id"), reference: try row.optionalText("reference"))
    }
}
