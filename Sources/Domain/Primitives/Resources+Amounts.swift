extension Resources {
    /// What there is of it, for people, e.g. `2 vCPU, 4 GiB of memory`; `nothing` when it is zero.
    public var amounts: String {
        let parts = [
            Self.thousandths(milliCPU, "vCPU", "vCPU"), Self.mebibytes(memoryMiB, "of memory"), Self.mebibytes(diskMiB, "of disk"),
            iops == 0 ? nil : "\(iops) IOPS", networkMbps == 0 ? nil : "\(networkMbps) Mbit/s", Self.thousandths(milliGPU, "GPU", "GPUs"),
        ].compactMap { $0 }
        return parts.isEmpty ? "nothing" : parts.joined(separator: ", ")
    }

    private static func thousandths(_ amount: Int64, _ one: String, _ many: String) -> String? {
        guard amount != 0 else { return nil }
        guard amount % 1_000 == 0 else { return decimalText(microUnits: Int64(clamping: Int128(amount) * 1_000)) + " \(many)" }
        return counted(amount / 1_000, one, plural: many)
    }

    private static func mebibytes(_ amount: Int64, _ what: String) -> String? {
        guard amount != 0 else { return nil }
        return amount % 1_024 == 0 ? "\(amount / 1_024) GiB \(what)" : "\(amount) MiB \(what)"
    }
}
