import Market
import Primitives
import Testing

@Suite struct OrderTests {
    @Test func restingSellIsBoughtAtItsPrice() throws {
        var fixture = try MarketFixture()
        let ask = try fixture.sell(10, at: 30_000).order
        #expect(ask.state == .resting)
        let bid = try fixture.buy(4, at: 50_000)
        #expect(bid.order.state == .filled)
        #expect(bid.order.filled == 4)
        let trade = try #require(bid.trades.first)
        #expect(trade.price == 30_000, "the order that waited sets the price")
        #expect(trade.lots == 4)
        #expect(trade.buyOrder == bid.order.id && trade.sellOrder == ask.id && trade.taker == .buy)
        #expect(fixture.market.order(ask.id)?.remaining == 6)
        #expect(fixture.market.order(bid.order.id) == nil, "a filled order has left the market")
        let offering = try #require(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter))
        #expect((offering.declared, offering.offered, offering.sold) == (100, 6, 4))
        // 12:00 sharp: a whole hour of 4 lots at 0.03.
        #expect(fixture.heldForContracts(fixture.buyer) == 120_000)
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000 - 120_000)
    }

    @Test func restingBuyPutsAWholePeriodAsideAndGetsTheRestBack() throws {
        var fixture = try MarketFixture()
        fixture.now = fixture.now + .minutes(30)
        let bid = try fixture.buy(10, at: 50_000).order
        #expect(fixture.heldForOrders(fixture.buyer) == 500_000)
        let ask = try fixture.sell(4, at: 40_000)
        #expect(ask.order.state == .filled)
        #expect(try #require(ask.trades.first).price == 50_000)
        #expect(fixture.heldForOrders(fixture.buyer) == 300_000)
        #expect(fixture.heldForContracts(fixture.buyer) == 100_000, "half an hour of 4 lots at 0.05")
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000 - 400_000)
        try fixture.apply(.cancelOrder(bid.id, by: fixture.buyer))
        #expect(fixture.heldForOrders(fixture.buyer) == 0)
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000 - 100_000)
    }

    @Test func immediateOrderLeavesNothingBehind() throws {
        var fixture = try MarketFixture()
        try fixture.sell(3, at: 30_000)
        let bid = try fixture.buy(5, at: 30_000, .immediateOrCancel)
        #expect(bid.order.filled == 3)
        #expect(bid.order.state == .cancelled)
        #expect(bid.order.cancelReason == .immediate)
        #expect(fixture.heldForOrders(fixture.buyer) == 0)
        #expect(fixture.market.depth(of: fixture.series.id, side: .buy, levels: 1).isEmpty)
        let none = try fixture.buy(5, at: 30_000, .immediateOrCancel)
        #expect(none.order.filled == 0 && none.trades.isEmpty)
    }

    @Test func oneOrderMeetsManyCheapestFirst() throws {
        var fixture = try MarketFixture()
        for price in [33_000, 31_000, 32_000] as [Int64] { try fixture.sell(2, at: price) }
        let bid = try fixture.buy(5, at: 40_000)
        #expect(bid.trades.map(\.price) == [31_000, 32_000, 33_000])
        #expect(bid.trades.map(\.lots) == [2, 2, 1])
        #expect(bid.contracts.count == 3)
        #expect(fixture.heldForContracts(fixture.buyer) == 2 * 31_000 + 2 * 32_000 + 33_000)
    }

    @Test func amountsThatDoNotDivideStayExact() throws {
        // 7 µs after the hour: no stretch of this hour costs whole micro-units.
        var fixture = try MarketFixture(cash: 10_000)
        fixture.now = fixture.now + Span(microseconds: 7)
        try fixture.buy(7, at: 333)
        #expect(fixture.heldForOrders(fixture.buyer) == 7 * 333)
        for _ in 0..<7 { try fixture.sell(1, at: 1) }
        #expect(fixture.heldForOrders(fixture.buyer) == 0)
        #expect(fixture.cash(fixture.buyer) + fixture.heldForContracts(fixture.buyer) == 10_000)
        try fixture.wait(.hours(3))
        #expect(fixture.auditor.problems(with: fixture.market) == [])
    }

    @Test func theHoldOfAnOrderCoversAnyTradeOfIt() throws {
        // 101 micro-units an hour are 1.68 a minute: 2 are put aside for each lot.
        var fixture = try MarketFixture(cash: 14, spotPeriod: .minutes(1))
        #expect(try refusal { try fixture.buy(8, at: 101) }.nearest == "7 lots")
        var poorer = try MarketFixture(cash: 13, spotPeriod: .minutes(1))
        #expect(try refusal { try poorer.buy(7, at: 101) }.nearest == "6 lots")
        try fixture.buy(7, at: 101)
        #expect(fixture.heldForOrders(fixture.buyer) == 14 && fixture.cash(fixture.buyer) == 0)
        for _ in 0..<7 { try fixture.sell(1, at: 1) }
        #expect(fixture.heldForOrders(fixture.buyer) == 0)
        #expect(fixture.heldForContracts(fixture.buyer) == 14, "seven times 1.68, each rounded to 2")
    }

    @Test func declaringLessCancelsTheNewestOffers() throws {
        var fixture = try MarketFixture(capacity: 10)
        let first = try fixture.sell(4, at: 10).order
        let second = try fixture.sell(4, at: 5).order
        try fixture.buy(3, at: 5)
        let changes = try fixture.apply(.declareCapacity(fixture.datacenter, fixture.product.id, lots: 7, by: fixture.seller))
        #expect(changes.orders.map(\.id) == [second.id])
        #expect(changes.orders.first?.cancelReason == .capacityWithdrawn)
        #expect(fixture.market.order(first.id)?.remaining == 4)
        let no = try refusal { try fixture.apply(.declareCapacity(fixture.datacenter, fixture.product.id, lots: 2, by: fixture.seller)) }
        #expect(no.rule == "market.capacity-sold")
        #expect(no.nearest == "3")
    }

    @Test func theNearestAllowedOrderIsAllowed() throws {
        var fixture = try MarketFixture(cash: 1_000_000, capacity: 50)
        fixture.now = fixture.now + .minutes(20)
        try fixture.sell(10, at: 30_000)
        try fixture.sell(10, at: 60_000)
        let no = try refusal { try fixture.buy(50, at: 70_000) }
        #expect(no.rule == "market.cash" && no.category == .funds)
        let words = try #require(no.nearest)
        let lots = try #require(Int64(words.prefix(while: \.isNumber)))
        let more = try refusal { try fixture.buy(lots + 1, at: 70_000) }
        #expect(more.rule == "market.cash")
        try fixture.buy(lots, at: 70_000)
        let full = try refusal { try fixture.sell(40, at: 1_000) }
        #expect(full.rule == "market.capacity" && full.nearest == "30 lots")
        try fixture.sell(30, at: 80_000)
    }

    @Test func anOrderForOneselfIsRefusedWhole() throws {
        var fixture = try MarketFixture()
        let mine = DatacenterID(bits: 0xD2)
        try fixture.apply(.registerDatacenter(fixture.place(mine, of: fixture.otherBuyer)))
        try fixture.apply(.declareCapacity(mine, fixture.product.id, lots: 5, by: fixture.otherBuyer))
        try fixture.sell(2, at: 10)
        _ = try fixture.order(.sell, 5, at: 20, fixture.otherBuyer, .limit, mine)
        let no = try refusal { try fixture.buy(4, at: 30, by: fixture.otherBuyer) }
        #expect(no.rule == "market.self-trade")
        #expect(no.facts["before"] == 2)
        try fixture.buy(2, at: 30, by: fixture.otherBuyer)
        try fixture.buy(4, at: 30)
    }
}
