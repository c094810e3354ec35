import Primitives

/// What a score needs to know besides the host, worked out once for a decision.
struct ScoringContext {
    let now: Instant
    /// Row of the hosts that have the image at hand; -1: no image was named, or no host has it.
    let imageRow: Int32
    /// Number of the network; -1: none was named, or nobody is on it.
    let network: Int32
    /// Which of the first 64 pods have instances of that network, as bits.
    let nearPods: UInt64
    /// What each horizon counts, and how brief the instance is expected to be.
    let weights: SIMD8<Int32>
    let grade: Int8

    init(_ request: PlacementRequest, _ now: Instant, images: IDRows<ImageKind>, networks: NetworkLedger) {
        self.now = now
        weights = request.outlook?.weights ?? LifetimeOutlook.unknownWeights
        grade = request.outlook?.grade ?? LifetimeOutlook.longest
        if let image = request.image, let row = images.row(image) { imageRow = row } else { imageRow = -1 }
        network = request.network.map { networks.find($0) } ?? -1
        nearPods = network < 0 ? 0 : networks.nearPods(network)
    }
}

// Soft preferences. A cost is in millionths of a host, lower is better, and comparable between policies. A new policy is a case of
// `PlacementPolicy` and a branch here; it may read anything the engine keeps about the host.
extension PlacementEngine {
    @inline(__always) func cost(_ policy: PlacementPolicy, _ host: Int, _ need: PlacementNeed, _ context: ScoringContext) -> Int64 {
        switch policy {
        case .packing: packingCost(host, need) + energyCost(host)
        case .spreading: spreadingCost(host, need)
        case .firstFit: Int64(host)
        case .gpuFragmentation: gpuLoss(need, host).loss
        case .lifetimeAligned: lifetimeCost(host, context)
        }
    }

    /// What would be left, and how much of that no standard shape could use.
    private func packingCost(_ host: Int, _ need: PlacementNeed) -> Int64 {
        let glance = rooms.glances[host]
        let left = glance.free &- need.amounts
        let (cpu, memory) = (glance.scale.cpuShare(left[0]), glance.scale.memoryShare(left[1]))
        var usable: Int64 = 0
        for shape in shapes { usable = max(usable, shape.usable(left, glance.scale)) }
        return (cpu + memory) / 2 + max(0, cpu + memory - usable) / 2
    }

    private func spreadingCost(_ host: Int, _ need: PlacementNeed) -> Int64 {
        let glance = rooms.glances[host]
        let left = glance.free &- need.amounts
        return 1_000_000 - min(glance.scale.cpuShare(left[0]), glance.scale.memoryShare(left[1]))
    }

    /// A host that is woken up costs half a host; one in a dark rack a whole one.
    private func energyCost(_ host: Int) -> Int64 {
        guard rooms.glances[host].count == 0 else { return 0 }
        return rackLoads[Int(places[host][PlacementLevel.rack.index])] == 0 ? 1_000_000 : 500_000
    }

    /// What `packing` and `spreading` add: an image that must be copied costs as much as a fiftieth of a host left over, a network that
    /// reaches into one more pod a hundredth.
    @inline(__always) func localityCost(_ host: Int, _ context: ScoringContext) -> Int64 {
        var cost: Int64 = 0
        if context.imageRow >= 0, !rows.has(context.imageRow, host) { cost += 20_000 }
        guard context.network >= 0 else { return cost }
        let pod = rooms.glances[host].pod
        let isNear = pod < 64 ? context.nearPods >> UInt64(pod) & 1 == 1 : networks.has(context.network, in: pod)
        return isNear ? cost : cost + 10_000
    }
}

/// Factors that turn amounts of a host into millionths of its capacity without division.
struct HostScale: Sendable, BitwiseCopyable {
    private var cpu: UInt32
    private var memory: UInt32

    init(capacity: SIMD8<Int32>) {
        cpu = capacity[0] > 0 ? UInt32(clamping: (1_000_000 << 16) / Int64(capacity[0])) : 0
        memory = capacity[1] > 0 ? UInt32(clamping: (1_000_000 << 16) / Int64(capacity[1])) : 0
    }

    @inline(__always) func cpuShare(_ milli: Int32) -> Int64 { (Int64(milli) &* Int64(cpu)) >> 16 }
    @inline(__always) func memoryShare(_ mib: Int32) -> Int64 { (Int64(mib) &* Int64(memory)) >> 16 }

    /// What any amount is too much for.
    static let ofNothing = HostScale(cpu: .max, memory: .max)

    private init(cpu: UInt32, memory: UInt32) { (self.cpu, self.memory) = (cpu, memory) }

    /// The larger one by each component that both have.
    func orLarger(_ other: HostScale) -> HostScale {
        HostScale(cpu: other.cpu == 0 ? cpu : min(cpu, other.cpu), memory: other.memory == 0 ? memory : min(memory, other.memory))
    }

    /// Class of fullness by what is left of whichever of processor and memory is scarcer, full hosts highest. Up to an eighth left, eight
    /// classes to a doubling; above, 64 to a host.
    @inline(__always) func fullnessClass(_ free: SIMD8<Int32>) -> UInt8 {
        let left = memory == 0 ? cpuShare(free[0]) : cpu == 0 ? memoryShare(free[1]) : min(cpuShare(free[0]), memoryShare(free[1]))
        let units = UInt32(truncatingIfNeeded: left >> 10)
        let doublings = UInt32(truncatingIfNeeded: 28 &- max(8, units).leadingZeroBitCount)
        let level = units < 128 ? 8 &* doublings &+ units >> doublings : 40 &+ (units &- 128) >> 4
        return UInt8(truncatingIfNeeded: UInt32(FullnessClasses.count - 1) &- min(UInt32(FullnessClasses.count - 1), level))
    }
}

/// A shape in which leftovers can be used, by processor and memory.
struct StandardShape: Sendable {
    private var cpu: UInt32
    private var memory: UInt32
    /// 2^32 divided by each, so that no decision divides.
    private var cpuFactor: UInt64
    private var memoryFactor: UInt64

    init(_ shape: Resources) {
        cpu = UInt32(clamping: max(1, shape.milliCPU))
        memory = UInt32(clamping: max(1, shape.memoryMiB))
        cpuFactor = (1 << 32) / UInt64(cpu) + 1
        memoryFactor = (1 << 32) / UInt64(memory) + 1
    }

    /// One lot of `compute`, `general` and `memory`.
    static let unitClasses = ContiguousArray(
        [2, 4, 8].map { StandardShape(Resources(milliCPU: 1_000, memoryMiB: $0 * 1_024)) })

    /// How much of what is left whole ones of this shape could take, processor and memory added, in millionths of the host.
    @inline(__always) func usable(_ left: SIMD8<Int32>, _ scale: HostScale) -> Int64 {
        let byCPU = (UInt64(truncatingIfNeeded: max(0, left[0])) &* cpuFactor) >> 32
        let byMemory = (UInt64(truncatingIfNeeded: max(0, left[1])) &* memoryFactor) >> 32
        let count = UInt32(truncatingIfNeeded: min(byCPU, byMemory))
        return scale.cpuShare(Int32(truncatingIfNeeded: count &* cpu)) + scale.memoryShare(Int32(truncatingIfNeeded: count &* memory))
    }
}
