public import Primitives

/// A volume as a machine has it.
public struct VolumeDisk: Codable, Sendable, Hashable {
    public var volume: VolumeID
    /// Path of its file, qcow2.
    public var path: String
    public var sizeMiB: Int64
    /// What it may do each second; 0: without a limit.
    public var iops: Int64
    /// Number of its place in the machine, 1 to 20; a guest that names disks in the order of their places calls the first `vdb`.
    public var slot: Int64

    public init(volume: VolumeID, path: String, sizeMiB: Int64, iops: Int64, slot: Int64) {
        self.volume = volume
        self.path = path
        self.sizeMiB = sizeMiB
        self.iops = iops
        self.slot = slot
    }

    /// What the guest reads from the disk, e.g. as `/dev/disk/by-id/virtio-vol0…`: the identifier without its dash, the 20 characters
    /// that a virtio disk has for it.
    public var serial: String { String(volume.description.filter { $0 != "-" }.prefix(20)) }

    func validate() throws(Refusal) {
        guard (1...20).contains(slot) else {
            throw Refusal(
                "compute.slot", .invalid, "a machine has places 1 to 20 for volumes, not \(slot)", facts: ["slot": .number(slot)],
                nearest: "1 to 20")
        }
    }
}

extension ComputeDriver {
    static func busy(_ volume: VolumeID, _ instance: InstanceID) -> Refusal {
        Refusal(
            "volume.busy", .unavailable, "the guest of \(instance) does not let go of volume \(volume)",
            facts: ["instance": .text("\(instance)"), "volume": .text("\(volume)")],
            nearest: "unmount it in the guest, or stop the instance")
    }
}
