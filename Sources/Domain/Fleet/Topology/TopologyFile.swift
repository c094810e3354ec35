public import Primitives

/// A topology as an operator writes it down, zone by zone, names in short.
///
/// What an object says of itself is all of it: a limit left out is no limit. A list of children that is left out altogether says
/// nothing: those there are stay as they are; an empty list says that there are none.
public struct TopologyFile: Hashable, Sendable {
    public struct Zone: Hashable, Sendable {
        public var name: String
        public var jurisdiction: String?
        public var site: String?
        public var domains: [Domain]?
        public var pods: [Pod]?

        public init(name: String, jurisdiction: String? = nil, site: String? = nil, domains: [Domain]? = nil, pods: [Pod]? = nil) {
            self.name = name
            self.jurisdiction = jurisdiction
            self.site = site
            self.domains = domains
            self.pods = pods
        }
    }

    public struct Domain: Hashable, Sendable {
        /// A name or a pattern of names.
        public var name: String
        public var kind: Topology.FaultDomain.Kind
        public var limit: Int64?

        public init(name: String, kind: Topology.FaultDomain.Kind, limit: Int64? = nil) {
            self.name = name
            self.kind = kind
            self.limit = limit
        }
    }

    public struct Pod: Hashable, Sendable {
        public var name: String
        public var kind: Topology.Pod.Kind
        public var storage: Topology.Pod.Storage
        public var oversubscription: Oversubscription
        public var policy: PlacementPolicy
        public var profile: HardwareProfile?
        public var limits: PodLimits?
        public var baseline: Baseline?
        public var racks: [Rack]?
        /// Hosts of which no rack is known.
        public var hosts: [Host]?

        public init(
            name: String, kind: Topology.Pod.Kind, storage: Topology.Pod.Storage, oversubscription: Oversubscription,
            profile: HardwareProfile? = nil, limits: PodLimits? = nil, baseline: Baseline? = nil, policy: PlacementPolicy = .packing,
            racks: [Rack]? = nil, hosts: [Host]? = nil
        ) {
            self.name = name
            self.kind = kind
            self.storage = storage
            self.oversubscription = oversubscription
            self.policy = policy
            self.profile = profile
            self.limits = limits
            self.baseline = baseline
            self.racks = racks
            self.hosts = hosts
        }
    }

    public struct Rack: Hashable, Sendable {
        /// A name or a pattern of names.
        public var name: String
        public var units: Int64?
        public var watts: Int64?
        /// Patterns, in which `{rack}` stands for the rack's name.
        public var domains: [String]?
        public var hosts: [Host]?

        public init(name: String, units: Int64? = nil, watts: Int64? = nil, domains: [String]? = nil, hosts: [Host]? = nil) {
            self.name = name
            self.units = units
            self.watts = watts
            self.domains = domains
            self.hosts = hosts
        }
    }

    public struct Host: Hashable, Sendable {
        /// A name or a pattern of names, in which `{rack}` stands for the rack's name.
        public var name: String
        /// Beside those of its rack. Patterns, in which `{rack}` stands for the rack's name.
        public var domains: [String]?

        public init(name: String, domains: [String]? = nil) {
            self.name = name
            self.domains = domains
        }
    }

    public var region: String
    public var datacenter: String
    public var zones: [Zone]

    public init(region: String, datacenter: String, zones: [Zone]) {
        self.region = region
        self.datacenter = datacenter
        self.zones = zones
    }
}

extension TopologyFile {
    /// What it wants, given what is there.
    public func desired(over current: Topology) throws(Refusal) -> Topology {
        guard region == current.region, datacenter == current.datacenter else {
            throw Refusal(
                "topology.datacenter", .invalid,
                "The file is for datacenter \(datacenter) in region \(region), this is \(current.datacenter) in \(current.region).",
                facts: ["datacenter": .text(datacenter), "region": .text(region)],
                nearest: "datacenter \(current.datacenter) in region \(current.region)")
        }
        var reading = TopologyReading(current: current)
        for zone in zones { try reading.read(zone) }
        return reading.finished()
    }

    /// A file that wants a topology as it is.
    public init(_ topology: Topology) {
        region = topology.region
        datacenter = topology.datacenter
        let domains = Dictionary(grouping: topology.domains.values.sorted { $0.name < $1.name }, by: \.zone)
        let pods = Dictionary(grouping: topology.pods.values.sorted { $0.name < $1.name }, by: \.zone)
        let racks = Dictionary(grouping: topology.racks.values.sorted { $0.name < $1.name }, by: \.pod)
        let unracked = Dictionary(grouping: topology.hosts.values.filter { $0.rack == nil }, by: \.pod)
        let racked = Dictionary(grouping: topology.hosts.values, by: { $0.rack ?? "" })
        zones = topology.zones.values.sorted { $0.name < $1.name }.map { zone in
            Zone(
                name: zone.name, jurisdiction: zone.jurisdiction, site: zone.site,
                domains: (domains[zone.name] ?? []).map { Domain(name: $0.name, kind: $0.kind, limit: $0.limit) },
                pods: (pods[zone.name] ?? []).map { pod in
                    Pod(
                        pod, racks: (racks[pod.name] ?? []).map { Rack($0, hosts: racked[$0.name] ?? []) },
                        hosts: Host.list(unracked[pod.name] ?? []))
                })
        }
    }
}

extension TopologyFile.Pod {
    fileprivate init(_ pod: Topology.Pod, racks: [TopologyFile.Rack], hosts: [TopologyFile.Host]) {
        self.init(
            name: pod.name, kind: pod.kind, storage: pod.storage, oversubscription: pod.oversubscription, profile: pod.profile,
            limits: pod.limits == PodLimits() ? nil : pod.limits, baseline: pod.baseline, policy: pod.policy, racks: racks, hosts: hosts)
    }
}

extension TopologyFile.Rack {
    fileprivate init(_ rack: Topology.Rack, hosts: [Topology.Place]) {
        self.init(
            name: rack.name, units: rack.units, watts: rack.watts,
            domains: rack.domains.isEmpty ? nil : NamePattern.compressed(rack.domains.sorted()), hosts: TopologyFile.Host.list(hosts))
    }
}

extension TopologyFile.Host {
    /// Hosts in the same domains, written in short.
    fileprivate static func list(_ places: [Topology.Place]) -> [Self] {
        let alike = Dictionary(grouping: places) { $0.domains.sorted() }
        return alike.flatMap { domains, places in
            NamePattern.compressed(places.map(\.name)).map {
                Self(name: $0, domains: domains.isEmpty ? nil : NamePattern.compressed(domains))
            }
        }.sorted { $0.name < $1.name }
    }
}
