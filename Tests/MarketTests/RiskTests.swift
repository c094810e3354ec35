import Market
import Primitives
import Testing

/// Collars, halts, busts, credit lines and fees, one at a time; the auditor looks on.
@Suite struct RiskTests {
    private static let guarded = RiskTerms(
        collar: 500, band: 100, haltSeconds: 60, reference: .init(trades: 3, minimumLots: 2))

    /// Somebody bought two lots at 100,000: that is the reference.
    private func guarded(_ risk: RiskTerms = guarded) throws -> MarketFixture {
        var fixture = try MarketFixture(risk: risk)
        try fixture.sell(2, at: 100_000)
        try fixture.buy(2, at: 100_000)
        #expect(fixture.market.referencePrice(of: fixture.series.id) == 100_000)
        return fixture
    }

    private func series(_ fixture: MarketFixture) throws -> Series { try #require(fixture.market.series(fixture.series.id)) }

    // MARK: Reference price

    @Test func theReferenceIsTheAverageOfTheLastTrades() throws {
        var reference = ReferencePrice(rule: .init(trades: 3, minimumLots: 5))
        #expect(reference.price == nil)
        reference.record(.init(number: 1, price: 100, lots: 4))
        #expect(reference.price == nil, "four lots are too few")
        reference.record(.init(number: 2, price: 101, lots: 4))
        #expect(reference.price == 100, "100.5 goes to the even neighbour")
        reference.record(.init(number: 3, price: 107, lots: 2))
        #expect(reference.price == 102, "101.8")
        reference.bust(3)
        #expect(reference.price == 100)
        reference.record(.init(number: 4, price: 200, lots: 1))
        #expect(reference.price == 121, "the first is forgotten: 604 for 5 lots")
        reference.set(.init(price: 50, afterTrade: 4))
        #expect(reference.price == 50)
        reference.record(.init(number: 5, price: 60, lots: 5))
        #expect(reference.price == 60)
    }

    @Test func rangesLieOnTicksAndAreNeverEmpty() {
        let coarse = OrderLimits(tick: 100, largestPrice: 1_000, largestLots: 1)
        #expect(coarse.range(around: 250, thousandths: 1) == 200...300)
        #expect(coarse.range(around: 300, thousandths: 500) == 200...400)
        #expect(coarse.range(around: 100, thousandths: 900) == 100...200)
        #expect(coarse.range(around: 1_000, thousandths: 900) == 100...1_000)
        #expect(OrderLimits.standard.range(around: 1, thousandths: 1) == 1...2)
    }

    @Test func theOperatorsReferenceHoldsUntilEnoughTrades() throws {
        var fixture = try guarded()
        try fixture.apply(.setReference(fixture.series.id, price: 200_000, reason: "fixing"))
        #expect(fixture.market.collar(of: fixture.series.id) == 100_000...300_000)
        #expect(try fixture.apply(.setReference(fixture.series.id, price: 200_000, reason: "again")).isEmpty)
        try fixture.sell(1, at: 210_000)
        try fixture.buy(1, at: 210_000)
        #expect(fixture.market.referencePrice(of: fixture.series.id) == 200_000, "one lot is too little")
        try fixture.sell(1, at: 212_000)
        try fixture.buy(1, at: 212_000)
        #expect(fixture.market.referencePrice(of: fixture.series.id) == 211_000)
        #expect(try refusal { try fixture.apply(.setReference(fixture.series.id, price: 0, reason: "x")) }.rule == "market.price")
        #expect(try refusal { try fixture.apply(.setReference(fixture.series.id, price: 1, reason: "")) }.rule == "market.reason")
        #expect(try refusal { try fixture.apply(.setReference(SeriesID(bits: 1), price: 1, reason: "x")) }.category == .notFound)
    }

    // MARK: Collar

    @Test func ordersOutsideTheCollarAreToldWhatIsAllowed() throws {
        var fixture = try guarded()
        let no = try refusal { try fixture.buy(1, at: 150_001) }
        #expect(no.rule == "market.collar" && no.nearest == "150000" && no.facts["smallest"] == 50_000)
        #expect(try refusal { try fixture.sell(1, at: 49_999) }.nearest == "50000")
        try fixture.buy(1, at: 50_000)
        try fixture.sell(1, at: 150_000)
    }

    @Test func marketOrdersStopAtTheCollar() throws {
        var fixture = try guarded(RiskTerms(collar: 100, reference: .init(trades: 3, minimumLots: 2)))
        try fixture.sell(1, at: 110_000)
        try fixture.apply(.setReference(fixture.series.id, price: 120_000, reason: "fixing"))
        try fixture.sell(1, at: 125_000)
        try fixture.apply(.setReference(fixture.series.id, price: 105_000, reason: "fixing"))
        let bought = try fixture.buy(5, at: 200_000, .market)
        #expect(bought.trades.map(\.price) == [110_000])
        #expect(bought.order.cancelReason == .immediate && bought.order.draft.price == 200_000)
        #expect(try series(fixture).halted == nil)
    }

    @Test func anOrderTheCollarLeftBehindMayBecomeSmaller() throws {
        var fixture = try guarded()
        let ask = try fixture.sell(5, at: 150_000).order
        try fixture.apply(.setReference(fixture.series.id, price: 10_000, reason: "fixing"))
        try fixture.apply(.replaceOrder(ask.id, price: nil, lots: 2, by: fixture.seller))
        #expect(try refusal { try fixture.apply(.replaceOrder(ask.id, price: nil, lots: 3, by: fixture.seller)) }.rule == "market.collar")
    }

    // MARK: Halts

    @Test func aTradeTooFarOffHaltsTheSeriesForAWhile() throws {
        var fixture = try guarded()
        for price in [105_000, 110_000, 111_000] as [Int64] { try fixture.sell(1, at: price) }
        let bought = try fixture.buy(3, at: 120_000)
        #expect(bought.trades.map(\.price) == [105_000, 110_000])
        #expect(bought.order.state == .cancelled && bought.order.cancelReason == .volatility && bought.order.filled == 2)
        #expect(
            try series(fixture).halted
                == "The next trade would have been at 0.111 EUR; 0.09 EUR to 0.11 EUR is allowed around the reference price 0.10 EUR.")
        #expect(try series(fixture).haltedUntil == fixture.now + .seconds(60))
        #expect(fixture.market.nextDue == fixture.now + .seconds(60))
        #expect(fixture.market.referencePrice(of: fixture.series.id) == 110_000, "the edge that was hit")
        #expect(try refusal { try fixture.buy(1, at: 111_000) }.rule == "market.halted")
        try fixture.wait(.seconds(59))
        #expect(try series(fixture).halted != nil)
        try fixture.wait(.seconds(1))
        #expect(try series(fixture).halted == nil)
        #expect(try series(fixture).haltedUntil == nil)
        #expect(try fixture.buy(1, at: 120_000).trades.map(\.price) == [111_000], "the price has followed")
    }

    @Test func aPriceFarBelowHaltsBeforeAnythingTrades() throws {
        var fixture = try guarded()
        try fixture.sell(1, at: 60_000)
        let bought = try fixture.buy(1, at: 100_000)
        #expect(bought.trades.isEmpty && bought.order.cancelReason == .volatility)
        #expect(fixture.market.referencePrice(of: fixture.series.id) == 90_000)
    }

    @Test func theOperatorsHaltTakesPrecedence() throws {
        var fixture = try guarded()
        try fixture.sell(1, at: 120_000)
        try fixture.buy(1, at: 120_000)
        #expect(try series(fixture).haltedUntil != nil)
        try fixture.apply(.halt(fixture.series.id, reason: "we look into it"))
        #expect(try series(fixture).haltedUntil == nil)
        try fixture.wait(.minutes(10))
        #expect(try series(fixture).halted == "we look into it", "it does not reopen by itself")
        try fixture.apply(.reopen(fixture.series.id))
        try fixture.buy(1, at: 121_000)
        #expect(try series(fixture).haltedUntil == nil, "120,000 lies within a band of 110,000")
    }

    @Test func conditionsLookInsideTheBand() throws {
        var fixture = try guarded()
        try fixture.sell(1, at: 105_000)
        try fixture.sell(4, at: 140_000)
        let draft = { (lifetime: Order.Lifetime, conditions: OrderConditions) in
            MarketCommand.placeOrder(
                OrderDraft(
                    participant: fixture.buyer, series: fixture.series.id, side: .buy, lifetime: lifetime, price: 140_000, lots: 5,
                    conditions: conditions))
        }
        #expect(try refusal { try fixture.apply(draft(.fillOrKill, .none)) }.nearest == "1 lots")
        #expect(try refusal { try fixture.apply(draft(.limit, OrderConditions(minimumLots: 2))) }.rule == "market.minimum")
        #expect(try refusal { try fixture.apply(draft(.limit, OrderConditions(postOnly: true))) }.rule == "market.post-only")
        #expect(try series(fixture).halted == nil, "a refusal halts nothing")
        let whole = Placed(changes: try fixture.apply(draft(.limit, OrderConditions(allOrNone: true))))
        #expect(whole.trades.isEmpty && whole.order.cancelReason == .volatility)
    }

    // MARK: Busts

    @Test func aBustGivesEverythingBack() throws {
        var fixture = try MarketFixture(spotPeriod: .minutes(1), risk: RiskTerms(takerFee: 10_000, makerFee: 5_000))
        try fixture.sell(2, at: 3_600_000)
        let contract = try #require(try fixture.buy(2, at: 3_600_000).contracts.first)
        try fixture.confirm(contract)
        try fixture.wait(.seconds(90))
        #expect(fixture.cash(fixture.seller) == 119_400, "0.12 less half a percent")
        let changes = try fixture.apply(.bustTrade(contract.trade, reason: "a slip of the keyboard"))
        #expect(changes.events == [.busted, .ended, .settled])
        #expect(changes.postings.map(\.reason) == [.bust])
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000 && fixture.cash(fixture.seller) == 0)
        let over = try #require(changes.contracts(.settled).first)
        #expect(over.settled == 0 && over.closing?.cause == .busted && over.period.end == fixture.now)
        #expect(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.sold == 0)
        #expect(fixture.market.referencePrice(of: fixture.series.id) == nil)
        #expect(try refusal { try fixture.apply(.bustTrade(contract.trade, reason: "again")) }.rule == "market.unknown-trade")
    }

    @Test func theSellerMustHaveWhatItGivesBack() throws {
        var fixture = try MarketFixture(spotPeriod: .minutes(1))
        try fixture.sell(2, at: 3_600_000)
        let contract = try #require(try fixture.buy(2, at: 3_600_000).contracts.first)
        try fixture.confirm(contract)
        try fixture.wait(.seconds(65))
        try fixture.apply(.grantCredit(fixture.seller, Money(microUnits: 500_000, .eur), reason: "treasury"))
        try fixture.apply(.withdraw(fixture.seller, Money(microUnits: 20_000, .eur), reference: "r"))
        let no = try refusal { try fixture.apply(.bustTrade(contract.trade, reason: "a slip")) }
        #expect(no.rule == "market.bust-cash" && no.facts["needed"] == 120_000 && no.facts["cash"] == 100_000)
        try fixture.apply(.deposit(fixture.seller, Money(microUnits: 20_000, .eur), reference: "r"))
        try fixture.apply(.bustTrade(contract.trade, reason: "a slip"))
        #expect(fixture.cash(fixture.seller) == 0)
    }

    // MARK: Credit

    @Test func ordersAndRollsUseCreditAndWithdrawalsDoNot() throws {
        var fixture = try MarketFixture(cash: 100_000, spotPeriod: .minutes(1))
        try fixture.sell(2, at: 3_600_000)
        #expect(try refusal { try fixture.buy(2, at: 3_600_000) }.nearest == "1 lots")
        try fixture.apply(.grantCredit(fixture.buyer, Money(microUnits: 150_000, .eur), reason: "treasury"))
        try fixture.confirm(try #require(fixture.buy(2, at: 3_600_000).contracts.first))
        #expect(fixture.cash(fixture.buyer) == -20_000)
        try fixture.wait(.seconds(50))
        #expect(fixture.cash(fixture.buyer) == -140_000, "rolled on credit")
        let used = try refusal { try fixture.apply(.grantCredit(fixture.buyer, Money(microUnits: 139_999, .eur), reason: "less")) }
        #expect(used.rule == "market.credit-used" && used.nearest == "0.14 EUR")
        #expect(
            try refusal { try fixture.apply(.withdraw(fixture.buyer, Money(microUnits: 1, .eur), reference: "r")) }.rule == "market.cash")
        try fixture.wait(.seconds(60))
        #expect(
            fixture.market.snapshot().contracts.first?.closing?.detail
                == "The next period costs 0.12 EUR, more than the buyer's free cash and credit.")
        try fixture.wait(.seconds(65))
        try fixture.apply(.withdraw(fixture.seller, Money(microUnits: 240_000, .eur), reference: "all of it"))
        #expect(fixture.market.violations().isEmpty, "the exchange has lent what the buyer owes")
        try fixture.apply(.deposit(fixture.buyer, Money(microUnits: 140_000, .eur), reference: "r"))
        let changes = try fixture.apply(.grantCredit(fixture.buyer, Money(microUnits: 0, .eur), reason: "over"))
        #expect(changes.participants.first?.creditLine == 0 && changes.participants.first?.creditChanges == 2)
        #expect(try fixture.apply(.grantCredit(fixture.buyer, Money(microUnits: 0, .eur), reason: "over")).isEmpty)
    }

    // MARK: Fees

    @Test func feesAreExactOverManyCharges() throws {
        // A third of a micro-unit and less for each of many charges.
        var fixture = try MarketFixture(spotPeriod: .seconds(10), risk: RiskTerms(takerFee: 3_333, makerFee: 1_111))
        try fixture.sell(1, at: 36_361)
        try fixture.confirm(try #require(fixture.buy(1, at: 36_361).contracts.first))
        for _ in 0..<200 { try fixture.wait(.seconds(7)) }
        let contract = try #require(fixture.market.snapshot().contracts.first)
        #expect(contract.fees.buyer.rate == 3_333 && contract.fees.seller.rate == 1_111)
        #expect((contract.fees.buyer.charged * 1_000_000 - contract.settled * 3_333).magnitude <= 500_000)
        try fixture.apply(.endContract(contract.id, detail: "enough"))
        try fixture.wait(.seconds(5))
        #expect(fixture.market.balance(of: fixture.buyer, .fees) == 0)
        let earned = fixture.market.ledger.balance(of: LedgerAccount(owner: nil, kind: .fees, currency: .eur))
        #expect(earned == fixture.auditor.feesTaken && earned > 50)
    }

    @Test func whatRestsHasItsFeePutAside() throws {
        var fixture = try MarketFixture(cash: 101_000, risk: RiskTerms(takerFee: 20_000, makerFee: 10_000))
        try fixture.buy(1, at: 100_000)
        #expect(fixture.heldForOrders(fixture.buyer) == 101_000)
        let contract = try #require(try fixture.sell(1, at: 100_000).contracts.first)
        #expect(contract.fees.buyer.rate == 10_000 && contract.fees.seller.rate == 20_000)
        #expect(fixture.market.balance(of: fixture.buyer, .fees) == 1_000)
        #expect(try refusal { try fixture.buy(1, at: 1, .limit, by: fixture.buyer) }.facts["needed"] == 2)
    }

    @Test func termsAreChecked() throws {
        var fixture = try MarketFixture()
        let wrong: [(inout RiskTerms) -> Void] = [
            { $0.collar = 0 }, { $0.band = 100_001 }, { $0.haltSeconds = 0 }, { $0.reference.trades = 1_001 },
            { $0.reference.minimumLots = 0 }, { $0.takerFee = 100_001 }, { $0.makerFee = -1 },
        ]
        for change in wrong {
            var risk = RiskTerms.none
            change(&risk)
            #expect(try refusal { try fixture.add(MarketFixture.terms("x", risk: risk)) }.rule == "market.risk")
        }
    }

    @Test func theChartHasEveryKindOfAccount() {
        let participants = LedgerAccount.chart.filter { $0.holder == .participant }.map(\.kind)
        #expect(
            Set(participants) == [.cash, .heldForOrders, .heldForContracts, .margin, .bond, .receivable, .payable, .fees, .penalties])
        #expect(Set(LedgerAccount.chart.filter { $0.holder == .exchange }.map(\.kind)) == [.external, .fees, .penalties])
        for definition in LedgerAccount.chart {
            let range = LedgerAccount(owner: nil, kind: definition.kind, currency: .eur).range(credit: 0)
            #expect(definition.normalBalance == .credit ? range.upperBound > 0 : range.lowerBound < 0)
        }
    }
}
