/// What all hosts of a pod should run and be. What it does not name may differ.
public struct Baseline: Hashable, Sendable {
    public var product: String?
    public var bios: String?
    /// Firmware by model of disk, controller, GPU or network interface.
    public var firmware: [String: String]

    public init(product: String? = nil, bios: String? = nil, firmware: [String: String] = [:]) {
        self.product = product
        self.bios = bios
        self.firmware = firmware
    }
}

/// One way in which a host is not what its pod says it is.
public struct Drift: Hashable, Sendable {
    /// e.g. `firmware of nvme0 (PM9A3)`, `memoryMiB`
    public var what: String
    public var expected: String
    public var found: String

    public init(what: String, expected: String, found: String) {
        self.what = what
        self.expected = expected
        self.found = found
    }
}

extension Topology.Pod {
    /// How far memory as the kernel counts it may be below what is built in, in percent: firmware and the kernel keep some.
    private static let memoryTolerance: Int128 = 5

    /// All the ways in which a host differs from the profile and the baseline, in a fixed order.
    public func drift(of host: HostInventory) -> [Drift] {
        text("product", baseline?.product, host.product) + text("bios", baseline?.bios, host.bios ?? "unknown") + counts(host)
            + firmware(host)
    }

    private func text(_ what: String, _ expected: String?, _ found: String) -> [Drift] {
        guard let expected, expected != found else { return [] }
        return [Drift(what: what, expected: expected, found: found)]
    }

    private func counts(_ host: HostInventory) -> [Drift] {
        guard let profile else { return [] }
        // What a node tells may be any number: sums and products of it are in 128 bits.
        let threads = host.cells.map { Int128($0.cpus) }.reduce(0, +)
        let found: [(String, Int64, Int64)] = [
            ("milliCPU", profile.milliCPU, Int64(clamping: threads * 1_000)),
            ("cells", profile.cells, Int64(host.cells.count)), ("gpus", profile.gpus, host.count(of: .gpu)),
            ("disks", profile.disks, host.count(of: .disk)), ("nics", profile.nics, host.count(of: .nic)),
        ]
        let memory = host.cells.map { Int128($0.memoryMiB) }.reduce(0, +)
        let isShort = memory * 100 < Int128(profile.memoryMiB) * (100 - Self.memoryTolerance) || memory > Int128(profile.memoryMiB)
        return found.filter { $0.1 > 0 && $0.1 != $0.2 }.map { Drift(what: $0.0, expected: "\($0.1)", found: "\($0.2)") }
            + (profile.memoryMiB > 0 && isShort ? [Drift(what: "memoryMiB", expected: "\(profile.memoryMiB)", found: "\(memory)")] : [])
    }

    private func firmware(_ host: HostInventory) -> [Drift] {
        host.devices.sorted { ($0.kind.rawValue, $0.name) < ($1.kind.rawValue, $1.name) }.flatMap { device in
            text("firmware of \(device.name) (\(device.model))", baseline?.firmware[device.model], device.firmware ?? "unknown")
        }
    }
}
