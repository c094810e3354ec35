public import Primitives

// What hosts take of the things they share: pods, racks and fault domains.

extension Topology {
    /// Refusals of everything that is asked to bear more than its limit.
    func loads() -> [Refusal] {
        let byPod = Dictionary(grouping: hosts.values, by: \.pod)
        return podLoads(byPod) + rackLoads() + domainLoads()
    }

    private func podLoads(_ byPod: [String: [Place]]) -> [Refusal] {
        pods.values.sorted { $0.name < $1.name }.compactMap { pod -> Refusal? in
            do throws(Refusal) {
                try pod.admit(hosts: Int64(byPod[pod.name]?.count ?? 0))
                return nil
            } catch {
                return error
            }
        }
    }

    private func rackLoads() -> [Refusal] {
        var count: [String: Int64] = [:]
        for place in hosts.values { if let rack = place.rack { count[rack, default: 0] += 1 } }
        return racks.values.sorted { $0.name < $1.name }.compactMap { rack in
            pods[rack.pod].flatMap { rack.overload(hosts: count[rack.name] ?? 0, $0.profile) }
        }
    }

    /// What a host takes of a fault domain it is in. Every feed bears all of it, because the other may fail; its ports are spread over
    /// the switches it is plugged into.
    public func load(of place: Place, on domain: FaultDomain) -> Int64 {
        guard let profile = pods[place.pod]?.profile else { return 0 }
        guard domain.kind == .network else { return profile.watts }
        let switches = Int64(domains(of: place).count { domains[$0]?.kind == .network })
        return (profile.networkPorts + switches - 1) / max(1, switches)
    }

    private func domainLoads() -> [Refusal] {
        let limited = domains.filter { $0.value.limit != nil }
        guard !limited.isEmpty else { return [] }
        var load: [String: Int64] = [:]
        for place in hosts.values {
            for name in domains(of: place) {
                if let domain = limited[name] { load[name, default: 0] += self.load(of: place, on: domain) }
            }
        }
        return domains.values.sorted { $0.name < $1.name }.compactMap { domain in
            guard let limit = domain.limit, let load = load[domain.name], load > limit else { return nil }
            let unit = domain.kind == .network ? "ports" : "watts"
            return Refusal(
                "domain.limit", .capacity,
                "The \(domain.kind.rawValue) domain \(domain.name) has \(limit) \(unit), the hosts in it need \(load).",
                facts: ["domain": .text(domain.name), "limit": .number(limit), "load": .number(load)],
                nearest: "\(load) \(unit), or hosts for \(load - limit) \(unit) elsewhere")
        }
    }
}

extension Topology.Rack {
    /// A refusal when so many hosts do not fit, or draw more than its power distribution bears.
    public func overload(hosts: Int64, _ profile: HardwareProfile?) -> Refusal? {
        let needs = [("units", units, profile?.rackUnits ?? 0), ("watts", watts, profile?.watts ?? 0)]
        for (what, limit, share) in needs {
            guard let limit, share > 0, hosts * share > limit else { continue }
            return Refusal(
                "rack.limit", .capacity,
                "Rack \(name) has \(limit) \(what), \(counted(hosts, "host")) of \(share) would need \(hosts * share).",
                facts: ["rack": .text(name), "limit": .text(what), "total": .number(limit), "hosts": .number(hosts)],
                nearest: "\(counted(limit / share, "host")) in \(name)")
        }
        return nil
    }
}
