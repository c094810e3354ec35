public import Primitives

extension PlacementEngine {
    /// Which hosts a request could go to, which rules keep it off the others, and what would make it fit. Changes nothing.
    public func explain(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> PlacementExplanation {
        var copy = self
        let need = try copy.prepare(request)
        return copy.explanation(request, need, at: now)
    }

    mutating func explanation(_ request: PlacementRequest, _ need: PlacementNeed, at now: Instant) -> PlacementExplanation {
        var (explanation, candidates) = count(request, need)
        if explanation.fitting == 0, explanation.hosts > 0 { explanation.changes = changes(request, need, candidates, at: now) }
        return explanation
    }

    mutating func noRoom(_ request: PlacementRequest, _ need: PlacementNeed, at now: Instant) -> Refusal {
        explanation(request, need, at: now).refusal
    }

    /// The counts, and the hosts that keep all rules but those about room.
    private func count(_ request: PlacementRequest, _ need: PlacementNeed) -> (PlacementExplanation, HostMask) {
        var scratch = Scratch(stride: rows.stride)
        rows.copy(present, to: &scratch.fitting)
        var fallen = [Int](repeating: 0, count: Self.order.count)
        var left = numbers.count
        let counts = request.groups.contains(where: \.isSpread)
        for index in 0...Self.lastRowRule {
            if index == PlacementRule.terms.upperBound + 1, counts { scratch.terms = scratch.fitting }
            guard keep(Self.order[index], request, need, &scratch) else { continue }
            fallen[index] = left - scratch.fitting.count
            left -= fallen[index]
        }
        var next = scratch.fitting.next(from: 0)
        while let host = next {
            if let index = lacking(need, rooms[host]) {
                fallen[index] += 1
                left -= 1
            }
            next = scratch.fitting.next(from: host + 1)
        }
        let rules = zip(Self.order, fallen).filter { $0.1 > 0 }.map { PlacementExplanation.Fallen(rule: $0.0, hosts: $0.1) }
        return (PlacementExplanation(hosts: numbers.count, fallen: rules, fitting: left, changes: []), scratch.fitting)
    }

    // MARK: What would make it fit

    /// Single changes, each tried, in the order: elsewhere, smaller, fewer terms, another kind of host, after pre-emption. When there is
    /// none, several together.
    private mutating func changes(
        _ request: PlacementRequest, _ need: PlacementNeed, _ candidates: HostMask, at now: Instant
    ) -> [PlacementChange] {
        var found = elsewhere(request, at: now)
        found += smaller(request, need, candidates)
        found += fewerTerms(request, at: now)
        found += otherHosts(request, at: now)
        if need.wantsGPU, tried(request, at: now, { $0 = $0.applying(.withoutGPUs) }) != nil { found.append(.withoutGPUs) }
        if !request.interruptible, let proposal = preemption(need, candidates, looking: 64) {
            found.append(.preempting(proposal.victims, on: proposal.host))
        }
        return found.isEmpty ? together(request, at: now) : found
    }

    /// The host a changed request goes to. Asked only about what the request has, as most requests have few terms.
    mutating func tried(_ request: PlacementRequest, at now: Instant, _ change: (inout PlacementRequest) -> Void) -> PlacementHost? {
        var changed = request
        change(&changed)
        guard let need = try? prepare(changed), let choice = choose(changed, need, at: now) else { return nil }
        return hosts[choice.host]
    }

    private mutating func elsewhere(_ request: PlacementRequest, at now: Instant) -> [PlacementChange] {
        var found: [PlacementChange] = []
        if request.zone != nil, let host = tried(request, at: now, { $0.zone = nil }) { found.append(.zone(host.zone)) }
        if request.pod != nil, let host = tried(request, at: now, { $0.pod = nil }) { found.append(.pod(host.pod)) }
        if request.host != nil, let host = tried(request, at: now, { $0.host = nil }) { found.append(.host(host.id)) }
        if !request.avoiding.isEmpty, tried(request, at: now, { $0.avoiding = [] }) != nil { found.append(.withoutAvoiding) }
        if request.volumePod != nil, let host = tried(request, at: now, { $0.volumePod = nil }) { found.append(.volumePod(host.pod)) }
        return found
    }

    private mutating func fewerTerms(_ request: PlacementRequest, at now: Instant) -> [PlacementChange] {
        var found: [PlacementChange] = []
        let tenancy = request.tenancy
        let terms: [(PlacementRule, PlacementTenancy.Sharing)] = [
            (.tenancyHost, tenancy.host), (.tenancyPool, tenancy.pool), (.tenancyPod, tenancy.pod), (.tenancyConnect, tenancy.connect),
        ]
        for (rule, sharing) in terms where sharing != .shared {
            let change = PlacementChange.sharing(rule)
            if tried(request, at: now, { $0 = $0.applying(change) }) != nil { found.append(change) }
        }
        for group in request.groups where tried(request, at: now, { $0.groups.removeAll { $0.id == group.id } }) != nil {
            found.append(.withoutGroup(group.id))
        }
        if request.numa, tried(request, at: now, { $0.numa = false }) != nil { found.append(.withoutNUMA) }
        if request.network != nil, tried(request, at: now, { $0.network = nil }) != nil { found.append(.withoutNetwork) }
        return found
    }

    private mutating func otherHosts(_ request: PlacementRequest, at now: Instant) -> [PlacementChange] {
        guard !request.isSoldAsItIs else { return [] }
        var found: [PlacementChange] = []
        if request.gpu?.models.isEmpty == false, let host = tried(request, at: now, { $0.gpu?.models = [] }) {
            found.append(.gpuModel(host.gpuModel ?? ""))
        }
        if request.kind != nil, let host = tried(request, at: now, { $0.kind = nil }) { found.append(.kind(host.kind)) }
        if request.storage != nil, let host = tried(request, at: now, { $0.storage = nil }) { found.append(.storage(host.storage)) }
        if request.jurisdiction != nil, let host = tried(request, at: now, { $0.jurisdiction = nil }) {
            found.append(.jurisdiction(host.jurisdiction))
        }
        if let largest = request.largestOversubscription, let host = tried(request, at: now, { $0.largestOversubscription = nil }) {
            found.append(.oversubscription(largest.covering(host.ratios)))
        }
        return found
    }

    /// The same among all hosts that keep the request's other rules.
    func smaller(_ request: PlacementRequest, _ need: PlacementNeed) -> [PlacementChange] {
        smaller(request, need, count(request, need).1)
    }

    /// Less of one component: the most that fits anywhere. When that is not enough, less of several, on the host that lacks least.
    private func smaller(_ request: PlacementRequest, _ need: PlacementNeed, _ candidates: HostMask) -> [PlacementChange] {
        var most = SIMD8<Int32>(repeating: 0)
        var closest: (host: Int, missing: Int64)?
        var next = candidates.next(from: 0)
        while let host = next {
            next = candidates.next(from: host + 1)
            let lacking = need.amounts .> rooms[host].free
            let lanes = (0..<5).filter { lacking[$0] }
            if let lane = lanes.first, lanes.count == 1 {
                most[lane] = max(most[lane], largest(lane, need, rooms[host]))
            } else if lanes.isEmpty, need.numa {
                for lane in 0..<2 { most[lane] = max(most[lane], largest(lane, need, rooms[host])) }
            }
            if !any(most .> 0) {
                let missing = Self.missing(need, rooms[host])
                if missing < closest?.missing ?? .max { closest = (host, missing) }
            }
        }
        var found: [PlacementChange] = []
        for lane in 0..<5 where most[lane] > 0 {
            var amounts = need.amounts
            amounts[lane] = most[lane]
            found.append(.resources(was: request.resources, now: Resources(lanes: amounts).with(gpus: request.resources.milliGPU)))
        }
        found += fewerGPUs(need, candidates)
        if found.isEmpty, let closest, let amounts = cut(need, rooms[closest.host]) {
            found.append(.resources(was: request.resources, now: Resources(lanes: amounts).with(gpus: request.resources.milliGPU)))
        }
        return found
    }

    /// The most of one component that fits into a room where everything else fits; 0: nothing does.
    private func largest(_ lane: Int, _ need: PlacementNeed, _ room: HostRoom) -> Int32 {
        var without = need
        without.amounts[lane] = 0
        guard lacks(without, room) == nil else { return 0 }
        guard need.numa, lane < 2 else { return room.free[lane] }
        var most: Int32 = 0
        for cell in 0..<PlacementHost.mostCells {
            let (own, other) = lane == 0 ? (room.cellCPU, room.cellMemory) : (room.cellMemory, room.cellCPU)
            if other[cell] >= need.amounts[1 - lane] { most = max(most, own[cell]) }
        }
        return min(most, room.free[lane])
    }

    private func fewerGPUs(_ need: PlacementNeed, _ candidates: HostMask) -> [PlacementChange] {
        guard need.wantsGPU else { return [] }
        var without = need
        (without.amounts[5], without.amounts[HostRoom.wholeGPUs], without.amounts[HostRoom.largestShare]) = (0, 0, 0)
        var (whole, share): (Int32, Int32) = (0, 0)
        var next = candidates.next(from: 0)
        while let host = next {
            next = candidates.next(from: host + 1)
            guard lacks(without, rooms[host]) == nil else { continue }
            whole = max(whole, rooms[host].free[HostRoom.wholeGPUs])
            share = max(share, rooms[host].free[HostRoom.largestShare])
        }
        let was = Int(need.amounts[HostRoom.wholeGPUs])
        if whole > 0, was > whole { return [.gpus(was: was, now: .init(count: Int(whole)))] }
        let wanted = was > 0 ? 1_000 : need.amounts[HostRoom.largestShare]
        return share > 0 && share < wanted ? [.gpus(was: was, now: .init(count: 1, milliEach: Int64(share)))] : []
    }

    /// How much of what is needed is missing, each component in millionths of its need.
    private static func missing(_ need: PlacementNeed, _ room: HostRoom) -> Int64 {
        (0..<5).reduce(0) { sum, lane in
            let short = Int64(need.amounts[lane]) - Int64(room.free[lane])
            return short > 0 ? sum + short * 1_000_000 / Int64(need.amounts[lane]) : sum
        }
    }

    /// Each component cut to what a host has. Nil: something would be cut to nothing, or it would not fit even then.
    private func cut(_ need: PlacementNeed, _ room: HostRoom) -> SIMD8<Int32>? {
        var smaller = need
        for lane in 0..<5 where need.amounts[lane] > 0 {
            smaller.amounts[lane] = min(need.amounts[lane], room.free[lane])
            guard smaller.amounts[lane] > 0 else { return nil }
        }
        return lacks(smaller, room) == nil ? smaller.amounts : nil
    }
}

extension Resources {
    fileprivate func with(gpus milli: Int64) -> Resources {
        var changed = self
        changed.milliGPU = milli
        return changed
    }
}
