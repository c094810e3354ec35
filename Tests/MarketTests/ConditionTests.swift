import Market
import Primitives
import Testing

/// What orders may ask for beside price and volume; the auditor looks on.
@Suite struct ConditionTests {
    private func draft(
        _ fixture: MarketFixture, _ side: Side, _ lots: Int64, at price: Int64, _ lifetime: Order.Lifetime = .limit,
        _ conditions: OrderConditions = .none, by: ParticipantID? = nil
    ) -> OrderDraft {
        OrderDraft(
            participant: by ?? (side == .buy ? fixture.buyer : fixture.seller), series: fixture.series.id, side: side, lifetime: lifetime,
            price: price, lots: lots, datacenter: side == .sell ? fixture.datacenter : nil, conditions: conditions)
    }

    private func place(
        _ fixture: inout MarketFixture, _ side: Side, _ lots: Int64, at price: Int64, _ lifetime: Order.Lifetime = .limit,
        _ conditions: OrderConditions = .none, by: ParticipantID? = nil
    ) throws(Refusal) -> Placed {
        Placed(changes: try fixture.apply(.placeOrder(draft(fixture, side, lots, at: price, lifetime, conditions, by: by))))
    }

    @Test func fillOrKillTakesAllOrSaysWhatThereIs() throws {
        var fixture = try MarketFixture()
        try fixture.sell(3, at: 30_000)
        let refused = try refusal { try place(&fixture, .buy, 5, at: 30_000, .fillOrKill) }
        #expect(refused.rule == "market.fill-or-kill" && refused.nearest == "3 lots")
        #expect(try place(&fixture, .buy, 3, at: 30_000, .fillOrKill).order.state == .filled)
    }

    @Test func marketOrdersTakeUpToTheirCap() throws {
        var fixture = try MarketFixture()
        for price in [30_000, 40_000, 50_000] as [Int64] { try fixture.sell(1, at: price) }
        let bought = try place(&fixture, .buy, 5, at: 45_000, .market)
        #expect(bought.trades.map(\.price) == [30_000, 40_000])
        #expect(bought.order.state == .cancelled && bought.order.cancelReason == .immediate)
    }

    @Test func postOnlyWaitsOrIsTold() throws {
        var fixture = try MarketFixture()
        try fixture.sell(1, at: 30_000)
        let refused = try refusal { try place(&fixture, .buy, 1, at: 30_000, .limit, OrderConditions(postOnly: true)) }
        #expect(refused.rule == "market.post-only" && refused.nearest == "a price of 29999")
        #expect(try place(&fixture, .buy, 1, at: 29_999, .limit, OrderConditions(postOnly: true)).order.state == .resting)
    }

    @Test func aMinimumTradesAtOnceOrNothingDoes() throws {
        var fixture = try MarketFixture()
        try fixture.sell(2, at: 30_000)
        let refused = try refusal { try place(&fixture, .buy, 5, at: 30_000, .limit, OrderConditions(minimumLots: 3)) }
        #expect(refused.rule == "market.minimum" && refused.nearest == "a minimum of 2 lots")
        let placed = try place(&fixture, .buy, 5, at: 30_000, .limit, OrderConditions(minimumLots: 2))
        #expect(placed.order.filled == 2 && placed.order.state == .resting)
    }

    @Test func allOrNoneIsPassedByUntilItFits() throws {
        var fixture = try MarketFixture()
        let whole = try place(&fixture, .sell, 5, at: 30_000, .limit, OrderConditions(allOrNone: true)).order
        try fixture.sell(5, at: 31_000)
        let small = try fixture.buy(3, at: 31_000)
        #expect(small.trades.map(\.price) == [31_000], "it passes by what it cannot take whole")
        #expect(fixture.market.order(whole.id)?.remaining == 5)
        let large = try fixture.buy(6, at: 31_000)
        #expect(large.trades.map(\.price) == [30_000, 31_000] && large.trades.map(\.lots) == [5, 1])
        let waits = try place(&fixture, .buy, 4, at: 31_000, .limit, OrderConditions(allOrNone: true))
        #expect(waits.trades.isEmpty && waits.order.state == .resting, "one lot is on offer, four are wanted")
    }

    @Test func anIcebergShowsAPartAndQueuesAgain() throws {
        var fixture = try MarketFixture()
        let iceberg = try place(&fixture, .sell, 10, at: 30_000, .limit, OrderConditions(display: 2)).order
        let other = try place(&fixture, .sell, 3, at: 30_000).order
        #expect(fixture.market.depth(of: fixture.series.id, side: .sell, levels: 1) == [DepthLevel(price: 30_000, lots: 5, orders: 2)])
        let bought = try fixture.buy(7, at: 30_000)
        #expect(bought.trades.map(\.sellOrder) == [iceberg.id, other.id, iceberg.id])
        #expect(bought.trades.map(\.lots) == [2, 3, 2])
        #expect(fixture.market.order(iceberg.id)?.remaining == 6 && fixture.market.order(iceberg.id)?.shown == 2)
        #expect(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.offered == 6, "hidden lots are capacity too")
    }

    @Test func goodTillDateLeavesByItself() throws {
        var fixture = try MarketFixture()
        let until = fixture.now + .seconds(30)
        let order = try place(&fixture, .buy, 1, at: 20_000, .goodTillDate, OrderConditions(expires: until)).order
        #expect(fixture.market.nextDue == until)
        try fixture.wait(.seconds(29))
        #expect(fixture.market.order(order.id) != nil)
        let changes = try fixture.wait(.seconds(1))
        #expect(changes.orders.first?.cancelReason == .expired)
        #expect(fixture.heldForOrders(fixture.buyer) == 0)
        #expect(try refusal { try place(&fixture, .buy, 1, at: 20_000, .goodTillDate) }.rule == "market.expires")
        #expect(
            try refusal { try place(&fixture, .buy, 1, at: 20_000, .limit, OrderConditions(expires: fixture.now + .hours(1))) }.rule
                == "market.expires")
    }

    @Test(arguments: OrderConditions.SelfMatch.allCases) func oneDoesNotTradeWithOneself(mode: OrderConditions.SelfMatch) throws {
        var fixture = try MarketFixture()
        let both = fixture.otherBuyer
        let place2 = DatacenterID(bits: 0xD2)
        try fixture.apply(.registerDatacenter(fixture.place(place2, of: both)))
        try fixture.apply(.declareCapacity(place2, fixture.product.id, lots: 10, by: both))
        try fixture.sell(1, at: 29_000)
        let own = try fixture.order(.sell, 2, at: 30_000, both, .limit, place2).order
        try fixture.sell(1, at: 31_000)
        let wanted = draft(fixture, .buy, 5, at: 31_000, .limit, OrderConditions(selfMatch: mode), by: both)
        guard mode != .refuse else {
            #expect(try refusal { try fixture.apply(.placeOrder(wanted)) }.rule == "market.self-trade")
            return
        }
        let placed = Placed(changes: try fixture.apply(.placeOrder(wanted)))
        let ownIsLeft = fixture.market.order(own.id) != nil
        switch mode {
        case .refuse: break
        case .cancelNewest: #expect(placed.order.filled == 1 && placed.order.cancelReason == .selfMatch && ownIsLeft)
        case .cancelOldest: #expect(placed.order.filled == 2 && placed.order.state == .resting && !ownIsLeft)
        case .cancelBoth: #expect(placed.order.filled == 1 && placed.order.cancelReason == .selfMatch && !ownIsLeft)
        }
    }

    @Test func contradictionsAreTold() throws {
        var fixture = try MarketFixture()
        let contradictions: [(Order.Lifetime, OrderConditions, String)] = [
            (.immediateOrCancel, OrderConditions(postOnly: true), "market.conditions"),
            (.market, OrderConditions(display: 1), "market.conditions"),
            (.fillOrKill, OrderConditions(allOrNone: true), "market.conditions"),
            (.limit, OrderConditions(display: 1, allOrNone: true), "market.conditions"),
            (.limit, OrderConditions(postOnly: true, minimumLots: 1), "market.conditions"),
            (.limit, OrderConditions(display: 0), "market.display"), (.limit, OrderConditions(display: 9), "market.display"),
            (.limit, OrderConditions(minimumLots: 9), "market.minimum"),
        ]
        for (lifetime, conditions, rule) in contradictions {
            #expect(try refusal { try place(&fixture, .buy, 3, at: 20_000, lifetime, conditions) }.rule == rule, "\(conditions)")
        }
    }
}

/// Changing and taking back orders, and stopping those who trade.
@Suite struct ControlTests {
    @Test func fewerLotsKeepThePlaceMoreLoseIt() throws {
        var fixture = try MarketFixture()
        let first = try fixture.sell(5, at: 30_000).order
        let second = try fixture.sell(5, at: 30_000).order
        try fixture.apply(.replaceOrder(first.id, price: nil, lots: 3, by: fixture.seller))
        #expect(try fixture.buy(1, at: 30_000).trades.first?.sellOrder == first.id)
        #expect(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.offered == 7)
        try fixture.apply(.replaceOrder(first.id, price: nil, lots: 6, by: fixture.seller))
        #expect(try fixture.buy(1, at: 30_000).trades.first?.sellOrder == second.id)
        #expect(fixture.market.order(first.id)?.remaining == 5, "six in all, one traded")
        let refused = try refusal { try fixture.apply(.replaceOrder(first.id, price: nil, lots: 1, by: fixture.seller)) }
        #expect(refused.rule == "market.replace-filled")
        #expect(
            try refusal { try fixture.apply(.replaceOrder(first.id, price: 1, lots: nil, by: fixture.buyer)) }.rule
                == "market.unknown-order")
    }

    @Test func aBetterPriceTradesAtOnceWithTheMoneyPutAside() throws {
        var fixture = try MarketFixture(cash: 100_000)
        try fixture.sell(2, at: 50_000)
        let bid = try fixture.buy(2, at: 40_000).order
        #expect(fixture.cash(fixture.buyer) == 20_000)
        let changes = try fixture.apply(.replaceOrder(bid.id, price: 50_000, lots: nil, by: fixture.buyer))
        #expect(changes.orders.first?.state == .filled && changes.trades.count == 1)
        #expect(fixture.cash(fixture.buyer) == 0 && fixture.heldForContracts(fixture.buyer) == 100_000)
        try fixture.sell(1, at: 90_000)
        let poor = try fixture.apply(.deposit(fixture.buyer, Money(microUnits: 50_000, .eur), reference: "r"))
        #expect(!poor.isEmpty)
        let small = try fixture.buy(1, at: 40_000).order
        let refused = try refusal { try fixture.apply(.replaceOrder(small.id, price: 60_000, lots: nil, by: fixture.buyer)) }
        #expect(refused.rule == "market.cash", "fifty thousand in all do not buy at sixty")
        #expect(fixture.market.order(small.id)?.draft.price == 40_000, "the order stands as it was")
    }

    @Test func theKillSwitchTakesEverythingBack() throws {
        var fixture = try MarketFixture()
        for price in [20_000, 21_000] as [Int64] { try fixture.buy(1, at: price) }
        let changes = try fixture.apply(.suspend(fixture.buyer, reason: "runaway program"))
        #expect(changes.orders.map(\.cancelReason) == [.suspended, .suspended])
        #expect(fixture.heldForOrders(fixture.buyer) == 0)
        let refused = try refusal { try fixture.buy(1, at: 20_000) }
        #expect(refused.rule == "market.suspended" && refused.message.contains("runaway program"))
        try fixture.apply(.resume(fixture.buyer))
        #expect(try fixture.buy(1, at: 20_000).order.state == .resting)
    }

    @Test func aHaltStopsTradingNotCancelling() throws {
        var fixture = try MarketFixture()
        let bid = try fixture.buy(1, at: 20_000).order
        try fixture.apply(.halt(fixture.series.id, reason: "price in doubt"))
        #expect(try refusal { try fixture.sell(1, at: 20_000) }.rule == "market.halted")
        try fixture.apply(.cancelOrder(bid.id, by: fixture.buyer))
        try fixture.apply(.reopen(fixture.series.id))
        #expect(try fixture.sell(1, at: 20_000).order.state == .resting)
    }

    @Test func massCancelTakesWhatIsMeant() throws {
        var fixture = try MarketFixture()
        for _ in 0..<3 { try fixture.buy(1, at: 20_000) }
        try fixture.buy(1, at: 20_000, by: fixture.otherBuyer)
        try fixture.apply(.cancelOrders(of: fixture.buyer, series: fixture.series.id, side: .sell))
        #expect(fixture.market.snapshot().orders.count == 4)
        try fixture.apply(.cancelOrders(of: fixture.buyer, series: nil, side: nil))
        #expect(fixture.market.snapshot().orders.map(\.draft.participant) == [fixture.otherBuyer])
    }
}
