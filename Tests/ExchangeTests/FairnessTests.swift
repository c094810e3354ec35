import CloudAPI
import CloudClient
import Exchange
import Foundation
import FoundationNetworking
import Primitives
import Synchronization
import TestSupport
import Testing

/// How often something happened, by name.
private final class Counts: Sendable {
    private let counts = Mutex<[String: Int]>([:])
    func add(_ name: String) { counts.withLock { $0[name, default: 0] += 1 } }
    subscript(name: String) -> Int { counts.withLock { $0[name] ?? 0 } }
    var names: Set<String> { counts.withLock { Set($0.keys) } }
}

@Suite struct FairnessTests {
    private func withTown(_ limits: FairnessLimits, _ body: (Town) async throws -> Void) async throws {
        try await withHome(.sqlite) { home in
            try await withExchange(home, fairness: limits) { exchange in
                let town = try await Town(exchange, capacity: 10_000, deposit: 1_000_000_000_000)
                try await body(town)
                await town.leave()
            }
        }
    }

    /// 64 connections of one participant as fast as they can, and one that sends an order now and then.
    @Test(arguments: [true, false]) func aFloodIsTheFloodersOwnProblem(_ byRate: Bool) async throws {
        var limits = FairnessLimits()
        if byRate { (limits.commandsPerSecond, limits.burst) = (5, 60) } else { limits.waiting = 1 }
        let rule = byRate ? "exchange.rate" : "exchange.share"
        try await withTown(limits) { town in
            let counts = Counts()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<64 {
                    group.addTask {
                        while !Task.isCancelled {
                            do {
                                _ = try await town.strangerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: 1_000))
                                counts.add("accepted")
                            } catch let problem as ProblemDocument {
                                counts.add(problem.rule)
                            } catch {}
                        }
                    }
                }
                try await eventually("the flood is on", within: .seconds(180)) { counts[rule] > 100 }
                for number in 0..<50 {
                    let order = try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1, at: 2_000 + Int64(number)))
                    #expect(order.state == .resting)
                }
                group.cancelAll()
                try? await group.waitForAll()
            }
            #expect(counts.names == ["accepted", rule], "the flooder has its share, and no other refusal")
        }
    }

    /// Nobody's orders take the places of what gets one out; that has a share, too, and no rate.
    @Test func takingBackHasAShareOfItsOwn() async throws {
        var limits = FairnessLimits()
        (limits.waiting, limits.reserve, limits.commandsPerSecond, limits.burst) = (0, 1, 1, 1)
        try await withTown(limits) { town in
            let counts = Counts()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<64 {
                    group.addTask {
                        while !Task.isCancelled {
                            do {
                                _ = try await town.strangerClient.call(ExchangeAPI.cancelOrders, body: CancelOrders())
                                counts.add("accepted")
                            } catch let problem as ProblemDocument {
                                counts.add(problem.rule)
                            } catch {}
                        }
                    }
                }
                try await eventually("the flood is on", within: .seconds(180)) { counts["exchange.share"] > 100 }
                for _ in 0..<50 {
                    #expect(try await town.buyerClient.call(ExchangeAPI.cancelOrders, body: CancelOrders()).orders.isEmpty)
                }
                group.cancelAll()
                try? await group.waitForAll()
            }
            #expect(counts.names == ["accepted", "exchange.share"])
        }
    }

    @Test func whoIsThrottledIsToldWhenToComeBack() async throws {
        var limits = FairnessLimits()
        limits.waiting = 0
        try await withTown(limits) { town in
            let token = try await town.exchange.operator.call(
                ExchangeAPI.createParticipantToken, path: ["participant": town.buyer.description], body: CreateToken(description: "other"))
            var request = URLRequest(url: try #require(URL(string: town.exchange.base + "/v1/orders")))
            request.httpMethod = "POST"
            request.setValue("Bearer \(token.token)", forHTTPHeaderField: "authorization")
            request.setValue("application/json", forHTTPHeaderField: "content-type")
            request.httpBody = try WireJSON.encode(town.bid(1))
            let (status, header) = try await Self.send(request)
            #expect(status == 429 && header == "1")
            // Taking back all of one's orders is never throttled.
            #expect(try await town.buyerClient.call(ExchangeAPI.cancelOrders, body: CancelOrders()).orders.isEmpty)
        }
    }

    private static func send(_ request: URLRequest) async throws -> (Int, String?) {
        try await withCheckedThrowingContinuation { continuation in
            URLSession.shared.dataTask(with: request) { _, response, error in
                if let response = response as? HTTPURLResponse {
                    continuation.resume(returning: (response.statusCode, response.value(forHTTPHeaderField: "retry-after")))
                } else {
                    continuation.resume(throwing: error ?? CancellationError())
                }
            }.resume()
        }
    }
}
