public import Primitives

/// How large a pod is, how many are needed, what they draw and cost, and what limits them.
///
/// A host holds as many machines of the mix as its scarcest component allows. A pod holds as many hosts as the scarcest of the things
/// they share allows: that is its maximum useful size. Everything else follows.
public struct PodPlan: Hashable, Sendable, Codable {
    /// One thing that bounds a number, and the number.
    public struct Limit: Hashable, Sendable, Codable {
        public var name: String
        /// What there is of it, and what one host (or one machine) takes.
        public var total: Int64
        public var each: Int64
        /// How many it has room for.
        public var room: Int64
    }

    /// What is needed in one month.
    public struct Step: Hashable, Sendable, Codable {
        /// 0 is now.
        public var month: Int64
        public var instances: Int64
        public var hosts: Int64
        public var pods: Int64
    }

    /// Per component of a host, thousandths of the hardware that machines of the mix are promised when it is full; 0 of disks that are
    /// not in the hosts.
    public struct Promised: Hashable, Sendable, Codable {
        public var cpu: Int64
        public var memory: Int64
        public var disk: Int64
    }

    /// Machines on a full host, and what allows no more; the scarcest first.
    public var guestsPerHost: Int64
    public var hostLimits: [Limit]
    /// Hosts in a full pod, and what allows no more; the scarcest first: the binding limit, then the next.
    public var hostsPerPod: Int64
    public var podLimits: [Limit]
    public var spareHostsPerPod: Int64
    public var guestsPerPod: Int64
    public var promised: Promised
    /// Now, whenever one more pod is needed, and at the end.
    public var steps: [Step]
    /// At the end:
    public var hosts: Int64
    public var pods: Int64
    public var racks: Int64
    public var switches: Int64
    public var arrays: Int64
    /// Of computers, and with cooling and losses.
    public var watts: Int64
    public var facilityWatts: Int64
    /// Micro-units a month.
    public var monthlyCost: Int64
    public var monthlyPowerCost: Int64
    public var lots: Int64
    /// Micro-units per lot-hour that is sold; nil when there are no lots.
    public var costPerLotHour: Int64?
    public var monthlyRevenue: Int64
    /// Thousandths of the price that are left; below zero is a loss. Nil when nothing is paid.
    public var margin: Int64?

    public var bindingLimit: Limit? { podLimits.first }

    /// The margin as people read it, in hundredths of a percent.
    public var marginBasisPoints: Int64? {
        guard monthlyRevenue > 0 else { return nil }
        return Int64(clamping: (Int128(monthlyRevenue) - Int128(monthlyCost)) * 10_000 / Int128(monthlyRevenue))
    }

    /// Hours in a month: 365 × 24 / 12.
    public static let hoursPerMonth: Int64 = 730

    public init(_ input: PodPlanInput) throws(Refusal) {
        try input.check()
        let mix = MeanShape(input.shapes)
        hostLimits = Self.hostLimits(input, mix)
        guestsPerHost = hostLimits.first?.room ?? 0
        guard guestsPerHost > 0, let scarce = hostLimits.first else { throw Self.tooSmall(hostLimits.first) }
        podLimits = Self.podLimits(input, mix, guests: scarce.room)
        let size = podLimits.first?.room ?? 0
        let spare = Self.up(size * input.filling.spare, 1_000)
        guard size - spare > 0 else { throw Self.noPod(podLimits.first, spare: spare) }
        (hostsPerPod, spareHostsPerPod) = (size, spare)
        guestsPerPod = Self.times(size - spare, scarce.room)
        promised = Promised(
            cpu: mix.of(scarce.room, \.milliCPU) * 1_000 / input.host.milliCPU,
            memory: mix.of(scarce.room, \.memoryMiB) * 1_000 / input.host.memoryMiB,
            disk: input.storage == nil && input.host.diskMiB > 0 ? mix.of(scarce.room, \.diskMiB) * 1_000 / input.host.diskMiB : 0)
        steps = Self.steps(input.demand, guests: scarce.room, usable: size - spare, spare: spare)
        let last = steps[steps.count - 1]
        (hosts, pods) = (last.hosts, last.pods)
        guard last.hosts <= Self.mostHosts else { throw Self.tooMany(last) }
        let parts = Parts(input, hosts: last.hosts, pods: last.pods, largest: size)
        (racks, switches, arrays) = (parts.racks, parts.switches, parts.arrays)
        watts = Self.times(last.hosts, input.host.watts)
        facilityWatts = Int64(clamping: (Int128(watts) * Int128(input.floor.pue) + 999) / 1_000)
        monthlyPowerCost = Self.times(Self.times(facilityWatts, Self.hoursPerMonth) / 1_000, input.costs.power)
        monthlyCost = Int64(clamping: Int128(monthlyPowerCost) + parts.cost(input.costs, hosts: last.hosts, pods: last.pods))
        lots = Self.times(last.hosts - last.pods * spare, Self.lotsPerHost(input))
        let soldHours = Self.times(Self.times(lots, input.filling.sold) / 1_000, Self.hoursPerMonth)
        costPerLotHour = soldHours > 0 ? Int64(clamping: (Int128(monthlyCost) + Int128(soldHours) - 1) / Int128(soldHours)) : nil
        monthlyRevenue = Self.times(soldHours, input.lot.price)
        margin =
            monthlyRevenue > 0
            ? Int64(clamping: (Int128(monthlyRevenue) - Int128(monthlyCost)) * 1_000 / Int128(monthlyRevenue)) : nil
    }

    /// The product, or the largest number when it is larger: inputs are bounded, their products are not.
    static func times(_ a: Int64, _ b: Int64) -> Int64 { Int64(clamping: Int128(a) * Int128(b)) }

    private static let mostHosts: Int64 = 10_000_000

    private static func tooMany(_ step: Step) -> Refusal {
        Refusal(
            "plan.size", .invalid, "In month \(step.month) \(counted(step.hosts, "host")) would be needed; a plan goes up to \(mostHosts).",
            facts: ["hosts": .number(step.hosts), "largest": .number(mostHosts)], nearest: "fewer months, or less growth")
    }

    /// Rounded up.
    static func up(_ amount: Int64, _ divisor: Int64) -> Int64 { amount / divisor + (amount % divisor > 0 ? 1 : 0) }

    private static func tooSmall(_ limit: Limit?) -> Refusal {
        Refusal(
            "plan.host", .invalid,
            "A host cannot hold one machine of the mix: it can give \(limit?.total ?? 0) \(limit?.name ?? ""), a machine takes \(limit?.each ?? 0).",
            facts: ["limit": .text(limit?.name ?? "")], nearest: "a larger host, or smaller machines")
    }

    private static func noPod(_ limit: Limit?, spare: Int64) -> Refusal {
        Refusal(
            "plan.pod", .invalid,
            "A pod has room for \(counted(limit?.room ?? 0, "host")) by its \(limit?.name ?? "") (\(limit?.total ?? 0), of which a host takes \(limit?.each ?? 0)), \(spare) of them spare.",
            facts: ["limit": .text(limit?.name ?? ""), "room": .number(limit?.room ?? 0)], nearest: "more \(limit?.name ?? "")")
    }
}

/// The mix as one machine: sums over the shares, divided only at the end.
struct MeanShape {
    private let shapes: [PodPlanInput.Shape]
    private let shares: Int64

    init(_ shapes: [PodPlanInput.Shape]) {
        self.shapes = shapes
        shares = shapes.map(\.share).reduce(0, +)
    }

    /// What so many machines take, rounded up. Exact: 128 bits between.
    func of(_ count: Int64, _ component: (PodPlanInput.Shape) -> Int64) -> Int64 {
        let sum = shapes.map { Int128($0.share) * Int128(component($0)) }.reduce(0, +)
        return Int64(clamping: (Int128(count) * sum + Int128(shares) - 1) / Int128(shares))
    }

    /// How many machines an amount has room for; nil when they take none of it.
    func room(_ amount: Int64, _ component: (PodPlanInput.Shape) -> Int64) -> Int64? {
        let sum = shapes.map { Int128($0.share) * Int128(component($0)) }.reduce(0, +)
        return sum > 0 ? Int64(clamping: Int128(amount) * Int128(shares) / sum) : nil
    }
}

// MARK: - Limits

extension PodPlan {
    fileprivate static func hostLimits(_ input: PodPlanInput, _ mix: MeanShape) -> [Limit] {
        let (host, filling) = (input.host, input.filling)
        func fillable(_ amount: Int64, _ ratio: Int64) -> Int64 { amount * ratio / 1_000 * filling.packing / 1_000 }
        var limits = [
            limit("milliCPU", fillable(host.milliCPU, filling.cpuOversubscription), mix, \.milliCPU),
            limit("memoryMiB", fillable(host.memoryMiB, filling.memoryOversubscription), mix, \.memoryMiB),
        ]
        if input.storage == nil { limits.append(limit("diskMiB", fillable(host.diskMiB, filling.diskOversubscription), mix, \.diskMiB)) }
        return sorted(limits)
    }

    private static func limit(
        _ name: String, _ total: Int64, _ mix: MeanShape, _ component: (PodPlanInput.Shape) -> Int64
    ) -> Limit? {
        mix.room(total, component).map { Limit(name: name, total: total, each: mix.of(1, component), room: $0) }
    }

    fileprivate static func podLimits(_ input: PodPlanInput, _ mix: MeanShape, guests: Int64) -> [Limit] {
        let (network, floor, host) = (input.network, input.floor, input.host)
        var limits = [
            limit("hosts", floor.largestPod, 1),
            limit("networkPorts", network.switches * (network.portsPerSwitch - network.uplinksPerSwitch), host.networkPorts),
            limit("broadcastGuests", network.broadcastGuests, guests), limit("feedWatts", floor.feedWatts, host.watts),
        ]
        let perRack = hostsPerRack(input)
        limits.append(Limit(name: perRack.name, total: floor.racks * perRack.total, each: perRack.each, room: floor.racks * perRack.room))
        if let storage = input.storage {
            let capacity = times(times(storage.arrays, storage.usableGiB), 1_024)
            limits += [
                limit("storageIOPS", storage.arrays * storage.iops, mix.of(guests, \.iops)),
                limit("storageMBps", storage.arrays * storage.throughputMBps, up(mix.of(guests, \.throughputKBps), 1_000)),
                limit("storageMiB", times(capacity / 1_000, input.filling.diskOversubscription), mix.of(guests, \.diskMiB)),
            ]
        }
        return sorted(limits)
    }

    private static func limit(_ name: String, _ total: Int64?, _ each: Int64) -> Limit? {
        guard let total, each > 0 else { return nil }
        return Limit(name: name, total: total, each: each, room: total / each)
    }

    private static func sorted(_ limits: [Limit?]) -> [Limit] {
        limits.compactMap { $0 }.enumerated().sorted { ($0.element.room, $0.offset) < ($1.element.room, $1.offset) }.map(\.element)
    }

    /// What a rack has room for: by its height, or by what its power distribution bears.
    fileprivate static func hostsPerRack(_ input: PodPlanInput) -> Limit {
        let byHeight = Limit(
            name: "rackUnits", total: input.floor.rackUnits, each: input.host.rackUnits, room: input.floor.rackUnits / input.host.rackUnits)
        let byPower = Limit(
            name: "rackWatts", total: input.floor.rackWatts, each: input.host.watts, room: input.floor.rackWatts / input.host.watts)
        return byPower.room < byHeight.room ? byPower : byHeight
    }

    fileprivate static func lotsPerHost(_ input: PodPlanInput) -> Int64 {
        let lot = input.lot
        let shape = PodPlanInput.Shape(name: "lot", milliCPU: lot.milliCPU, memoryMiB: lot.memoryMiB, diskMiB: lot.diskMiB)
        return hostLimits(input, MeanShape([shape])).first?.room ?? 0
    }
}

// MARK: - Demand

extension PodPlan {
    fileprivate static func steps(_ demand: PodPlanInput.Demand, guests: Int64, usable: Int64, spare: Int64) -> [Step] {
        var steps: [Step] = []
        var instances = demand.instances
        for month in 0...demand.months {
            if month > 0 { instances += up(min(instances, 1_000_000_000_000) * demand.growthPerMonth, 1_000) }
            let busy = up(instances, guests)
            let pods = up(busy, usable)
            let step = Step(
                month: month, instances: instances, hosts: Int64(clamping: Int128(busy) + Int128(pods) * Int128(spare)), pods: pods)
            if month == 0 || month == demand.months || pods != steps[steps.count - 1].pods { steps.append(step) }
        }
        return steps
    }

    /// What stands around the hosts. Pods are filled one after the other, so all are full but the last.
    fileprivate struct Parts {
        var racks: Int64 = 0
        var switches: Int64 = 0
        var arrays: Int64 = 0

        /// - Parameter largest: hosts in a full pod.
        init(_ input: PodPlanInput, hosts: Int64, pods: Int64, largest: Int64) {
            let perRack = PodPlan.hostsPerRack(input).room
            let ports = input.network.portsPerSwitch - input.network.uplinksPerSwitch
            let full = max(0, pods - 1)
            for (count, size) in [(full, largest), (1, hosts - full * largest)] {
                racks += count * PodPlan.up(size, perRack)
                switches += PodPlan.times(count, PodPlan.up(PodPlan.times(size, input.host.networkPorts), ports))
            }
            arrays = pods * (input.storage?.arrays ?? 0)
        }

        func cost(_ costs: PodPlanInput.Costs, hosts: Int64, pods: Int64) -> Int128 {
            let parts = [
                (hosts, costs.host), (hosts, costs.staffPerHost), (racks, costs.rack), (arrays, costs.array),
                (switches, costs.networkSwitch), (pods, costs.staffPerPod),
            ]
            return parts.map { Int128($0) * Int128($1) }.reduce(0, +)
        }
    }
}
