public import Primitives

// Several instances at once, all or none.
extension PlacementEngine {
    /// Places all of a gang, or none of it. Members are placed in the order of their size, largest first; when that fails and members
    /// are to be together, the domains that could have room for all of them are tried, the tightest and the roomiest in turn.
    /// - Throws: the refusal of the first member for which there is no room beside the others, in the domain that took most of them.
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
        gang members: [PlacementRequest], at now: Instant, reservedUntil: Instant?
    ) throws(Refusal) -> [PlacementDecision] {
        let gang = PlacementGang(members)
        var search = GangSearch(now: now, reservedUntil: reservedUntil)
        let best = try seek(gang, &search)
        if let decisions = best.decisions { return decisions }
        throw refusal(best, gang, at: now)
    }

    /// What a search may still do.
    struct GangSearch {
        let now: Instant
        var reservedUntil: Instant?
        /// Members that may still be placed by way of trial: large gangs try fewer domains.
        var trials = 2_048
    }

    /// One try to place all of them.
    struct GangTry {
        /// The domain it kept to; nil: wherever the first member went.
        var place: (level: PlacementLevel, domain: Int32)?
        /// How many of the gang's order had a place.
        var placed = 0
        /// Why the next one had none, where that was asked for.
        var explanation: PlacementExplanation?
        /// Nil: not all had a place, and none has one now.
        var decisions: [PlacementDecision]?
    }

    /// Places all of them, or says how far the best try came.
    mutating func seek(_ gang: PlacementGang, _ search: inout GangSearch) throws(Refusal) -> GangTry {
        var best = try attempt(gang, within: nil, search)
        search.trials -= best.placed
        guard best.decisions == nil, let level = gathering(gang) else { return best }
        let domains = try room(for: gang, level)
        for domain in domains.promising where search.trials > 0 {
            let next = try attempt(gang, within: (level, domain), search)
            search.trials -= next.placed + 1
            if next.decisions != nil { return next }
            if next.placed > best.placed { best = next }
        }
        guard search.trials > 0, let widest = domains.widest, widest.members > best.placed else { return best }
        let last = try attempt(gang, within: (level, widest.domain), search)
        search.trials -= last.placed + 1
        return last.decisions != nil || last.placed > best.placed ? last : best
    }

    /// The level at which a gang's members come together in a place that is still open.
    private func gathering(_ gang: PlacementGang) -> PlacementLevel? {
        for group in gang.members.first?.groups ?? [] where groups.find(group.id) == nil {
            guard case .together(let level) = group.rule, gang.members.allSatisfy({ $0.groups.contains(group) }) else { continue }
            return level
        }
        return nil
    }

    /// - Parameter explains: says why, when one has no place.
    mutating func attempt(
        _ gang: PlacementGang, within place: (level: PlacementLevel, domain: Int32)?, _ search: GangSearch, explains: Bool = false
    ) throws(Refusal) -> GangTry {
        var decisions: [PlacementDecision?] = Array(repeating: nil, count: gang.members.count)
        for (step, index) in gang.order.enumerated() {
            let request = gang.members[index]
            do {
                try checkNew(request.instance)
                let need = try prepare(request)
                if let choice = choose(request, need, within: step == 0 ? place : nil, at: search.now) {
                    decisions[index] = commit(request, need, choice, reservedUntil: search.reservedUntil)
                    continue
                }
                let explanation = explains ? explanation(request, need, at: search.now) : nil
                release(gang, first: step)
                return GangTry(place: place, placed: step, explanation: explanation)
            } catch {
                release(gang, first: step)
                throw error
            }
        }
        return GangTry(place: place, placed: gang.members.count, decisions: decisions.compactMap { $0 })
    }

    private mutating func release(_ gang: PlacementGang, first count: Int) {
        for index in gang.order[..<count] { release(gang.members[index].instance) }
    }

    // MARK: A no

    /// Explains, beside the members placed before, why the next one found no place, and offers what all of them could have.
    private mutating func refusal(_ best: GangTry, _ gang: PlacementGang, at now: Instant) -> Refusal {
        let again = try? attempt(gang, within: best.place, GangSearch(now: now), explains: true)
        guard let explanation = again?.explanation else { preconditionFailure("a gang that had no place has one") }
        var refusal = explanation.refusal
        let (member, count) = (gang.order[best.placed], gang.members.count)
        refusal.message = "Member \(member + 1) of \(count) has no place beside \(best.placed) others: \(refusal.message)"
        refusal.facts["members"] = .number(Int64(count))
        refusal.facts["placed"] = .number(Int64(best.placed))
        guard explanation.hosts > 0 else { return refusal }
        let most = most(of: gang, guessing: best.placed, at: now)
        refusal.facts["fitting"] = .number(Int64(most))
        refusal.nearest =
            change(explanation.changes, for: gang, at: now)
            ?? (most > 0
                ? "the first \(counted(most, "instance")) of the \(count)" : "the same once hosts are up that can take all of them")
        return refusal
    }

    /// The first of the changes with which all of them fit when it is made to each.
    private mutating func change(_ changes: [PlacementChange], for gang: PlacementGang, at now: Instant) -> String? {
        var search = GangSearch(now: now, trials: 1_024)
        for change in changes where search.trials > 0 && change.suits(gang) {
            guard fits(PlacementGang(gang.members.map { $0.applying(change) }), &search) else { continue }
            return change.isOfAmounts ? "for each of them \(change)" : change.description
        }
        return nil
    }

    /// How many members, from the first on, fit without the rest.
    /// - Parameter guess: looked at first, and one more.
    private mutating func most(of gang: PlacementGang, guessing guess: Int, at now: Instant) -> Int {
        var search = GangSearch(now: now, trials: 1_024)
        var (fitting, failing) = (0, gang.members.count)
        var guesses = [guess + 1, guess]
        while failing - fitting > 1, search.trials > 0 {
            let next = guesses.popLast() ?? (fitting + failing) / 2
            guard next > fitting, next < failing else { continue }
            if fits(PlacementGang(Array(gang.members.prefix(next))), &search) { fitting = next } else { failing = next }
        }
        return fitting
    }

    private mutating func fits(_ gang: PlacementGang, _ search: inout GangSearch) -> Bool {
        guard let found = try? seek(gang, &search), found.decisions != nil else { return false }
        search.trials -= 1
        release(gang, first: gang.members.count)
        return true
    }
}

extension PlacementChange {
    /// Whether it is about how much of something.
    fileprivate var isOfAmounts: Bool {
        switch self {
        case .resources, .gpus: true
        case .together(let changes): changes.contains(where: \.isOfAmounts)
        default: false
        }
    }

    /// Whether it can be made to each member alike.
    fileprivate func suits(_ gang: PlacementGang) -> Bool {
        if case .preempting = self { return false }
        return gang.isUniform || !isOfAmounts
    }
}
