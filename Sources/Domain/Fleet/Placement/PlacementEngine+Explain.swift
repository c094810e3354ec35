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
    func count(_ request: PlacementRequest, _ need: PlacementNeed) -> (PlacementExplanation, HostMask) {
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
    /// none, several together. What the request's product fixes is not among them.
    private mutating func changes(
        _ request: PlacementRequest, _ need: PlacementNeed, _ candidates: HostMask, at now: Instant
    ) -> [PlacementChange] {
        var found = changes(request, without: PlacementConcession.places, at: now)
        found += smaller(request, need, candidates)
        found += changes(request, without: PlacementConcession.terms(of: request), at: now)
        found += changes(request, without: PlacementConcession.hardware + (need.wantsGPU ? [.gpus] : []), at: now)
        if !request.interruptible, let proposal = preemption(request, need, looking: 64) {
            found.append(.preempting(proposal.victims, on: proposal.host))
        }
        return found.isEmpty ? together(request, at: now) : found
    }

    /// Those of some terms without one of which the request fits. Asked only about what it has, as most requests have few.
    private mutating func changes(
        _ request: PlacementRequest, without concessions: [PlacementConcession], at now: Instant
    ) -> [PlacementChange] {
        var found: [PlacementChange] = []
        for concession in concessions {
            guard let open = request.without(concession), let host = tried(open, at: now) else { continue }
            found.append(request.change(for: concession, on: host))
        }
        return found
    }

    /// The host a changed request goes to.
    mutating func tried(_ request: PlacementRequest, at now: Instant) -> PlacementHost? {
        guard let need = try? prepare(request), let choice = choose(request, need, at: now) else { return nil }
        return hosts[choice.host]
    }

    /// The same among all hosts that keep the request's other rules.
    func smaller(_ request: PlacementRequest, _ need: PlacementNeed) -> [PlacementChange] {
        smaller(request, need, count(request, need).1)
    }

    /// Less of one component: the most that fits anywhere. When that is not enough, less of several.
    private func smaller(_ request: PlacementRequest, _ need: PlacementNeed, _ candidates: HostMask) -> [PlacementChange] {
        guard !request.isWhole else { return [] }
        var most = SIMD8<Int32>(repeating: 0)
        var next = candidates.next(from: 0)
        while let host = next {
            next = candidates.next(from: host + 1)
            let lacking = need.amounts .> rooms.glances[host].free
            let lanes = (0..<5).reduce(0) { $0 + (lacking[$1] ? 1 : 0) }
            if lanes == 1, let lane = (0..<5).first(where: { lacking[$0] }) {
                most[lane] = max(most[lane], largest(lane, need, rooms[host]))
            } else if lanes == 0, need.numa {
                for lane in 0..<2 { most[lane] = max(most[lane], largest(lane, need, rooms[host])) }
            }
        }
        var found: [PlacementChange] = []
        for lane in 0..<5 where most[lane] > 0 {
            var amounts = need.amounts
            amounts[lane] = most[lane]
            found.append(Self.change(request, to: amounts))
        }
        found += fewerGPUs(need, candidates)
        if found.isEmpty, let amounts = cut(need, candidates) { found.append(Self.change(request, to: amounts)) }
        return found
    }

    private static func change(_ request: PlacementRequest, to amounts: SIMD8<Int32>) -> PlacementChange {
        .resources(was: request.resources, now: Resources(lanes: amounts).with(gpus: request.resources.milliGPU))
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

    /// Amounts cut to what one host has of each: on the host where the least is lost, and IOPS or network wholly only where none has any
    /// beside the rest. Nil: there is no such host.
    private func cut(_ need: PlacementNeed, _ candidates: HostMask) -> SIMD8<Int32>? {
        var best: (amounts: SIMD8<Int32>, lost: (Int, Int64))?
        var next = candidates.next(from: 0)
        while let host = next {
            next = candidates.next(from: host + 1)
            guard let amounts = cut(need, rooms[host]) else { continue }
            let lost = Self.lost(need.amounts, amounts)
            if let best, best.lost <= lost { continue }
            best = (amounts, lost)
        }
        return best?.amounts
    }

    /// Components cut to nothing, and what is cut of each, in millionths of its need.
    private static func lost(_ need: SIMD8<Int32>, _ amounts: SIMD8<Int32>) -> (Int, Int64) {
        (0..<5).reduce((0, 0)) { sum, lane in
            guard need[lane] > amounts[lane] else { return sum }
            let short = Int64(need[lane]) - Int64(amounts[lane])
            return (sum.0 + (amounts[lane] == 0 ? 1 : 0), sum.1 + short * 1_000_000 / Int64(need[lane]))
        }
    }

    /// Each component cut to what a host has. Nil: processor, memory or disk would be cut to nothing, or it would not fit even then.
    private func cut(_ need: PlacementNeed, _ room: HostRoom) -> SIMD8<Int32>? {
        var smaller = need
        for lane in 0..<5 where need.amounts[lane] > 0 {
            smaller.amounts[lane] = min(need.amounts[lane], room.free[lane])
            guard lane >= 3 || smaller.amounts[lane] > 0 else { return nil }
        }
        if need.numa, room.cell(for: smaller.amounts) == nil {
            guard let cell = Self.widestCell(smaller.amounts, room) else { return nil }
            smaller.amounts[0] = min(smaller.amounts[0], room.cellCPU[cell])
            smaller.amounts[1] = min(smaller.amounts[1], room.cellMemory[cell])
        }
        return any(smaller.amounts .> 0) && lacks(smaller, room) == nil ? smaller.amounts : nil
    }

    /// The NUMA cell that has most of processor and memory, each as its part of what is needed.
    private static func widestCell(_ need: SIMD8<Int32>, _ room: HostRoom) -> Int? {
        func part(_ free: Int32, _ need: Int32) -> Int64 { need > 0 ? Int64(min(free, need)) * 1_000_000 / Int64(need) : 0 }
        var best: (cell: Int, part: Int64)?
        for cell in 0..<PlacementHost.mostCells {
            let (cpu, memory) = (room.cellCPU[cell], room.cellMemory[cell])
            guard need[0] == 0 || cpu > 0, need[1] == 0 || memory > 0, min(cpu, memory) >= 0 else { continue }
            let here = part(cpu, need[0]) + part(memory, need[1])
            if here > best?.part ?? -1 { best = (cell, here) }
        }
        return best?.cell
    }
}

extension Resources {
    fileprivate func with(gpus milli: Int64) -> Resources {
        var changed = self
        changed.milliGPU = milli
        return changed
    }
}
