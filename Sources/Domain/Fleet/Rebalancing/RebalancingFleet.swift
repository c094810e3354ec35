public import Primitives

/// A fleet as rebalancing sees it: what hosts promise, what runs where, and what keeps instances together or apart. A value: planning on it
/// changes nothing else.
public struct RebalancingFleet: Sendable {
    public enum Scope: Int, Hashable, Sendable, CaseIterable { case host, rack, zone }

    public struct Site: Hashable, Sendable {
        public var id: HostID
        /// Numbers of its rack and zone, the caller's own.
        public var rack: Int32
        public var zone: Int32
        /// After oversubscription.
        public var promised: Resources
        /// Set aside there for something else than the guests below.
        public var reserved: Resources
        /// Processors as they are, in milli-vCPU, which measured load is compared with.
        public var hardwareMilliCPU: Int64
        /// Load that is not its guests', in milli-vCPU: it stays whatever moves.
        public var ownLoad: Int64
        /// Takes part: instances may come and go. Else it is left as it is.
        public var isOpen: Bool
        /// Who else is there, beside the guests below, and stays: room that is held is somebody's.
        public var others: [Tenant] = []
        /// Number of what its hypervisor and processor are, the caller's own: what runs moves between equal ones. Nil: nothing that runs
        /// comes here.
        public var platform: Int32? = 0
        /// Of its guests; nil: any address is good here.
        public var network: GuestNetwork?

        public init(
            id: HostID, rack: Int32, zone: Int32, promised: Resources, reserved: Resources = .zero, hardwareMilliCPU: Int64,
            ownLoad: Int64 = 0, isOpen: Bool
        ) {
            self.id = id
            self.rack = rack
            self.zone = zone
            self.promised = promised
            self.reserved = reserved
            self.hardwareMilliCPU = hardwareMilliCPU
            self.ownLoad = ownLoad
            self.isOpen = isOpen
        }
    }

    public enum Mobility: Hashable, Sendable { case live, cold, pinned }

    /// Whose an instance is, and with whom it shares its host.
    public struct Tenant: Hashable, Sendable {
        public var party: ParticipantID
        public var sharing: PlacementTenancy.Sharing
        public init(_ party: ParticipantID, _ sharing: PlacementTenancy.Sharing = .shared) {
            self.party = party
            self.sharing = sharing
        }

        /// Whether its terms allow another party beside it.
        func admits(_ other: ParticipantID) -> Bool {
            switch sharing {
            case .shared: true
            case .group(let parties): other == party || parties.contains(other)
            case .exclusive: other == party
            }
        }
    }

    /// Instances of a group are never in one domain of the scope (apart), or always all in one (together).
    public struct Group: Hashable, Sendable {
        public var number: Int32
        public var scope: Scope
        public init(number: Int32, scope: Scope) {
            self.number = number
            self.scope = scope
        }
    }

    public struct Guest: Hashable, Sendable {
        public var id: InstanceID
        /// Index of its site.
        public var site: Int
        public var resources: Resources
        /// Measured, in milli-vCPU.
        public var load: Int64
        public var mobility: Mobility
        /// How fast it writes to its memory, in Mbit/s; what is written while memory is copied has to be copied again.
        public var dirtyMbps: Int64
        public var tenant: Tenant
        /// Sites that it may not be on.
        public var barred: Set<Int> = []
        public var apart: [Group]
        public var together: Group?
        /// Its address on the host's own network, which it keeps when it moves live; nil when it has none, or it is good everywhere.
        public var address: UInt32?
        /// It is off: where its disk can go, it can.
        public var isOff = false

        public init(
            id: InstanceID, site: Int, resources: Resources, load: Int64 = 0, mobility: Mobility, dirtyMbps: Int64 = 0,
            tenant: Tenant = Tenant(ParticipantID(bits: 0)), apart: [Group] = [], together: Group? = nil, address: UInt32? = nil
        ) {
            self.tenant = tenant
            self.address = address
            self.id = id
            self.site = site
            self.resources = resources
            self.load = load
            self.mobility = mobility
            self.dirtyMbps = dirtyMbps
            self.apart = apart
            self.together = together
        }
    }

    public var sites: [Site]
    public var guests: [Guest]

    public init(sites: [Site], guests: [Guest]) {
        precondition(guests.allSatisfy { sites.indices.contains($0.site) }, "every guest is on a site")
        self.sites = sites
        self.guests = guests
    }

    /// Whether a guest can come to a site as it is, running if it runs.
    func takes(_ target: Int, _ guest: Guest) -> Bool {
        if guest.isOff { return true }
        let (from, to) = (sites[guest.site], sites[target])
        guard let platform = to.platform, platform == from.platform else { return false }
        guard let address = guest.address, let network = to.network else { return true }
        return network.contains(address)
    }

    /// The domain of a site at a scope.
    func domain(of site: Int, _ scope: Scope) -> Int32 {
        switch scope {
        case .host: Int32(site)
        case .rack: sites[site].rack
        case .zone: sites[site].zone
        }
    }
}
