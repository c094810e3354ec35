import Market
import Primitives
import Testing

/// Where forwards meet fees, busts, collars, halts and credit; the auditor looks on.
@Suite struct ForwardRiskTests {
    private static let start = ForwardSeriesTests.start
    /// 3.60 a lot-hour.
    private static let price: Int64 = 3_600_000
    private static let cash: Int64 = 1_000_000_000_000
    private static let fees = RiskTerms(takerFee: 10_000, makerFee: 5_000)
    private static let guarded = RiskTerms(collar: 500, band: 100, haltSeconds: 60, reference: .init(trades: 3, minimumLots: 2))

    private func fixture(cash: Int64 = cash, kinds: [Series.Kind] = [.day], risk: RiskTerms) throws -> MarketFixture {
        try ForwardSeriesTests.fixture(cash: cash, kinds: kinds, risk: risk)
    }

    /// Two lots of the next day, which begins in twelve hours; worth 172.80. The seller's order rested.
    private func oneDay(cash: Int64 = cash, risk: RiskTerms = fees) throws -> (MarketFixture, Contract) {
        var fixture = try fixture(cash: cash, risk: risk)
        let contract = try fixture.forward(2, at: Self.price, in: try #require(fixture.listed(.day).first))
        return (fixture, contract)
    }

    private func earned(_ fixture: MarketFixture) -> Int64 {
        fixture.market.ledger.balance(of: LedgerAccount(owner: nil, kind: .fees, currency: .eur))
    }

    // MARK: Fees

    @Test func feesArePutAsideStretchByStretch() throws {
        var (fixture, contract) = try oneDay()
        #expect(contract.fees.buyer.rate == 10_000 && contract.fees.seller.rate == 5_000 && contract.fees.held == 0)
        #expect(fixture.market.balance(of: fixture.buyer, .fees) == 0)
        try fixture.wait(.hours(11) + .minutes(50))
        #expect(fixture.heldForContracts(fixture.buyer) == 7_200_000 && fixture.market.balance(of: fixture.buyer, .fees) == 72_000)
        try fixture.wait(.hours(1))
        #expect(fixture.heldForContracts(fixture.buyer) == 14_400_000 && fixture.market.balance(of: fixture.buyer, .fees) == 144_000)
        try fixture.wait(.minutes(10))
        #expect(fixture.market.balance(of: fixture.buyer, .fees) == 144_000, "reports are awaited")
        try fixture.wait(.minutes(5))
        #expect(fixture.market.balance(of: fixture.buyer, .fees) == 72_000)
        #expect(fixture.cash(fixture.seller) == Self.cash - contract.bond + 7_200_000 - 36_000)
        contract = try #require(try fixture.wait(.hours(23)).contracts(.settled).first)
        #expect(contract.fees.buyer.charged == 1_728_000 && contract.fees.seller.charged == 864_000 && contract.fees.held == 0)
        #expect(fixture.cash(fixture.buyer) == Self.cash - 172_800_000 - 1_728_000)
        #expect(fixture.cash(fixture.seller) == Self.cash + 172_800_000 - 864_000)
        #expect(earned(fixture) == 2_592_000)
    }

    @Test func aBuyerWhoCannotPayTheFeeCannotPayTheStretch() throws {
        var (fixture, contract) = try oneDay(cash: 17_280_000 + 7_272_000 + 7_271_999)
        contract = try #require(try fixture.wait(.hours(36)).contracts(.settled).first)
        #expect(
            contract.closing?.detail
                == "The next period costs 7.272 EUR, more than the buyer's free cash and credit. For what is not delivered the seller gets 16.56 EUR of the margin."
        )
        #expect(contract.settled == 7_200_000 && contract.fees.buyer.charged == 72_000)
        #expect(fixture.cash(fixture.buyer) == 17_280_000 + 7_271_999 - 16_560_000)
        #expect(fixture.cash(fixture.seller) == Self.cash + 7_200_000 - 36_000 + 16_560_000, "no fee on a penalty")
        #expect(earned(fixture) == 108_000)
    }

    @Test func whatEndsEarlyGivesItsFeesBack() throws {
        var (fixture, contract) = try oneDay()
        try fixture.wait(.hours(12) + .minutes(30))
        try fixture.apply(.endContract(contract.id, detail: "breach"))
        #expect(fixture.market.balance(of: fixture.buyer, .fees) == 36_000, "for what is not paid yet")
        contract = try #require(try fixture.wait(.minutes(5)).contracts(.settled).first)
        #expect(contract.settled == 3_600_000 && contract.fees.buyer.charged == 36_000)
        #expect(fixture.cash(fixture.buyer) == Self.cash - 3_636_000 && fixture.market.balance(of: fixture.buyer, .fees) == 0)
    }

    /// A forward order puts up its margin and no fee; a spot order of the same product both.
    @Test func marginsHaveNoFee() throws {
        var fixture = try fixture(risk: Self.fees)
        try fixture.place(.buy, 1, at: Self.price, in: try #require(fixture.listed(.day).first))
        #expect(fixture.cash(fixture.buyer) == Self.cash - 8_640_000)
        try fixture.buy(1, at: Self.price)
        #expect(fixture.heldForOrders(fixture.buyer) == 3_618_000)
    }

    // MARK: Busts

    @Test func aBustBeforeDeliveryGivesMarginAndBondBack() throws {
        var (fixture, contract) = try oneDay()
        #expect(fixture.market.referencePrice(of: contract.series) == Self.price)
        let changes = try fixture.apply(.bustTrade(contract.trade, reason: "a slip of the keyboard"))
        #expect(changes.events == [.busted, .ended, .settled] && changes.postings.map(\.reason) == [.bust])
        #expect(fixture.cash(fixture.buyer) == Self.cash && fixture.cash(fixture.seller) == Self.cash)
        contract = try #require(changes.contracts(.settled).first)
        #expect(contract.period.end == contract.period.start && contract.margin == 0 && contract.bond == 0)
        #expect(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.free == 100)
        #expect(fixture.market.referencePrice(of: contract.series) == nil)
    }

    @Test func aBustInDeliveryGivesEverythingBack() throws {
        var (fixture, contract) = try oneDay()
        try fixture.wait(.hours(14) + .minutes(55))
        #expect(fixture.market.contract(contract.id)?.settled == 14_400_000 && fixture.heldForContracts(fixture.buyer) == 14_400_000)
        let changes = try fixture.apply(.bustTrade(contract.trade, reason: "a slip of the keyboard"))
        #expect(changes.events == [.busted, .ended, .settled])
        contract = try #require(changes.contracts(.settled).first)
        #expect(contract.period.end == fixture.now && contract.closing?.cause == .busted)
        #expect(fixture.cash(fixture.buyer) == Self.cash && fixture.cash(fixture.seller) == Self.cash && earned(fixture) == 0)
    }

    @Test func theBondPaysBackWhatTheSellerHasSpent() throws {
        var (fixture, contract) = try oneDay()
        let spend = { (fixture: inout MarketFixture) in
            let all = Money(microUnits: fixture.cash(fixture.seller), .eur)
            try fixture.apply(.withdraw(fixture.seller, all, reference: "spent"))
        }
        try fixture.wait(.hours(13) + .minutes(5))
        try spend(&fixture)
        var early = fixture
        try early.apply(.bustTrade(contract.trade, reason: "a slip"))
        #expect(early.cash(early.seller) == contract.bond - 7_164_000)
        try fixture.wait(.hours(1))
        try spend(&fixture)
        let no = try refusal { try fixture.apply(.bustTrade(contract.trade, reason: "a slip")) }
        #expect(no.rule == "market.bust-cash" && no.facts["needed"] == 14_328_000 && no.facts["cash"] == .number(contract.bond))
    }

    // MARK: Collars and halts

    @Test func eachSeriesHasItsOwnReference() throws {
        var fixture = try fixture(kinds: [.day, .week], risk: Self.guarded)
        let days = fixture.listed(.day)
        _ = try fixture.forward(2, at: 100_000, in: days[0])
        #expect(fixture.market.collar(of: days[0].id) == 50_000...150_000)
        #expect(try refusal { try fixture.place(.buy, 1, at: 150_001, in: days[0]) }.rule == "market.collar")
        #expect(fixture.market.collar(of: days[1].id) == nil && fixture.market.referencePrice(of: fixture.series.id) == nil)
        try fixture.place(.buy, 1, at: 150_001, in: days[1])
        try fixture.buy(1, at: 150_001)
    }

    @Test func oneSeriesHaltsAndReopensAndTheOthersGoOn() throws {
        var fixture = try fixture(risk: Self.guarded)
        let days = fixture.listed(.day)
        _ = try fixture.forward(2, at: 100_000, in: days[0])
        for price in [105_000, 120_000] as [Int64] { try fixture.place(.sell, 1, at: price, in: days[0]) }
        let before = fixture.market.balance(of: fixture.buyer, .margin)
        let bought = try fixture.place(.buy, 2, at: 130_000, in: days[0])
        #expect(bought.trades.map(\.price) == [105_000] && bought.order.cancelReason == .volatility)
        #expect(fixture.market.balance(of: fixture.buyer, .margin) == before + 252_000, "a tenth of 24 × 105,000; nothing for the rest")
        #expect(fixture.market.series(days[0].id)?.state == .halted && fixture.market.nextDue == Self.start + .seconds(60))
        _ = try fixture.forward(1, at: 100_000, in: days[1])
        try fixture.wait(.seconds(60))
        #expect(fixture.market.series(days[0].id)?.state == .open)
        #expect(try fixture.place(.buy, 1, at: 120_000, in: days[0]).trades.map(\.price) == [120_000], "the price has followed")
    }

    /// Halted at 12:00, closes at 12:45.
    @Test(arguments: [2_700, 3_600, 86_400] as [Int64])
    func aHaltByItselfEndsWithTradingAtTheLatest(seconds: Int64) throws {
        var risk = Self.guarded
        risk.haltSeconds = seconds
        var fixture = try fixture(kinds: [.hour], risk: risk)
        let hour = try #require(fixture.listed(.hour).first)
        try fixture.apply(.setReference(hour.id, price: 100_000, reason: "opening"))
        try fixture.place(.sell, 1, at: 140_000, in: hour)
        try fixture.place(.buy, 1, at: 140_000, in: hour)
        #expect(fixture.market.series(hour.id)?.haltedUntil == Self.start + .seconds(seconds))
        try fixture.wait(.minutes(44))
        #expect(fixture.market.series(hour.id)?.state == .halted)
        try fixture.wait(.minutes(1))
        let closed = try #require(fixture.market.series(hour.id))
        #expect(closed.state == .closed && closed.halted == nil && closed.haltedUntil == nil)
        try fixture.wait(.days(2))
        #expect(fixture.market.series(hour.id) == nil && fixture.market.referencePrice(of: hour.id) == nil)
    }

    @Test func quotesStopAtTheBand() throws {
        var fixture = try fixture(kinds: [.hour], risk: Self.guarded)
        let hour = try #require(fixture.listed(.hour).first)
        let window = try #require(hour.delivery)
        try fixture.apply(.setReference(hour.id, price: 100_000, reason: "opening"))
        try fixture.place(.sell, 2, at: 105_000, in: hour)
        try fixture.place(.sell, 3, at: 120_000, in: hour)
        let ask = { (lots: Int64) throws(Refusal) in
            try fixture.market.quote(QuoteRequest(product: fixture.product.id, window: window, lots: lots, side: .buy), at: fixture.now)
        }
        #expect(try refusal { try ask(3) }.nearest == "2 lots for the whole window")
        let leg = try #require(try ask(2).legs.first)
        #expect(try fixture.place(.buy, leg.lots, at: leg.limit, in: hour, .fillOrKill).order.filled == 2)
    }

    // MARK: Credit

    @Test func marginsAndStretchesUseCredit() throws {
        var fixture = try fixture(cash: 10_000_000, risk: .none)
        let day = try #require(fixture.listed(.day).first)
        try fixture.place(.sell, 2, at: Self.price, in: day)
        #expect(try refusal { try fixture.place(.buy, 2, at: Self.price, in: day) }.nearest == "1 lots")
        try fixture.apply(.grantCredit(fixture.buyer, Money(microUnits: 181_000_000, .eur), reason: "treasury"))
        try fixture.confirm(try #require(fixture.place(.buy, 2, at: Self.price, in: day).changes.contracts(.created).first))
        #expect(fixture.cash(fixture.buyer) == -7_280_000)
        let changes = try fixture.wait(.hours(36) + .minutes(5))
        #expect(changes.contracts(.settled).first?.closing?.cause == .periodOver)
        #expect(fixture.cash(fixture.buyer) == 10_000_000 - 172_800_000)
        try fixture.apply(.withdraw(fixture.seller, Money(microUnits: Self.cash + 172_800_000, .eur), reference: "all of it"))
    }

    @Test func creditThatRunsOutEndsAForward() throws {
        var fixture = try fixture(cash: 10_000_000, risk: .none)
        try fixture.apply(.grantCredit(fixture.buyer, Money(microUnits: 10_000_000, .eur), reason: "treasury"))
        _ = try fixture.forward(2, at: Self.price, in: try #require(fixture.listed(.day).first))
        let over = try #require(try fixture.wait(.hours(12)).contracts(.settled).first)
        #expect(
            over.closing?.detail.hasPrefix(
                "The next period costs 7.20 EUR, more than the buyer's free cash and credit. For what is not") == true)
        #expect(fixture.cash(fixture.buyer) == -7_280_000 && fixture.cash(fixture.seller) == Self.cash + 17_280_000)
    }

    @Test func bondsUseCredit() throws {
        var fixture = try fixture(risk: .none)
        let day = try #require(fixture.listed(.day).first)
        try fixture.apply(.withdraw(fixture.seller, Money(microUnits: Self.cash, .eur), reference: "all of it"))
        #expect(try refusal { try fixture.place(.sell, 1, at: Self.price, in: day) }.rule == "market.cash")
        try fixture.apply(.grantCredit(fixture.seller, Money(microUnits: 5_000_000, .eur), reason: "treasury"))
        let order = try fixture.place(.sell, 1, at: Self.price, in: day).order
        #expect(fixture.cash(fixture.seller) == -4_320_000)
        try fixture.apply(.replaceOrder(order.id, price: Self.price + 360_000, lots: nil, by: fixture.seller))
        #expect(fixture.cash(fixture.seller) == -4_752_000)
        let more = try refusal { try fixture.apply(.replaceOrder(order.id, price: nil, lots: 2, by: fixture.seller)) }
        #expect(more.rule == "market.cash" && more.facts["cash"] == 0 && more.facts["credit"] == 5_000_000)
    }
}
