public import Primitives

/// What one lot holds: a name and separate components, never one scalar.
public struct UnitClass: Hashable, Sendable, Codable {
    public let name: String
    public let lot: Resources

    public init(name: String, lot: Resources) {
        self.name = name
        self.lot = lot
    }

    public static let general = UnitClass(name: "general", lot: Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480))
    public static let compute = UnitClass(name: "compute", lot: Resources(milliCPU: 1_000, memoryMiB: 2_048, diskMiB: 20_480))
    public static let memory = UnitClass(name: "memory", lot: Resources(milliCPU: 1_000, memoryMiB: 8_192, diskMiB: 20_480))
    public static let blockSSD = UnitClass(name: "block-ssd", lot: Resources(diskMiB: 102_400, iops: 3_000))
    public static let blockCapacity = UnitClass(name: "block-capacity", lot: Resources(diskMiB: 102_400, iops: 300))

    /// The classes whose content is the same in every product. `metal-<profile>` and `gpu-<model>` say their own.
    public static let standard: [UnitClass] = [.general, .compute, .memory, .blockSSD, .blockCapacity]

    /// Refuses a name the market does not know, and a standard name with another content.
    func check() throws(Refusal) {
        if let known = Self.standard.first(where: { $0.name == name }) {
            guard known.lot == lot else {
                throw Refusal(
                    "market.unit-class", .invalid, "A lot of '\(name)' holds \(known.text), not \(text).",
                    facts: ["unitClass": .text(name)],
                    nearest: known.text)
            }
            return
        }
        guard (name.hasPrefix("metal-") && name != "metal-") || (name.hasPrefix("gpu-") && name != "gpu-") else {
            let names = (Self.standard.map(\.name) + ["metal-<profile>", "gpu-<model>"]).joined(separator: ", ")
            throw Refusal(
                "market.unit-class", .invalid, "There is no unit class '\(name)'.", facts: ["unitClass": .text(name)], nearest: names)
        }
        guard lot.isNonNegative, lot != .zero else {
            throw Refusal("market.unit-class", .invalid, "A lot of '\(name)' holds nothing, or less than nothing: \(text).")
        }
    }

    private var text: String {
        let parts = lot.components.filter { $0.amount != 0 }.map { "\($0.name) \($0.amount)" }
        return parts.isEmpty ? "nothing" : parts.joined(separator: ", ")
    }
}
