public import Primitives

/// A standard, comparable unit of infrastructure. Its terms never change: whatever a buyer compares by is a field of them.
public struct Product: Hashable, Sendable {
    public enum Tenancy: String, Sendable, Codable, CaseIterable { case shared, group, exclusive }
    public enum Storage: String, Sendable, Codable, CaseIterable { case das, nas, san }
    public enum Firmness: String, Sendable, Codable, CaseIterable { case firm, interruptible }

    public let id: ProductID
    public let terms: Terms
    /// Hash of the documents a contract of this product binds both sides to. Contracts carry it.
    public let termsHash: String
    public let created: Instant
    /// Why nobody trades it any more, nor ever will; nil: it is traded.
    public var closed: String?

    public init(id: ProductID, terms: Terms, termsHash: String, created: Instant, closed: String? = nil) {
        self.closed = closed
        self.id = id
        self.terms = terms
        self.termsHash = termsHash
        self.created = created
    }

    public struct Terms: Hashable, Sendable, Codable {
        /// Unique in the market, e.g. `general.demo-1a.das`.
        public var name: String
        public var unitClass: UnitClass
        public var region: String
        /// Nil: anywhere in the region.
        public var zone: String?
        /// ISO 3166-1 alpha-2 code of the law that applies, e.g. `DE`.
        public var jurisdiction: String
        public var tenancy: Tenancy
        public var storage: Storage
        public var firmness: Firmness
        public var slaProfile: String
        /// Largest CPU oversubscription a seller may use, in thousandths: 4,000 is 4:1.
        public var largestOversubscription: Int64
        public var currency: Currency
        /// Length of one spot delivery period: whole seconds, 10 s to 24 h. Periods are aligned to the epoch.
        public var spotPeriod: Span
        public var limits: OrderLimits
        public var forwards: ForwardTerms
        public var risk: RiskTerms
        /// Nil: `DeliveryTerms.standard(for:)`.
        public var delivery: DeliveryTerms?

        public init(
            name: String, unitClass: UnitClass, region: String, zone: String?, jurisdiction: String, tenancy: Tenancy, storage: Storage,
            firmness: Firmness, slaProfile: String, largestOversubscription: Int64, currency: Currency, spotPeriod: Span,
            limits: OrderLimits = .standard, forwards: ForwardTerms = .none, risk: RiskTerms = .none, delivery: DeliveryTerms? = nil
        ) {
            self.name = name
            self.unitClass = unitClass
            self.region = region
            self.zone = zone
            self.jurisdiction = jurisdiction
            self.tenancy = tenancy
            self.storage = storage
            self.firmness = firmness
            self.slaProfile = slaProfile
            self.largestOversubscription = largestOversubscription
            self.currency = currency
            self.spotPeriod = spotPeriod
            self.limits = limits
            self.forwards = forwards
            self.risk = risk
            self.delivery = delivery
        }

        public var deliveryTerms: DeliveryTerms { delivery ?? .standard(for: spotPeriod) }
    }
}

/// What an order of a product may say. The bounds keep every charge of one order far inside 64 bits:
/// 10^10 micro-units × 10^6 lots × 24 hours = 2.4 × 10^17 for spot; `ForwardTerms` has the bound of forwards.
public struct OrderLimits: Hashable, Sendable, Codable {
    /// Prices are multiples of it, in micro-units per lot-hour.
    public var tick: Int64
    /// Micro-units per lot-hour.
    public var largestPrice: Int64
    public var largestLots: Int64

    public init(tick: Int64, largestPrice: Int64, largestLots: Int64) {
        self.tick = tick
        self.largestPrice = largestPrice
        self.largestLots = largestLots
    }

    public static let standard = OrderLimits(tick: 1, largestPrice: 10_000_000_000, largestLots: 1_000_000)
}

extension Product {
    static let spotPeriods: ClosedRange<Int64> = 10...86_400
    static let oversubscriptions: ClosedRange<Int64> = 1_000...1_000_000

    /// How long before its end a spot contract is rolled: a sixth of the period, so ten minutes of an hour.
    public static func rollLead(of spotPeriod: Span) -> Span { Span(microseconds: spotPeriod.microseconds / 6) }

    /// The spot delivery period in progress at a moment.
    public func spotPeriod(at moment: Instant) -> Period {
        let start = moment.floored(to: terms.spotPeriod)
        return Period(start: start, end: start + terms.spotPeriod)
    }

    /// Whether a datacenter lies where the product is delivered.
    func isDelivered(from datacenter: Datacenter) -> Bool {
        datacenter.region == terms.region && (terms.zone.map(datacenter.zones.contains) ?? true)
    }
}

extension Product.Terms {
    /// Refuses terms no market could keep.
    func check() throws(Refusal) {
        try checkName(name, "product name")
        try unitClass.check()
        try checkName(region, "region")
        if let zone { try checkName(zone, "zone") }
        try checkName(slaProfile, "service-level profile")
        guard jurisdiction.utf8.count == 2, jurisdiction.utf8.allSatisfy({ (65...90).contains($0) }) else {
            throw Refusal(
                "market.jurisdiction", .invalid, "The jurisdiction '\(jurisdiction.prefix(20))' is not an ISO 3166-1 code such as DE.",
                nearest: "two capital letters")
        }
        let seconds = Product.spotPeriods
        guard spotPeriod.microseconds % 1_000_000 == 0 else {
            throw Refusal(
                "market.spot-period", .invalid, "A spot period is whole seconds.",
                nearest: "\(max(spotPeriod.seconds, seconds.lowerBound)) seconds")
        }
        try checkRange(spotPeriod.seconds, seconds, "spot period in seconds", rule: "market.spot-period")
        try checkRange(
            largestOversubscription, Product.oversubscriptions, "largest oversubscription in thousandths", rule: "market.oversubscription")
        try forwards.check()
        let largest = OrderLimits.standard
        try checkRange(limits.tick, 1...largest.largestPrice, "tick", rule: "market.tick")
        try checkRange(limits.largestPrice, limits.tick...largest.largestPrice, "largest price", rule: "market.price")
        try checkRange(limits.largestLots, 1...largest.largestLots, "largest number of lots", rule: "market.lots")
        try risk.check()
        try delivery?.check(spotPeriod: spotPeriod)
    }
}
