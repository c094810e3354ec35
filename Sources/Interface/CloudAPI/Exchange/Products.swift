public import Primitives

public enum Tenancy: String, Codable, Sendable, CaseIterable { case shared, group, exclusive }
public enum StorageArchitecture: String, Codable, Sendable, CaseIterable { case das, nas, san }
public enum Firmness: String, Codable, Sendable, CaseIterable { case firm, interruptible }

/// Below so much availability, so much of a stretch's charge goes back to the buyer.
public struct PenaltyDefinition: Codable, Sendable {
    /// Thousandths of the contracted lot-time.
    public var below: Int64
    /// Thousandths of the stretch's charge.
    public var credit: Int64
    public init(below: Int64, credit: Int64) {
        self.below = below
        self.credit = credit
    }
}

/// How delivery is confirmed, measured and compensated: the numbers of the service-level profile.
public struct DeliveryDefinition: Codable, Sendable {
    /// From the trade on, until both sides must have pulled a certificate of the contract.
    public var confirmationSeconds: Int64
    /// From the end of a stretch on, until both sides must have reported.
    public var graceSeconds: Int64
    /// From the opening of a dispute on, until it is resolved by default.
    public var disputeSeconds: Int64
    /// Reports agree when their shortfalls differ by at most this: thousandths of the contracted lot-time.
    public var toleranceThousandths: Int64
    /// Strictly less availability, strictly more credit.
    public var penalties: [PenaltyDefinition]
    public init(
        confirmationSeconds: Int64, graceSeconds: Int64, disputeSeconds: Int64, toleranceThousandths: Int64, penalties: [PenaltyDefinition]
    ) {
        self.confirmationSeconds = confirmationSeconds
        self.graceSeconds = graceSeconds
        self.disputeSeconds = disputeSeconds
        self.toleranceThousandths = toleranceThousandths
        self.penalties = penalties
    }
}

/// A standard, comparable unit of infrastructure. Whatever a buyer compares by is a field here.
public struct ProductDefinition: Codable, Sendable {
    /// Short and unique, e.g. `general.demo-1a.das`.
    public var name: String
    /// e.g. `general`
    public var unitClass: String
    /// What one lot holds.
    public var lot: Resources
    public var region: String
    /// Absent: anywhere in the region.
    public var zone: String?
    /// ISO 3166 code of the law that applies, e.g. `DE`.
    public var jurisdiction: String
    public var tenancy: Tenancy
    public var storage: StorageArchitecture
    public var firmness: Firmness
    /// Name of the service-level profile.
    public var slaProfile: String
    /// Largest CPU oversubscription a seller may use, in thousandths: 4000 is 4:1.
    public var largestOversubscription: Int64
    public var currency: Currency
    /// Length of the spot delivery period in seconds; 3600 on a real market.
    public var spotPeriodSeconds: Int64
    /// In which forward series it is traded beside spot, and what both sides put up; all of them with usual margins when absent.
    public var forwards: ForwardDefinition?
    /// Absent: no collar, no halts by itself, no fees.
    public var risk: ProductRisk?
    /// Absent: 600 s to confirm, 300 s (of a short spot period a twelfth, at least 5 s) to report, a week (168 spot periods) for a
    /// dispute, 10‰ tolerance; below 999‰ a tenth goes back, below 990‰ a quarter, below 950‰ all.
    public var delivery: DeliveryDefinition?

    public init(
        name: String, unitClass: String, lot: Resources, region: String, zone: String?, jurisdiction: String, tenancy: Tenancy,
        storage: StorageArchitecture, firmness: Firmness, slaProfile: String, largestOversubscription: Int64, currency: Currency,
        spotPeriodSeconds: Int64, forwards: ForwardDefinition? = nil, risk: ProductRisk? = nil, delivery: DeliveryDefinition? = nil
    ) {
        self.name = name
        self.unitClass = unitClass
        self.lot = lot
        self.region = region
        self.zone = zone
        self.jurisdiction = jurisdiction
        self.tenancy = tenancy
        self.storage = storage
        self.firmness = firmness
        self.slaProfile = slaProfile
        self.largestOversubscription = largestOversubscription
        self.currency = currency
        self.spotPeriodSeconds = spotPeriodSeconds
        self.forwards = forwards
        self.risk = risk
        self.delivery = delivery
    }
}

extension ProductDefinition {
    /// What its hosts are: a lot of `metal-<profile>` is a whole one.
    public var hosting: HostingKind { profile == nil ? .virtual : .metal }

    /// What the hardware of such a host is called; nil for virtual ones.
    public var profile: String? { unitClass.hasPrefix("metal-") ? String(unitClass.dropFirst("metal-".count)) : nil }
}

/// A length of forward delivery periods: UTC hours and days, ISO weeks from Monday, calendar months.
public enum ForwardKind: String, Codable, Sendable, CaseIterable { case hour, day, week, month }

/// The forward series of a product, and what both sides put up for a contract: thousandths of its value, price × lots × hours.
public struct ForwardDefinition: Codable, Sendable, Hashable {
    /// Which periods, shortest first; empty: spot only.
    public var calendar: [ForwardKind]
    /// The buyer's initial margin, held from the order to the contract's end: 0 to 1000; 100 when absent.
    public var initialMargin: Int64?
    /// The seller's performance bond, held as long: 0 to 1000; 50 when absent.
    public var performanceBond: Int64?
    /// What a buyer who stops paying owes the seller, of the value not delivered, at most the margin: 0 to 1000; 100 when absent.
    public var penalty: Int64?

    public init(calendar: [ForwardKind], initialMargin: Int64? = nil, performanceBond: Int64? = nil, penalty: Int64? = nil) {
        self.calendar = calendar
        self.initialMargin = initialMargin
        self.performanceBond = performanceBond
        self.penalty = penalty
    }

    public static let all = ForwardDefinition(calendar: ForwardKind.allCases)
    public static let spotOnly = ForwardDefinition(calendar: [])
}

public struct ProductView: Codable, Sendable {
    public var id: ProductID
    public var definition: ProductDefinition
    /// SHA-256 of the definition's canonical form; contracts carry it.
    public var termsHash: String
    public var created: Instant
    public init(id: ProductID, definition: ProductDefinition, termsHash: String, created: Instant) {
        self.id = id
        self.definition = definition
        self.termsHash = termsHash
        self.created = created
    }
}

public struct SeriesView: Codable, Sendable {
    public var id: SeriesID
    public var product: ProductID
    public var productName: String
    /// `spot`, or the length of its delivery period: `hour`, `day`, `week`, `month`.
    public var kind: String
    /// When it is delivered; of spot, the period in progress.
    public var period: Period
    /// `open`, `halted`, `closed` (delivery is about to start or goes on) or `expired` (delivery is over).
    public var state: String
    /// When trading ends; absent: never.
    public var closes: Instant?
    /// Why it is halted.
    public var reason: String?
    /// When it reopens by itself; absent: when the operator reopens it.
    public var haltedUntil: Instant?
    /// Micro-units per lot-hour.
    public var bestBid: Int64?
    public var bestAsk: Int64?
    public var lastPrice: Int64?
    /// What it is worth by its last trades, or as it was set; micro-units per lot-hour.
    public var referencePrice: Int64?
    /// What orders may be priced now; absent: anything.
    public var collar: PriceRange?
    /// At what it trades now without halting; absent: anything.
    public var volatilityBand: PriceRange?
    public init(
        id: SeriesID, product: ProductID, productName: String, kind: String, period: Period, state: String, closes: Instant? = nil,
        reason: String? = nil, haltedUntil: Instant? = nil, bestBid: Int64?, bestAsk: Int64?, lastPrice: Int64?,
        referencePrice: Int64? = nil, collar: PriceRange? = nil, volatilityBand: PriceRange? = nil
    ) {
        self.id = id
        self.product = product
        self.productName = productName
        self.kind = kind
        self.period = period
        self.state = state
        self.closes = closes
        self.reason = reason
        self.bestBid = bestBid
        self.bestAsk = bestAsk
        self.lastPrice = lastPrice
        self.haltedUntil = haltedUntil
        self.referencePrice = referencePrice
        self.collar = collar
        self.volatilityBand = volatilityBand
    }
}

public struct PriceLevel: Codable, Sendable, Hashable {
    /// Micro-units per lot-hour.
    public var price: Int64
    public var lots: Int64
    public var orders: Int64
    public init(price: Int64, lots: Int64, orders: Int64) {
        self.price = price
        self.lots = lots
        self.orders = orders
    }
}

/// Depth of one series, best price first. Anonymous.
public struct BookView: Codable, Sendable {
    public var series: SeriesID
    public var bids: [PriceLevel]
    public var asks: [PriceLevel]
    public init(series: SeriesID, bids: [PriceLevel], asks: [PriceLevel]) {
        self.series = series
        self.bids = bids
        self.asks = asks
    }
}

/// A datacenter as the market sees it: where a seller delivers.
public struct RegisterDatacenter: Codable, Sendable {
    public var name: String
    public var region: String
    public var zones: [String]
    /// Address of connect's peer listener, `host:port`. Buyers dial it with their contract certificate.
    public var peerAddress: String
    public init(name: String, region: String, zones: [String], peerAddress: String) {
        self.name = name
        self.region = region
        self.zones = zones
        self.peerAddress = peerAddress
    }
}

public struct DatacenterView: Codable, Sendable {
    public var id: DatacenterID
    public var owner: ParticipantID
    public var name: String
    public var region: String
    public var zones: [String]
    public var peerAddress: String
    public init(id: DatacenterID, owner: ParticipantID, name: String, region: String, zones: [String], peerAddress: String) {
        self.id = id
        self.owner = owner
        self.name = name
        self.region = region
        self.zones = zones
        self.peerAddress = peerAddress
    }
}

/// How many lots of a product a datacenter can deliver in all. Sold plus on offer never passes it.
public struct DeclareCapacity: Codable, Sendable {
    public var product: ProductID
    public var lots: Int64
    public init(product: ProductID, lots: Int64) {
        self.product = product
        self.lots = lots
    }
}

/// What a datacenter has declared of a product, and what takes it up. All in lots.
public struct DeclaredCapacityView: Codable, Sendable, Hashable {
    public var product: ProductID
    public var productName: String
    /// What its connect says it delivers in all.
    public var declared: Int64
    /// In resting orders of the spot series.
    public var offered: Int64
    /// In spot contracts that have not ended.
    public var sold: Int64
    /// Of forwards, on offer and sold, at the moment when they are the most.
    public var forwardsPeak: Int64
    /// What may still be offered for spot: free at every moment from now on.
    public var free: Int64
    public init(
        product: ProductID, productName: String, declared: Int64, offered: Int64, sold: Int64, forwardsPeak: Int64, free: Int64
    ) {
        self.product = product
        self.productName = productName
        self.declared = declared
        self.offered = offered
        self.sold = sold
        self.forwardsPeak = forwardsPeak
        self.free = free
    }
}

extension ExchangeAPI {
    static let traders: Set<Caller> = [.operator, .participant, .manage, .connect]

    public static let createProduct = Endpoint(
        "createProduct", .post, "/v1/products", "Define a product and open its series.", access: [.operator], success: 201,
        request: ProductDefinition.self, response: ProductView.self)
    public static let listProducts = Endpoint(
        "listProducts", .get, "/v1/products", "Products.", access: traders, query: QueryParameter.paging, request: Empty.self,
        response: Page<ProductView>.self)
    public static let listSeries = Endpoint(
        "listSeries", .get, "/v1/series", "Series and their best prices.", access: traders,
        query: QueryParameter.paging + [
            QueryParameter("product", .string, "Only series of this product."),
            QueryParameter("kind", .string, "Only `spot`, `hour`, `day`, `week` or `month`."),
            QueryParameter("state", .string, "Only `open`, `halted`, `closed` or `expired`; all but expired ones when absent."),
        ], request: Empty.self, response: Page<SeriesView>.self)
    public static let showSeries = Endpoint(
        "showSeries", .get, "/v1/series/{series}", "One series, also when it has expired.", access: traders, request: Empty.self,
        response: SeriesView.self)
    public static let book = Endpoint(
        "showBook", .get, "/v1/series/{series}/book", "Depth of a series.", access: traders, request: Empty.self, response: BookView.self)
    public static let registerDatacenter = Endpoint(
        "registerDatacenter", .put, "/v1/datacenters/{datacenter}", "Tell the exchange where this connect delivers.", access: [.connect],
        request: RegisterDatacenter.self, response: DatacenterView.self)
    public static let listDatacenters = Endpoint(
        "listDatacenters", .get, "/v1/datacenters", "Datacenters.", access: traders, query: QueryParameter.paging, request: Empty.self,
        response: Page<DatacenterView>.self)
    public static let declareCapacity = Endpoint(
        "declareCapacity", .put, "/v1/datacenters/{datacenter}/capacity", "Declare how many lots of a product a datacenter delivers.",
        access: [.connect], request: DeclareCapacity.self, response: DeclareCapacity.self)
    public static let listDeclaredCapacity = Endpoint(
        "listDeclaredCapacity", .get, "/v1/datacenters/{datacenter}/capacity",
        "What a datacenter of the caller's has declared, product by product, and what of it is on offer, sold and free.",
        access: [.operator, .participant, .connect], request: Empty.self, response: Page<DeclaredCapacityView>.self)
}
