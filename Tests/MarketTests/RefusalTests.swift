import Market
import Primitives
import Testing

/// Every refusal: its rule and category, and that it changed nothing (the fixture compares). One table.
@Suite struct RefusalTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let rule: String
        let category: Refusal.Category
        let command: @Sendable (MarketFixture) -> MarketCommand
        var testDescription: String { rule }
        init(_ rule: String, _ category: Refusal.Category, _ command: @escaping @Sendable (MarketFixture) -> MarketCommand) {
            self.rule = rule
            self.category = category
            self.command = command
        }
    }

    private static func order(
        _ change: @escaping @Sendable (MarketFixture, inout OrderDraft) -> Void
    ) -> @Sendable (MarketFixture) -> MarketCommand {
        { fixture in
            var draft = OrderDraft(
                participant: fixture.seller, series: fixture.series.id, side: .sell, lifetime: .limit, price: 100, lots: 1,
                datacenter: fixture.datacenter)
            change(fixture, &draft)
            return .placeOrder(draft)
        }
    }

    private static func product(_ change: @escaping @Sendable (inout Product.Terms) -> Void) -> @Sendable (MarketFixture) -> MarketCommand {
        { _ in
            var terms = MarketFixture.terms("another")
            change(&terms)
            return .addProduct(terms, termsHash: "aa")
        }
    }

    private static func datacenter(_ change: @escaping @Sendable (MarketFixture, inout Datacenter) -> Void)
        -> @Sendable (MarketFixture) -> MarketCommand
    {
        { fixture in
            var datacenter = fixture.place(fixture.datacenter, of: fixture.seller)
            change(fixture, &datacenter)
            return .registerDatacenter(datacenter)
        }
    }

    static let orders: [Case] = [
        Case("market.unknown-participant", .notFound, order { $1.participant = ParticipantID(bits: 99) }),
        Case("market.unknown-series", .notFound, order { $1.series = SeriesID(bits: 99) }),
        Case("market.role", .forbidden, order { $1.participant = $0.buyer }),
        Case("market.lots", .invalid, order { $1.lots = 0 }),
        Case("market.lots", .invalid, order { $1.lots = -5 }),
        Case("market.lots", .invalid, order { $1.lots = .max }),
        Case("market.price", .invalid, order { $1.price = 0 }),
        Case("market.price", .invalid, order { $1.price = .min }),
        Case("market.price", .invalid, order { $1.price = .max }),
        Case("market.datacenter", .invalid, order { $1.datacenter = nil }),
        Case("market.datacenter", .invalid, order { ($1.participant, $1.side) = ($0.buyer, .buy) }),
        Case("market.unknown-datacenter", .notFound, order { $1.datacenter = DatacenterID(bits: 5) }),
        Case("market.unknown-datacenter", .notFound, order { $1.participant = $0.otherBuyer }),
        Case("market.capacity", .capacity, order { $1.lots = 101 }),
        Case("market.name", .invalid, order { $1.clientOrderID = "a\nb" }),
        Case(
            "market.cash", .funds,
            order { ($1.participant, $1.side, $1.datacenter, $1.price, $1.lots) = ($0.buyer, .buy, nil, 10_000_000, 200) }),
        Case("market.unknown-order", .notFound) { .cancelOrder(OrderID(bits: 4), by: $0.buyer) },
        Case("market.unknown-contract", .notFound) { .stopContract(ContractID(bits: 4), by: $0.buyer, detail: "") },
        Case("market.unknown-contract", .notFound) { _ in .endContract(ContractID(bits: 4), detail: "") },
    ]

    static let admission: [Case] = [
        Case("market.name", .invalid) { _ in .addParticipant(name: "", buys: true, sells: false, currency: .eur) },
        Case("market.name", .invalid) { _ in
            .addParticipant(name: String(repeating: "x", count: 101), buys: true, sells: false, currency: .eur)
        },
        Case("market.name", .invalid) { _ in .addParticipant(name: "a\u{202E}b", buys: true, sells: false, currency: .eur) },
        Case("market.role", .invalid) { _ in .addParticipant(name: "x", buys: false, sells: false, currency: .eur) },
        Case("market.name-taken", .conflict) { _ in .addParticipant(name: "Alps Cloud", buys: true, sells: false, currency: .eur) },
        Case("market.unknown-participant", .notFound) { _ in .deposit(ParticipantID(bits: 9), Money(microUnits: 1, .eur), reference: "") },
        Case("market.currency", .invalid) { .deposit($0.buyer, Money(microUnits: 1, .usd), reference: "") },
        Case("market.amount", .invalid) { .deposit($0.buyer, Money(microUnits: 0, .eur), reference: "") },
        Case("market.amount", .invalid) { .withdraw($0.buyer, Money(microUnits: .min, .eur), reference: "") },
        Case("market.note", .invalid) { .deposit($0.buyer, Money(microUnits: 1, .eur), reference: "\u{0}") },
        Case("market.balance", .funds) { .deposit($0.buyer, Money(microUnits: .max, .eur), reference: "") },
        Case("market.cash", .funds) { .withdraw($0.buyer, Money(microUnits: 1_000_000_001, .eur), reference: "") },
        Case("market.name-taken", .conflict) { _ in .addProduct(MarketFixture.terms(), termsHash: "aa") },
        Case("market.unit-class", .invalid, product { $0.unitClass = UnitClass(name: "general", lot: UnitClass.memory.lot) }),
        Case("market.unit-class", .invalid, product { $0.unitClass = UnitClass(name: "huge", lot: UnitClass.memory.lot) }),
        Case("market.unit-class", .invalid, product { $0.unitClass = UnitClass(name: "metal-a", lot: .zero) }),
        Case("market.unit-class", .invalid, product { $0.unitClass = UnitClass(name: "gpu-a", lot: Resources(milliGPU: -1)) }),
        Case("market.jurisdiction", .invalid, product { $0.jurisdiction = "Germany" }),
        Case("market.spot-period", .invalid, product { $0.spotPeriod = .seconds(9) }),
        Case("market.spot-period", .invalid, product { $0.spotPeriod = .days(2) }),
        Case("market.spot-period", .invalid, product { $0.spotPeriod = Span(microseconds: 60_000_001) }),
        Case("market.oversubscription", .invalid, product { $0.largestOversubscription = 999 }),
        Case("market.tick", .invalid, product { $0.limits.tick = 0 }),
        Case("market.price", .invalid, product { $0.limits.largestPrice = .max }),
        Case("market.lots", .invalid, product { $0.limits.largestLots = 0 }),
        Case("market.role", .forbidden, datacenter { $1 = $0.place($1.id, of: $0.buyer) }),
        Case("market.unknown-datacenter", .notFound, datacenter { $1 = $0.place($1.id, of: $0.otherBuyer) }),
        Case("market.datacenter-region", .conflict, datacenter { $1.region = "elsewhere" }),
        Case("market.datacenter-zone", .conflict, datacenter { $1.zones = ["demo-1b"] }),
        Case("market.address", .invalid, datacenter { $1.peerAddress = "127.0.0.1" }),
        Case("market.address", .invalid, datacenter { $1.peerAddress = "host:70000" }),
        Case("market.zones", .invalid, datacenter { $1.zones = [String](repeating: "z", count: 101) }),
        Case("market.unknown-datacenter", .notFound) { .declareCapacity(DatacenterID(bits: 1), $0.product.id, lots: 1, by: $0.seller) },
        Case("market.unknown-datacenter", .notFound) { .declareCapacity($0.datacenter, $0.product.id, lots: 1, by: $0.buyer) },
        Case("market.unknown-product", .notFound) { .declareCapacity($0.datacenter, ProductID(bits: 1), lots: 1, by: $0.seller) },
        Case("market.capacity", .invalid) { .declareCapacity($0.datacenter, $0.product.id, lots: -1, by: $0.seller) },
    ]

    @Test(arguments: orders + admission)
    func refuses(_ example: Case) throws {
        var fixture = try MarketFixture()
        let no = try refusal { try fixture.apply(example.command(fixture)) }
        #expect(no.rule == example.rule)
        #expect(no.category == example.category)
        #expect(!no.message.isEmpty)
    }

    @Test func placesOfProductsAndDatacentersMustFit() throws {
        var fixture = try MarketFixture()
        let (elsewhere, series) = try fixture.add(MarketFixture.terms("elsewhere", zone: "demo-9"))
        let no = try refusal { try fixture.apply(.declareCapacity(fixture.datacenter, elsewhere.id, lots: 1, by: fixture.seller)) }
        #expect(no.rule == "market.place" && no.nearest == "zone demo-9 of region demo")
        let draft = OrderDraft(
            participant: fixture.seller, series: series.id, side: .sell, lifetime: .limit, price: 1, lots: 1, datacenter: fixture.datacenter
        )
        #expect(try refusal { try fixture.apply(.placeOrder(draft)) }.rule == "market.place")
        let (anywhere, _) = try fixture.add(MarketFixture.terms("anywhere", zone: nil))
        try fixture.apply(.declareCapacity(fixture.datacenter, anywhere.id, lots: 1, by: fixture.seller))
    }

    @Test func ticksAndCurrenciesMustFit() throws {
        var fixture = try MarketFixture()
        var terms = MarketFixture.terms("coarse")
        terms.limits.tick = 100
        let (product, series) = try fixture.add(terms)
        try fixture.apply(.declareCapacity(fixture.datacenter, product.id, lots: 1, by: fixture.seller))
        var draft = OrderDraft(
            participant: fixture.seller, series: series.id, side: .sell, lifetime: .limit, price: 250, lots: 1,
            datacenter: fixture.datacenter)
        let no = try refusal { try fixture.apply(.placeOrder(draft)) }
        #expect(no.rule == "market.tick" && no.nearest == "200")
        draft.price = 200
        try fixture.apply(.placeOrder(draft))
        let american = try fixture.participant("Acme", buys: true, sells: false, .usd)
        #expect(try refusal { try fixture.buy(1, at: 1, by: american) }.rule == "market.currency")
    }

    @Test func timeDoesNotRunBackwards() throws {
        var fixture = try MarketFixture()
        fixture.now = fixture.now - Span(microseconds: 1)
        #expect(try refusal { try fixture.apply(.tick) }.rule == "market.time-backwards")
    }

    @Test func onlyTheOwnerOrTheOperatorCancels() throws {
        var fixture = try MarketFixture()
        let ask = try fixture.sell(1, at: 5).order
        #expect(try refusal { try fixture.apply(.cancelOrder(ask.id, by: fixture.buyer)) }.category == .notFound)
        try fixture.apply(.cancelOrder(ask.id, by: nil))
        #expect(try refusal { try fixture.apply(.cancelOrder(ask.id, by: fixture.seller)) }.category == .notFound)
    }

    @Test func registeringAgainChangesTheAddressOnly() throws {
        var fixture = try MarketFixture()
        var datacenter = fixture.place(fixture.datacenter, of: fixture.seller)
        #expect(try fixture.apply(.registerDatacenter(datacenter)).isEmpty)
        datacenter.peerAddress = "connect.example.net:7421"
        #expect(try fixture.apply(.registerDatacenter(datacenter)) == [.datacenter(datacenter)])
        #expect(try fixture.apply(.declareCapacity(datacenter.id, fixture.product.id, lots: 100, by: fixture.seller)).isEmpty)
    }
}
