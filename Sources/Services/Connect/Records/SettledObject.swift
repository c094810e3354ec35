import CloudAPI
import Fleet
import Primitives
import ServiceKit

/// An object of the topology with what can be said of it, in the wire's words. Equal settings have equal tags.
protocol SettledObject: TopologyObject {
    associatedtype Settings: Encodable
    var settings: Settings { get }
}

extension Topology.Zone: SettledObject {
    var settings: ZoneSettings { ZoneSettings(jurisdiction: jurisdiction, site: site) }
}

extension Topology.FaultDomain: SettledObject {
    var settings: FaultDomainSettings { FaultDomainSettings(kind: .init(kind), zone: zone, limit: limit) }
}

extension Topology.Pod: SettledObject {
    var settings: PodSettings {
        PodSettings(
            zone: zone, kind: .init(kind), storage: .init(storage), oversubscription: .init(oversubscription),
            profile: profile.map(PodProfile.init), limits: limits == PodLimits() ? nil : PodSizeLimits(limits),
            baseline: baseline.map(PodBaseline.init), policy: PodPolicy(policy))
    }
}

extension Topology.Rack: SettledObject {
    var settings: RackSettings {
        RackSettings(pod: pod, units: units, watts: watts, domains: domains.isEmpty ? nil : domains.sorted())
    }
}

extension Topology.Place: SettledObject {
    var settings: HostSettings { HostSettings(pod: pod, rack: rack, domains: domains.isEmpty ? nil : domains.sorted()) }
}

extension Topology {
    /// Refuses a change of an object that is not as its caller saw it, or is there when it was to be new.
    func check<Object: SettledObject>(_ condition: RequestCondition, of name: String, _ type: Object.Type) throws {
        let kind = Object.kind
        let known = self[keyPath: Object.path][name]
        if condition.isForNew, known != nil {
            throw Refusal(
                "\(kind.rawValue).exists", .conflict, "There is a \(kind.title) '\(name)' already.", facts: ["name": .text(name)],
                nearest: "another name, or `bourse \(kind.command) set \(name)`, which changes it")
        }
        guard let tags = condition.matches else { return }
        let object = try object(name, type)
        let tag = try EntityTag.of(object.settings)
        guard !condition.allows(tag) else { return }
        let now = object.fields.compactMap { field in field.value.map { "\(field.name) \($0)" } }.joined(separator: ", ")
        throw Refusal(
            "\(kind.rawValue).stale", .conflict, "The \(kind.title) \(name) was changed since it was read. Now it has: \(now).",
            facts: ["name": .text(name), "ifMatch": .text(tags.joined(separator: ", ")), "tag": .text(tag)],
            nearest: "read it again and make the change to what it is now: If-Match \"\(tag)\"")
    }
}

extension TopologyKind {
    fileprivate var title: String { self == .domain ? "fault domain" : rawValue }
    /// The noun of the client's commands.
    fileprivate var command: String { self == .domain ? "fault-domain" : rawValue }
}
