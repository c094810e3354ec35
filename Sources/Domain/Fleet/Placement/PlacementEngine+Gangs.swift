public import Primitives

// Several instances at once, all or none.
extension PlacementEngine {
    /// Places all of a gang, or none of it. Members are placed in the order of their size, largest first; when that fails and members
    /// are to be together, each domain is tried in turn for all of them.
    /// - Throws: the refusal of the first member for which there is no room beside the others.
    /// - Returns: decisions in the order of the requests.
    public mutating func place(gang: [PlacementRequest], at now: Instant) throws(Refusal) -> [PlacementDecision] {
        try place(gang: gang, at: now, reservedUntil: nil)
    }

    /// Holds room for all of a gang until `end`, or for none of it.
    public mutating func reserve(gang: [PlacementRequest], until end: Instant, at now: Instant) throws(Refusal) -> [PlacementDecision] {
        guard end > now else { throw Self.past(end, now) }
        return try place(gang: gang, at: now, reservedUntil: end)
    }

    private mutating func place(
        gang: [PlacementRequest], at now: Instant, reservedUntil: Instant?
    ) throws(Refusal) -> [PlacementDecision] {
        do {
            return try attempt(gang, within: nil, at: now, reservedUntil)
        } catch {
            guard error.category == .capacity, let (level, count) = gathering(gang) else { throw error }
            for domain in 0..<count {
                if let decisions = try? attempt(gang, within: (level, Int32(domain)), at: now, reservedUntil) { return decisions }
            }
            throw error
        }
    }

    /// The level at which a gang's members come together in a place that is still open, and how many domains it has.
    private func gathering(_ gang: [PlacementRequest]) -> (PlacementLevel, Int)? {
        for group in gang.first?.groups ?? [] where groups.find(group.id) == nil {
            guard case .together(let level) = group.rule, gang.allSatisfy({ $0.groups.contains(group) }) else { continue }
            return (level, level == .host ? hosts.count : domains[level.index].count)
        }
        return nil
    }

    private mutating func attempt(
        _ gang: [PlacementRequest], within place: (level: PlacementLevel, domain: Int32)?, at now: Instant, _ reservedUntil: Instant?
    ) throws(Refusal) -> [PlacementDecision] {
        var decisions: [PlacementDecision?] = Array(repeating: nil, count: gang.count)
        let order = gang.indices.sorted { (Self.size(gang[$1]), $0) < (Self.size(gang[$0]), $1) }
        for (step, index) in order.enumerated() {
            do {
                decisions[index] = try decide(gang[index], within: step == 0 ? place : nil, at: now, reservedUntil)
            } catch {
                for decision in decisions { if let decision { release(decision.instance) } }
                throw Self.refusal(error, member: index, of: gang.count, placed: step)
            }
        }
        return decisions.compactMap { $0 }
    }

    private static func refusal(_ refusal: Refusal, member: Int, of count: Int, placed: Int) -> Refusal {
        var refusal = refusal
        refusal.message = "Member \(member + 1) of \(count) has no place beside \(placed) others: \(refusal.message)"
        refusal.facts["members"] = .number(Int64(count))
        refusal.facts["placed"] = .number(Int64(placed))
        return refusal
    }

    private static func size(_ request: PlacementRequest) -> Int64 {
        request.resources.milliCPU + request.resources.memoryMiB + (request.gpu.map { Int64($0.count) * $0.milliEach * 1_000 } ?? 0)
    }
}
