/// What is expected of the allocations, and of all on a host together. Nothing is written down for those of which nobody knows anything.
struct LifetimeLedger: Sendable {
    /// By slot, as far as something was ever expected.
    private var allocations: ContiguousArray<LifetimeOutlook?> = []
    /// Sums of the known outlooks of what is on each host, and how many they are.
    private var sums = FlatArray<SIMD8<Int32>>()
    private var known = FlatArray<Int32>()
    /// The grade of the first that came to each host when it was empty: hosts of the brief are kept for the brief, so that they become
    /// empty again. What it says of an empty host means nothing.
    private(set) var grades: ContiguousArray<Int8> = []

    var footprint: Int {
        allocations.capacity * MemoryLayout<LifetimeOutlook?>.stride + sums.footprint + known.footprint + grades.capacity
    }

    /// Nil: nobody knows anything.
    subscript(slot: Int) -> LifetimeOutlook? { slot < allocations.count ? allocations[slot] : nil }

    /// The sum of the outlooks of all on a host.
    /// - Parameter count: how many allocations are there.
    func sum(on host: Int, count: Int32) -> SIMD8<Int32> {
        sums[host] &+ LifetimeOutlook.unknown.gone &* SIMD8(repeating: count &- known[host])
    }

    mutating func join(_ host: Int) {
        while sums.count <= host {
            sums.append(.zero)
            known.append(0)
            grades.append(LifetimeOutlook.longest)
        }
    }

    /// - Parameters:
    ///   - outlook: nil: nobody knows.
    ///   - isFirst: nothing else is on the host.
    mutating func enter(_ slot: Int, _ host: Int, _ outlook: LifetimeOutlook?, isFirst: Bool) {
        if isFirst { grades[host] = outlook?.grade ?? LifetimeOutlook.longest }
        guard let outlook else { return }
        while allocations.count <= slot { allocations.append(nil) }
        allocations[slot] = outlook
        sums[host] &+= outlook.gone
        known[host] += 1
    }

    mutating func exit(_ slot: Int, _ host: Int) {
        guard slot < allocations.count, let outlook = allocations[slot] else { return }
        allocations[slot] = nil
        sums[host] &-= outlook.gone
        known[host] -= 1
    }

    /// A host on which nobody was known has the grade of the first of whom something is.
    mutating func change(_ slot: Int, _ host: Int, to outlook: LifetimeOutlook) {
        if self[slot] == nil, known[host] == 0 { grades[host] = outlook.grade }
        exit(slot, host)
        enter(slot, host, outlook, isFirst: false)
    }
}
