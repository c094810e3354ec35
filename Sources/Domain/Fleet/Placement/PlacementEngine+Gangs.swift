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
        var failed = Failure()
        if let decisions = try attempt(gang, within: nil, at: now, reservedUntil, &failed) { return decisions }
        if let (level, count) = gathering(gang) {
            var ignored = Failure()
            for domain in 0..<count {
                if let decisions = try attempt(gang, within: (level, Int32(domain)), at: now, reservedUntil, &ignored) { return decisions }
            }
        }
        throw refusal(failed, gang, at: now)
    }

    /// The member that found no place, and those that had one before it, in the order in which they were placed.
    private struct Failure {
        var member = 0
        var placed: [Int] = []
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
        _ gang: [PlacementRequest], within place: (level: PlacementLevel, domain: Int32)?, at now: Instant, _ reservedUntil: Instant?,
        _ failure: inout Failure
    ) throws(Refusal) -> [PlacementDecision]? {
        var decisions: [PlacementDecision?] = Array(repeating: nil, count: gang.count)
        let order = gang.indices.sorted { (Self.size(gang[$1]), $0) < (Self.size(gang[$0]), $1) }
        for (step, index) in order.enumerated() {
            do {
                try checkNew(gang[index].instance)
                let need = try prepare(gang[index])
                if let choice = choose(gang[index], need, within: step == 0 ? place : nil, at: now) {
                    decisions[index] = commit(gang[index], need, choice, reservedUntil: reservedUntil)
                    continue
                }
            } catch {
                for index in order[..<step] { release(gang[index].instance) }
                throw error
            }
            for index in order[..<step] { release(gang[index].instance) }
            failure = Failure(member: index, placed: Array(order[..<step]))
            return nil
        }
        return decisions.compactMap { $0 }
    }

    /// Explains, beside the members placed before, why the next one found no place.
    private mutating func refusal(_ failure: Failure, _ gang: [PlacementRequest], at now: Instant) -> Refusal {
        for index in failure.placed { _ = try? place(gang[index], at: now) }
        defer { for index in failure.placed { release(gang[index].instance) } }
        let count = gang.count
        guard let need = try? prepare(gang[failure.member]) else { preconditionFailure("a request that was in order is not") }
        var refusal = noRoom(gang[failure.member], need, at: now)
        refusal.message = "Member \(failure.member + 1) of \(count) has no place beside \(failure.placed.count) others: \(refusal.message)"
        refusal.facts["members"] = .number(Int64(count))
        refusal.facts["placed"] = .number(Int64(failure.placed.count))
        return refusal
    }

    private static func size(_ request: PlacementRequest) -> Int64 {
        request.resources.milliCPU + request.resources.memoryMiB + (request.gpu.map { Int64($0.count) * $0.milliEach * 1_000 } ?? 0)
    }
}
