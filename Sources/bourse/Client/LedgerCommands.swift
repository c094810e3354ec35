import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger", abstract: "The exchange's books.",
        subcommands: [Trial.self, Chart.self, Accounts.self, Postings.self], defaultSubcommand: Accounts.self)

    struct Trial: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "trial-balance", abstract: "Operator: all accounts, and the proof that each currency sums to zero.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let trial = try await Target.exchange.with { try await $0.call(ExchangeAPI.trialBalance) }
            guard output.output == .table else { return try output.item(trial, []) }
            try output.list(trial.balances, columns: accountColumns, accountRow)
            print("")
            try output.list(trial.proof, columns: ["currency", "credit", "debit", "total", "all entries"]) {
                [$0.currency.code]
                    + [$0.creditMicroUnits, $0.debitMicroUnits, $0.totalMicroUnits, $0.entriesMicroUnits].map {
                        decimalText(microUnits: $0)
                    }
            }
            guard !trial.unequal.isEmpty else { return }
            print("\nThese balances are not the sums of their entries:")
            try output.list(trial.unequal, columns: accountColumns, accountRow)
        }
    }

    struct Chart: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Every kind of account, and what it is for.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let chart = try await Target.exchange.with { try await $0.call(ExchangeAPI.chartOfAccounts) }
            try output.list(chart.accounts, columns: ["account", "of", "normally", "holds", "purpose"]) {
                [$0.account, $0.holder.rawValue, $0.normalBalance.rawValue, $0.limits, $0.purpose]
            }
        }
    }

    struct Accounts: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List accounts and what is in them.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listBalances) }
            try output.list(items, columns: accountColumns, accountRow)
        }
    }

    struct Postings: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List postings, newest first, one line for each entry.")
        @Option(help: "Only of this contract: ctr-…") var contract: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let query = contract.map { ["contract": $0] } ?? [:]
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listPostings, query: query, most: 1_000) }
            guard output.output == .table else { return try output.list(items, columns: []) { _ in [] } }
            let rows = items.flatMap { posting in
                posting.entries.map { [posting.id.description, timeText(posting.at), posting.reason] + accountRow($0) }
            }
            try output.list(rows, columns: ["posting", "at", "reason"] + accountColumns) { $0 }
        }
    }
}

private let accountColumns = ["participant", "account", "amount", "currency"]

private func accountRow(_ balance: BalanceView) -> [String] {
    [
        balance.participant?.description ?? "exchange", balance.account, decimalText(microUnits: balance.amount.microUnits),
        balance.amount.currency.code,
    ]
}

struct StatementCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "statement", abstract: "Daily statements.", subcommands: [Show.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what happened to a participant's money on a day.",
            discussion: "Days are UTC. A day that is over is closed: its statement never changes again and has a hash.")
        @Option(help: "e.g. 2026-01-31; today when absent.") var day: String?
        @Option(help: "For the operator: par-…") var participant: String?
        @Flag(help: "As CSV (RFC 4180).") var csv = false
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let day = self.day ?? String(Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)).description.prefix(10))
            try await Target.exchange.with { client in
                let path = ["participant": try await owner(client), "day": day]
                guard !csv else { return try await printCSV(client, path) }
                try show(try await client.call(ExchangeAPI.showStatement, path: path, query: ["format": "json"], deadline: .seconds(60)))
            }
        }

        /// A participant sees one participant: itself.
        private func owner(_ client: CloudClient) async throws -> String {
            if let participant { return participant }
            let visible = try await client.items(of: ExchangeAPI.listParticipants)
            guard let only = visible.first, visible.count == 1 else {
                throw ValidationError("Say whose statement: --participant par-…; see `bourse participant list`.")
            }
            return only.id.description
        }

        private func printCSV(_ client: CloudClient, _ path: [String: String]) async throws {
            let url = "/v1/participants/\(path["participant"] ?? "")/statements/\(path["day"] ?? "")?format=csv"
            try await client.download(path: url, from: 0, deadline: .seconds(60)) { FileHandle.standardOutput.write($0) }
        }

        private func show(_ statement: StatementView) throws {
            guard output.output == .table else { return try output.item(statement, []) }
            try output.item(
                statement,
                [
                    ("Statement of", "\(statement.name) (\(statement.participant))"),
                    ("Day", "\(statement.day) UTC, " + (statement.closed ? "closed" : "not closed yet")),
                    ("Currency", statement.currency.code), ("Hash", statement.hash.map { "SHA-256 \($0)" }),
                ])
            print("")
            try output.list(statement.accounts, columns: ["account", "opening", "in", "out", "closing"]) {
                [$0.account]
                    + [$0.openingMicroUnits, $0.creditMicroUnits, $0.debitMicroUnits, $0.closingMicroUnits].map {
                        decimalText(microUnits: $0)
                    }
            }
            print("")
            try output.list(
                statement.lines, columns: ["at", "account", "amount", "balance", "reason", "other side", "contract", "reference"],
                empty: "Nothing happened.", lineRow)
        }

        private func lineRow(_ line: StatementLine) -> [String] {
            let counter = line.counterAccounts.map { "\($0.participant?.description ?? "exchange") \($0.account)" }
            return [
                timeText(line.at), line.account, decimalText(microUnits: line.amountMicroUnits),
                decimalText(microUnits: line.balanceMicroUnits), line.reason, counter.joined(separator: "; "),
                line.contract?.description ?? "", line.reference ?? "",
            ]
        }
    }
}
