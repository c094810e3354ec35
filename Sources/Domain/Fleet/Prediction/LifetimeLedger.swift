/// What is expected of the allocations, and of all on a host together.
struct LifetimeLedger: Sendable {
    private var allocations: ContiguousArray<LifetimeOutlook> = []
    /// Sums of the outlooks of what is on each host.
    private(set) var hosts: ContiguousArray<SIMD8<Int32>> = []
    /// Whether the first on each host was expected to be brief: such hosts are kept for the brief, so that they become empty again.
    private(set) var brief: ContiguousArray<Bool> = []

    var footprint: Int {
        allocations.capacity * MemoryLayout<LifetimeOutlook>.stride + hosts.capacity * MemoryLayout<SIMD8<Int32>>.stride + brief.capacity
    }

    subscript(slot: Int) -> LifetimeOutlook { allocations[slot] }

    mutating func join(_ host: Int) {
        while hosts.count <= host {
            hosts.append(.zero)
            brief.append(false)
        }
    }

    /// - Parameter isFirst: nothing else is on the host.
    mutating func enter(_ slot: Int, _ host: Int, _ outlook: LifetimeOutlook, isFirst: Bool) {
        while allocations.count <= slot { allocations.append(.unknown) }
        allocations[slot] = outlook
        hosts[host] &+= outlook.gone
        if isFirst { brief[host] = outlook.isBrief }
    }

    mutating func exit(_ slot: Int, _ host: Int) { hosts[host] &-= allocations[slot].gone }

    mutating func change(_ slot: Int, _ host: Int, to outlook: LifetimeOutlook) {
        hosts[host] &+= outlook.gone &- allocations[slot].gone
        allocations[slot] = outlook
    }
}
