import CloudAPI
import CloudClient
import Primitives
import TestSupport
import Testing

@Suite struct IdempotencyTests {
    @Test(arguments: DatabaseKind.allCases)
    func `The same request again gets the same answer, another one with its key a clear no`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            try await town.ask(10)
            let first = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(2), idempotencyKey: "k1")
            let again = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(2), idempotencyKey: "k1")
            #expect(first.id == again.id && first.contracts == again.contracts && first.contracts.count == 1)
            let other = try await problem {
                try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(3), idempotencyKey: "k1")
            }
            #expect(other.status == 409 && other.rule == "idempotency.reused")
            let stranger = try await town.strangerClient.call(ExchangeAPI.placeOrder, body: town.bid(2), idempotencyKey: "k1")
            #expect(stranger.id != first.id, "keys are each caller's own")
            #expect(try await town.exchange.operator.call(ExchangeAPI.listContracts).items.count == 2)
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Sent many times at once it happens once`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            try await town.ask(50)
            let ids = try await withThrowingTaskGroup(of: OrderView.self) { group in
                for _ in 0..<24 {
                    group.addTask { try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1), idempotencyKey: "once") }
                }
                return try await group.reduce(into: Set<OrderID>()) { $0.insert($1.id) }
            }
            #expect(ids.count == 1)
            #expect(try await town.exchange.operator.call(ExchangeAPI.listContracts).items.count == 1)
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test func `A refusal is not remembered: nothing happened`() async throws {
        try await withTown(.sqlite) { town in
            let fill = PlaceOrder(series: town.series, side: .buy, type: .limit, price: Town.price, lots: 900_000)
            let short = try await problem { try await town.buyerClient.call(ExchangeAPI.placeOrder, body: fill, idempotencyKey: "k") }
            #expect(short.status == 402 && short.rule == "market.cash")
            #expect(try await town.exchange.operator.call(ExchangeAPI.listOrders).items.isEmpty)
            let money = Transfer(amount: Money(microUnits: 100_000_000_000, .eur), reference: "more")
            _ = try await town.exchange.operator.call(ExchangeAPI.transfer, path: ["participant": town.buyer.description], body: money)
            #expect(try await town.buyerClient.call(ExchangeAPI.placeOrder, body: fill, idempotencyKey: "k").state == .resting)
        }
    }

    @Test func `Client order ids are used once`() async throws {
        try await withTown(.sqlite) { town in
            var order = town.bid(1)
            order.clientOrderID = "mine"
            let results = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 {
                    group.addTask { [order] in (try? await town.buyerClient.call(ExchangeAPI.placeOrder, body: order)) != nil }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(results == 1)
            let again = try await problem { try await town.buyerClient.call(ExchangeAPI.placeOrder, body: order) }
            #expect(again.status == 409 && again.rule == "market.client-order-id")
            _ = try await town.strangerClient.call(ExchangeAPI.placeOrder, body: order)
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Secrets come again with the same request and are kept nowhere`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let admin = try town.exchange.operator
            let path = ["participant": town.buyer.description]
            let token = try await admin.call(
                ExchangeAPI.createParticipantToken, path: path, body: CreateToken(description: "a"), idempotencyKey: "t")
            let again = try await admin.call(
                ExchangeAPI.createParticipantToken, path: path, body: CreateToken(description: "a"), idempotencyKey: "t")
            #expect(token.token == again.token && token.id == again.id)
            let fresh = try await admin.call(ExchangeAPI.createParticipantToken, path: path, body: CreateToken(description: "a"))
            #expect(fresh.token != token.token)
            let other = try await problem {
                try await admin.call(
                    ExchangeAPI.createParticipantToken, path: path, body: CreateToken(description: "b"), idempotencyKey: "t")
            }
            #expect(other.status == 409 && other.rule == "idempotency.reused")
            let body = CreateEnrolment(participant: town.buyer, role: .manage)
            let enrolment = try await admin.call(ExchangeAPI.createEnrolment, body: body, idempotencyKey: "e")
            let same = try await admin.call(ExchangeAPI.createEnrolment, body: body, idempotencyKey: "e")
            #expect(enrolment.token == same.token && enrolment.expires == same.expires)
            let everything = try await town.exchange.storedText()
            #expect(everything.contains("idempotency_answers"))
            for secret in [token.token, fresh.token, enrolment.token, String(enrolment.token.prefix(30))] {
                #expect(!everything.contains(secret))
            }
        }
    }
}
