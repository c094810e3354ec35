public import Primitives

/// Where a seller delivers: one connect and what stands behind it.
public struct Datacenter: Hashable, Sendable, Codable {
    public let id: DatacenterID
    public let owner: ParticipantID
    public var name: String
    public var region: String
    public var zones: [String]
    /// Where its connect listens for buyers, `host:port`.
    public var peerAddress: String

    public init(id: DatacenterID, owner: ParticipantID, name: String, region: String, zones: [String], peerAddress: String) {
        self.id = id
        self.owner = owner
        self.name = name
        self.region = region
        self.zones = zones
        self.peerAddress = peerAddress
    }

    func check() throws(Refusal) {
        try checkName(name, "datacenter name")
        try checkName(region, "region")
        try checkRange(Int64(zones.count), 0...100, "number of zones", rule: "market.zones")
        for zone in zones { try checkName(zone, "zone") }
        let parts = peerAddress.split(separator: ":", omittingEmptySubsequences: false)
        let port = parts.last.flatMap { Int($0) } ?? 0
        guard parts.count >= 2, (1...65_535).contains(port), peerAddress.utf8.count <= 300,
            peerAddress.utf8.allSatisfy({ (33...126).contains($0) }),
            parts.first?.isEmpty == false
        else {
            throw Refusal(
                "market.address", .invalid, "The address '\(peerAddress.prefix(60))' is not of the form host:port.",
                nearest: "connect.example.net:7421")
        }
    }
}

/// How much of one product a datacenter delivers, and how much of that is on offer and sold. What is on offer and sold together
/// fits what is declared at every moment: spot takes up its lots from now on without end, a forward those of its period.
public struct Offering: Hashable, Sendable {
    public let datacenter: DatacenterID
    public let product: ProductID
    /// What its connect says it can deliver in all.
    public internal(set) var declared: Int64
    /// In resting spot orders.
    public internal(set) var offered: Int64
    /// In spot contracts that have not ended.
    public internal(set) var sold: Int64
    /// Of forwards: on offer and sold.
    var forwards = CapacityTimeline()

    public init(datacenter: DatacenterID, product: ProductID, declared: Int64) {
        self.datacenter = datacenter
        self.product = product
        self.declared = declared
        offered = 0
        sold = 0
    }

    /// What spot may still take: free at every moment from now on.
    public var free: Int64 { declared - offered - sold - forwards.peak }

    /// What is free throughout a period; nil: from now on without end.
    public func free(during period: Period?) -> Int64 {
        period.map { declared - offered - sold - forwards.peak(in: $0) } ?? free
    }

    /// The most lots of forwards, on offer and sold, at any moment.
    public var forwardsPeak: Int64 { forwards.peak }

    struct Key: Hashable, Comparable {
        let datacenter: DatacenterID
        let product: ProductID
        static func < (a: Self, b: Self) -> Bool { (a.datacenter, a.product) < (b.datacenter, b.product) }
    }
    var key: Key { Key(datacenter: datacenter, product: product) }
}

extension Market {
    /// What a datacenter has declared, by product.
    public func offerings(of datacenter: DatacenterID) -> [Offering] {
        offerings.values.filter { $0.datacenter == datacenter }.sorted { $0.product < $1.product }
    }
}
