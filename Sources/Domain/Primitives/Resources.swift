/// An amount of infrastructure, component by component; never one scalar.
///
/// Units: vCPU and GPU in thousandths, memory and disk in MiB, IOPS, network in Mbit/s.
public struct Resources: Hashable, Sendable, Codable {
    public var milliCPU: Int64
    public var memoryMiB: Int64
    public var diskMiB: Int64
    public var iops: Int64
    public var networkMbps: Int64
    public var milliGPU: Int64

    public init(
        milliCPU: Int64 = 0, memoryMiB: Int64 = 0, diskMiB: Int64 = 0, iops: Int64 = 0, networkMbps: Int64 = 0, milliGPU: Int64 = 0
    ) {
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
        self.diskMiB = diskMiB
        self.iops = iops
        self.networkMbps = networkMbps
        self.milliGPU = milliGPU
    }

    public static let zero = Resources()

    public static func + (a: Self, b: Self) -> Self { a.combined(b) { $0 + $1 } }
    public static func - (a: Self, b: Self) -> Self { a.combined(b) { $0 - $1 } }
    public static func += (a: inout Self, b: Self) { a = a + b }
    public static func -= (a: inout Self, b: Self) { a = a - b }
    public static func * (a: Self, n: Int64) -> Self { a.combined(a) { x, _ in x * n } }

    private func combined(_ other: Self, _ operation: (Int64, Int64) -> Int64) -> Self {
        Resources(
            milliCPU: operation(milliCPU, other.milliCPU), memoryMiB: operation(memoryMiB, other.memoryMiB),
            diskMiB: operation(diskMiB, other.diskMiB), iops: operation(iops, other.iops),
            networkMbps: operation(networkMbps, other.networkMbps), milliGPU: operation(milliGPU, other.milliGPU))
    }

    /// Every component with its name and unit, in a fixed order.
    public var components: [(name: String, amount: Int64)] {
        [
            ("milliCPU", milliCPU), ("memoryMiB", memoryMiB), ("diskMiB", diskMiB), ("iops", iops), ("networkMbps", networkMbps),
            ("milliGPU", milliGPU),
        ]
    }

    /// True when no component of this amount is larger than the same component of `available`.
    public func fits(in available: Resources) -> Bool { shortfalls(against: available).isEmpty }

    /// The components of which this amount needs more than `available` has, with both numbers.
    public func shortfalls(against available: Resources) -> [(name: String, needed: Int64, available: Int64)] {
        zip(components, available.components).compactMap { needed, free in
            needed.amount > free.amount ? (needed.name, needed.amount, free.amount) : nil
        }
    }

    public var isNonNegative: Bool { components.allSatisfy { $0.amount >= 0 } }

    /// How many whole lots of `lot` are needed to hold this amount: the largest need of any component, rounded up.
    /// Nil when some component is needed of which a lot has nothing.
    public func lots(of lot: Resources) -> Int64? {
        var lots: Int64 = 0
        for (need, unit) in zip(components, lot.components) where need.amount > 0 {
            guard unit.amount > 0 else { return nil }
            lots = max(lots, (need.amount + unit.amount - 1) / unit.amount)
        }
        return lots
    }

    /// How many whole lots of `lot` this amount can hold: the smallest of any component the lot has.
    public func wholeLots(of lot: Resources) -> Int64 {
        zip(components, lot.components).compactMap { have, unit in unit.amount > 0 ? max(0, have.amount) / unit.amount : nil }.min() ?? 0
    }
}
