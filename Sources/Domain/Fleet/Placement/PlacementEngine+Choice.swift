import Primitives

// Filter, then score.
extension PlacementEngine {
    struct Choice {
        var host: Int
        var cost: Int64
    }

    /// What decisions are worked out in, kept from one to the next, so that none has to ask for memory. By reference, as it is large to
    /// hand around; a copy of the engine makes its own at its first decision, so that no two ever write to one.
    final class Workspace: @unchecked Sendable {
        fileprivate(set) var scratch: Scratch

        init(stride: Int) { scratch = Scratch(stride: stride) }
    }

    struct Scratch: Sendable {
        /// Hosts that keep all rules and seem to have room.
        var fitting: HostMask
        /// Hosts that keep the request's terms.
        var terms: HostMask
        /// Those of `fitting` that one policy looks at.
        var pass: HostMask
        var query = RowQuery()

        init(stride: Int) { (fitting, terms, pass) = (HostMask(stride: stride), HostMask(stride: stride), HostMask(stride: stride)) }
    }

    /// The host to take; nil when none keeps the rules and has room.
    /// - Parameter place: the domain to keep to, when there is one.
    mutating func choose(
        _ request: PlacementRequest, _ need: PlacementNeed, within place: (level: PlacementLevel, domain: Int32)? = nil, at now: Instant
    ) -> Choice? {
        if gpu.isStale { gpu.mix(hosts, policyOfPod) }
        let workspace = ownWorkspace()
        return choose(request, need, within: place, at: now, &workspace.scratch)
    }

    private mutating func ownWorkspace() -> Workspace {
        let isOwn = isKnownUniquelyReferenced(&workspace)
        if isOwn, let workspace, workspace.scratch.fitting.stride == rows.stride { return workspace }
        let fresh = Workspace(stride: rows.stride)
        workspace = fresh
        return fresh
    }

    private func choose(
        _ request: PlacementRequest, _ need: PlacementNeed, within place: (level: PlacementLevel, domain: Int32)?, at now: Instant,
        _ scratch: inout Scratch
    ) -> Choice? {
        keepRules(request, need, withRoom: true, &scratch)
        if let place { scratch.fitting.keep(hosts(in: [place.domain], place.level)) }
        return best(&scratch, request, need, at: now)
    }

    /// The best of the hosts that have room, by the policies of their pods.
    private func best(_ scratch: inout Scratch, _ request: PlacementRequest, _ need: PlacementNeed, at now: Instant) -> Choice? {
        let context = ScoringContext(request, now, images: images, networks: networks)
        var best: Choice?
        for number in 0..<policies.count {
            let policy = policies.values[Int32(number)]
            let row = policies.row(number: Int32(number))
            var found: Choice?
            if !need.wantsGPU {
                // Hosts with GPUs are kept for those who want GPUs.
                rows.intersect(scratch.fitting, row, withGPUs, flipped: true, to: &scratch.pass)
                found = search(policy, scratch.pass, need, context)
            }
            if found == nil {
                rows.intersect(scratch.fitting, row, withGPUs, flipped: false, to: &scratch.pass)
                found = search(policy, scratch.pass, need, context)
            }
            if let found, found.cost < best?.cost ?? .max { best = found }
        }
        return best
    }

    private struct Search {
        /// How many hosts are still to be compared.
        var left: Int
        var host = -1
        var cost = Int64.max
    }

    /// Compares the first hosts of the policy's walk that have room, as many as its breadth says; ties go to the host met first.
    private func search(_ policy: PlacementPolicy, _ mask: HostMask, _ need: PlacementNeed, _ context: ScoringContext) -> Choice? {
        var search = Search(left: policy.breadth)
        switch policy.walk {
        case .mixed: return searchGPUs(mask, need, context)
        case .joined:
            for word in 0..<mask.stride where search.left > 0 {
                var bits = mask.word(word)
                while bits != 0, look(at: word << 6 + bits.trailingZeroBitCount, policy, need, context, &search) { bits &= bits &- 1 }
            }
        case .fullestFirst, .emptiestFirst:
            let fullest = fullness.fullest(for: need.amounts)
            for step in 0...fullest where search.left > 0 {
                let number = policy.walk == .fullestFirst ? fullest - step : step
                guard fullness.counts[number] > 0 else { continue }
                fullness.forEach(in: number, mask) { look(at: $0, policy, need, context, &search) }
            }
            if policy == .lifetimeAligned, search.left <= 0, search.cost > Self.emptyHostCost { lookForEmpty(mask, need, &search) }
        }
        return search.host < 0 ? nil : Choice(host: search.host, cost: search.cost)
    }

    /// Takes an empty host that the walk did not come to.
    private func lookForEmpty(_ mask: HostMask, _ need: PlacementNeed, _ search: inout Search) {
        for number in 0...FullnessClasses.emptiest where search.host < 0 || search.cost > Self.emptyHostCost {
            fullness.forEach(in: number, mask) { host in
                guard rooms.glances[host].count == 0, hasRoom(need, host) else { return true }
                (search.host, search.cost) = (host, Self.emptyHostCost)
                return false
            }
        }
    }

    /// Compares one host with the best so far. False: enough were compared.
    @inline(__always) private func look(
        at host: Int, _ policy: PlacementPolicy, _ need: PlacementNeed, _ context: ScoringContext, _ search: inout Search
    ) -> Bool {
        guard hasRoom(need, host) else { return true }
        var cost = cost(policy, host, need, context)
        if policy == .packing || policy == .spreading { cost += localityCost(host, context) }
        if cost < search.cost { (search.host, search.cost) = (host, cost) }
        search.left -= 1
        return search.left > 0
    }
}
