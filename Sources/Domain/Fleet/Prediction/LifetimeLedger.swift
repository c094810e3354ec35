/// What is expected of the allocations, and of all on a host together.
struct LifetimeLedger: Sendable {
    /// By slot, as far as something was ever expected; of the rest nobody knows anything.
    private var allocations: ContiguousArray<LifetimeOutlook> = []
    /// Sums of the outlooks of what is on each host.
    private(set) var hosts = FlatArray<SIMD8<Int32>>()
    /// Whether the first on each host was expected to be brief: such hosts are kept for the brief, so that they become empty again.
    private(set) var brief: ContiguousArray<Bool> = []

    var footprint: Int { allocations.capacity * MemoryLayout<LifetimeOutlook>.stride + hosts.footprint + brief.capacity }

    subscript(slot: Int) -> LifetimeOutlook { slot < allocations.count ? allocations[slot] : .unknown }

    mutating func join(_ host: Int) {
        while hosts.count <= host {
            hosts.append(.zero)
            brief.append(false)
        }
    }

    /// - Parameters:
    ///   - outlook: nil: nobody knows.
    ///   - isFirst: nothing else is on the host.
    mutating func enter(_ slot: Int, _ host: Int, _ outlook: LifetimeOutlook?, isFirst: Bool) {
        set(slot, outlook)
        hosts[host] &+= (outlook ?? .unknown).gone
        if isFirst { brief[host] = (outlook ?? .unknown).isBrief }
    }

    mutating func exit(_ slot: Int, _ host: Int) { hosts[host] &-= self[slot].gone }

    mutating func change(_ slot: Int, _ host: Int, to outlook: LifetimeOutlook) {
        hosts[host] &+= outlook.gone &- self[slot].gone
        set(slot, outlook)
    }

    private mutating func set(_ slot: Int, _ outlook: LifetimeOutlook?) {
        if outlook != nil { while allocations.count <= slot { allocations.append(.unknown) } }
        if slot < allocations.count { allocations[slot] = outlook ?? .unknown }
    }
}
