package import Primitives

/// What instances are told apart by when lifetimes are learned: shape, and how many were launched together. A class falls back on its
/// shape, and a shape on all instances.
package struct LifetimeClass: Hashable, Sendable {
    var number: Int

    package static let all = LifetimeClass(number: 0)
    private static let sizes = 7
    private static let ratios = 4
    /// 1, 2 or 3, 4 to 7, and so on; the last has no end.
    private static let batches = 10
    static let shapes = sizes * ratios
    static let count = 1 + shapes + shapes * batches

    /// - Parameter batch: how many were launched together, as far as is known.
    package init(_ resources: Resources, batch: Int) {
        number = 1 + Self.shapes + Self.shape(resources) * Self.batches + Self.log2(Int64(max(1, batch)), most: Self.batches - 1)
    }

    init(number: Int) { self.number = number }

    package var parent: LifetimeClass? {
        if number == 0 { return nil }
        return number <= Self.shapes ? .all : LifetimeClass(number: 1 + (number - 1 - Self.shapes) / Self.batches)
    }

    /// Processors by powers of two, and memory for each of them: below 1 GiB, 3, 6, and above.
    private static func shape(_ resources: Resources) -> Int {
        let size = log2(max(1, resources.milliCPU / 1_000), most: sizes - 1)
        let each = resources.memoryMiB * 1_000 / max(1, resources.milliCPU)
        let ratio = each < 1_024 ? 0 : each < 3_072 ? 1 : each < 6_144 ? 2 : 3
        return size * ratios + ratio
    }

    private static func log2(_ value: Int64, most: Int) -> Int { min(most, 63 - value.leadingZeroBitCount) }
}
