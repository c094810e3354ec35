/// A datacenter as its operator wants it, or as it is: region ⊃ datacenter ⊃ zone ⊃ pod ⊃ rack ⊃ host, and what fails together across
/// them. Every object is known by its name, which is one of its kind in the datacenter.
public struct Topology: Hashable, Sendable {
    public var region: String
    public var datacenter: String
    public var zones: [String: Zone] = [:]
    public var domains: [String: FaultDomain] = [:]
    public var pods: [String: Pod] = [:]
    public var racks: [String: Rack] = [:]
    public var hosts: [String: Place] = [:]

    public init(region: String, datacenter: String) {
        self.region = region
        self.datacenter = datacenter
    }

    /// A part of a datacenter that fails alone: no power, network or facility domain reaches into two.
    public struct Zone: Hashable, Sendable {
        public var name: String
        /// ISO 3166-1 alpha-2 code of the country whose law holds here, when stated.
        public var jurisdiction: String?
        /// Building, hall or floor, for people.
        public var site: String?

        public init(name: String, jurisdiction: String? = nil, site: String? = nil) {
            self.name = name
            self.jurisdiction = jurisdiction
            self.site = site
        }
    }

    /// What fails together: all that hang on one feed, one switch, one cooling loop.
    public struct FaultDomain: Hashable, Sendable {
        public enum Kind: String, Hashable, Sendable, CaseIterable {
            /// A feed; the limit is in watts.
            case power
            /// A switch; the limit is in ports.
            case network
            /// A room or cooling loop; the limit is in watts of heat.
            case facility
        }

        public var name: String
        public var kind: Kind
        public var zone: String
        public var limit: Int64?

        public init(name: String, kind: Kind, zone: String, limit: Int64? = nil) {
            self.name = name
            self.kind = kind
            self.zone = zone
            self.limit = limit
        }
    }

    /// Hosts that are all alike, up to the size at which something they share is used up.
    public struct Pod: Hashable, Sendable {
        public enum Kind: String, Hashable, Sendable, CaseIterable { case virtual, metal }
        public enum Storage: String, Hashable, Sendable, CaseIterable { case das, nas, san }

        public var name: String
        public var zone: String
        public var kind: Kind
        public var storage: Storage
        public var oversubscription: Oversubscription
        /// How hosts are chosen for what is to be placed.
        public var policy: PlacementPolicy
        /// What each host is; nil: not stated, so nothing is counted against the limits but the hosts themselves.
        public var profile: HardwareProfile?
        public var limits: PodLimits
        public var baseline: Baseline?

        public init(
            name: String, zone: String, kind: Kind, storage: Storage, oversubscription: Oversubscription, profile: HardwareProfile? = nil,
            limits: PodLimits = PodLimits(), baseline: Baseline? = nil, policy: PlacementPolicy = .packing
        ) {
            self.name = name
            self.zone = zone
            self.kind = kind
            self.storage = storage
            self.oversubscription = oversubscription
            self.policy = policy
            self.profile = profile
            self.limits = limits
            self.baseline = baseline
        }
    }

    public struct Rack: Hashable, Sendable {
        public var name: String
        public var pod: String
        /// Height in rack units, when stated.
        public var units: Int64?
        /// What its power distribution bears, when stated.
        public var watts: Int64?
        /// Names of the fault domains its hosts are in.
        public var domains: Set<String>

        public init(name: String, pod: String, units: Int64? = nil, watts: Int64? = nil, domains: Set<String> = []) {
            self.name = name
            self.pod = pod
            self.units = units
            self.watts = watts
            self.domains = domains
        }
    }

    /// Where a host stands; whether a node runs there yet is another matter.
    public struct Place: Hashable, Sendable {
        public var name: String
        public var pod: String
        /// Nil: not known.
        public var rack: String?
        /// Domains beside those of its rack.
        public var domains: Set<String>

        public init(name: String, pod: String, rack: String? = nil, domains: Set<String> = []) {
            self.name = name
            self.pod = pod
            self.rack = rack
            self.domains = domains
        }
    }

    /// All fault domains a host is in: its own and its rack's.
    public func domains(of place: Place) -> Set<String> {
        place.domains.union(place.rack.flatMap { racks[$0]?.domains } ?? [])
    }
}
