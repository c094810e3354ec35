import Market
import Primitives
import Testing

@Suite struct ForwardSeriesTests {
    /// Saturday, 21 November 2026, 12:00.
    static let start = DeliveryCalendarTests.instant("2026-11-21T12:00:00Z")

    static func fixture(
        cash: Int64 = 1_000_000_000_000, capacity: Int64 = 100, kinds: [Series.Kind] = Series.Kind.forwards,
        spotPeriod: Span = .hours(1), risk: RiskTerms = .none
    ) throws -> MarketFixture {
        var fixture = try MarketFixture(
            cash: cash, capacity: capacity, spotPeriod: spotPeriod, forwards: ForwardTerms(kinds: kinds), risk: risk, start: start)
        try fixture.apply(.deposit(fixture.seller, Money(microUnits: 1_000_000_000_000, .eur), reference: "bond"))
        return fixture
    }

    @Test func listsTheWholeCalendar() throws {
        let fixture = try Self.fixture()
        let counts = Series.Kind.forwards.map { fixture.listed($0).count }
        #expect(counts == [48, 14, 8, 12])
        #expect(fixture.listed(.hour).first?.delivery?.start == Self.start + .hours(1))
        #expect(fixture.listed(.day).first?.delivery?.start == DeliveryCalendarTests.instant("2026-11-22T00:00:00Z"))
        #expect(fixture.listed(.week).first?.delivery?.start == DeliveryCalendarTests.instant("2026-11-23T00:00:00Z"))
        #expect(
            fixture.listed(.month).last?.delivery
                == Period(
                    start: DeliveryCalendarTests.instant("2027-11-01T00:00:00Z"), end: DeliveryCalendarTests.instant("2027-12-01T00:00:00Z")
                ))
        #expect(fixture.listed(.spot).count == 1)
        #expect(fixture.market.nextDue == Self.start + .minutes(45), "the first hour closes to trading")
    }

    @Test func seriesOpenCloseAndExpireByThemselves() throws {
        var fixture = try Self.fixture(kinds: [.hour])
        let first = try #require(fixture.listed(.hour).first)
        let bid = try fixture.place(.buy, 2, at: 1_000, in: first).order
        let ask = try fixture.place(.sell, 2, at: 2_000, in: first).order
        #expect(try fixture.wait(.minutes(44)).isEmpty)
        let closing = try fixture.wait(.minutes(1))
        #expect(closing.seriesList.map(\.stage) == [.closed])
        #expect(closing.orders.map(\.id) == [bid.id, ask.id])
        #expect(closing.orders.allSatisfy { $0.state == .cancelled && $0.cancelReason == .seriesClosed })
        #expect(fixture.market.balance(of: fixture.buyer, .margin) == 0 && fixture.market.balance(of: fixture.seller, .bond) == 0)
        #expect(try refusal { try fixture.place(.buy, 1, at: 1, in: first) }.rule == "market.closed")
        let next = try fixture.wait(.minutes(15))
        #expect(next.seriesList.map(\.delivery?.start) == [Self.start + .hours(49)])
        #expect(fixture.listed(.hour).count == 49, "48 to come and one in delivery")
        let over = try fixture.wait(.minutes(60))
        #expect(over.seriesList.contains { $0.id == first.id && $0.stage == .expired })
        #expect(fixture.market.series(first.id) == nil)
        #expect(try refusal { try fixture.place(.buy, 1, at: 1, in: first) }.rule == "market.unknown-series")
    }

    @Test func aHaltedSeriesStaysHaltedUntilReopened() throws {
        var fixture = try Self.fixture(kinds: [.day])
        let day = try #require(fixture.listed(.day).last)
        try fixture.apply(.halt(day.id, reason: "price in doubt"))
        try fixture.wait(.days(3))
        #expect(fixture.market.series(day.id)?.state == .halted)
        #expect(try refusal { try fixture.place(.buy, 1, at: 1, in: day) }.rule == "market.halted")
        try fixture.apply(.reopen(day.id))
        try fixture.place(.buy, 1, at: 1, in: day)
        try fixture.apply(.halt(day.id, reason: "again"))
        try fixture.wait(.days(10) + .hours(11))
        #expect(fixture.market.series(day.id)?.state == .closed)
    }

    /// For good: nothing rests, nothing is opened, nothing is reopened; contracts go on.
    @Test func aClosedProductOpensNothingMore() throws {
        var fixture = try Self.fixture(kinds: [.hour, .day])
        let (hour, spot) = (try #require(fixture.listed(.hour).last), try #require(fixture.listed(.spot).first))
        let bid = try fixture.place(.buy, 2, at: 1_000, in: hour).order
        let (money, product) = (fixture.market.balance(of: fixture.buyer, .cash), spot.product)
        #expect(try refusal { try fixture.apply(.closeProduct(product, reason: "")) }.rule == "market.reason")
        #expect(try refusal { try fixture.apply(.closeProduct(ProductID(bits: 9), reason: "x")) }.rule == "market.unknown-product")
        let closing = try fixture.apply(.closeProduct(product, reason: "a new version"))
        #expect(closing.orders.map(\.id) == [bid.id] && closing.orders[0].cancelReason == .seriesClosed)
        #expect(fixture.market.balance(of: fixture.buyer, .cash) > money)
        #expect(closing.seriesList.count == 1 + 48 + 14 && closing.seriesList.allSatisfy { $0.halted == "a new version" })
        #expect(try fixture.apply(.closeProduct(product, reason: "again")).isEmpty)
        for series in [hour, spot] {
            #expect(try refusal { try fixture.apply(.reopen(series.id)) }.rule == "market.product-closed")
            #expect(try refusal { try fixture.apply(.halt(series.id, reason: "x")) }.rule == "market.product-closed")
            #expect(try refusal { try fixture.place(.buy, 1, at: 1, in: series) }.rule == "market.halted")
        }
        let listed = Set(fixture.listed(.hour).map(\.id) + fixture.listed(.day).map(\.id))
        let restored = try Market(restoring: fixture.market.snapshot(), clock: fixture.market.clock)
        #expect(restored.stateHash == fixture.market.stateHash && restored.nextDue == fixture.market.nextDue)
        try fixture.wait(.days(3))
        #expect(fixture.listed(.hour).isEmpty && listed.isSuperset(of: fixture.listed(.day).map(\.id)))
        try fixture.wait(.days(20))
        #expect(fixture.listed(.day).isEmpty && fixture.listed(.spot).count == 1 && fixture.market.nextDue == nil)
        #expect(fixture.market.violations().isEmpty)
    }

    /// However late the clock is looked at, the same can be traded, and nothing is opened that could not be.
    @Test func aLongRestOpensOnlyWhatCanBeTraded() throws {
        var fixture = try Self.fixture()
        let changes = try fixture.wait(.days(100))
        #expect(changes.seriesList.filter { $0.stage == .trading }.allSatisfy { ($0.closes ?? .zero) > fixture.now })
        #expect(Series.Kind.forwards.map { kind in fixture.listed(kind).filter { $0.stage == .trading }.count } == [48, 14, 8, 12])
        var often = try Self.fixture()
        while often.now < fixture.now { try often.wait(.hours(12)) }
        #expect(often.market.nextDue == fixture.market.nextDue)
        for kind in Series.Kind.forwards {
            #expect(
                often.listed(kind).filter { $0.stage == .trading }.map(\.delivery)
                    == fixture.listed(kind).filter { $0.stage == .trading }.map(\.delivery))
        }
    }

    @Test func calendarAndMarginsOfAProductAreChecked() throws {
        var fixture = try MarketFixture()
        let wrong: [(ForwardTerms, String)] = [
            (ForwardTerms(kinds: [.day, .hour]), "market.calendar"), (ForwardTerms(kinds: [.spot]), "market.calendar"),
            (ForwardTerms(kinds: [.day, .day]), "market.calendar"), (ForwardTerms(kinds: [], initialMargin: 1_001), "market.margin"),
            (ForwardTerms(kinds: [.day], performanceBond: -1), "market.margin"),
            (ForwardTerms(kinds: [.day], penalty: 1_001), "market.margin"),
        ]
        for (terms, rule) in wrong {
            #expect(try refusal { try fixture.add(MarketFixture.terms("x", forwards: terms)) }.rule == rule)
        }
    }

    // MARK: Capacity

    @Test func capacityIsCountedAtEveryMoment() throws {
        var fixture = try Self.fixture(capacity: 10, kinds: [.hour, .day])
        let day = try #require(fixture.listed(.day).first)
        let hours = fixture.listed(.hour)
        let inDay = try #require(hours.first { $0.delivery?.start == day.delivery?.start })
        try fixture.place(.sell, 6, at: 5_000, in: day)
        let no = try refusal { try fixture.place(.sell, 5, at: 5_000, in: inDay) }
        #expect(no.rule == "market.capacity" && no.nearest == "4 lots")
        #expect(no.facts["from"] == .text("2026-11-22T00:00:00Z") && no.facts["until"] == .text("2026-11-22T01:00:00Z"))
        try fixture.place(.sell, 4, at: 5_000, in: inDay)
        try fixture.place(.sell, 10, at: 5_000, in: hours[0])
        let spot = try refusal { try fixture.sell(1, at: 5) }
        #expect(spot.rule == "market.capacity" && spot.nearest == nil && spot.facts["from"] == .text("2026-11-21T13:00:00Z"))
        let less = try fixture.apply(.declareCapacity(fixture.datacenter, fixture.product.id, lots: 6, by: fixture.seller))
        #expect(less.orders.map(\.draft.series) == [hours[0].id, inDay.id], "newest first, only what does not fit")
        _ = try fixture.place(.buy, 6, at: 5_000, in: day)
        #expect(
            try refusal { try fixture.apply(.declareCapacity(fixture.datacenter, fixture.product.id, lots: 5, by: fixture.seller)) }.rule
                == "market.capacity-sold")
    }
}
