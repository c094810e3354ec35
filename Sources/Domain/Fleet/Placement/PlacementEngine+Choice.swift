import Primitives

// Filter, then score.
extension PlacementEngine {
    struct Choice {
        var host: Int
        var cost: Int64
    }

    /// Masks kept from one decision to the next, so that none has to ask for memory.
    struct Scratch: Sendable {
        /// Hosts that keep all rules and seem to have room.
        var fitting = HostMask.none
        /// Hosts that keep the request's terms.
        var terms = HostMask.none
        /// Those of one pass, and which of its words are not zero.
        var pass = HostMask.none
        var summary: ContiguousArray<UInt64> = []

        mutating func resize(_ stride: Int) {
            guard fitting.words.count != stride else { return }
            (fitting, terms, pass) = (HostMask(stride: stride), HostMask(stride: stride), HostMask(stride: stride))
            summary = ContiguousArray(repeating: 0, count: (stride + 63) / 64)
        }
    }

    /// The host to take; nil when none keeps the rules and has room.
    /// - Parameter place: the domain to keep to, when there is one.
    mutating func choose(
        _ request: PlacementRequest, _ need: PlacementNeed, within place: (level: PlacementLevel, domain: Int32)? = nil, at now: Instant
    ) -> Choice? {
        var masks = Scratch()
        swap(&masks, &scratch)
        masks.resize(rows.stride)
        keepRules(request, need, &masks.fitting, terms: &masks.terms)
        keepRoom(need, &masks.fitting)
        if let place { masks.fitting.keep(hosts(in: [place.domain], place.level)) }
        if gpu.isStale { gpu.mix(hosts, policyOfPod) }
        let choice = best(&masks, request, need, at: now)
        swap(&masks, &scratch)
        return choice
    }

    /// The best of the hosts that have room, by the policies of their pods.
    private func best(_ masks: inout Scratch, _ request: PlacementRequest, _ need: PlacementNeed, at now: Instant) -> Choice? {
        let context = ScoringContext(request, now, images: images, networks: networks)
        var best: Choice?
        for number in 0..<policies.count {
            let policy = policies.values[Int32(number)]
            let row = policies.row(number: Int32(number))
            var found: Choice?
            if !need.wantsGPU {
                // Hosts with GPUs are kept for those who want GPUs.
                rows.intersect(masks.fitting, row, without: withGPUs, to: &masks.pass, &masks.summary)
                found = search(policy, masks, need, context)
            }
            if found == nil {
                rows.intersect(masks.fitting, row, within: withGPUs, to: &masks.pass, &masks.summary)
                found = search(policy, masks, need, context)
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
        var near: (pod: Int32, isThere: Bool) = (-1, false)
    }

    /// Compares the first hosts of the policy's walk that have room, as many as its breadth says; ties go to the host met first.
    private func search(_ policy: PlacementPolicy, _ masks: borrowing Scratch, _ need: PlacementNeed, _ context: ScoringContext) -> Choice?
    {
        if policy.walk == .mixed { return searchGPUs(masks.pass, need, context) }
        var search = Search(left: policy.breadth)
        if policy.walk == .joined {
            var next = masks.pass.next(from: 0)
            while let host = next, look(at: host, policy, need, context, &search) { next = masks.pass.next(from: host + 1) }
        } else {
            for step in 0..<FullnessClasses.count where search.left > 0 {
                let number = policy.walk == .fullestFirst ? FullnessClasses.count - 1 - step : step
                guard fullness.counts[number] > 0 else { continue }
                fullness.forEach(in: number, masks.pass, masks.summary) { look(at: $0, policy, need, context, &search) }
            }
        }
        return search.host < 0 ? nil : Choice(host: search.host, cost: search.cost)
    }

    /// Compares one host with the best so far. False: enough were compared.
    @inline(__always) private func look(
        at host: Int, _ policy: PlacementPolicy, _ need: PlacementNeed, _ context: ScoringContext, _ search: inout Search
    ) -> Bool {
        guard hasRoom(need, host) else { return true }
        var cost = cost(policy, host, need, context)
        if policy == .packing || policy == .spreading { cost += localityCost(host, context, &search.near) }
        if cost < search.cost { (search.host, search.cost) = (host, cost) }
        search.left -= 1
        return search.left > 0
    }
}
