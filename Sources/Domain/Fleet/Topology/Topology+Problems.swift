public import Primitives

// What must be true of every topology, whatever was there before.

extension Topology {
    /// Everything that is wrong with it, in a fixed order; empty when it may be.
    public func problems() -> [Refusal] {
        names(except: nil) + consistency()
    }

    /// The same without names that `known` has, too: hosts may have come under names that nobody may give.
    public func problems(beside known: Topology) -> [Refusal] { names(except: known) + consistency() }

    private func consistency() -> [Refusal] {
        zones.values.sorted { $0.name < $1.name }.flatMap { $0.problems() } + references() + amounts()
    }

    /// Loads are added up only of numbers that may be.
    private func amounts() -> [Refusal] {
        let wrong = numbers()
        return wrong.isEmpty ? loads() : wrong
    }

    // MARK: Names

    private func names(except known: Topology?) -> [Refusal] {
        names(of: Zone.self, known) + names(of: FaultDomain.self, known) + names(of: Pod.self, known) + names(of: Rack.self, known)
            + names(of: Place.self, known)
    }

    private func names<Object: TopologyObject>(of type: Object.Type, _ known: Topology?) -> [Refusal] {
        self[keyPath: Object.path].keys.filter { known?[keyPath: Object.path][$0] == nil && !Self.isName($0) }.sorted()
            .map { Refusal.name($0, of: Object.kind.rawValue) }
    }

    /// Letters, digits, dot, dash and underscore, 1 to 63 of them, a letter or digit first: what host names and file names can be.
    public static func isName(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...63).contains(bytes.count), let first = bytes.first, isAlphanumeric(first) else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }

    // MARK: References

    private func references() -> [Refusal] {
        var found: [Refusal] = []
        for domain in domains.values.sorted(by: { $0.name < $1.name }) where zones[domain.zone] == nil {
            found.append(.unknown("zone", domain.zone, by: "domain \(domain.name)", known: zones.keys))
        }
        for pod in pods.values.sorted(by: { $0.name < $1.name }) where zones[pod.zone] == nil {
            found.append(.unknown("zone", pod.zone, by: "pod \(pod.name)", known: zones.keys))
        }
        for rack in racks.values.sorted(by: { $0.name < $1.name }) {
            if let pod = pods[rack.pod] {
                found += domainProblems(rack.domains, of: "rack \(rack.name)", in: pod)
            } else {
                found.append(.unknown("pod", rack.pod, by: "rack \(rack.name)", known: pods.keys))
            }
        }
        for place in hosts.values.sorted(by: { $0.name < $1.name }) { found += references(of: place) }
        return found
    }

    private func references(of place: Place) -> [Refusal] {
        guard let pod = pods[place.pod] else { return [.unknown("pod", place.pod, by: "host \(place.name)", known: pods.keys)] }
        let own = domainProblems(place.domains, of: "host \(place.name)", in: pod)
        guard let name = place.rack else { return own }
        guard let rack = racks[name] else { return own + [.unknown("rack", name, by: "host \(place.name)", known: racks.keys)] }
        guard rack.pod == place.pod else {
            return own + [
                Refusal(
                    "host.rack", .invalid, "Host \(place.name) is in pod \(place.pod), its rack \(name) in pod \(rack.pod).",
                    facts: ["host": .text(place.name), "rack": .text(name), "pod": .text(rack.pod)], nearest: "pod \(rack.pod)")
            ]
        }
        return own
    }

    private func domainProblems(_ names: Set<String>, of owner: String, in pod: Pod) -> [Refusal] {
        names.sorted().compactMap { name in
            guard let domain = domains[name] else { return .unknown("domain", name, by: owner, known: domains.keys) }
            guard domain.zone != pod.zone else { return nil }
            return Refusal(
                "zone.apart", .invalid,
                "A zone fails alone: \(owner) is in zone \(pod.zone), but \(domain.kind.rawValue) domain \(name) is in zone \(domain.zone).",
                facts: ["domain": .text(name), "zone": .text(pod.zone), "other": .text(domain.zone)],
                nearest: "a domain of zone \(pod.zone)")
        }
    }

    // MARK: Numbers

    private func numbers() -> [Refusal] {
        domains.values.sorted { $0.name < $1.name }.compactMap { positive("domain \($0.name)", "limit", $0.limit) }
            + pods.values.sorted { $0.name < $1.name }.flatMap { $0.problems() }
            + racks.values.sorted { $0.name < $1.name }.flatMap { rack in
                [positive("rack \(rack.name)", "units", rack.units), positive("rack \(rack.name)", "watts", rack.watts)].compactMap { $0 }
            }
    }

    private func positive(_ owner: String, _ what: String, _ amount: Int64?) -> Refusal? {
        amount.flatMap { (1...Refusal.largestNumber).contains($0) ? nil : Refusal.number(owner, what, $0, 1) }
    }
}

extension Topology.Zone {
    fileprivate func problems() -> [Refusal] {
        guard let jurisdiction, !(jurisdiction.utf8.count == 2 && jurisdiction.utf8.allSatisfy { (65...90).contains($0) }) else {
            return []
        }
        return [
            Refusal(
                "zone.jurisdiction", .invalid, "'\(jurisdiction)' of zone \(name) is not a country code.",
                facts: ["zone": .text(name), "jurisdiction": .text(jurisdiction)], nearest: "two capital letters such as SE")
        ]
    }
}

extension Topology.Pod {
    fileprivate func problems() -> [Refusal] { ratios() + amounts() + storageLimits() }

    private func ratios() -> [Refusal] {
        let all = [("cpu", oversubscription.cpu), ("memory", oversubscription.memory), ("disk", oversubscription.disk)]
        return all.compactMap { name, ratio in
            let most: Int64 = kind == .metal ? 1_000 : 1_000_000
            guard !(1_000...most).contains(ratio) else { return nil }
            return Refusal(
                "pod.oversubscription", .invalid,
                kind == .metal
                    ? "Pod \(self.name) is bare metal: a host is one lot, so its \(name) ratio is 1000 thousandths, not \(ratio)."
                    : "The \(name) ratio of pod \(self.name) is \(ratio) thousandths; 1000 to \(most) are allowed.",
                facts: ["pod": .text(self.name), "component": .text(name), "ratio": .number(ratio)],
                nearest: "\(max(1_000, min(most, ratio)))")
        }
    }

    private func amounts() -> [Refusal] {
        limits.numbers.compactMap { limit in
            limit.amount.flatMap { (1...Refusal.largestNumber).contains($0) ? nil : .number("pod \(name)", limit.name, $0, 1) }
        }
            + (profile?.numbers ?? []).compactMap {
                (0...Refusal.largestNumber).contains($0.amount) ? nil : .number("profile of pod \(name)", $0.name, $0.amount, 0)
            }
    }

    private func storageLimits() -> [Refusal] {
        guard storage == .das, limits.storageIOPS != nil || limits.storageMBps != nil else { return [] }
        return [
            Refusal(
                "pod.storage", .invalid, "Pod \(name) has its disks in its hosts (das): there is no shared storage whose limits count.",
                facts: ["pod": .text(name)], nearest: "no storage limits, or storage nas or san")
        ]
    }
}

extension Refusal {
    /// Sums of this many times the largest number stay within 64 bits for a million hosts.
    static let largestNumber: Int64 = 1_000_000_000_000

    fileprivate static func name(_ name: String, of kind: String) -> Refusal {
        Refusal(
            "topology.name", .invalid, "'\(name)' is not a name of a \(kind).", facts: ["name": .text(name)],
            nearest: "1 to 63 letters, digits, dots, dashes and underscores, a letter or digit first")
    }

    fileprivate static func unknown(_ kind: String, _ name: String, by owner: String, known: Dictionary<String, some Any>.Keys) -> Refusal {
        Refusal(
            "topology.unknown", .invalid, "There is no \(kind) '\(name)', which \(owner) names.",
            facts: ["kind": .text(kind), "name": .text(name), "owner": .text(owner)],
            nearest: NearestNames.text(known, to: name) ?? "a \(kind) that is declared")
    }

    fileprivate static func number(_ owner: String, _ what: String, _ amount: Int64, _ least: Int64) -> Refusal {
        Refusal(
            "topology.number", .invalid, "The \(what) of \(owner) is \(amount); \(least) to \(largestNumber) are allowed.",
            facts: ["owner": .text(owner), "field": .text(what), "amount": .number(amount)],
            nearest: "\(max(least, min(largestNumber, amount)))")
    }
}
