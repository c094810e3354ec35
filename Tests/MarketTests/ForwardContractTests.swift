import Market
import Primitives
import Testing

@Suite struct ForwardContractTests {
    private static let start = ForwardSeriesTests.start
    /// 3.60 a lot-hour.
    private static let price: Int64 = 3_600_000

    /// Two lots of the next day, which begins in twelve hours; worth 172.80.
    private func oneDay(
        cash: Int64 = 1_000_000_000_000, spotPeriod: Span = .hours(1), confirmed: [ContractParty] = ContractParty.allCases
    ) throws -> (MarketFixture, Contract) {
        var fixture = try ForwardSeriesTests.fixture(cash: cash, kinds: [.day], spotPeriod: spotPeriod)
        let contract = try fixture.forward(2, at: Self.price, in: try #require(fixture.listed(.day).first), confirmed: confirmed)
        return (fixture, contract)
    }

    @Test func marginAndBondAreHeldFromTheOrderOn() throws {
        var fixture = try ForwardSeriesTests.fixture(kinds: [.day])
        let day = try #require(fixture.listed(.day).first)
        try fixture.place(.buy, 3, at: Self.price, in: day)
        #expect(fixture.market.balance(of: fixture.buyer, .margin) == 25_920_000, "a tenth of 3 lots × 24 h × 3.60")
        #expect(fixture.heldForOrders(fixture.buyer) == 0)
        let contract = try #require(try fixture.place(.sell, 2, at: 1, in: day).changes.contracts(.created).first)
        #expect(contract.price == Self.price && contract.state == .created && contract.period == day.delivery)
        #expect(contract.margin == 17_280_000 && contract.bond == 8_640_000 && contract.held == 0)
        #expect(fixture.market.balance(of: fixture.buyer, .margin) == 25_920_000)
        #expect(fixture.market.balance(of: fixture.seller, .bond) == 8_640_000)
        #expect(fixture.market.nextDue == Self.start + .hours(12) - .hours(1), "closes to trading")
        #expect(contract.rolls == false)
    }

    @Test func isPaidStretchByStretchAndGivesMarginsBack() throws {
        var (fixture, contract) = try oneDay()
        try fixture.wait(.hours(11))
        #expect(try fixture.wait(.minutes(50)).events == [.funded])
        #expect(fixture.heldForContracts(fixture.buyer) == 7_200_000)
        #expect(fixture.market.contract(contract.id)?.state == .created)
        #expect(try fixture.wait(.minutes(10)).events == [.delivering])
        #expect(try fixture.wait(.minutes(50)).events == [.funded])
        #expect(try fixture.wait(.minutes(10)).events == [.charged])
        #expect(fixture.market.contract(contract.id)?.settled == 0, "reports are awaited")
        #expect(try fixture.wait(.minutes(5)).events == [.paid])
        #expect(fixture.market.contract(contract.id)?.settled == 7_200_000)
        let changes = try fixture.wait(.hours(23))
        #expect(changes.events.filter { $0 == .charged }.count == 22)
        #expect(changes.events.suffix(3) == [.ended, .paid, .settled])
        contract = try #require(changes.contracts(.settled).first)
        #expect(contract.closing?.cause == .periodOver && contract.settled == 172_800_000)
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000_000 - 172_800_000)
        #expect(fixture.cash(fixture.seller) == 1_000_000_000_000 + 172_800_000)
        #expect(fixture.market.balance(of: fixture.buyer, .margin) == 0 && fixture.market.balance(of: fixture.seller, .bond) == 0)
        #expect(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.free == 100)
    }

    @Test(arguments: [.seconds(10), .minutes(7), .minutes(45), .hours(5), .hours(24)] as [Span])
    func stretchesOfAnyLengthAddUp(spotPeriod: Span) throws {
        let (fixture, contract) = try oneDay(spotPeriod: spotPeriod)
        var copy = fixture
        let changes = try copy.wait(.hours(37))
        #expect(changes.contracts(.settled).first?.id == contract.id)
        #expect(copy.cash(copy.seller) == 1_000_000_000_000 + 172_800_000)
    }

    /// 25 of 200 remain after the margin: three stretches and a bit.
    @Test func aBuyerWhoStopsPayingLosesPartOfTheMargin() throws {
        var (fixture, contract) = try oneDay(cash: 17_280_000 + 25_000_000)
        let changes = try fixture.wait(.hours(36))
        contract = try #require(changes.contracts(.settled).first)
        #expect(contract.closing?.cause == .cashShort && contract.outcome == .defaulted)
        #expect(contract.closing?.detail.contains("the seller gets 15.12 EUR of the margin") == true, "\(contract.closing?.detail ?? "")")
        #expect(contract.period == Period(start: Self.start + .hours(12), end: Self.start + .hours(15)))
        #expect(contract.settled == 21_600_000)
        // A tenth of 21 hours × 2 lots × 3.60 that are not delivered.
        #expect(fixture.cash(fixture.seller) == 1_000_000_000_000 + 21_600_000 + 15_120_000)
        #expect(fixture.cash(fixture.buyer) == 17_280_000 + 25_000_000 - 21_600_000 - 15_120_000)
        #expect(fixture.market.balance(of: fixture.buyer, .margin) == 0)
    }

    @Test func aBuyerWhoNeverPaysLosesItAll() throws {
        var (fixture, contract) = try oneDay(cash: 17_280_000)
        let changes = try fixture.wait(.hours(12))
        contract = try #require(changes.contracts(.settled).first)
        #expect(changes.events == [.closing, .ended, .settled])
        #expect(contract.period == Period(start: Self.start + .hours(12), end: Self.start + .hours(12)) && contract.settled == 0)
        #expect(fixture.cash(fixture.buyer) == 0)
        #expect(fixture.cash(fixture.seller) == 1_000_000_000_000 + 17_280_000)
    }

    /// A tenth of the whole value; the seller has put up a twentieth only.
    @Test func whoDoesNotConfirmBeforeTheStartLosesMarginOrBond() throws {
        let all: Int64 = 1_000_000_000_000
        let cases: [([ContractParty], Contract.Closing.Cause, buyer: Int64, seller: Int64)] = [
            ([.seller], .notConfirmedByBuyer, all - 17_280_000, all + 17_280_000),
            ([.buyer], .notConfirmedBySeller, all + 8_640_000, all - 8_640_000), ([], .notConfirmed, all, all),
        ]
        for (confirmed, cause, buyer, seller) in cases {
            var (fixture, contract) = try oneDay(confirmed: confirmed)
            #expect(contract.confirmation.deadline == contract.period.start)
            try fixture.wait(.hours(12) - .seconds(1))
            #expect(fixture.market.contract(contract.id)?.state == .created)
            let changes = try fixture.wait(.seconds(1))
            #expect(changes.events == [.ended, .settled])
            contract = try #require(changes.contracts(.settled).first)
            #expect(contract.closing?.cause == cause && contract.outcome == .defaulted && contract.settled == 0)
            #expect(contract.closing?.detail.contains("of the margin") == (cause == .notConfirmedByBuyer))
            #expect(contract.closing?.detail.contains("8.64 EUR of the bond") == (cause == .notConfirmedBySeller))
            #expect(fixture.cash(fixture.buyer) == buyer && fixture.cash(fixture.seller) == seller)
            #expect(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.free == 100)
        }
    }

    /// With two hours to confirm, the first hour closes to trading before the deadline passes.
    @Test func theDeadlineMayBeAfterTheStart() throws {
        var terms = DeliveryTerms.standard(for: .hours(1))
        terms.confirmationSeconds = 7_200
        var fixture = try MarketFixture(
            cash: 1_000_000_000_000, forwards: ForwardTerms(kinds: [.hour]), delivery: terms, start: Self.start)
        try fixture.apply(.deposit(fixture.seller, Money(microUnits: 1_000_000_000, .eur), reference: "bond"))
        let hour = try #require(fixture.listed(.hour).first)
        let contract = try fixture.forward(1, at: Self.price, in: hour, confirmed: [.seller])
        #expect(contract.confirmation.deadline == Self.start + .hours(2) && contract.period.start == Self.start + .hours(1))
        #expect(try fixture.wait(.hours(1)).events == [.funded, .delivering])
        #expect(try fixture.apply(.confirmContract(contract.id, .buyer)).events == [.confirmed])
        #expect(try fixture.wait(.hours(1)).events == [.ended])
        let delivery = try #require(fixture.market.openDeliveries(of: contract.id).first)
        try fixture.report(delivery, .buyer, missing: 20)
        #expect(try fixture.report(delivery, .seller).events == [.paid])
        let dispute = try #require(fixture.market.openDeliveries(of: contract.id).first?.dispute)
        #expect(dispute.amount == 900_000, "a quarter of the charge")
        #expect(fixture.market.balance(of: fixture.seller, .bond) == 0 && fixture.market.contract(contract.id)?.state == .ended)
        #expect(try fixture.apply(.ruleDispute(dispute.id, toBuyer: 500_000, note: "so")).events == [.paid, .settled])
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000_000 - 3_100_000 && fixture.cash(fixture.seller) == 1_003_100_000)
    }

    @Test func aForwardIsNotStoppedButTheOperatorEndsIt() throws {
        var (fixture, contract) = try oneDay()
        let no = try refusal { try fixture.apply(.stopContract(contract.id, by: fixture.buyer, detail: "")) }
        #expect(no.rule == "market.forward-fixed" && no.category == .conflict)
        var early = fixture
        try early.apply(.endContract(contract.id, detail: "by agreement"))
        #expect(early.cash(early.buyer) == 1_000_000_000_000 && early.cash(early.seller) == 1_000_000_000_000)
        try fixture.wait(.hours(13) + .minutes(30))
        let end = fixture.now
        #expect(try fixture.apply(.endContract(contract.id, detail: "breach")).events == [.ended])
        contract = try #require(try fixture.wait(.minutes(5)).contracts(.settled).first)
        #expect(contract.settled == 10_800_000 && contract.period.end == end)
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000_000 - 10_800_000)
        #expect(fixture.market.balance(of: fixture.seller, .bond) == 0)
    }

    @Test func refusalsNameMarginAndBond() throws {
        var fixture = try ForwardSeriesTests.fixture(cash: 10_000_000, kinds: [.day])
        let day = try #require(fixture.listed(.day).first)
        let margin = try refusal { try fixture.place(.buy, 2, at: Self.price, in: day) }
        #expect(margin.rule == "market.cash" && margin.message.contains("initial margin") && margin.nearest == "1 lots")
        try fixture.apply(.withdraw(fixture.seller, Money(microUnits: 999_999_000_000, .eur), reference: "x"))
        let bond = try refusal { try fixture.place(.sell, 1, at: Self.price, in: day) }
        #expect(bond.rule == "market.cash" && bond.message.contains("performance bond") && bond.nearest == nil)
    }

    /// The dearest contract there can be: its whole value as margin, and all of its charges, fit 64 bits.
    @Test func theLargestContractFits() throws {
        let forwards = ForwardTerms(kinds: [.month], initialMargin: 1_000, performanceBond: 1_000, penalty: 1_000)
        var fixture = try MarketFixture(cash: 0, capacity: 1_000_000, forwards: forwards, start: ForwardSeriesTests.start)
        let month = try #require(fixture.listed(.month).first { $0.delivery?.length == .days(31) })
        let value: Int64 = 10_000_000_000 * 1_000_000 * 744
        try fixture.apply(.deposit(fixture.buyer, Money(microUnits: .max, .eur), reference: "all there is"))
        let order = OrderDraft(
            participant: fixture.buyer, series: month.id, side: .buy, lifetime: .limit, price: 10_000_000_000, lots: 1_000_000)
        try fixture.apply(.placeOrder(order))
        #expect(fixture.market.balance(of: fixture.buyer, .margin) == value)
        #expect(value > 7_000_000_000_000_000_000)
    }
}
