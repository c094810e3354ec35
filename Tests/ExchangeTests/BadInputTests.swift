import CloudAPI
import CloudClient
import Exchange
import Foundation
import Primitives
import Testing
import TestSupport

@Suite struct BadInputTests {
    @Test func `Orders that cannot be get the documented no, and nothing changes`() async throws {
        try await withTown(.sqlite) { town in
            let hash = await town.exchange.service.stateHash()
            let sell = PlaceOrder(
                series: town.series, side: .sell, type: .limit, price: 1, lots: 1, datacenter: DatacenterID(town.connect.id))
            func order(_ from: PlaceOrder, _ change: (inout PlaceOrder) -> Void) -> PlaceOrder {
                var copy = from
                change(&copy)
                return copy
            }
            let bid = town.bid(1)
            let cases: [(CloudClient, PlaceOrder, Int, String)] = [
                (town.buyerClient, order(bid) { $0.series = SeriesID(bits: 1) }, 404, "market.unknown-series"),
                (town.buyerClient, order(bid) { $0.lots = 0 }, 422, "market.lots"),
                (town.buyerClient, order(bid) { $0.lots = -1 }, 422, "market.lots"),
                (town.buyerClient, order(bid) { $0.lots = .max }, 422, "market.lots"),
                (town.buyerClient, order(bid) { $0.price = 0 }, 422, "market.price"),
                (town.buyerClient, order(bid) { $0.price = .max }, 422, "market.price"),
                (town.buyerClient, order(bid) { $0.lots = 1_000_000 }, 402, "market.cash"),
                (town.buyerClient, order(bid) { $0.clientOrderID = "" }, 422, "market.name"),
                (town.buyerClient, sell, 403, "market.role"),
                (town.connect.exchange, order(sell) { $0.lots = 101 }, 507, "market.capacity"),
            ]
            for (client, body, status, rule) in cases {
                let no = try await problem { try await client.call(ExchangeAPI.placeOrder, body: body) }
                #expect(no.status == status && no.rule == rule, "\(rule): \(no.status) \(no.rule)")
                #expect(!no.detail.isEmpty)
            }
            #expect(await town.exchange.service.stateHash() == hash)
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test func `Other requests that cannot be`() async throws {
        try await withTown(.sqlite) { town in
            let admin = try town.exchange.operator
            let buyer = ["participant": town.buyer.description]
            func transfer(_ units: Int64, _ currency: Currency = .eur) -> Transfer {
                Transfer(amount: Money(microUnits: units, currency), reference: "x")
            }
            let cases: [(Int, String, ProblemDocument)] = [
                (422, "market.amount", try await problem { try await admin.call(ExchangeAPI.transfer, path: buyer, body: transfer(0)) }),
                (402, "market.cash", try await problem { try await admin.call(ExchangeAPI.transfer, path: buyer, body: transfer(.min)) }),
                (
                    402, "market.balance",
                    try await problem { try await admin.call(ExchangeAPI.transfer, path: buyer, body: transfer(.max)) }
                ),
                (
                    422, "market.currency",
                    try await problem { try await admin.call(ExchangeAPI.transfer, path: buyer, body: transfer(1, .usd)) }
                ),
                (409, "market.name-taken", try await problem { try await admin.call(ExchangeAPI.createProduct, body: Town.definition()) }),
                (
                    422, "market.spot-period",
                    try await problem {
                        try await admin.call(ExchangeAPI.createProduct, body: Town.definition("p", spotPeriodSeconds: .max))
                    }
                ),
                (
                    409, "market.name-taken",
                    try await problem {
                        try await admin.call(
                            ExchangeAPI.createParticipant, body: CreateParticipant(name: "Acme", roles: [.buyer], currency: .eur))
                    }
                ),
                (
                    422, "market.role",
                    try await problem {
                        try await admin.call(ExchangeAPI.createParticipant, body: CreateParticipant(name: "X", roles: [], currency: .eur))
                    }
                ),
                (404, "request.identifier", try await problem { try await admin.call(ExchangeAPI.showOrder, path: ["order": "nonsense"]) }),
                (
                    404, "market.unknown-series",
                    try await problem { try await admin.call(ExchangeAPI.book, path: ["series": SeriesID(bits: 9).description]) }
                ),
                (422, "request.query", try await problem { try await admin.call(ExchangeAPI.listOrders, query: ["state": "gone"]) }),
                (422, "request.query", try await problem { try await admin.call(ExchangeAPI.listTrades, query: ["series": "x"]) }),
                (422, "request.query", try await problem { try await admin.call(ExchangeAPI.listOrders, query: ["limit": "0"]) }),
                (422, "request.query", try await problem { try await admin.call(ExchangeAPI.listOrders, query: ["colour": "red"]) }),
                (400, "request.cursor", try await problem { try await admin.call(ExchangeAPI.listContracts, query: ["cursor": "'"]) }),
            ]
            for (status, rule, no) in cases {
                #expect(no.status == status && no.rule == rule, "\(rule): \(no.status) \(no.rule) \(no.detail)")
            }
        }
    }

    @Test func `What is over stays over`() async throws {
        try await withTown(.sqlite) { town in
            let ask = try await town.ask(2)
            let path = ["order": ask.id.description]
            let cancelled = try await town.connect.exchange.call(ExchangeAPI.cancelOrder, path: path)
            #expect(cancelled.state == .cancelled)
            let again = try await problem { try await town.connect.exchange.call(ExchangeAPI.cancelOrder, path: path) }
            #expect(again.status == 409 && again.rule == "market.order-over")
            let contract = try await town.trade(1)
            let contractPath = ["contract": contract.id.description]
            _ = try await town.exchange.operator.call(
                ExchangeAPI.stopContract, path: contractPath, body: StopContract(reason: "x", immediately: true))
            let over = try await problem {
                try await town.buyerClient.call(ExchangeAPI.stopContract, path: contractPath, body: StopContract(reason: "x"))
            }
            #expect(over.status == 409 && over.rule == "market.contract-over")
        }
    }

    @Test func `Lists come in pages, newest first`() async throws {
        try await withTown(.sqlite) { town in
            for price in 1...7 as ClosedRange<Int64> {
                _ = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: price))
            }
            var prices: [Int64] = []
            var query = ["limit": "3"]
            while true {
                let page = try await town.buyerClient.call(ExchangeAPI.listOrders, query: query)
                #expect(page.items.count <= 3)
                prices += page.items.map(\.price)
                guard let next = page.next else { break }
                query["cursor"] = next
            }
            #expect(prices == Array((1...7).reversed()))
            let book = try await town.strangerClient.call(ExchangeAPI.book, path: ["series": town.series.description])
            #expect(book.bids.map(\.price) == Array((1...7).reversed()) && book.asks.isEmpty)
            let first = try await town.exchange.operator.call(ExchangeAPI.listParticipants, query: ["limit": "2"])
            let rest = try await town.exchange.operator.call(
                ExchangeAPI.listParticipants, query: ["limit": "2", "cursor": try #require(first.next)])
            #expect(Set((first.items + rest.items).map(\.id)) == [town.buyer, town.seller, town.stranger] && rest.next == nil)
        }
    }

    @Test func `The page shows the lists, after a login`() async throws {
        try await withTown(.sqlite) { town in
            let contract = try await town.trade(2)
            try await town.ask(5)
            var html = Data()
            try await town.exchange.operator.download(path: "/", from: 0, deadline: .seconds(5)) { html.append($0) }
            let text = String(decoding: html, as: UTF8.self)
            for expected in ["Exchange demo", "general.demo-1a.das", contract.id.description, "Acme", "3.60", "held-for-contracts"] {
                #expect(text.contains(expected), "\(expected)")
            }
            var own = Data()
            try await town.strangerClient.download(path: "/", from: 0, deadline: .seconds(5)) { own.append($0) }
            #expect(!String(decoding: own, as: UTF8.self).contains(contract.id.description))
            await #expect(throws: (any Error).self) {
                try await town.exchange.client(token: nil).download(path: "/", from: 0, deadline: .seconds(5)) { _ in }
            }
        }
    }
}
