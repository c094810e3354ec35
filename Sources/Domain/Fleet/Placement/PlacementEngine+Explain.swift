public import Primitives

/// Why hosts were left out: each is counted once, by the first rule in the order of `PlacementRule` that keeps it away.
public struct PlacementExplanation: Hashable, Sendable {
    public var hosts: Int
    /// Rules that kept hosts away, in their order.
    public var fallen: [Fallen]
    /// Hosts that keep all rules and have room.
    public var fitting: Int

    public struct Fallen: Hashable, Sendable {
        public var rule: PlacementRule
        public var hosts: Int
    }
}

extension PlacementEngine {
    /// Which hosts a request could go to, and which rules keep it off the others.
    public func explain(_ request: PlacementRequest) throws(Refusal) -> PlacementExplanation {
        var copy = self
        let need = try copy.prepare(request)
        return copy.explanation(request, need)
    }

    func explanation(_ request: PlacementRequest, _ need: PlacementNeed) -> PlacementExplanation {
        var mask = HostMask(stride: rows.stride)
        for number in numbers.values { mask.set(Int(number)) }
        var terms = HostMask(stride: rows.stride)
        var fallen = [Int](repeating: 0, count: Self.order.count)
        var left = mask.count
        for index in 0...Self.lastRowRule {
            if index == PlacementRule.terms.upperBound + 1 { terms = mask }
            keep(Self.order[index], request, need, &mask, terms: terms)
            fallen[index] = left - mask.count
            left -= fallen[index]
        }
        var next = mask.next(from: 0)
        while let host = next {
            if let rule = lacks(need, rooms[host]), let index = Self.order.firstIndex(of: rule) {
                fallen[index] += 1
                left -= 1
            }
            next = mask.next(from: host + 1)
        }
        let rules = zip(Self.order, fallen).filter { $0.1 > 0 }.map { PlacementExplanation.Fallen(rule: $0.0, hosts: $0.1) }
        return PlacementExplanation(hosts: numbers.count, fallen: rules, fitting: left)
    }

    func noRoom(_ request: PlacementRequest, _ need: PlacementNeed) -> Refusal {
        guard hostCount > 0 else { return Refusal("placement.hosts", .capacity, "This datacenter has no hosts yet.") }
        let explanation = explanation(request, need)
        let causes = explanation.fallen.map { "\($0.hosts) by \($0.rule.rawValue)" }.joined(separator: ", ")
        var facts: [String: Refusal.Fact] = ["hosts": .number(Int64(explanation.hosts))]
        for fallen in explanation.fallen { facts[fallen.rule.rawValue] = .number(Int64(fallen.hosts)) }
        return Refusal("placement.capacity", .capacity, "None of \(hostCount) hosts can take it: \(causes).", facts: facts, nearest: nil)
    }
}
