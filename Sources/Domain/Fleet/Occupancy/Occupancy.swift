public import Primitives

/// What runs and lies where in one datacenter, and under which contract: allocations of hosts, volume used of contracts, addresses given
/// to guests, and a digest of what is settled on each host.
///
/// There is one way in: an instance or a volume is set to what it holds now, or to nil. Every sum follows from that and is never set by itself,
/// so that taking a change back is setting what was there before.
public struct Occupancy: Sendable {
    /// A host as placement sees it, with the network of its guests.
    public struct HostEntry: Hashable, Sendable {
        public var placement: PlacementHost
        public var network: GuestNetwork
        /// Of its pod.
        public var policy: PlacementPolicy

        public init(_ placement: PlacementHost, network: GuestNetwork, policy: PlacementPolicy = .packing) {
            self.placement = placement
            self.network = network
            self.policy = policy
        }

        public var id: HostID { placement.id }
        public var zone: String { placement.zone }
        public var state: Host.State {
            get { placement.state }
            set { placement.state = newValue }
        }
        /// After oversubscription.
        public var promised: Resources { placement.capacity }
        /// Hardware threads, in thousandths of one.
        public var hardwareMilliCPU: Int64 { promised.milliCPU * 1_000 / max(1, placement.ratios.cpu) }
    }

    /// What an instance that is not terminated holds.
    public struct Holding: Hashable, Sendable {
        public var contract: ContractID
        /// The buyer.
        public var party: ParticipantID
        public var host: HostID
        public var resources: Resources
        public var address: UInt32?
        public var desired: InstanceLifecycle.Desired
        public var state: InstanceLifecycle.State
        public var generation: Int64
        /// When the hypervisor process that was seen last was started.
        public var executed: Instant?
        public var terms: HeldTerms
        /// Ignored while it is stopped.
        public var spot: PlacementSpot
        /// Nobody runs here yet: the room is held until then.
        public var reservedUntil: Instant?
        /// It is room on the target of a live move: its instance counts under the contract where it runs.
        public var isArriving = false
        /// The tenant's network that its address is on; nil: its host's own.
        public var network: NetworkID?
        /// Where it is on its way to.
        public var heading: HostID?

        public init(
            contract: ContractID, party: ParticipantID, host: HostID, resources: Resources, address: UInt32?,
            desired: InstanceLifecycle.Desired,
            state: InstanceLifecycle.State, generation: Int64, executed: Instant?, terms: HeldTerms = .none,
            spot: PlacementSpot = .anywhere, reservedUntil: Instant? = nil, network: NetworkID? = nil, heading: HostID? = nil
        ) {
            self.contract = contract
            self.party = party
            self.host = host
            self.resources = resources
            self.address = address
            self.desired = desired
            self.state = state
            self.generation = generation
            self.executed = executed
            self.terms = terms
            self.spot = spot
            self.reservedUntil = reservedUntil
            self.network = network
            self.heading = heading
        }

        /// Whether it lies on its host just as another does.
        func lies(as other: Holding) -> Bool {
            host == other.host && allocated == other.allocated && party == other.party && contract == other.contract
                && terms == other.terms && spot == other.spot && reservedUntil == other.reservedUntil && network == other.network
                && isArriving == other.isArriving
        }

        /// What it takes up of its host: a stopped instance holds its disk only.
        public var allocated: Resources { state == .stopped ? Resources(diskMiB: resources.diskMiB) : resources }
    }

    public struct Usage: Hashable, Sendable {
        public var resources = Resources.zero
        /// Room that is reserved counts as if its instance were there.
        public var instances: Int64 = 0
        public var volumes: Int64 = 0

        public init() {}
    }

    private(set) var holdings: [InstanceID: Holding] = [:]
    var networks: [NetworkID: NetworkUse] = [:]
    var volumeHoldings: [VolumeID: VolumeHolding] = [:]
    var usage: [ContractID: Usage] = [:]
    var hosts = HostTable()
    /// Finds hosts. What it counts follows from the same holdings: instances are allocations, and what volumes hold is taken off what
    /// their host promises.
    var engine = PlacementEngine()
    /// Hosts that have more on them than they promise, as when their hardware shrank: nothing new goes there, and the engine need not
    /// know what is there.
    var overfull: Set<HostID> = []
    var policies: [PodID: PlacementPolicy] = [:]

    public init() {}

    // MARK: Hosts

    public var hostCount: Int { hosts.count }
    public var hostIDs: [HostID] { hosts.ids }

    /// Adds a host, or brings it up to date.
    public mutating func setHost(_ entry: HostEntry) {
        guard host(entry.id) != entry else { return }
        hosts.set(entry)
        bringUp(entry)
    }

    public func host(_ id: HostID) -> HostEntry? { hosts.index(of: id).map { hosts.entries[$0] } }

    /// A host with what is allocated on it; nil when it is not known.
    public func placeable(_ id: HostID) -> Host? { hosts.index(of: id).map { hosts.placeable($0) } }

    public func instances(on id: HostID) -> Int64 { hosts.index(of: id).map { hosts.loads[$0].instances } ?? 0 }

    /// Of what is running or stopped there as it should be, whatever the order.
    public func settled(on id: HostID) -> SetDigest { hosts.index(of: id).map { hosts.loads[$0].settled } ?? SetDigest() }

    // MARK: Instances

    public var instanceCount: Int { holdings.count }
    public subscript(instance: InstanceID) -> Holding? { holdings[instance] }

    public func usage(of contract: ContractID) -> Usage { usage[contract] ?? Usage() }

    /// Makes an instance hold what it holds now; nil: nothing any more. Returns what it held before. Its host must be known.
    /// - Parameter outlook: how long it is expected to be there, when it is new; nil: nobody knows.
    @discardableResult
    public mutating func set(_ instance: InstanceID, _ holding: Holding?, outlook: LifetimeOutlook? = nil) -> Holding? {
        let before = holdings[instance]
        guard before != holding else { return before }
        let stays = before.map { before in holding.map { before.lies(as: $0) } ?? false } ?? false
        if let before {
            count(instance, before, adding: false)
            if !stays { engine.release(instance) }
        }
        holdings[instance] = holding
        if let holding {
            count(instance, holding, adding: true)
            if !stays { enter(instance, holding, outlook: outlook) }
        }
        if let before, overfull.contains(before.host) { reenter(before.host, residents(of: before.host)) }
        return before
    }

    private mutating func count(_ instance: InstanceID, _ holding: Holding, adding: Bool) {
        guard let host = hosts.index(of: holding.host) else { preconditionFailure("an instance is on a host that is not known") }
        hosts.count(instance, holding, at: host, adding: adding)
        guard !holding.isArriving else { return }
        countOnNetwork(holding, adding: adding)
        var used = usage[holding.contract] ?? Usage()
        if adding { used.resources += holding.resources } else { used.resources -= holding.resources }
        used.instances += adding ? 1 : -1
        setUsage(of: holding.contract, used)
    }

    mutating func setUsage(of contract: ContractID, _ used: Usage) {
        usage[contract] = used.instances == 0 && used.volumes == 0 ? nil : used
    }

    // MARK: Addresses

    /// The preferred address of a host's network when no guest has it, else the lowest free one; nil when the network is full or the
    /// host is not known.
    public func freeAddress(on host: HostID, preferring preferred: UInt32? = nil) -> UInt32? {
        guard let index = hosts.index(of: host) else { return nil }
        if let preferred, hosts.entries[index].network.contains(preferred), !hosts.loads[index].addresses.contains(preferred) {
            return preferred
        }
        return hosts.entries[index].network.firstFree(excluding: hosts.loads[index].addresses)
    }
}

// MARK: - Auditing

extension Occupancy {
    /// What contradicts itself, computed anew from the instances: nothing, unless there is a bug.
    public func violations() -> [String] {
        var anew = HostTable()
        for entry in hosts.entries { anew.set(entry) }
        var used: [ContractID: Usage] = [:]
        for (instance, holding) in holdings {
            guard let host = anew.index(of: holding.host) else { return ["\(instance) is on \(holding.host), which is not known"] }
            anew.count(instance, holding, at: host, adding: true)
            if holding.isArriving { continue }
            used[holding.contract, default: Usage()].resources += holding.resources
            used[holding.contract, default: Usage()].instances += 1
        }
        for (volume, holding) in volumeHoldings {
            guard let host = anew.index(of: holding.host) else { return ["\(volume) is on \(holding.host), which is not known"] }
            anew.count(holding, at: host, adding: true)
            used[holding.contract, default: Usage()].resources += holding.resources
            used[holding.contract, default: Usage()].volumes += 1
        }
        var found = used == usage ? [] : ["the volumes used of contracts are not those of their instances and disks"]
        found += engine.violations() + networkViolations()
        for (instance, holding) in holdings where !overfull.contains(holding.host) {
            let spot = holding.state == .stopped ? .anywhere : holding.spot
            if let kept = engine.spot(of: instance), engine.hostID(of: instance) == holding.host, kept == spot { continue }
            found.append("\(instance) is not where the engine has it")
        }
        for (index, entry) in hosts.entries.enumerated() {
            if anew.loads[index] != hosts.loads[index] { found.append("what is counted on \(entry.id) is not what its instances hold") }
            if hosts.loads[index].addresses.count != hosts.loads[index].addressed {
                found.append("two instances on \(entry.id) have one address")
            }
            let isOpen = !overfull.contains(entry.id)
            if isOpen, engine.free(entry.id) != entry.promised - hosts.loads[index].allocated {
                found.append("the engine counts otherwise on \(entry.id)")
            }
            if isOpen, !hosts.loads[index].allocated.fits(in: entry.promised) {
                found.append("\(entry.id) has promised \(hosts.loads[index].allocated) of \(entry.promised)")
            }
        }
        return found
    }

    /// How this differs from another, by instance and host, for a comparison with one made from the tables.
    public func differences(from other: Occupancy) -> [String] {
        let instances = Set(holdings.keys).union(other.holdings.keys).filter { holdings[$0] != other.holdings[$0] }.sorted()
        let hostIDs = Set(hosts.ids).union(other.hosts.ids).filter { host($0) != other.host($0) }.sorted()
        return instances.map {
            "\($0): \(String(describing: holdings[$0])) here, \(String(describing: other.holdings[$0])) there"
        } + differences(fromVolumesOf: other) + differences(fromNetworksOf: other)
            + hostIDs.map { "\($0): \(String(describing: host($0))) here, \(String(describing: other.host($0))) there" }
    }
}
