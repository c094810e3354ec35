import CloudAPI
import Exchange
import Foundation
import Primitives
import Store
import TestSupport
import Testing

/// Three sellers and three buyers trade for a week, with everything that goes wrong in one.
@Suite(.serialized) struct WeekTests {
    private static let happened: Set<String> = [
        "ask", "bid", "buy at once", "sell at once", "replace", "cancel", "cancel all", "forward ask", "forward bid", "certificate",
        "report",
        "stop", "restart", "day closed", "statement", "bust", "ended by the operator", "operator halt", "volatility halt", "suspended",
        "credit used", "service credit", "dispute opened", "dispute agreed", "dispute ruled", "dispute expired", "money in", "money out",
        "trade: spot", "trade: hour", "trade: day", "trade: week",
        "stretch: agreed", "stretch: buyers-report", "stretch: sellers-report", "stretch: contracted", "stretch: unconfirmed",
        "stretch: disputed",
        "cancelled: asked", "cancelled: immediate", "cancelled: expired", "cancelled: suspended", "cancelled: capacityWithdrawn",
        "cancelled: seriesClosed", "cancelled: volatility",
        "posting: bust", "posting: penalty", "posting: fee", "posting: service-credit", "posting: roll-hold", "posting: stretch-hold",
        "refused: market.cash", "refused: market.capacity", "refused: market.capacity-sold", "refused: market.collar",
        "refused: market.price", "refused: market.lots", "refused: market.role", "refused: market.halted", "refused: market.suspended",
        "refused: market.closed", "refused: market.self-trade", "refused: market.post-only", "refused: market.fill-or-kill",
        "refused: market.minimum", "refused: market.client-order-id", "refused: market.forward-fixed", "refused: market.trade-busted",
        "refused: market.credit-used", "refused: market.expires", "refused: market.dispute-over",
    ]

    @Test func `A week of trade keeps every rule after every step, and is the same on both databases`() async throws {
        var logs: [[String]] = []
        for kind in DatabaseKind.allCases {
            let began = ContinuousClock.now
            let week = try await simulate(kind)
            print("a week on \(kind.rawValue), \(week.log.count) steps, \(ContinuousClock.now - began)\n\(week.summary)")
            #expect(week.faults.isEmpty, "\(week.faults.joined(separator: "\n"))")
            let missing = Self.happened.subtracting(week.kinds)
            #expect(missing.isEmpty, "did not happen: \(missing.sorted())")
            logs.append(week.log)
        }
        let different = zip(logs[0], logs[1]).first { $0 != $1 }
        #expect(different == nil && logs[0].count == logs[1].count, "the databases part at \(String(describing: different))")
    }

    private struct Outcome: Sendable {
        var log: [String]
        var kinds: Set<String>
        var faults: [String]
        var summary: String
    }

    private func simulate(_ kind: DatabaseKind) async throws -> Outcome {
        try await withHome(kind) { home in
            home.clock.set(Self.sunday(before: home.clock.now))
            var before: Week?
            let hash = try await withExchange(home) { exchange in
                let (cast, stage) = try await WeekCast.arrive(exchange)
                let week = Week(cast, stage, seed: Week.seed)
                before = week
                try await week.lasting { try await week.run(to: 3 * 24 + 12) }
                return await exchange.service.stateHash()
            }
            let week = try #require(before)
            try await withExchange(home) { exchange in
                try await week.goOn(on: exchange, stateHash: hash)
                try await week.lasting {
                    try await week.run(to: Week.days * 24)
                    try await week.wind()
                }
                #expect(week.auditor.open.isEmpty && week.auditor.waiting.isEmpty, "everything is settled at the end")
            }
            return Outcome(log: week.log, kinds: week.kinds, faults: week.faults, summary: week.summary)
        }
    }

    /// Programs' certificates must be valid by the real time too, so the week is the one that ends about now.
    static func sunday(before moment: Instant) -> Instant {
        // 1970-01-04 was a Sunday.
        let epoch = Instant(seconds: 3 * 86_400)
        return epoch + Span(microseconds: (moment - epoch).microseconds / Span.days(7).microseconds * Span.days(7).microseconds)
    }
}
