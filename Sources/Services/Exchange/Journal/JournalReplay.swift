import CloudAPI
import Market
package import Primitives
import ServiceKit

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

extension MarketJournal {
    private static let page = 256

    /// Checks the seals and does every command again on an empty market, up to and including a batch.
    ///
    /// - Returns: what was found, and the market as it was after the last batch that fits.
    func replay(upTo last: Int64 = .max) async throws -> (report: JournalReplay, market: Market) {
        var market = Market()
        var report = JournalReplay(stateHash: market.stateHash)
        var head = Head.start
        reading: while head.number < last, case let page = try await read(after: head.number, limit: Self.page), !page.isEmpty {
            for stored in page where stored.number <= last {
                let next = head.followed(by: stored.body, at: stored.at)
                guard next == Head(number: stored.number, hash: stored.hash) else {
                    report.problem = "batch \(head.number + 1) is missing, or is not what was written"
                    break reading
                }
                do {
                    report.commands += Int64(try market.replay(try stored.batch()).count)
                } catch {
                    report.problem = "batch \(stored.number) cannot be done again: \(error)"
                    break reading
                }
                head = next
                report.batches = head.number
                report.at = stored.at
            }
        }
        report.stateHash = market.stateHash
        return (report, market)
    }
}

extension ExchangeCore {
    func replayJournal(_ call: Call<Empty>) async throws -> JournalReplayView {
        let report = try await journal.replay(upTo: try call.query.integer("upTo", in: 1...Int64.max, default: .max)).report
        return JournalReplayView(
            intact: report.problem == nil, batches: report.batches, commands: report.commands, at: report.at,
            stateHash: Self.digits(report.stateHash), runningStateHash: Self.digits(await desk.stateHash()), problem: report.problem)
    }

    private static func digits(_ hash: UInt64) -> String {
        let text = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}
