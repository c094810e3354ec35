import CloudAPI
import CloudClient
import Connect
import Fleet
import Foundation
import Primitives
import Store
import TestSupport
import Testing

/// Random asks, cancellations, trades, ends of contracts and hosts that come and go.
@Suite struct CapacityPropertyTests {
    @Test(.timeLimit(.minutes(5)), arguments: [(DatabaseKind.sqlite, UInt64(1)), (.sqlite, 2), (.postgres, 3)])
    func `Never more is set aside than hosts hold, and the exchange knows exactly that`(kind: DatabaseKind, seed: UInt64) async throws {
        try await withSellingHome(kind) { home in
            try await withSelling(home, { $0.comparisonSeconds = 2 }) { town in
                for number: UInt64 in 1...3 { try await town.addHost(number) }
                var walk = Walk(town: town, random: SeededGenerator(seed: seed))
                for round in 0..<12 {
                    for _ in 0..<10 {
                        try await walk.step()
                        #expect(try await walk.auditor.problems() == [], "seed \(seed), round \(round)")
                    }
                    await walk.rest(seed, round)
                }
                #expect(walk.asked > 10 && walk.refused > 0 && walk.bought > 0 && walk.ended > 0)
            }
        }
    }

    private struct Walk {
        let town: SellingTown
        var random: SeededGenerator
        var down: UInt64?
        var asked = 0
        var refused = 0
        var bought = 0
        var ended = 0
        var auditor: CapacityAuditor { CapacityAuditor(town: town) }

        mutating func step() async throws {
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<7: await ask()
            case 7..<10: try await cancel()
            case 10..<14: try await buy()
            case 14..<17: try await end()
            case 17: try await shrink()
            case 18: try await takeDown()
            default: try await bringBack()
            }
        }

        private mutating func series() -> SeriesID { Bool.random(using: &random) ? town.smallSeries : town.largeSeries }

        /// Several at once, which race for the same hosts and for the exchange's ear.
        private mutating func ask() async {
            var asks: [(SeriesID, Int64)] = []
            for _ in 0..<Int.random(in: 1...3, using: &random) { asks.append((series(), Int64.random(in: 1...5, using: &random))) }
            let town = self.town
            let done = await withTaskGroup(of: Bool.self) { [asks] group in
                for (series, lots) in asks {
                    group.addTask {
                        let no = await problem { try await town.ask(lots, of: series) }
                        #expect(no == nil || no?.rule == "ask.capacity" || no?.rule == "market.capacity", "\(no?.detail ?? "")")
                        return no == nil
                    }
                }
                return await group.reduce(into: [Bool]()) { $0.append($1) }
            }
            asked += done.filter { $0 }.count
            refused += done.filter { !$0 }.count
        }

        private func resting() async throws -> [OrderView] {
            try await town.admin.items(of: ExchangeAPI.listOrders, query: ["state": "resting"]).sorted { $0.id < $1.id }
        }

        private mutating func cancel() async throws {
            guard let order = try await resting().randomElement(using: &random) else { return }
            // It may be gone by now.
            _ = await problem { try await town.cancel(order) }
        }

        private mutating func shrink() async throws {
            guard let order = try await resting().filter({ $0.lots - $0.filled > 1 }).randomElement(using: &random) else { return }
            _ = await problem {
                try await town.seller.call(
                    ExchangeAPI.replaceOrder, path: ["order": order.id.description], body: ReplaceOrder(lots: order.lots - 1))
            }
        }

        private mutating func buy() async throws {
            let (lots, series) = (Int64.random(in: 1...3, using: &random), series())
            let order = try await town.buy(lots, of: series)
            bought += order.contracts.count
        }

        private mutating func end() async throws {
            let live = try await town.admin.items(of: ExchangeAPI.listContracts, query: ["state": "delivering"]).sorted { $0.id < $1.id }
            guard let contract = live.randomElement(using: &random) else { return }
            try await town.end(contract.id)
            ended += 1
        }

        private mutating func takeDown() async throws {
            guard down == nil else { return }
            let host = UInt64.random(in: 1...3, using: &random)
            try await town.set(host, .cordoned)
            down = host
        }

        private mutating func bringBack() async throws {
            guard let host = down else { return }
            try await town.set(host, .up)
            down = nil
        }

        /// Waits until nothing is under way, and compares.
        func rest(_ seed: UInt64, _ round: Int) async {
            do {
                try await eventually("it is quiet", within: .seconds(180), every: .milliseconds(50)) {
                    try await auditor.differences().isEmpty
                }
                #expect(try await auditor.problems() == [], "seed \(seed), round \(round)")
            } catch {
                let left = (try? await auditor.differences()) ?? []
                Issue.record("seed \(seed), round \(round): \(left) (\(error))")
            }
        }
    }
}
