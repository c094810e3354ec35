public import Primitives

// Tenants' networks: which addresses their instances have, and on which hosts they are.
extension Occupancy {
    /// One network, as its instances make it.
    public struct NetworkUse: Equatable, Sendable {
        public internal(set) var addresses: AddressPool
        /// Room that is reserved counts as if its instance were there.
        public internal(set) var instances: Int64 = 0
        /// Instances on each host that has some, with those that are about to come there.
        public internal(set) var hosts: [HostID: Int64] = [:]

        init(_ range: AddressRange) { addresses = AddressPool(range) }

        /// As many as there are instances, unless two have the same.
        var isConsistent: Bool { addresses.taken == instances }

        mutating func count(_ holding: Holding, adding: Bool) {
            instances += adding ? 1 : -1
            if let address = holding.address { _ = adding ? addresses.take(address) : addresses.release(address) }
            for host in holding.networkHosts { hosts[host] = Self.sum(hosts[host], adding) }
        }

        private static func sum(_ count: Int64?, _ adding: Bool) -> Int64? {
            let sum = (count ?? 0) + (adding ? 1 : -1)
            return sum == 0 ? nil : sum
        }
    }

    public var networkCount: Int { networks.count }
    public func network(_ id: NetworkID) -> NetworkUse? { networks[id] }

    /// Adds a network with nobody on it; nil: takes it away again. Returns the range it had before.
    @discardableResult
    public mutating func setNetwork(_ id: NetworkID, _ range: AddressRange?) -> AddressRange? {
        let before = networks[id]
        guard before?.addresses.range != range else { return range }
        precondition(before?.instances ?? 0 == 0, "a network is taken away that instances are on")
        networks[id] = range.map(NetworkUse.init)
        return before?.addresses.range
    }

    mutating func countOnNetwork(_ holding: Holding, adding: Bool) {
        guard let network = holding.network else { return }
        guard networks[network] != nil else { preconditionFailure("an instance is on a network that is not known") }
        networks[network]?.count(holding, adding: adding)
    }

    /// The address an instance has on a host it goes to: its own on a tenant's network, which is the same everywhere; else its own when
    /// that is free there, or the lowest that is. Nil: there is none.
    public func address(of instance: InstanceID, movingTo host: HostID) -> UInt32? {
        let holding = holdings[instance]
        if holding?.network != nil { return holding?.address }
        return freeAddress(on: host, preferring: holding?.address)
    }

    /// What contradicts itself about networks.
    func networkViolations() -> [String] {
        var anew = networks.mapValues { NetworkUse($0.addresses.range) }
        for holding in holdings.values where !holding.isArriving {
            if let network = holding.network { anew[network]?.count(holding, adding: true) }
        }
        return networks.keys.sorted().flatMap { id -> [String] in
            var found = networks[id] == anew[id] ? [] : ["what is counted on \(id) is not what its instances hold"]
            if networks[id]?.isConsistent == false { found.append("two instances on \(id) have one address") }
            return found
        }
    }

    func differences(fromNetworksOf other: Occupancy) -> [String] {
        Set(networks.keys).union(other.networks.keys).sorted().filter { networks[$0] != other.networks[$0] }.map {
            "\($0): \(String(describing: networks[$0])) here, \(String(describing: other.networks[$0])) there"
        }
    }
}

extension Occupancy.Holding {
    /// Hosts that its network must reach: its own, and the one it is about to come to. Room that is reserved needs none yet, and room on the
    /// target of a live move needs what its instance does.
    public var networkHosts: Set<HostID> {
        guard network != nil, reservedUntil == nil, !isArriving else { return [] }
        guard let heading else { return [host] }
        return [host, heading]
    }
}
