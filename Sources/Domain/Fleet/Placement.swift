public import Primitives

/// Where to run an instance: filter hosts by hard rules, then score those left.
public struct Placement: Sendable {
    public var resources: Resources
    /// Nil: any zone.
    public var zone: String?

    public init(resources: Resources, zone: String?) {
        self.resources = resources
        self.zone = zone
    }

    /// The fullest host that still fits, so that large gaps stay for large instances; ties go to the lower identifier.
    public func choose(among hosts: [Host]) throws(Refusal) -> HostID {
        var best: (host: Host, score: Int64)?
        var rejected: [String: Int64] = [:]
        for host in hosts {
            if let rule = rejection(of: host) {
                rejected[rule, default: 0] += 1
                continue
            }
            let score = remainder(on: host)
            guard let current = best else {
                best = (host, score)
                continue
            }
            if (score, host.id) < (current.score, current.host.id) { best = (host, score) }
        }
        guard let best else { throw refusal(hosts, rejected) }
        return best.host.id
    }

    /// The first hard rule that keeps this request off a host, or nil.
    private func rejection(of host: Host) -> String? {
        if let zone, host.zone != zone { return "zone" }
        if host.state != .up { return host.state.rawValue }
        return resources.shortfalls(against: host.free).first?.name
    }

    /// Largest share of any component left free after placing, in millionths.
    private func remainder(on host: Host) -> Int64 {
        let left = host.free - resources
        return zip(left.components, host.promised.components).map { free, promised in
            promised.amount > 0 ? free.amount * 1_000_000 / promised.amount : 0
        }.max() ?? 0
    }

    private func refusal(_ hosts: [Host], _ rejected: [String: Int64]) -> Refusal {
        guard !hosts.isEmpty else {
            return Refusal("placement.hosts", .capacity, "This datacenter has no hosts yet.")
        }
        let causes = rejected.sorted { $0.key < $1.key }.map { "\($0.value) by \($0.key)" }.joined(separator: ", ")
        var facts = rejected.mapValues { Refusal.Fact.number($0) }
        facts["hosts"] = .number(Int64(hosts.count))
        return Refusal(
            "placement.capacity", .capacity, "None of \(hosts.count) hosts can take it: \(causes).", facts: facts, nearest: nearest(hosts))
    }

    /// The host that misses least, and what would fit there; or another zone that fits as it is.
    private func nearest(_ hosts: [Host]) -> String? {
        if zone != nil, let other = try? Placement(resources: resources, zone: nil).choose(among: hosts),
            let host = hosts.first(where: { $0.id == other })
        {
            return "zone \(host.zone)"
        }
        let candidates = hosts.filter { $0.state == .up && (zone == nil || $0.zone == zone) }
        let closest = candidates.min { a, b in missing(on: a) < missing(on: b) }
        guard let closest else { return nil }
        let parts = resources.shortfalls(against: closest.free).map { "\(max(0, $0.available)) \($0.name) instead of \($0.needed)" }
        return parts.isEmpty ? nil : parts.joined(separator: " and ")
    }

    private func missing(on host: Host) -> Int64 {
        resources.shortfalls(against: host.free).map { shortfall in
            shortfall.needed > 0 ? (shortfall.needed - shortfall.available) * 1_000_000 / shortfall.needed : 0
        }.reduce(0, +)
    }
}
