import Primitives

// Filter, then score.
extension PlacementEngine {
    struct Choice {
        var host: Int
        var cost: Int64
    }

    /// The host to take; nil when none keeps the rules and has room.
    /// - Parameter place: the domain to keep to, when there is one.
    mutating func choose(
        _ request: PlacementRequest, _ need: PlacementNeed, within place: (level: PlacementLevel, domain: Int32)? = nil, at now: Instant
    ) -> Choice? {
        var (mask, terms) = (HostMask.none, HostMask.none)
        swap(&mask, &scratch)
        swap(&terms, &termsScratch)
        if mask.words.count != rows.stride { (mask, terms) = (HostMask(stride: rows.stride), HostMask(stride: rows.stride)) }
        keepRules(request, need, &mask, terms: &terms)
        keepRoom(need, &mask)
        if let place { mask.keep(hosts(in: [place.domain], place.level)) }
        if gpu.isStale { gpu.mix(hosts) }
        let choice = best(in: mask, request, need, at: now)
        swap(&mask, &scratch)
        swap(&terms, &termsScratch)
        return choice
    }

    /// The best host of `mask` that has room.
    func best(in mask: HostMask, _ request: PlacementRequest, _ need: PlacementNeed, at now: Instant) -> Choice? {
        let context = ScoringContext(request, need, now, self)
        var best: Choice?
        for number in 0..<policies.count {
            let policy = policies.values[Int32(number)]
            let row = policies.row(number: Int32(number))
            var found: Choice?
            if need.wantsGPU {
                found = search(policy, Pass(row, within: withGPUs), mask, need, context)
            } else {
                // Hosts with GPUs are kept for those who want GPUs.
                found =
                    search(policy, Pass(row, without: withGPUs), mask, need, context)
                    ?? search(policy, Pass(row, within: withGPUs), mask, need, context)
            }
            if let found, found.cost < best?.cost ?? .max { best = found }
        }
        return best
    }

    /// The hosts one search looks at: those in one row, and in or not in another.
    struct Pass {
        var row: Int32
        var other: Int32
        var flip: UInt64

        init(_ row: Int32, within other: Int32) { (self.row, self.other, flip) = (row, other, 0) }
        init(_ row: Int32, without other: Int32) { (self.row, self.other, flip) = (row, other, ~0) }
    }

    /// Compares the first hosts of the policy's walk that have room, as many as its breadth says; ties go to the host met first.
    private func search(
        _ policy: PlacementPolicy, _ pass: Pass, _ mask: HostMask, _ need: PlacementNeed, _ context: ScoringContext
    ) -> Choice? {
        var search = Search(left: policy.breadth)
        switch policy.walk {
        case .mixed:
            var mask = mask
            rows.keep(pass.row, in: &mask)
            if pass.flip == 0 { rows.keep(pass.other, in: &mask) } else { rows.remove(pass.other, from: &mask) }
            return searchGPUs(mask, need, context)
        case .joined: look(policy, pass, nil, mask, need, context, &search)
        case .fullestFirst:
            var number = Self.fullnessClasses - 1
            while number >= 0, search.left > 0 {
                if fullnessCounts[number] > 0 { look(policy, pass, Int32(number), mask, need, context, &search) }
                number -= 1
            }
        case .emptiestFirst:
            var number = 0
            while number < Self.fullnessClasses, search.left > 0 {
                if fullnessCounts[number] > 0 { look(policy, pass, Int32(number), mask, need, context, &search) }
                number += 1
            }
        }
        return search.host < 0 ? nil : Choice(host: search.host, cost: search.cost)
    }

    private struct Search {
        /// How many hosts are still to be compared.
        var left: Int
        var host = -1
        var cost = Int64.max
    }

    /// Goes through the hosts of one class of fullness, or of all.
    @inline(__always) private func look(
        _ policy: PlacementPolicy, _ pass: Pass, _ fullnessClass: Int32?, _ mask: HostMask, _ need: PlacementNeed,
        _ context: ScoringContext, _ search: inout Search
    ) {
        let classRow = fullnessClass.map { fullnessRows + $0 } ?? pass.row
        for word in 0..<mask.words.count {
            var bits = mask.words[word] & rows.word(classRow, word)
            guard bits != 0 else { continue }
            bits &= rows.word(pass.row, word) & (rows.word(pass.other, word) ^ pass.flip)
            while bits != 0 {
                let host = word << 6 + bits.trailingZeroBitCount
                bits &= bits &- 1
                guard hasRoom(need, host) else { continue }
                let cost = cost(policy, host, need, context)
                if cost < search.cost { (search.host, search.cost) = (host, cost) }
                search.left -= 1
                if search.left == 0 { return }
            }
        }
    }
}
