public import Primitives
import Synchronization

/// Volumes of machines that run, plugged in and out over QMP (`blockdev-add`, `device_add`, `device_del`, `block_resize`).
///
/// The machine type `pc` takes PCI devices while it runs on its root bus, by ACPI. What is plugged in can be seen in QEMU itself, so
/// nothing is remembered here and a new driver goes on where the former one was.
extension QEMUDriver {
    public func ensureAttached(_ disk: VolumeDisk, to instance: InstanceID) async throws(Refusal) {
        try disk.validate()
        try await volumeLocks.withLock(disk.volume) { () async throws(Refusal) in
            guard let monitor = try living(instance) else { return }
            if try await !devices(monitor).contains(disk.device) { try await plug(disk, monitor) }
            try await fit(disk, monitor)
        }
    }

    public func ensureDetached(_ volume: VolumeID, from instance: InstanceID) async throws(Refusal) {
        try await volumeLocks.withLock(volume) { () async throws(Refusal) in
            guard try await unplug(VolumeNames(volume), from: instance), let monitor = try living(instance) else { return }
            try await close(VolumeNames(volume), monitor)
        }
    }

    public func volumes(of instance: InstanceID) async throws(Refusal) -> [VolumeID] {
        guard let monitor = try living(instance) else { return [] }
        return try await devices(monitor).compactMap(VolumeNames.volume).sorted()
    }

    /// The monitor of a machine that runs; nil when it is off.
    private func living(_ instance: InstanceID) throws(Refusal) -> QMPClient? {
        guard state.withLock({ $0.machines[instance]?.process }) != nil else { return nil }
        return try monitor(instance)
    }

    /// Sets the limits of the volumes that a machine was started with: the command line has no place for them.
    func limitVolumes(of instance: InstanceID) async throws(Refusal) {
        guard let volumes = directory(instance).readSpec()?.volumes, !volumes.isEmpty, let monitor = try living(instance) else { return }
        for disk in volumes { try await limit(disk, monitor) }
    }

    // MARK: - In

    private func plug(_ disk: VolumeDisk, _ monitor: QMPClient) async throws(Refusal) {
        let known = try await nodes(monitor)
        do throws(Refusal) {
            if known[disk.fileNode] == nil {
                try await monitor.execute(
                    "blockdev-add",
                    [
                        "driver": "file", "node-name": .text(disk.fileNode), "filename": .text(disk.path), "locking": "on",
                        "discard": "unmap",
                    ])
            }
            if known[disk.node] == nil {
                try await monitor.execute(
                    "blockdev-add",
                    ["driver": "qcow2", "node-name": .text(disk.node), "file": .text(disk.fileNode), "discard": "unmap"])
            }
            try await monitor.execute(
                "device_add",
                [
                    "driver": "virtio-blk-pci", "drive": .text(disk.node), "id": .text(disk.device), "serial": .text(disk.serial),
                    "bus": "pci.0", "addr": .text(disk.address), "werror": "enospc", "rerror": "report",
                ])
        } catch {
            try? await close(VolumeNames(disk.volume), monitor)
            throw error
        }
    }

    private func fit(_ disk: VolumeDisk, _ monitor: QMPClient) async throws(Refusal) {
        let bytes = disk.sizeMiB << 20
        if let size = try await nodes(monitor)[disk.node], size < bytes {
            try await monitor.execute("block_resize", ["node-name": .text(disk.node), "size": .integer(bytes)], deadline: .seconds(30))
        }
        try await limit(disk, monitor)
    }

    private func limit(_ disk: VolumeDisk, _ monitor: QMPClient) async throws(Refusal) {
        var arguments: [String: JSONValue] = ["id": .text("/machine/peripheral/\(disk.device)/virtio-backend")]
        for none in ["bps", "bps_rd", "bps_wr", "iops_rd", "iops_wr"] { arguments[none] = .integer(0) }
        arguments["iops"] = .integer(disk.iops)
        try await monitor.execute("block_set_io_throttle", arguments)
    }

    // MARK: - Out

    private static let patience = Duration.seconds(15)
    /// A guest that still boots does not hear the first request. QEMU refuses a second one within 5 s.
    private static let pause = Duration.seconds(6)

    /// True once the device is gone; false when the machine ended meanwhile.
    private func unplug(_ names: VolumeNames, from instance: InstanceID) async throws(Refusal) -> Bool {
        let clock = ContinuousClock()
        let end = clock.now + Self.patience
        var askAgain = clock.now
        while true {
            guard let monitor = try living(instance) else { return false }
            guard try await devices(monitor).contains(names.device) else { return true }
            guard clock.now < end, !Task.isCancelled else { throw Self.busy(names.volume, instance) }
            if clock.now >= askAgain {
                // Refused while an earlier request is still with the guest.
                _ = try? await monitor.execute("device_del", ["id": .text(names.device)])
                askAgain = clock.now + Self.pause
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Closes the file. QEMU lets go of it a moment after the device.
    private func close(_ names: VolumeNames, _ monitor: QMPClient) async throws(Refusal) {
        for attempt in 1...40 {
            let known = try await nodes(monitor)
            guard known[names.node] != nil || known[names.fileNode] != nil else { return }
            do throws(Refusal) {
                if known[names.node] != nil { try await monitor.execute("blockdev-del", ["node-name": .text(names.node)]) }
                if known[names.fileNode] != nil { try await monitor.execute("blockdev-del", ["node-name": .text(names.fileNode)]) }
            } catch {
                guard attempt < 40 else { throw error }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    // MARK: - Looking

    private func devices(_ monitor: QMPClient) async throws(Refusal) -> [String] {
        guard case .array(let members) = try await monitor.execute("qom-list", ["path": "/machine/peripheral"]) else { return [] }
        return members.compactMap { $0["name"]?.text }
    }

    /// Block nodes by name, with their size in bytes.
    private func nodes(_ monitor: QMPClient) async throws(Refusal) -> [String: Int64] {
        guard case .array(let nodes) = try await monitor.execute("query-named-block-nodes", ["flat": .bool(true)]) else { return [:] }
        let named = nodes.compactMap { node in
            node["node-name"]?.text.map { ($0, node["image"]?["virtual-size"]?.integer ?? 0) }
        }
        return Dictionary(named, uniquingKeysWith: { first, _ in first })
    }
}

/// What QEMU calls the parts of a volume. A node's name has 31 characters at most.
struct VolumeNames {
    let volume: VolumeID

    init(_ volume: VolumeID) { self.volume = volume }

    var device: String { volume.description }
    var node: String { volume.description + "-disk" }
    var fileNode: String { volume.description + "-file" }

    /// The volume whose device this is.
    static func volume(_ device: String) -> VolumeID? { VolumeID(device) }
}

extension VolumeDisk {
    var device: String { VolumeNames(volume).device }
    var node: String { VolumeNames(volume).node }
    var fileNode: String { VolumeNames(volume).fileNode }
    /// On the root bus, behind the devices that every machine has.
    var address: String { "0x" + String(8 + slot, radix: 16) }
}
