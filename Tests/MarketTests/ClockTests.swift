import Market
import Primitives
import Testing

/// What the clock does when there is much to do, and what halts cost.
@Suite struct ClockTests {
    /// One command changes a bounded part of the market; the next goes on.
    @Test func muchThatIsDueIsDoneInParts() throws {
        var market = Market(clock: .zero)
        var seeds = SeededGenerator(seed: 3)
        func apply(_ command: MarketCommand, at: Instant) throws -> [MarketChange] { try market.apply(command, at: at, seed: seeds.next()) }
        let buyer = try #require(
            try apply(.addParticipant(name: "Acme", buys: true, sells: false, currency: .eur), at: .zero).participants.first
        ).id
        _ = try apply(.deposit(buyer, Money(microUnits: 1_000_000_000_000, .eur), reference: "bank"), at: .zero)
        let series = try #require(try apply(.addProduct(MarketFixture.terms(), termsHash: "00"), at: .zero).seriesList.first).id
        for number in 0..<7_000 as Range<Int64> {
            let conditions = OrderConditions(expires: Instant(microseconds: 1_000 + number))
            _ = try apply(
                .placeOrder(
                    OrderDraft(
                        participant: buyer, series: series, side: .buy, lifetime: .goodTillDate, price: 100, lots: 1,
                        conditions: conditions)), at: .zero)
        }
        let later = Instant(seconds: 1)
        #expect(throws: Refusal.self) { try apply(.resume(buyer), at: later) }
        let first = try apply(.tick, at: later)
        #expect(first.orders.count == 5_000 && market.nextDue != nil)
        #expect(try apply(.tick, at: later).orders.count == 2_000)
        #expect(market.nextDue == nil && market.balance(of: buyer, .heldForOrders) == 0)
    }

    @Test func whoCannotPayHaltsNothing() throws {
        var fixture = try MarketFixture(cash: 0, risk: RiskTerms(band: 100, haltSeconds: 60))
        try fixture.apply(.setReference(fixture.series.id, price: 100_000, reason: "opening"))
        try fixture.sell(1, at: 200_000)
        let refused = try refusal { try fixture.buy(1, at: 200_000, .immediateOrCancel, by: fixture.buyer) }
        #expect(refused.rule == "market.cash")
        #expect(fixture.market.series(fixture.series.id)?.halted == nil)
    }

    /// What a refusal says about the book is no more than the book shows.
    @Test func hiddenVolumeStaysHidden() throws {
        var fixture = try MarketFixture()
        try fixture.apply(
            .placeOrder(
                OrderDraft(
                    participant: fixture.seller, series: fixture.series.id, side: .sell, lifetime: .limit, price: 100_000, lots: 50,
                    datacenter: fixture.datacenter, conditions: OrderConditions(display: 3))))
        let refused = try refusal { try fixture.buy(60, at: 100_000, .fillOrKill, by: fixture.buyer) }
        #expect(refused.rule == "market.fill-or-kill" && refused.facts["available"] == 3 && refused.nearest == "3 lots")
    }
}
