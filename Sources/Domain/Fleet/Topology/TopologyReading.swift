import Primitives

/// Reads a file into a topology, keeping of the current one what the file says nothing about.
struct TopologyReading {
    private let current: Topology
    private var desired: Topology
    /// Hosts of lists that were left out.
    private var left: [Topology.Place] = []
    /// Objects that were added.
    private var count = 0
    /// Times that a rack or host was said to be in a fault domain.
    private var memberships: Int64 = 0

    init(current: Topology) {
        self.current = current
        desired = Topology(region: current.region, datacenter: current.datacenter)
    }

    mutating func read(_ zone: TopologyFile.Zone) throws(Refusal) {
        try add(Topology.Zone(name: zone.name, jurisdiction: zone.jurisdiction, site: zone.site))
        if let domains = zone.domains {
            for domain in domains {
                for name in try NamePattern(domain.name).names {
                    try add(Topology.FaultDomain(name: name, kind: domain.kind, zone: zone.name, limit: domain.limit))
                }
            }
        } else {
            for domain in current.domains.values where domain.zone == zone.name { try add(domain) }
        }
        if let pods = zone.pods {
            for pod in pods { try read(pod, in: zone.name) }
        } else {
            for pod in current.pods.values where pod.zone == zone.name { try keep(pod) }
        }
    }

    private mutating func read(_ pod: TopologyFile.Pod, in zone: String) throws(Refusal) {
        try add(
            Topology.Pod(
                name: pod.name, zone: zone, kind: pod.kind, storage: pod.storage, oversubscription: pod.oversubscription,
                profile: pod.profile, limits: pod.limits ?? PodLimits(), baseline: pod.baseline, policy: pod.policy))
        if let racks = pod.racks {
            for rack in racks { try read(rack, in: pod.name) }
        } else {
            for rack in current.racks.values where rack.pod == pod.name { try keep(rack) }
        }
        if let hosts = pod.hosts {
            for host in hosts { try read(host, in: pod.name, rack: nil) }
        } else {
            // A host that the file puts into a rack has left the floor.
            for place in current.hosts.values where place.pod == pod.name && place.rack == nil { left.append(place) }
        }
    }

    private mutating func read(_ rack: TopologyFile.Rack, in pod: String) throws(Refusal) {
        for name in try NamePattern(rack.name).names {
            let domains = try self.domains(rack.domains, rack: name)
            try add(Topology.Rack(name: name, pod: pod, units: rack.units, watts: rack.watts, domains: domains))
            if let hosts = rack.hosts {
                for host in hosts { try read(host, in: pod, rack: name) }
            } else {
                for place in current.hosts.values where place.rack == name && place.pod == pod { left.append(place) }
            }
        }
    }

    private mutating func read(_ host: TopologyFile.Host, in pod: String, rack: String?) throws(Refusal) {
        let domains = try self.domains(host.domains, rack: rack)
        for name in try NamePattern(Self.filled(host.name, rack: rack)).names {
            try add(Topology.Place(name: name, pod: pod, rack: rack, domains: domains))
        }
    }

    /// A few letters stand for many names, so they are counted before they are written out.
    private mutating func domains(_ patterns: [String]?, rack: String?) throws(Refusal) -> Set<String> {
        var names: Set<String> = []
        for pattern in patterns ?? [] {
            let pattern = try NamePattern(Self.filled(pattern, rack: rack))
            memberships += pattern.count
            guard memberships <= Self.mostMemberships else {
                throw Refusal(
                    "topology.size", .invalid,
                    "The file says more than \(Self.mostMemberships) times of a rack or host that it is in a fault domain.",
                    facts: ["largest": .number(Self.mostMemberships)],
                    nearest: "the fault domains that a rack or host really is in, \(Self.mostMemberships) altogether at most")
            }
            names.formUnion(pattern.names)
        }
        return names
    }

    private static func filled(_ pattern: String, rack: String?) -> String {
        rack.map { pattern.replacing("{rack}", with: $0) } ?? pattern
    }

    /// What was read. A host that the file puts somewhere is there, whatever list it was in before.
    func finished() -> Topology {
        var topology = desired
        for place in left where topology.hosts[place.name] == nil { topology.hosts[place.name] = place }
        return topology
    }

    // MARK: Keeping

    private mutating func keep(_ pod: Topology.Pod) throws(Refusal) {
        try add(pod)
        for rack in current.racks.values where rack.pod == pod.name { try add(rack) }
        left += current.hosts.values.filter { $0.pod == pod.name }
    }

    private mutating func keep(_ rack: Topology.Rack) throws(Refusal) {
        try add(rack)
        left += current.hosts.values.filter { $0.rack == rack.name }
    }

    /// The most objects one topology has.
    private static let largest = 250_000
    private static let mostMemberships: Int64 = 1_000_000

    private mutating func add<Object: TopologyObject>(_ object: Object) throws(Refusal) {
        count += 1
        guard count <= Self.largest else {
            throw Refusal(
                "topology.size", .invalid, "The file describes more than \(Self.largest) objects.",
                facts: ["largest": .number(Int64(Self.largest))],
                nearest: "a datacenter of at most \(Self.largest) zones, pods, racks and hosts")
        }
        guard desired[keyPath: Object.path].updateValue(object, forKey: object.name) == nil else {
            throw Refusal(
                "topology.twice", .invalid, "There are two objects of kind \(Object.kind.rawValue) with the name '\(object.name)'.",
                facts: ["kind": .text(Object.kind.rawValue), "name": .text(object.name)], nearest: "one of them, or another name")
        }
    }
}
