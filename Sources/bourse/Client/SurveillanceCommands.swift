import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

struct SurveillanceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "surveillance", abstract: "Operator: conduct of participants.", subcommands: [Orders.self, SelfMatches.self],
        defaultSubcommand: Orders.self)

    struct Orders: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What became of orders on a day, the most fleeting first.",
            discussion: """
                Withdrawn: taken back before anything was filled. Fleeting: within a second. Far: more than 10 % behind the best price \
                of their side. Many of these and few trades are orders that were never meant to trade.
                """)
        @Option(help: "The day, e.g. 2026-01-31; today when absent.") var day: String?
        @Option(help: "Only of this participant, par-…") var participant: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            var query: [String: String] = [:]
            query["day"] = day.map { $0.contains("T") ? $0 : "\($0)T00:00:00Z" }
            query["participant"] = participant
            let items = try await Target.exchange.with { [query] in try await $0.items(of: ExchangeAPI.listConduct, query: query) }
            let columns = [
                "participant", "name", "series", "orders", "withdrawn", "fleeting", "far", "trades", "bilateral", "fleeting %",
                "orders/trade",
            ]
            try output.list(items, columns: columns, empty: "No order has ended on that day.") { line in
                [line.participant.description, line.participantName, line.series.description]
                    + [line.orders, line.withdrawn, line.fleeting, line.farFromTouch, line.trades, line.bilateralTrades].map(String.init)
                    + [thousandths(line.fleetingShare * 100), line.ordersPerTrade.map(thousandths) ?? "no trade"]
            }
        }

        private func thousandths(_ number: Int64) -> String { decimalText(microUnits: number * 1_000) }
    }

    struct SelfMatches: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Orders that met others of the same participant, newest first.")
        @Option(help: "Only of this participant, par-…") var participant: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let query = participant.map { ["participant": $0] } ?? [:]
            let items = try await Target.exchange.with {
                try await $0.items(of: ExchangeAPI.listSelfMatches, query: query, most: 1_000)
            }
            try output.list(items, columns: ["at", "participant", "series", "side", "price", "lots", "outcome", "times", "order"]) {
                [
                    timeText($0.at), $0.participant.description, $0.series.description, $0.side.rawValue, priceText($0.price), "\($0.lots)",
                    $0.outcome.rawValue, "\($0.times)", $0.order,
                ]
            }
        }
    }
}

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Operator: the audit trail.", subcommands: [List.self, Verify.self, Export.self, Replay.self],
        defaultSubcommand: Verify.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the audit trail, oldest first.")
        @Option(help: "Begin after this entry.") var after: Int64 = 0
        @Option(help: "How many entries, 1 to 1000.") var limit = 100
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let page = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.listAudit, query: ["cursor": "\(after)", "limit": "\(limit)"])
            }
            try output.list(page.items, columns: ["number", "at", "actor", "action", "subject"]) {
                ["\($0.sequence)", timeText($0.at), $0.actor, $0.action, $0.subject]
            }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compute the chain of hashes anew; fails and says the first entry that is wrong.",
            discussion:
                "Keep number and hash of the newest entry elsewhere and give them next time: a trail rewritten as a whole has others.")
        @Option(help: "Number of an entry seen before.") var sequence: Int64?
        @Option(help: "The hash it had.") var hash: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            var query: [String: String] = [:]
            query["sequence"] = sequence.map { "\($0)" }
            query["hash"] = hash
            let found = try await Target.exchange.with { [query] in
                try await $0.call(ExchangeAPI.verifyAudit, query: query, deadline: .seconds(70))
            }
            try output.item(
                found,
                [
                    ("Intact", found.intact ? "yes" : "NO"), ("Checked", "\(found.checked) entries"),
                    ("First broken", found.firstBroken.map { "\($0)" }), ("Problem", found.problem),
                    ("Newest", "\(found.headSequence) \(found.headHash)"),
                ])
            if !found.intact { throw ExitCode(1) }
        }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Do every command of the market's journal again; fails and says the first that does not fit.",
            discussion: "Fails, too, when the whole journal does not give the state of the market that runs.")
        @Option(help: "Stop after this batch.") var upTo: Int64?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let query = upTo.map { ["upTo": "\($0)"] } ?? [:]
            let found = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.replayJournal, query: query, deadline: .seconds(70))
            }
            let isSame = found.stateHash == found.runningStateHash
            try output.item(
                found,
                [
                    ("Intact", found.intact ? "yes" : "NO"), ("Batches", "\(found.batches)"), ("Commands", "\(found.commands)"),
                    ("Until", found.at.map { timeText($0) }), ("Problem", found.problem),
                    (
                        "State",
                        found.stateHash + (isSame ? ", the market's that runs" : "; the market that runs has \(found.runningStateHash)")
                    ),
                ])
            if !found.isGood(wasWhole: upTo == nil) { throw ExitCode(1) }
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Write the audit trail to standard output as JSON Lines.")
        @Option(help: "Begin after this entry.") var after: Int64 = 0
        func run() async throws {
            try await Target.exchange.with { client in
                var cursor: String? = "\(after)"
                while let from = cursor {
                    let page = try await client.call(ExchangeAPI.listAudit, query: ["cursor": from, "limit": "1000"])
                    let lines = try page.items.map { try WireJSON.text($0) + "\n" }.joined()
                    FileHandle.standardOutput.write(Data(lines.utf8))
                    cursor = page.next
                }
            }
        }
    }
}
