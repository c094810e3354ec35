import CloudAPI
import Market
package import Primitives
import ServiceKit
import Store

/// What the journal says, done again from the first command.
package struct JournalReplay: Sendable {
    package var batches: Int64 = 0
    package var commands: Int64 = 0
    /// Of the last batch.
    package var at: Instant?
    package var stateHash: UInt64
    /// The first thing that is not as it was written; nil when everything fits.
    package var problem: String?
}

/// A journal being done again, batch after batch.
struct JournalReplaying {
    private static let page = 256

    private(set) var market = Market()
    private(set) var report: JournalReplay
    private var head = MarketJournal.Head.start

    init() { report = JournalReplay(stateHash: market.stateHash) }

    /// Goes on where it is: checks the seals and does every command again, up to and including a batch, or to the end.
    mutating func run(_ journal: MarketJournal, upTo last: Int64 = .max) async throws {
        defer { report.stateHash = market.stateHash }
        while report.problem == nil, head.number < last,
            case let page = try await journal.read(after: head.number, limit: Self.page), !page.isEmpty
        {
            for stored in page where stored.number <= last && report.problem == nil { take(stored) }
        }
    }

    private mutating func take(_ stored: MarketJournal.Stored) {
        let next = head.followed(by: stored.body, at: stored.at)
        guard next == MarketJournal.Head(number: stored.number, hash: stored.hash) else {
            report.problem = "batch \(head.number + 1) is missing, or is not what was written"
            return
        }
        do {
            report.commands += Int64(try market.replay(try stored.batch()).count)
        } catch {
            report.problem = "batch \(stored.number) cannot be done again: \(error)"
            return
        }
        head = next
        report.batches = head.number
        report.at = stored.at
    }
}

extension MarketJournal {
    /// Checks the seals and does every command again on an empty market, up to and including a batch.
    ///
    /// - Returns: what was found, and the market as it was after the last batch that fits.
    func replay(upTo last: Int64 = .max) async throws -> (report: JournalReplay, market: Market) {
        var replaying = JournalReplaying()
        try await replaying.run(self, upTo: last)
        return (replaying.report, replaying.market)
    }
}

extension ExchangeCore {
    /// Looks at a market that goes on trading before the two may be called different.
    private static let looks = 50

    func replayJournal(_ call: Call<Empty>) async throws -> JournalReplayView {
        let last = try call.query.integer("upTo", in: 1...Int64.max, default: .max)
        var replaying = JournalReplaying()
        try await replaying.run(journal, upTo: last)
        var running = try await runningStateHash()
        // What was taken meanwhile is done too.
        for _ in 0..<Self.looks where last == .max && replaying.report.problem == nil && replaying.report.stateHash != running {
            try await replaying.run(journal)
            if replaying.report.stateHash != running { running = try await runningStateHash() }
        }
        let report = replaying.report
        return JournalReplayView(
            intact: report.problem == nil, batches: report.batches, commands: report.commands, at: report.at,
            stateHash: Self.digits(report.stateHash), runningStateHash: Self.digits(running), problem: report.problem)
    }

    /// Of the market in memory; where another process runs it, of the one its tables hold.
    private func runningStateHash() async throws -> UInt64 {
        if let hash = await desk.reading({ $0.stateHash }) { return hash }
        let (snapshot, clock, _) = try await database.read { try MarketTables.load(from: $0) }
        return try Market(restoring: snapshot, clock: clock).stateHash
    }

    private static func digits(_ hash: UInt64) -> String {
        let text = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}
