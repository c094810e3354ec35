import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Store
import TestSupport
import Testing

/// Seven days of trading, Sunday to Saturday, and the days until the last contract is settled. Every request, accepted or refused, and
/// every move of the clock is a step, and after every step the tables are audited.
final class Week {
    let cast: WeekCast
    var stage: WeekStage
    var auditor = StepAuditor()
    var generator: SeededGenerator
    let start: Instant
    var hour: Int64 = 0
    /// What happened, in order; the same for the same seed.
    private(set) var log: [String] = []
    private(set) var counts: [String: Int] = [:]
    private(set) var faults: [String] = []
    private var known: Set<String> = []
    private static let mostFaults = 40
    private(set) var steps = 0
    private var closings: [String: Int64] = [:]
    var disputesSeen: [String: Int] = [:]

    init(_ cast: WeekCast, _ stage: WeekStage, seed: UInt64) {
        self.cast = cast
        self.stage = stage
        generator = SeededGenerator(seed: seed)
        start = stage.exchange.clock.now
    }

    var exchange: RunningExchange { stage.exchange }
    var now: Instant { exchange.clock.now }
    var day: Int64 { hour / 24 }
    func random(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    // MARK: Steps

    /// A request that may be refused; what is refused changed nothing.
    @discardableResult
    func ask<Answer>(_ kind: String, _ call: () async throws -> Answer) async throws -> Answer? {
        let before = await exchange.service.stateHash()
        do {
            let answer = try await call()
            try await audited(kind)
            return answer
        } catch let problem as ProblemDocument {
            if await exchange.service.stateHash() != before { try fault("\(problem.rule) changed something") }
            if problem.detail.isEmpty || problem.rule.isEmpty { try fault("\(problem) explains nothing") }
            try await audited("refused: \(problem.rule)")
            return nil
        }
    }

    /// A request that must be accepted.
    func must<Answer>(_ kind: String, _ call: () async throws -> Answer) async throws -> Answer {
        do {
            let answer = try await call()
            try await audited(kind)
            return answer
        } catch let problem as ProblemDocument {
            try fault("\(kind) was refused: \(problem.rule): \(problem.detail)")
            throw problem
        }
    }

    /// A request that must be refused, by a rule.
    func refused<Answer>(_ rule: String, _ call: () async throws -> Answer) async throws {
        let (rules, before) = (counts["refused: \(rule)"] ?? 0, log.count)
        try await ask("accepted: \(rule)", call)
        if counts["refused: \(rule)"] != rules + 1 { try fault("\(log[before...]), not refused by \(rule)") }
    }

    struct Unexpected: Error, CustomStringConvertible {
        var text: String
        var description: String { text }
    }

    /// Notes what must not be so; too much of it ends the week.
    func fault(_ text: String) throws {
        faults.append("\(place) \(text)")
        if faults.count > Self.mostFaults { throw Unexpected(text: faults.joined(separator: "\n")) }
    }

    func pass(to moment: Instant) async throws {
        exchange.clock.set(moment)
        try await exchange.service.catchUp()
        try await audited("clock")
    }

    private func audited(_ kind: String) async throws {
        steps += 1
        counts[kind, default: 0] += 1
        log.append("\(place) \(kind)")
        let (next, found) = try await exchange.service.read { [auditor] context in
            var auditor = auditor
            let found = try auditor.look(at: context)
            return (auditor, found)
        }
        auditor = next
        let new = found.filter { known.insert($0).inserted }
        if !new.isEmpty { try fault("after step \(steps), \(kind): \(new.joined(separator: "; "))") }
    }

    private var place: String { "day \(day) \(String(now.description.dropFirst(11).prefix(5)))" }

    /// Everybody leaves at the end; what goes wrong says what went wrong before.
    func lasting(_ body: () async throws -> Void) async throws {
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch {
            result = .failure(Unexpected(text: (faults + ["\(place) \(error)"]).joined(separator: "\n")))
        }
        await stage.leave()
        try result.get()
    }

    // MARK: Days

    /// Everything at once: all tables, memory against tables, the journal, statements, the trial balance.
    func closeDay() async throws {
        for problem in try await exchange.problems() { try fault(problem) }
        let replay = try await exchange.service.replayJournal()
        let hash = await exchange.service.stateHash()
        if replay.problem != nil || replay.stateHash != hash { try fault("the journal gives another market") }
        let trial = try await stage.admin.call(ExchangeAPI.trialBalance)
        #expect(trial.totals.allSatisfy { $0.microUnits == 0 } && trial.unequal.isEmpty)
        let yesterday = String((now - .hours(1)).description.prefix(10))
        for (number, member) in cast.members.enumerated() {
            let path = ["participant": member.id.description, "day": yesterday]
            let statement = try await stage.clients[number].call(ExchangeAPI.showStatement, path: path)
            try await check(statement, of: member)
        }
        counts["day closed", default: 0] += 1
    }

    /// Opens with yesterday's end, and its lines lead to today's, which is what the ledger says.
    private func check(_ statement: StatementView, of member: WeekCast.Member) async throws {
        let end = start + .days(day)
        let owner = member.id.description
        let rows = try await exchange.service.read { context in
            try context.query(
                """
                SELECT e.kind, CAST(SUM(e.amount) AS BIGINT) AS amount FROM entries e JOIN postings p ON p.id = e.posting
                WHERE e.owner = $1 AND p.at < $2 GROUP BY e.kind
                """, [.text(owner), SQLValue(end)])
        }
        let ledger = try rows.reduce(into: [String: Int64]()) { $0[try $1.text("kind")] = try $1.integer("amount") }
        #expect(statement.closed && statement.hash != nil)
        for account in statement.accounts {
            let key = "\(owner)/\(account.account)"
            let lines = statement.lines.filter { $0.account == account.account }.map(\.amountMicroUnits)
            #expect(account.openingMicroUnits == closings[key] ?? 0, "\(member.name) \(account.account) opens with another sum")
            #expect(account.openingMicroUnits + lines.reduce(0, +) == account.closingMicroUnits)
            #expect(account.closingMicroUnits == ledger[account.account] ?? 0, "\(member.name) \(account.account) at \(end)")
            closings[key] = account.closingMicroUnits
        }
        let shown = Set(statement.accounts.map(\.account))
        #expect(ledger.allSatisfy { $0.value == 0 || shown.contains($0.key) })
        counts["statement", default: 0] += 1
    }

    /// The exchange was stopped and started again: the same market, and everybody is back.
    func goOn(on exchange: RunningExchange, stateHash: UInt64) async throws {
        let hash = await exchange.service.stateHash()
        guard hash == stateHash else { throw Unexpected(text: "the restart gave another market") }
        stage = try await WeekStage(exchange, cast)
        try await audited("restart")
    }

    /// What happened and how often, as a table.
    var summary: String {
        let all = counts.merging(auditor.seen) { $0 + $1 }.sorted { $0.key < $1.key }
        let width = all.map(\.key.count).max() ?? 0
        return all.map { $0.key.padding(toLength: width + 2, withPad: " ", startingAt: 0) + "\($0.value)" }.joined(separator: "\n")
    }

    var kinds: Set<String> { Set(counts.keys).union(auditor.seen.keys) }
}
