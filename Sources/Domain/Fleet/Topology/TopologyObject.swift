/// The objects of a topology, parents before children.
public enum TopologyKind: String, Hashable, Sendable, CaseIterable { case zone, domain, pod, rack, host }

/// One object of a topology, as differences show it.
public protocol TopologyObject: Hashable, Sendable {
    static var kind: TopologyKind { get }
    /// Where a topology keeps objects of this type.
    static var path: WritableKeyPath<Topology, [String: Self]> { get }
    var name: String { get }
    /// All that can differ, named and written for people, in a fixed order. Nil: not stated.
    var fields: [(name: String, value: String?)] { get }
}

extension Topology.Zone: TopologyObject {
    public static var kind: TopologyKind { .zone }
    public static var path: WritableKeyPath<Topology, [String: Self]> { \.zones }
    public var fields: [(name: String, value: String?)] { [("jurisdiction", jurisdiction), ("site", site)] }
}

extension Topology.FaultDomain: TopologyObject {
    public static var kind: TopologyKind { .domain }
    public static var path: WritableKeyPath<Topology, [String: Self]> { \.domains }
    public var fields: [(name: String, value: String?)] {
        [("kind", kind.rawValue), ("zone", zone), ("limit", limit.map(String.init))]
    }
}

extension Topology.Pod: TopologyObject {
    public static var kind: TopologyKind { .pod }
    public static var path: WritableKeyPath<Topology, [String: Self]> { \.pods }
    public var fields: [(name: String, value: String?)] {
        let ratios = [("cpu", oversubscription.cpu), ("memory", oversubscription.memory), ("disk", oversubscription.disk)]
        let firmware = (baseline?.firmware ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return [("zone", zone), ("kind", kind.rawValue), ("storage", storage.rawValue), ("policy", policy.rawValue)]
            + ratios.map { ("oversubscription.\($0)", String($1)) } + [("profile", profile?.name)]
            + (profile?.numbers ?? []).filter { $0.amount != 0 }.map { ("profile.\($0)", String($1)) }
            + limits.numbers.map { ("limits.\($0)", $1.map(String.init)) }
            + [
                ("baseline.product", baseline?.product), ("baseline.bios", baseline?.bios),
                ("baseline.firmware", firmware.isEmpty ? nil : firmware.joined(separator: ", ")),
            ]
    }
}

extension Topology.Rack: TopologyObject {
    public static var kind: TopologyKind { .rack }
    public static var path: WritableKeyPath<Topology, [String: Self]> { \.racks }
    public var fields: [(name: String, value: String?)] {
        [
            ("pod", pod), ("units", units.map(String.init)), ("watts", watts.map(String.init)),
            ("domains", domains.isEmpty ? nil : domains.sorted().joined(separator: ", ")),
        ]
    }
}

extension Topology.Place: TopologyObject {
    public static var kind: TopologyKind { .host }
    public static var path: WritableKeyPath<Topology, [String: Self]> { \.hosts }
    public var fields: [(name: String, value: String?)] {
        [("pod", pod), ("rack", rack), ("domains", domains.isEmpty ? nil : domains.sorted().joined(separator: ", "))]
    }
}
