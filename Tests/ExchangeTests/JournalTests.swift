import CloudAPI
import CloudClient
import Exchange
import Foundation
import Market
import Primitives
import ServiceKit
import Store
import Synchronization
import Testing
import TestSupport

/// The journal is the market: what is in it happened, what the tables lack of it is done again.
@Suite struct JournalTests {
    @Test(arguments: DatabaseKind.allCases)
    func `Tables that cannot be written hold nobody's order back, and catch up`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let tables = UnreliableDatabase(try openDatabase(home.url, options: .quiet))
            let journal = try UnreliableDatabase.journal(of: home)
            var hash: UInt64 = 0
            var traded = 1
            try await withExchange(home, database: tables, journal: journal) { exchange in
                let town = try await Town(exchange, capacity: 5_000, deposit: 1_000_000_000_000)
                try await town.ask(5_000)
                tables.mood.withLock { $0 = .refusing(.full("no space")) }
                // Acknowledged: it is in the journal.
                let draft = OrderDraft(
                    participant: town.buyer, series: town.series, side: .buy, lifetime: .limit, price: Town.price, lots: 1)
                let placed = try await exchange.service.place(draft)
                try await eventually("more is refused") {
                    let refused = await AccessTests.refusal {
                        _ = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1))
                        traded += 1
                    }
                    return refused?.rule == "store.full"
                }
                hash = await exchange.service.stateHash()
                #expect(placed.bits != 0)
                await town.leave()
            }
            tables.mood.withLock { $0 = .well }
            try await withExchange(home, database: tables, journal: journal) { exchange in
                #expect(await exchange.service.stateHash() == hash, "the next start does it again")
                #expect(try await exchange.problems() == [])
                let contracts = try await exchange.operator.call(ExchangeAPI.listContracts).items
                #expect(contracts.map(\.lots) == Array(repeating: 1, count: traded), "none twice, none lost")
                let chain = try await exchange.database.read { try $0.verifyAudit() }
                #expect(chain.problem == nil)
            }
            await tables.close()
            await journal.close()
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Rows reach the tables though nobody asks for them`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let tables = try openDatabase(home.url, options: .quiet)
            try await withExchange(home, database: tables) { exchange in
                let town = try await Town(exchange, capacity: 5_000, deposit: 1_000_000_000_000)
                for _ in 0..<50 {
                    _ = try await exchange.service.place(
                        OrderDraft(participant: town.buyer, series: town.series, side: .buy, lifetime: .limit, price: Town.price, lots: 1))
                }
                try await eventually("they were written by themselves") {
                    try await tables.read { try $0.queryOne("SELECT COUNT(*) AS n FROM orders")?.integer("n") } == 50
                }
                await town.leave()
            }
            await tables.close()
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `All of the journal makes the same market, and nothing in it can be altered unnoticed`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let journal = try UnreliableDatabase.journal(of: home)
            try await withExchange(home, journal: journal) { exchange in
                let town = try await Town(exchange)
                for number in 1...30 {
                    try await town.ask(Int64(number % 3 + 1))
                    _ = try? await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(2))
                }
                let whole = try await exchange.service.replayJournal()
                #expect(whole.problem == nil)
                #expect(whole.stateHash == (await exchange.service.stateHash()))
                #expect(whole.batches > 60)
                let part = try await exchange.service.replayJournal(upTo: 40)
                #expect(part.batches == 40 && part.stateHash != whole.stateHash)

                let view = try await exchange.operator.call(ExchangeAPI.replayJournal)
                #expect(view.intact && view.stateHash == view.runningStateHash && view.batches == whole.batches)
                #expect(view.isGood(wasWhole: true))
                let beginning = try await exchange.operator.call(ExchangeAPI.replayJournal, query: ["upTo": "40"])
                #expect(beginning.isGood(wasWhole: false) && !beginning.isGood(wasWhole: true))

                _ = try await journal.write { try $0.execute("UPDATE market_journal SET at = at + 1 WHERE number = 41") }
                #expect(try await exchange.service.replayJournal().problem?.contains("batch 41") == true)
                await town.leave()
            }
            await journal.close()
        }
    }

    /// A process that is silent with rows to write: another takes over and writes them, and reads at the first go on.
    @Test func `Who has lost the market reads what its successor wrote`() async throws {
        try await withHome(.postgres) { home in
            let tables = UnreliableDatabase(try openDatabase(home.url, options: .quiet))
            let journal = try UnreliableDatabase.journal(of: home)
            try await withExchange(home, instance: "one", database: tables, journal: journal) { first in
                let town = try await Town(first)
                try await town.ask(5)
                let path = ["series": town.series.description]
                #expect(try await town.buyerClient.call(ExchangeAPI.book, path: path).asks.map(\.lots) == [5])
                tables.mood.withLock { $0 = .refusing(.connection("stalled")) }
                let draft = OrderDraft(
                    participant: town.buyer, series: town.series, side: .buy, lifetime: .limit, price: Town.price, lots: 2)
                _ = try await first.service.place(draft)
                journal.mood.withLock { $0 = .refusing(.connection("stalled")) }
                home.clock.advance(by: .seconds(20))
                try await withExchange(home, instance: "two") { second in
                    let admin = try second.operator
                    try await eventually("the other has taken over") {
                        try await admin.call(ExchangeAPI.book, path: path).asks.map(\.lots) == [3]
                    }
                    _ = try await admin.call(
                        ExchangeAPI.transfer, path: ["participant": town.buyer.description],
                        body: Transfer(amount: Money(microUnits: 1, .eur), reference: "after"))
                    tables.mood.withLock { $0 = .well }
                    journal.mood.withLock { $0 = .well }
                    try await eventually("the first reads again") {
                        (try? await town.buyerClient.call(ExchangeAPI.book, path: path).asks.map(\.lots)) == [3]
                    }
                    let problems = try await second.problems()
                    #expect(problems == [])
                }
                await town.leave()
            }
            await journal.close()
            await tables.close()
        }
    }
}
