import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// A database as an earlier version left it, with a contract in delivery and an order in the book, goes on.
@Suite struct UpgradeTests {
    private static let (seller, buyer) = (ParticipantID(bits: 1), ParticipantID(bits: 2))
    private static let (product, series) = (ProductID(bits: 3), SeriesID(bits: 4))
    private static let (datacenter, contract) = (DatacenterID(bits: 5), ContractID(bits: 6))
    private static let (ask, bid) = (OrderID(bits: 7), OrderID(bits: 8))

    /// What the first version with order conditions knew: no journal, no forwards, no fees, no deliveries.
    private func leaveEarlierVersion(_ home: ExchangeHome) async throws {
        let database = try openDatabase(home.url, options: .quiet)
        try await database.migrate([Tokens.migration] + Array(Schema.migrations.prefix { $0.id != "exchange-3-journal" }))
        let start = home.clock.now
        try await database.write { transaction in
            try Self.insertParties(transaction, start)
            try Self.insertTrading(transaction, start)
            try Self.insertLedger(transaction, start)
            try transaction.execute(
                "UPDATE market_state SET clock = $1, last_priority = 2, last_contract = 1, last_posting = 2", [SQLValue(start)])
        }
        await database.close()
    }

    private static func insertParties(_ transaction: any WriteContext, _ start: Instant) throws {
        for (id, name, buys) in [(Self.seller, "Nordlicht", false), (Self.buyer, "Acme", true)] {
            try transaction.insert(
                "participants", "id, name, buys, sells, currency, created",
                [SQLValue(id), .text(name), SQLValue(buys ? 1 : 0), SQLValue(buys ? 0 : 1), .text("EUR"), SQLValue(start)])
        }
        try transaction.insert(
            "products", "id, name, definition, tick, largest_price, largest_lots, terms_hash, created",
            [
                SQLValue(Self.product), .text("general.demo"), .text(try WireJSON.text(Town.definition("general.demo"))), SQLValue(1),
                SQLValue(10_000_000_000), SQLValue(1_000_000), .text("00"), SQLValue(start),
            ])
        try transaction.insert("series", "id, product, kind", [SQLValue(Self.series), SQLValue(Self.product), .text("spot")])
        try transaction.insert(
            "datacenters", "id, owner, name, region, zones, peer_address",
            [
                SQLValue(Self.datacenter), SQLValue(Self.seller), .text("one"), .text("demo"), .text(#"["demo-1a"]"#),
                .text("127.0.0.1:1"),
            ])
        try transaction.insert(
            "offerings", "datacenter, product, declared", [SQLValue(Self.datacenter), SQLValue(Self.product), SQLValue(10)])
    }

    private static func insertTrading(_ transaction: any WriteContext, _ start: Instant) throws {
        for (id, priority, party, side, lots, place, state) in [
            (Self.ask, 1, Self.seller, "sell", 5, SQLValue(Self.datacenter), "resting"),
            (Self.bid, 2, Self.buyer, "buy", 2, SQLValue.null, "filled"),
        ] {
            try transaction.insert(
                "orders", "id, priority, participant, series, side, lifetime, price, lots, filled, datacenter, state, placed",
                [
                    SQLValue(id), SQLValue(priority), SQLValue(party), SQLValue(Self.series), .text(side), .text("limit"),
                    SQLValue(Town.price), SQLValue(lots), SQLValue(2), place, .text(state), SQLValue(start),
                ])
        }
        try transaction.insert(
            "trades", "id, number, series, contract, buy_order, sell_order, taker, price, lots, at",
            [
                SQLValue(TradeID(bits: 9)), SQLValue(1), SQLValue(Self.series), SQLValue(Self.contract), SQLValue(Self.bid),
                SQLValue(Self.ask), .text("buy"), SQLValue(Town.price), SQLValue(2), SQLValue(start),
            ])
        try transaction.insert(
            "contracts",
            """
            id, number, trade, series, product, buyer, seller, datacenter, lots, price, currency, terms_hash, spot_period, created,
            period_start, period_end, state, settled_until, remainder, settled, held
            """,
            [
                SQLValue(Self.contract), SQLValue(1), SQLValue(TradeID(bits: 9)), SQLValue(Self.series), SQLValue(Self.product),
                SQLValue(Self.buyer), SQLValue(Self.seller), SQLValue(Self.datacenter), SQLValue(2), SQLValue(Town.price),
                .text("EUR"), .text("00"), SQLValue(Span.minutes(1)), SQLValue(start), SQLValue(start),
                SQLValue(start + .minutes(1)), .text("delivering"), SQLValue(start), SQLValue(0), SQLValue(0), SQLValue(120_000),
            ])
    }

    private static func insertLedger(_ transaction: any WriteContext, _ start: Instant) throws {
        let (buyer, nobody) = (SQLValue(Self.buyer), SQLValue.text(""))
        let postings: [(String, [(SQLValue, String, Int64, Int64)])] = [
            ("deposit", [(nobody, "external", -1_000_000, -1_000_000), (buyer, "cash", 1_000_000, 1_000_000)]),
            ("trade-hold", [(buyer, "cash", -120_000, 880_000), (buyer, "held-for-contracts", 120_000, 120_000)]),
        ]
        for (index, (reason, entries)) in postings.enumerated() {
            try transaction.insert("postings", "id, at, reason", [SQLValue(index + 1), SQLValue(start), .text(reason)])
            for (line, entry) in entries.enumerated() {
                try transaction.insert(
                    "entries", "posting, line, owner, kind, currency, amount, balance",
                    [
                        SQLValue(index + 1), SQLValue(line), entry.0, .text(entry.1), .text("EUR"), SQLValue(entry.2),
                        SQLValue(entry.3),
                    ])
            }
        }
        for (owner, kind, amount) in [
            (nobody, "external", -1_000_000), (buyer, "cash", 880_000), (buyer, "held-for-contracts", 120_000),
        ] as [(SQLValue, String, Int64)] {
            try transaction.insert("balances", "owner, kind, currency, amount", [owner, .text(kind), .text("EUR"), SQLValue(amount)])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `An earlier version's contracts and orders go on`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            try await leaveEarlierVersion(home)
            try await withExchange(home) { exchange in
                #expect(try await exchange.problems() == [])
                let admin = try exchange.operator
                let path = ["contract": Self.contract.description]
                let before = try await admin.call(ExchangeAPI.showContract, path: path)
                #expect(before.state == .delivering && before.confirmation?.buyer != nil && before.confirmation?.seller != nil)
                let book = try await admin.call(ExchangeAPI.showDepth, path: ["series": Self.series.description])
                #expect(book.asks.map(\.lots) == [3] && book.bids.isEmpty)
                let bars = try await admin.call(ExchangeAPI.listBars, path: ["series": Self.series.description]).items
                #expect(bars.map(\.lots) == [2], "made of the trades there were")

                // Rolls, is paid as contracted for lack of reports, and ends.
                try await exchange.advance(.seconds(55))
                try await exchange.advance(.seconds(15))
                let rolled = try await admin.call(ExchangeAPI.showContract, path: path)
                #expect(rolled.period.length == .minutes(2) && rolled.settledMicroUnits == 120_000)
                _ = try await admin.call(ExchangeAPI.stopContract, path: path, body: StopContract(reason: "enough"))
                try await exchange.advance(.minutes(2))
                #expect(try await admin.call(ExchangeAPI.showContract, path: path).state == .settled)
                #expect(try await exchange.problems() == [])
            }
        }
    }
}

extension WriteContext {
    fileprivate func insert(_ table: String, _ columns: String, _ values: [SQLValue]) throws {
        let places = (1...values.count).map { "$\($0)" }.joined(separator: ", ")
        try execute("INSERT INTO \(table) (\(columns)) VALUES (\(places))", values)
    }
}
