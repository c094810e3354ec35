/// What is free on a host, sorted into levels: a row for each level holds the hosts that have at least that much. The hosts that have
/// room for a request are then one row for each component, but for those on the very level of the request, which are looked at.
///
/// Levels lie eight to each doubling, so that a level is at most an eighth wide.
struct CapacityLevels: Sendable {
    /// Processor, memory, disk, IOPS, network; whole GPUs, the largest free share of one GPU; the largest free NUMA cell's processor and
    /// memory (each by itself).
    static let families = 9
    /// Values below one unit are level 0: 128 milli, 128 MiB, 1 GiB, 64 IOPS, 64 Mbit/s, 1 GPU, 32 milli, 128 milli, 128 MiB.
    private static let shifts: [Int32] = [7, 7, 10, 6, 6, 0, 5, 7, 7]
    /// Larger values are all on the top level: 1,000 vCPU, 8 TiB, 128 TiB, 8 million IOPS, 1 Tbit/s, 16 GPUs, one GPU.
    private static let levels: [Int] = [96, 120, 128, 128, 96, 24, 32, 96, 120]
    private static let starts: [Int] = levels.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }

    /// The first of all rows; they follow each other.
    private let first: Int32
    private let constants: ContiguousArray<Family>

    init(rows: inout HostRows) {
        first = rows.add()
        for _ in 1..<Self.starts[Self.families] { _ = rows.add() }
        constants = ContiguousArray(
            (0..<Self.families).map { Family(shift: Self.shifts[$0], top: Self.levels[$0] - 1, start: Int32(Self.starts[$0])) })
    }

    private struct Family: Sendable {
        var shift: Int32
        var top: Int
        var start: Int32
    }

    @inline(__always) private static func level(_ value: Int32, _ family: Family) -> Int {
        let units = value >> family.shift
        guard units >= 8 else { return max(0, Int(units)) }
        let doublings = 28 - units.leadingZeroBitCount
        return min(family.top, 8 * doublings + Int(units >> Int32(truncatingIfNeeded: doublings)))
    }

    /// The row of the hosts whose level is at least that of `value`; nil when those are all.
    @inline(__always) func row(_ family: Int, atLeast value: Int32) -> Int32? {
        let family = constants[family]
        let level = Self.level(value, family)
        return level == 0 ? nil : first + family.start + Int32(level)
    }

    /// Moves a host from one level to that of its new value, and says which that is. Level 0 has no row of its own; a host that joins is
    /// there.
    @inline(__always) func move(_ host: Int, from level: UInt8, _ family: Int, _ value: Int32, _ rows: inout HostRows) -> UInt8 {
        let family = constants[family]
        let new = Self.level(value, family)
        let old = Int(level)
        guard new != old else { return level }
        let base = first + family.start
        let (low, high) = (base &+ Int32(min(old, new)) &+ 1, base &+ Int32(max(old, new)) &+ 1)
        rows.set(Range(uncheckedBounds: (low, high)), host, to: new > old)
        return UInt8(truncatingIfNeeded: new)
    }

    /// Whether the rows say what the values say.
    func isRight(_ host: Int, _ family: Int, _ value: Int32, _ rows: HostRows) -> Bool {
        let family = constants[family]
        let level = Self.level(value, family)
        return (1...family.top).allSatisfy { rows.has(first + family.start + Int32($0), host) == ($0 <= level) }
    }
}
