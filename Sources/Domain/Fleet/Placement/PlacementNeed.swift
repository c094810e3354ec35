import Primitives

/// A request in the engine's own small numbers.
struct PlacementNeed: Sendable {
    /// As in `HostRoom.free`: the seventh is whole GPUs, the eighth the share of one.
    var amounts: SIMD8<Int32>
    var party: Int32
    /// Number of the circle at connect, pod, pool and host; -1: shared.
    var circles: SIMD4<Int32>
    /// Processor and memory from one NUMA cell.
    var numa: Bool
    /// Asks as if the machines on bare metal could be gone.
    var evicts = false

    var wantsGPU: Bool { amounts[5] > 0 }
}

extension PlacementEngine {
    /// Checks the form of a request and turns its names into numbers.
    mutating func prepare(_ request: PlacementRequest) throws(Refusal) -> PlacementNeed {
        guard let lanes = Self.amounts(request) else { throw outOfRange(request) }
        var amounts = lanes
        let gpu = try Self.gpuDemand(request)
        amounts[5] = Int32(clamping: Int64(gpu.count) * gpu.milliEach)
        if gpu.milliEach == 1_000 {
            amounts[HostRoom.wholeGPUs] = Int32(gpu.count)
        } else if gpu.count > 0 {
            amounts[HostRoom.largestShare] = Int32(gpu.milliEach)
        }
        if !request.groups.isEmpty { try check(request.groups) }
        let party = parties.intern(request.party)
        var circles = SIMD4<Int32>(repeating: -1)
        if request.tenancy != .shared {
            circles = SIMD4(
                circle(request.tenancy.connect, party), circle(request.tenancy.pod, party), circle(request.tenancy.pool, party),
                circle(request.tenancy.host, party))
            tenancy.prepare(circle: circles[TenancyLedger.host], hosts: hosts.count, &rows)
        }
        return PlacementNeed(
            amounts: amounts, party: party, circles: circles, numa: request.numa)
    }

    private mutating func circle(_ sharing: PlacementTenancy.Sharing, _ party: Int32) -> Int32 {
        switch sharing {
        case .shared: return -1
        case .exclusive: return tenancy.intern([party])
        case .group(let members):
            let all = Set(members.map { parties.intern($0) }).union([party])
            return tenancy.intern(ContiguousArray(all.sorted()))
        }
    }

    /// The most of one component that an instance can have.
    static let mostAmount = Int64(Int32.max - 1)

    /// Nil: one of them is below zero, or above what any host can have.
    private static func amounts(_ request: PlacementRequest) -> SIMD8<Int32>? {
        let lanes = request.resources.lanes
        return all(lanes .>= 0) && all(lanes .< Int32.max) ? lanes : nil
    }

    /// Names the largest amounts that fit now under the request's other terms, when there are any.
    private mutating func outOfRange(_ request: PlacementRequest) -> Refusal {
        let range = "from 0 to \(Self.mostAmount)"
        var refusal = Refusal(
            "placement.resources", .invalid, "Each amount must be \(range).", facts: ["most": .number(Self.mostAmount)],
            nearest: "amounts \(range)")
        if let wrong = request.resources.components.first(where: { !(0...Self.mostAmount).contains($0.amount) }) {
            refusal.message = "Each amount must be \(range); \(wrong.name) is \(wrong.amount)."
            refusal.facts[wrong.name] = .number(wrong.amount)
        }
        if let most = largest(request) {
            refusal.nearest = PlacementChange.resources(was: request.resources, now: most).description
        }
        return refusal
    }

    /// The most of a request with too much that one host can take now; nil: there is none.
    private mutating func largest(_ request: PlacementRequest) -> Resources? {
        guard request.resources.isNonNegative, let amounts = request.resources.cut(to: .most) else { return nil }
        var smaller = request
        smaller.resources = amounts
        guard let need = try? prepare(smaller) else { return nil }
        if count(smaller, need).0.fitting > 0 { return amounts }
        for case .resources(_, let now) in self.smaller(smaller, need) { return now }
        return nil
    }

    private static func gpuDemand(_ request: PlacementRequest) throws(Refusal) -> PlacementRequest.GPUDemand {
        let milli = request.resources.milliGPU
        var demand = PlacementRequest.GPUDemand(count: 0)
        if let wanted = request.gpu {
            demand = wanted
        } else if milli > 0 {
            demand = milli % 1_000 == 0 ? .init(count: Int(milli / 1_000)) : .init(count: 1, milliEach: milli)
        }
        let isWhole = demand.milliEach == 1_000 && (0...Int(Int16.max)).contains(demand.count)
        let isShare = demand.count == 1 && (1..<1_000).contains(demand.milliEach)
        guard isWhole || isShare else {
            throw Refusal(
                "placement.gpu", .invalid, "GPUs are taken whole, or one by a share of 1 to 999 thousandths.",
                facts: ["count": .number(Int64(demand.count)), "milliEach": .number(demand.milliEach), "milliGPU": .number(milli)],
                nearest: "\(max(1, (milli + 999) / 1_000)) whole")
        }
        return demand
    }

    private static var mostGroups: Int { 8 }

    /// A group's rule is that of its first member.
    private func check(_ wanted: [PlacementGroup]) throws(Refusal) {
        guard wanted.count <= Self.mostGroups, Set(wanted.map(\.id)).count == wanted.count else {
            throw Refusal(
                "placement.groups", .invalid, "An instance is in at most \(Self.mostGroups) groups, in each once.",
                facts: ["groups": .number(Int64(wanted.count)), "most": .number(Int64(Self.mostGroups))],
                nearest: wanted.count > Self.mostGroups ? "\(Self.mostGroups) groups" : "each of its groups once")
        }
        for group in wanted {
            if case .spread(_, let maxSkew) = group.rule, maxSkew < 1 {
                throw Refusal(
                    "placement.groups", .invalid, "A skew is 1 or more.", facts: ["maxSkew": .number(Int64(maxSkew))], nearest: "1")
            }
            if let known = groups.find(group.id), known.rule != group.rule {
                throw Refusal(
                    "placement.group-rule", .conflict, "Group \(group.id) has members under another rule: \(known.rule.words).",
                    facts: ["group": .text("\(group.id)"), "rule": .text(known.rule.words)], nearest: "the rule: \(known.rule.words)")
            }
        }
    }
}

extension Resources {
    /// The most of each component that can be asked for.
    static let most = Resources(
        milliCPU: PlacementEngine.mostAmount, memoryMiB: PlacementEngine.mostAmount, diskMiB: PlacementEngine.mostAmount,
        iops: PlacementEngine.mostAmount, networkMbps: PlacementEngine.mostAmount, milliGPU: PlacementEngine.mostAmount)
}
