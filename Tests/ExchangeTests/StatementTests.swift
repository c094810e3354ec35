import CloudAPI
import CloudClient
import Crypto
import Exchange
import Foundation
import Market
import Primitives
import Store
import TestSupport
import Testing

@Suite struct StatementTests {
    private func day(_ moment: Instant) -> String { String(moment.description.prefix(10)) }

    private func statement(
        _ client: CloudClient, _ participant: ParticipantID, _ day: String
    ) async throws -> StatementView {
        try await client.call(ExchangeAPI.showStatement, path: ["participant": participant.description, "day": day])
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A day's statement says everything, reconciles, and never changes once closed`(_ kind: DatabaseKind) async throws {
        let risk = ProductRisk(takerFeeMillionths: 10_000, makerFeeMillionths: 5_000)
        try await withTown(kind, risk: risk) { town in
            let today = day(town.exchange.clock.now)
            let contract = try await town.trade(2)
            let open = try await statement(town.buyerClient, town.buyer, today)
            #expect(!open.closed && open.hash == nil && open.name == "Acme" && open.currency == .eur)
            #expect(open.lines.map(\.reason) == ["deposit", "trade-hold", "trade-hold", "trade-hold"])
            #expect(open.lines[0].reference == "bank" && open.lines[0].counterAccounts.map(\.account) == ["external"])
            #expect(open.lines[0].counterAccounts[0].participant == nil && open.lines[1].contract == contract.id)
            #expect(open.accounts.map(\.account) == ["cash", "held-for-contracts", "fees"])
            for account in open.accounts {
                #expect(account.closingMicroUnits == (try await town.balance(of: town.buyer, account.account)))
            }
            _ = try await town.manage.exchange.call(
                ExchangeAPI.stopContract, path: ["contract": contract.id.description], body: StopContract(reason: "done"))
            try await town.exchange.advance(.seconds(66))
            try await eventually("it is settled") { try await town.contract(contract.id).state == .settled }
            let ended = day(town.exchange.clock.now)
            town.exchange.clock.advance(by: .days(1))
            let closed = try await statement(town.buyerClient, town.buyer, ended)
            #expect(closed.closed)
            var bare = closed
            bare.hash = nil
            let digest = SHA256.hash(data: try WireJSON.encode(bare)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(closed.hash == digest)
            let transfer = Transfer(amount: Money(microUnits: 5, .eur), reference: "the day after")
            _ = try await town.exchange.operator.call(ExchangeAPI.transfer, path: ["participant": town.buyer.description], body: transfer)
            #expect(try WireJSON.encode(await statement(town.buyerClient, town.buyer, ended)) == WireJSON.encode(closed))
            let next = try await statement(town.buyerClient, town.buyer, day(town.exchange.clock.now))
            #expect(next.accounts.first?.openingMicroUnits == closed.accounts.first?.closingMicroUnits)
            #expect(next.lines.last?.reference == "the day after")
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A participant pages through its own postings`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            for _ in 0..<3 { _ = try await town.trade(1) }
            let all = try await town.exchange.operator.call(ExchangeAPI.listPostings, query: ["limit": "1000"]).items
            for (participant, client) in [(town.buyer, town.buyerClient), (town.stranger, town.strangerClient)] {
                let own = all.filter { $0.entries.contains { $0.participant == participant } }.map(\.id)
                for limit in ["1", "2", "1000"] {
                    var found: [PostingID] = []
                    var query = ["limit": limit]
                    repeat {
                        let page = try await client.call(ExchangeAPI.listPostings, query: query)
                        found += page.items.map(\.id)
                        query["cursor"] = page.next
                    } while query["cursor"] != nil
                    #expect(found == own)
                }
            }
            let contract = try #require(try await town.buyerClient.call(ExchangeAPI.listContracts).items.first).id
            let of = ["contract": contract.description]
            let theirs = try await town.buyerClient.call(ExchangeAPI.listPostings, query: of).items
            #expect(theirs.map(\.id) == all.filter { $0.contract == contract }.map(\.id) && !theirs.isEmpty)
            #expect(try await town.strangerClient.call(ExchangeAPI.listPostings, query: of).items.isEmpty)
        }
    }

    @Test func `CSV is quoted, and no cell is a formula`() async throws {
        try await withTown(.sqlite) { town in
            let evil = Transfer(amount: Money(microUnits: -1_500_000, .eur), reference: "=HYPERLINK(\"http://x\",\"y\"), Z")
            _ = try await town.exchange.operator.call(ExchangeAPI.transfer, path: ["participant": town.buyer.description], body: evil)
            let token = try await town.exchange.operator.call(
                ExchangeAPI.createParticipantToken, path: ["participant": town.buyer.description], body: CreateToken(description: "t")
            ).token
            let path = "/v1/participants/\(town.buyer)/statements/\(day(town.exchange.clock.now))"
            let client = try town.exchange.client(token: nil)
            for (suffix, accept) in [("?format=csv", "*/*"), ("", "text/csv")] {
                let answer = try await client.exchange(
                    .get, path: path + suffix, headers: [("authorization", "Bearer \(token)"), ("accept", accept)], body: Data())
                let text = String(decoding: answer.body, as: UTF8.self)
                let rows = text.components(separatedBy: "\r\n")
                #expect(answer.status == 200 && rows.count == 6 && rows.last == "")
                #expect(rows[0].hasPrefix("day,participant,account,time,posting,reason,counter accounts,contract,order,reference,amount"))
                #expect(rows[3].contains(#","'=HYPERLINK(""http://x"",""y""), Z",-1.50,998.50,EUR"#))
                #expect(rows[4].hasSuffix("cash,,,closing,,,,,,998.50,EUR"))
            }
            let wrong = try await problem {
                try await town.buyerClient.call(
                    ExchangeAPI.showStatement, path: ["participant": town.buyer.description, "day": "2026-01-31"],
                    query: ["format": "xml"])
            }
            #expect(wrong.rule == "request.query")
        }
    }

    @Test func `Days that are none, or not yet, and others' statements are refused`() async throws {
        try await withTown(.sqlite) { town in
            for text in ["2026-02-30", "yesterday", day(town.exchange.clock.now + .days(1))] {
                let refused = try await problem { try await statement(town.buyerClient, town.buyer, text) }
                #expect(refused.rule == "statement.day" && refused.nearest == day(town.exchange.clock.now))
            }
            #expect(try await problem { try await statement(town.strangerClient, town.buyer, "2026-01-31") }.status == 404)
            let before = try await statement(try town.exchange.operator, town.buyer, "2020-01-31")
            #expect(before.closed && before.lines.isEmpty && before.accounts.map(\.closingMicroUnits) == [0])
        }
    }

    @Test func `The chart says what each account is for`() async throws {
        try await withTown(.sqlite) { town in
            let chart = try await town.buyerClient.call(ExchangeAPI.chartOfAccounts).accounts
            #expect(chart.count == 12 && chart.allSatisfy { !$0.purpose.isEmpty && !$0.limits.isEmpty })
            #expect(chart.filter { $0.holder == .exchange }.map(\.account) == ["external", "fees", "penalties"])
        }
    }

    /// A few days of a random market; then each statement of each day adds up with the one before and with the balances.
    @Test(arguments: DatabaseKind.allCases)
    func `Statements reconcile to the micro-unit`(_ kind: DatabaseKind) async throws {
        let risk = ProductRisk(
            collarThousandths: 400, bandThousandths: 150, haltSeconds: 10, takerFeeMillionths: 3_333, makerFeeMillionths: 777)
        try await withTown(kind, deposit: 2_000_000, risk: risk) { town in
            var random = SeededGenerator(seed: 11)
            var refusals = 0
            let first = town.exchange.clock.now
            for _ in 0..<120 {
                do { try await Self.step(town, &random) } catch is ProblemDocument { refusals += 1 }
                if Int64.random(in: 0..<12, using: &random) == 0 {
                    try await town.exchange.advance(.hours(Int64.random(in: 1...9, using: &random)))
                }
            }
            #expect(refusals > 0 && refusals < 110)
            let trades = try await town.exchange.operator.call(ExchangeAPI.listTrades).items
            #expect(trades.count > 5 && trades.contains { $0.busted != nil })
            #expect(try await town.exchange.problems() == [])
            for participant in [town.buyer, town.seller, town.stranger] {
                var closing: [String: Int64] = [:]
                var moment = first
                while day(moment) <= day(town.exchange.clock.now) {
                    let one = try await statement(try town.exchange.operator, participant, day(moment))
                    for account in one.accounts {
                        #expect(account.openingMicroUnits == closing[account.account] ?? 0)
                        let sum = one.lines.filter { $0.account == account.account }.map(\.amountMicroUnits).reduce(0, +)
                        #expect(account.openingMicroUnits + sum == account.closingMicroUnits)
                    }
                    closing = Dictionary(uniqueKeysWithValues: one.accounts.map { ($0.account, $0.closingMicroUnits) })
                    moment = moment + .days(1)
                }
                for (account, amount) in closing { #expect(try await town.balance(of: participant, account) == amount) }
            }
        }
    }

    private static func step(_ town: Town, _ random: inout SeededGenerator) async throws {
        let admin = try town.exchange.operator
        let price = Town.price + Int64.random(in: -4...4, using: &random) * 99_999
        let participant = ["participant": (Bool.random(using: &random) ? town.buyer : town.seller).description]
        switch Int64.random(in: 0..<10, using: &random) {
        case 0..<4: try await town.ask(Int64.random(in: 1...3, using: &random), at: price)
        case 4..<7:
            _ = try await town.manage.exchange.call(
                ExchangeAPI.placeOrder, body: town.bid(Int64.random(in: 1...3, using: &random), at: price))
        case 7:
            let amount = Money(microUnits: Int64.random(in: -300_000...300_000, using: &random), .eur)
            _ = try await admin.call(ExchangeAPI.transfer, path: participant, body: Transfer(amount: amount, reference: "r"))
        case 8:
            let line = GrantCreditLine(amount: Money(microUnits: Int64.random(in: 0...500_000, using: &random), .eur), reason: "r")
            _ = try await admin.call(ExchangeAPI.grantCreditLine, path: participant, body: line)
        default:
            guard let trade = try await admin.call(ExchangeAPI.listTrades).items.first else { return }
            _ = try await admin.call(ExchangeAPI.bustTrade, path: ["trade": trade.id.description], body: BustTrade(reason: "r"))
        }
    }
}
