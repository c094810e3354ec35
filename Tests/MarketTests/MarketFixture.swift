import Market
import Primitives
import Testing

/// A market with a seller, two buyers and a product, and short ways to ask things of it. Every change goes past the auditor.
struct MarketFixture {
    var market = Market(clock: Self.start)
    var auditor = Auditor()
    var now = Self.start
    var seeds = SeededGenerator(seed: 7)
    private(set) var product: Product
    private(set) var series: Series
    private(set) var seller: ParticipantID
    private(set) var buyer: ParticipantID
    private(set) var otherBuyer: ParticipantID
    let datacenter = DatacenterID(bits: 0xDC)

    /// 12:00 of a day, the start of a period.
    static let start = Instant(seconds: 1_780_000_000).floored(to: .hours(1))

    static func terms(
        _ name: String = "general.demo-1a.das", spotPeriod: Span = .hours(1), zone: String? = "demo-1a",
        forwards: ForwardTerms = .none, risk: RiskTerms = .none, delivery: DeliveryTerms? = nil
    ) -> Product.Terms {
        Product.Terms(
            name: name, unitClass: .general, region: "demo", zone: zone, jurisdiction: "DE", tenancy: .shared, storage: .das,
            firmness: .firm,
            slaProfile: "standard", largestOversubscription: 4_000, currency: .eur, spotPeriod: spotPeriod, forwards: forwards,
            risk: risk, delivery: delivery)
    }

    /// - Parameter cash: of each buyer, in micro-units.
    init(
        cash: Int64 = 1_000_000_000, capacity: Int64 = 100, spotPeriod: Span = .hours(1), forwards: ForwardTerms = .none,
        risk: RiskTerms = .none, delivery: DeliveryTerms? = nil, start: Instant = Self.start
    ) throws {
        market = Market(clock: start)
        now = start
        let placeholder = ParticipantID(bits: 0)
        product = Product(id: ProductID(bits: 0), terms: Self.terms(), termsHash: "", created: .zero)
        series = Series(id: SeriesID(bits: 0), product: product.id, kind: .spot)
        (seller, buyer, otherBuyer) = (placeholder, placeholder, placeholder)
        seller = try participant("Alps Cloud", buys: false, sells: true)
        buyer = try participant("Müller AG", buys: true, sells: false)
        otherBuyer = try participant("Reseller", buys: true, sells: true)
        for (product, series) in try [add(Self.terms(spotPeriod: spotPeriod, forwards: forwards, risk: risk, delivery: delivery))] {
            (self.product, self.series) = (product, series)
        }
        try apply(.registerDatacenter(place(datacenter, of: seller)))
        try apply(.declareCapacity(datacenter, product.id, lots: capacity, by: seller))
        if cash > 0 { for id in [buyer, otherBuyer] { try apply(.deposit(id, Money(microUnits: cash, .eur), reference: "bank")) } }
    }

    func place(_ id: DatacenterID, of owner: ParticipantID) -> Datacenter {
        Datacenter(id: id, owner: owner, name: "dc \(id)", region: "demo", zones: ["demo-1a", "demo-1b"], peerAddress: "127.0.0.1:7421")
    }

    @discardableResult
    mutating func apply(_ command: MarketCommand) throws(Refusal) -> [MarketChange] {
        let before = market.snapshot()
        do {
            let changes = try market.apply(command, at: now, seed: seeds.next())
            auditor.see(command, changes, at: now)
            // Between two parts of what is due, series trade longer than they should.
            if market.nextDue.map({ $0 > now }) ?? true { #expect(auditor.problems(with: market) == []) }
            return changes
        } catch {
            #expect(market.snapshot() == before, "a refusal changes nothing")
            throw error
        }
    }

    /// Moves the time on and lets the market do what is due.
    @discardableResult
    mutating func wait(_ span: Span) throws(Refusal) -> [MarketChange] {
        now = now + span
        var changes = try apply(.tick)
        while let due = market.nextDue, due <= now { changes += try apply(.tick) }
        return changes
    }

    mutating func participant(_ name: String, buys: Bool, sells: Bool, _ currency: Currency = .eur) throws -> ParticipantID {
        let changes = try apply(.addParticipant(name: name, buys: buys, sells: sells, currency: currency))
        return try #require(changes.participants.first).id
    }

    mutating func add(_ terms: Product.Terms) throws -> (Product, Series) {
        let changes = try apply(.addProduct(terms, termsHash: "3f"))
        return (try #require(changes.products.first), try #require(changes.seriesList.first))
    }

    @discardableResult
    mutating func sell(_ lots: Int64, at price: Int64, _ lifetime: Order.Lifetime = .limit) throws(Refusal) -> Placed {
        try order(.sell, lots, at: price, seller, lifetime, datacenter)
    }

    @discardableResult
    mutating func buy(_ lots: Int64, at price: Int64, _ lifetime: Order.Lifetime = .limit, by: ParticipantID? = nil) throws(Refusal)
        -> Placed
    {
        try order(.buy, lots, at: price, by ?? buyer, lifetime, nil)
    }

    mutating func order(
        _ side: Side, _ lots: Int64, at price: Int64, _ participant: ParticipantID, _ lifetime: Order.Lifetime, _ datacenter: DatacenterID?
    ) throws(Refusal) -> Placed {
        let draft = OrderDraft(
            participant: participant, series: series.id, side: side, lifetime: lifetime, price: price, lots: lots, datacenter: datacenter)
        return Placed(changes: try apply(.placeOrder(draft)))
    }

    // MARK: Forwards

    /// The listed series of a kind, soonest first.
    func listed(_ kind: Series.Kind) -> [Series] {
        market.snapshot().series.filter { $0.kind == kind && $0.product == product.id }.sorted {
            ($0.delivery?.start ?? .zero) < ($1.delivery?.start ?? .zero)
        }
    }

    @discardableResult
    mutating func place(
        _ side: Side, _ lots: Int64, at price: Int64, in series: Series, by participant: ParticipantID? = nil,
        _ lifetime: Order.Lifetime = .limit
    ) throws(Refusal) -> Placed {
        let owner = participant ?? (side == .buy ? buyer : seller)
        let draft = OrderDraft(
            participant: owner, series: series.id, side: side, lifetime: lifetime, price: price, lots: lots,
            datacenter: side == .sell ? datacenter : nil)
        return Placed(changes: try apply(.placeOrder(draft)))
    }

    /// A forward contract of so many lots, confirmed by these sides.
    mutating func forward(
        _ lots: Int64, at price: Int64, in series: Series, confirmed: [ContractParty] = ContractParty.allCases
    ) throws -> Contract {
        try place(.sell, lots, at: price, in: series)
        let contract = try #require(try place(.buy, lots, at: price, in: series).changes.contracts(.created).first)
        for party in confirmed { try apply(.confirmContract(contract.id, party)) }
        return contract
    }

    // MARK: Delivery

    /// Both sides pull their certificates.
    mutating func confirm(_ contract: Contract) throws(Refusal) {
        for party in ContractParty.allCases { try apply(.confirmContract(contract.id, party)) }
    }

    /// One side reports that so much of a stretch, in thousandths of what was contracted, was not delivered.
    @discardableResult
    mutating func report(
        _ delivery: Delivery, _ party: ContractParty, missing thousandths: Int64 = 0, demanded: Int64? = nil
    ) throws(Refusal) -> [MarketChange] {
        let contracted = delivery.lots * delivery.period.length.microseconds
        let missing = contracted / 1_000 * thousandths
        let demanded = demanded ?? contracted
        return try apply(
            .reportDelivery(
                delivery.contract, party,
                DeliveryReport(
                    period: delivery.period, demanded: demanded, delivered: demanded - missing,
                    unavailable: missing == 0 ? [] : [.init(cause: .host, lotMicroseconds: missing)],
                    evidenceHash: String(repeating: "ab", count: 32), signer: "01", signature: "c2lnbmF0dXJl")))
    }

    func cash(_ id: ParticipantID) -> Int64 { market.balance(of: id, .cash) }
    func heldForOrders(_ id: ParticipantID) -> Int64 { market.balance(of: id, .heldForOrders) }
    func heldForContracts(_ id: ParticipantID) -> Int64 { market.balance(of: id, .heldForContracts) }
}

/// What came of placing an order.
struct Placed {
    let changes: [MarketChange]
    var order: Order { changes.orders[0] }
    var contracts: [Contract] { changes.contracts(.delivering) }
    var trades: [Trade] { changes.trades }
}

extension [MarketChange] {
    var participants: [Participant] { compactMap { if case .participant(let value) = $0 { value } else { nil } } }
    var products: [Product] { compactMap { if case .product(let value) = $0 { value } else { nil } } }
    var seriesList: [Series] { compactMap { if case .series(let value) = $0 { value } else { nil } } }
    var orders: [Order] { compactMap { if case .order(let value) = $0 { value } else { nil } } }
    var trades: [Trade] { compactMap { if case .trade(let value) = $0 { value } else { nil } } }
    var postings: [Posting] { compactMap { if case .posting(let value) = $0 { value } else { nil } } }
    var deliveries: [Delivery] { compactMap { if case .delivery(let value) = $0 { value } else { nil } } }
    var events: [ContractEvent] { compactMap { if case .contract(_, let event) = $0 { event } else { nil } } }
    func contracts(_ wanted: ContractEvent) -> [Contract] {
        compactMap { if case .contract(let value, wanted) = $0 { value } else { nil } }
    }
}

/// The refusal `body` gives; fails the test when it gives none.
func refusal<T>(_ body: () throws -> T, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) throws -> Refusal {
    do {
        _ = try body()
    } catch let refusal as Refusal {
        return refusal
    }
    Issue.record(comment ?? "no refusal", sourceLocation: sourceLocation)
    throw NotRefused()
}

struct NotRefused: Error {}
