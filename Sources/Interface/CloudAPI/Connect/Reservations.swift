public import Primitives

/// What lots a connect has set aside are for now.
public enum ReservationState: String, Codable, Sendable, CaseIterable {
    /// Set aside; the order is on its way to the exchange.
    case pending
    /// In an order that rests.
    case offered
    /// In contracts that are not over.
    case sold
    /// Given back, all of it.
    case released
}

/// Lots of a reservation that lie on one host.
public struct ReservedShare: Codable, Sendable, Hashable {
    public var host: HostID
    public var lots: Int64
    public init(host: HostID, lots: Int64) {
        self.host = host
        self.lots = lots
    }
}

/// Capacity of a datacenter that is set aside for one order, and not there for anything else until it is given back.
public struct CapacityReservationView: Codable, Sendable {
    public var id: CapacityReservationID
    /// What lots not given back are for, the first of pending, offered, sold that some are; released when none are left.
    public var state: ReservationState
    public var product: ProductID
    public var productName: String
    public var series: SeriesID
    /// The delivery of a forward; absent: spot, from now on without end.
    public var period: Period?
    public var order: OrderID?
    /// Lots by what they are for.
    public var pending: Int64
    public var offered: Int64
    public var sold: Int64
    public var released: Int64
    /// Where the lots lie that are not given back.
    public var hosts: [ReservedShare]
    /// Why it was made: `ask`, here; `order` or `contract`, found at the exchange.
    public var cause: String
    public var made: Instant
    /// When the last of it changed, and why.
    public var changed: Instant
    public var reason: String

    public init(
        id: CapacityReservationID, state: ReservationState, product: ProductID, productName: String, series: SeriesID, period: Period?,
        order: OrderID?, pending: Int64, offered: Int64, sold: Int64, released: Int64, hosts: [ReservedShare], cause: String,
        made: Instant, changed: Instant, reason: String
    ) {
        self.id = id
        self.state = state
        self.product = product
        self.productName = productName
        self.series = series
        self.period = period
        self.order = order
        self.pending = pending
        self.offered = offered
        self.sold = sold
        self.released = released
        self.hosts = hosts
        self.cause = cause
        self.made = made
        self.changed = changed
        self.reason = reason
    }
}

/// What a datacenter has set aside of a product and what it could still offer, in lots.
public struct ProductCapacityView: Codable, Sendable {
    public var product: ProductID
    public var productName: String
    /// What the hosts that are up would hold of it if nothing were set aside.
    public var held: Int64
    /// What is set aside for it at the moment when it is the most: what the exchange is told.
    public var reserved: Int64
    public var pending: Int64
    public var offered: Int64
    public var sold: Int64
    /// Set aside, but no host that is up has room for it: on offer it is withdrawn, sold it is owed.
    public var short: Int64
    /// How many more lots could be offered for spot now.
    public var free: Int64
    public init(
        product: ProductID, productName: String, held: Int64, reserved: Int64, pending: Int64, offered: Int64, sold: Int64, short: Int64,
        free: Int64
    ) {
        self.product = product
        self.productName = productName
        self.held = held
        self.reserved = reserved
        self.pending = pending
        self.offered = offered
        self.sold = sold
        self.short = short
        self.free = free
    }
}

/// What the hosts of a pod have to give and what of it is taken, whatever is sold.
public struct PodCapacityView: Codable, Sendable, Hashable {
    public var pod: String
    public var zone: String
    /// That nodes have joined as, and those of them that take instances now.
    public var hosts: Int64
    public var open: Int64
    /// What the hosts promise that take instances now.
    public var promised: Resources
    /// What instances, volumes and reserved room take of all its hosts.
    public var allocated: Resources
    /// What is left on the hosts that take instances now.
    public var free: Resources
    public init(
        pod: String, zone: String, hosts: Int64, open: Int64, promised: Resources, allocated: Resources, free: Resources
    ) {
        self.pod = pod
        self.zone = zone
        self.hosts = hosts
        self.open = open
        self.promised = promised
        self.allocated = allocated
        self.free = free
    }
}

extension ConnectAPI {
    public static let listPodCapacity = Endpoint(
        "listPodCapacity", .get, "/v1/pod-capacity", "What the hosts of each pod have to give and what of it is free.",
        access: [.operator], request: Empty.self, response: Page<PodCapacityView>.self)
    public static let listReservations = Endpoint(
        "listReservations", .get, "/v1/reservations", "Capacity set aside for orders and contracts, newest first.", access: [.operator],
        query: QueryParameter.paging + [QueryParameter("state", .string, "`open`: only what is not released.")], request: Empty.self,
        response: Page<CapacityReservationView>.self)
    public static let listProductCapacity = Endpoint(
        "listProductCapacity", .get, "/v1/products",
        "What is set aside and free of each product this datacenter can deliver; of those known here while the exchange cannot be reached.",
        access: [.operator], request: Empty.self, response: Page<ProductCapacityView>.self)
}
