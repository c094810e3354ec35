public import Primitives

/// What is wanted: so many machines of this size, there, under these rules.
public struct Demand: Hashable, Sendable {
    /// What one machine needs.
    public var resources: Resources
    /// Nothing is planned when fewer than this many can be had.
    public var minimumCount: Int
    public var maximumCount: Int
    public var region: String
    /// Nil: anywhere in the region.
    public var zone: String?
    public var currency: Currency
    /// Highest price per lot-hour, micro-units.
    public var priceCap: Int64
    public var rules: Rules
    /// Whole hosts of this class are wanted, one lot for each machine. Nil: no lots of bare metal are taken.
    public var metal: String?
    /// The machine should run at least until then; contracts that end sooner and do not roll are left alone.
    public var until: Instant

    public init(
        resources: Resources, minimumCount: Int, maximumCount: Int, region: String, zone: String?, currency: Currency, priceCap: Int64,
        rules: Rules = Rules(), until: Instant
    ) {
        precondition(1 <= minimumCount && minimumCount <= maximumCount)
        self.resources = resources
        self.minimumCount = minimumCount
        self.maximumCount = maximumCount
        self.region = region
        self.zone = zone
        self.currency = currency
        self.priceCap = priceCap
        self.rules = rules
        self.until = until
    }
}

/// An account's rules about what may be bought. Nil or absent: anything.
public struct Rules: Hashable, Sendable {
    public var jurisdictions: Set<String>?
    /// `das`, `nas`, `san`
    public var storage: Set<String>?
    /// `shared`, `group`, `exclusive`
    public var tenancies: Set<String>?
    /// Interruptible capacity may be taken back by the seller.
    public var firmOnly: Bool
    /// In thousandths: 4000 is 4:1.
    public var largestOversubscription: Int64?

    public init(
        jurisdictions: Set<String>? = nil, storage: Set<String>? = nil, tenancies: Set<String>? = nil, firmOnly: Bool = false,
        largestOversubscription: Int64? = nil
    ) {
        self.jurisdictions = jurisdictions
        self.storage = storage
        self.tenancies = tenancies
        self.firmOnly = firmOnly
        self.largestOversubscription = largestOversubscription
    }
}

/// What a product promises, as far as sourcing compares by it.
public struct Terms: Hashable, Sendable {
    public var product: ProductID
    public var name: String
    /// What one lot holds.
    public var lot: Resources
    public var region: String
    /// Nil: the seller chooses the zone.
    public var zone: String?
    public var jurisdiction: String
    public var tenancy: String
    public var storage: String
    public var isFirm: Bool
    public var largestOversubscription: Int64
    public var currency: Currency
    /// The class, when a lot is a whole host.
    public var metal: String?

    public init(
        product: ProductID, name: String, lot: Resources, region: String, zone: String?, jurisdiction: String, tenancy: String,
        storage: String,
        isFirm: Bool, largestOversubscription: Int64, currency: Currency, metal: String? = nil
    ) {
        self.product = product
        self.name = name
        self.lot = lot
        self.region = region
        self.zone = zone
        self.jurisdiction = jurisdiction
        self.tenancy = tenancy
        self.storage = storage
        self.isFirm = isFirm
        self.largestOversubscription = largestOversubscription
        self.currency = currency
        self.metal = metal
    }
}

/// Capacity that is bought already.
public struct HeldContract: Hashable, Sendable {
    public var id: ContractID
    public var terms: Terms
    /// Where its datacenter delivers, when that is known better than the product says.
    public var zone: String?
    public var lots: Int64
    /// Micro-units per lot-hour.
    public var price: Int64
    /// What of it is not in use and not promised to a machine on its way.
    public var free: Resources
    public var end: Instant
    /// Its end moves on by itself.
    public var rolls: Bool

    public init(id: ContractID, terms: Terms, zone: String?, lots: Int64, price: Int64, free: Resources, end: Instant, rolls: Bool) {
        self.id = id
        self.terms = terms
        self.zone = zone
        self.lots = lots
        self.price = price
        self.free = free
        self.end = end
        self.rolls = rolls
    }
}

/// What the market offers of one series now.
public struct Offer: Hashable, Sendable {
    public var series: SeriesID
    public var terms: Terms
    /// Best price first.
    public var asks: [Ask]

    public init(series: SeriesID, terms: Terms, asks: [Ask]) {
        self.series = series
        self.terms = terms
        self.asks = asks
    }

    public struct Ask: Hashable, Sendable {
        /// Micro-units per lot-hour.
        public var price: Int64
        public var lots: Int64

        public init(price: Int64, lots: Int64) {
            self.price = price
            self.lots = lots
        }
    }
}
