public import Primitives

/// A disk image as it was made: never written to, shared by all clones.
public struct GoldenImage: Sendable, Hashable, Codable {
    /// SHA-256 of the file, hexadecimal.
    public var sha256: String
    public var path: String
    public var virtualSizeMiB: Int64
    public init(sha256: String, path: String, virtualSizeMiB: Int64) {
        self.sha256 = sha256
        self.path = path
        self.virtualSizeMiB = virtualSizeMiB
    }
}

public struct DiskObservation: Sendable, Hashable {
    public var instance: InstanceID
    public var path: String
    public var virtualSizeMiB: Int64
    /// Space it takes now.
    public var usedBytes: Int64
    public init(instance: InstanceID, path: String, virtualSizeMiB: Int64, usedBytes: Int64) {
        self.instance = instance
        self.path = path
        self.virtualSizeMiB = virtualSizeMiB
        self.usedBytes = usedBytes
    }
}

/// The file of a volume.
public struct VolumeFile: Sendable, Hashable {
    public var volume: VolumeID
    public var path: String
    public var sizeMiB: Int64
    /// Space it takes now.
    public var usedBytes: Int64
    public init(volume: VolumeID, path: String, sizeMiB: Int64, usedBytes: Int64) {
        self.volume = volume
        self.path = path
        self.sizeMiB = sizeMiB
        self.usedBytes = usedBytes
    }
}

/// Root disks of the machines on a host, and volumes. Real: `LocalStorage`. Simulated: `SimulatedStorage`.
public protocol RuntimeStorage: Sendable {
    /// Makes what later clones of this image and size are copied from, so that a launch need not wait for it.
    func prepare(_ image: GoldenImage, virtualSizeMiB: Int64) async throws(Refusal)

    /// The machine's disk, made from the image unless it is there already. Its path.
    @discardableResult func ensureClone(of image: GoldenImage, virtualSizeMiB: Int64, for instance: InstanceID) async throws(Refusal)
        -> String

    /// Enlarges the disk of a stopped machine. The same size again changes nothing; smaller is refused.
    func ensureSize(_ instance: InstanceID, virtualSizeMiB: Int64) async throws(Refusal)

    /// Refuses while a machine uses the disk.
    func ensureDeleted(_ instance: InstanceID) async throws(Refusal)

    func disks() async throws(Refusal) -> [DiskObservation]

    /// The machines whose disks rest on the image with this hash.
    func users(ofImage sha256: String) async throws(Refusal) -> [InstanceID]

    // MARK: Volumes

    /// The volume's file; nil when it is not there.
    func volume(_ volume: VolumeID) async throws(Refusal) -> VolumeFile?

    /// The volume's file, made empty unless it is there already.
    @discardableResult func ensureVolume(_ volume: VolumeID, sizeMiB: Int64) async throws(Refusal) -> VolumeFile

    /// Enlarges a volume that no machine uses. The same size again changes nothing; smaller is refused.
    func ensureVolumeSize(_ volume: VolumeID, sizeMiB: Int64) async throws(Refusal)

    /// Refuses while a machine uses it.
    func ensureVolumeDeleted(_ volume: VolumeID) async throws(Refusal)

    func volumes() async throws(Refusal) -> [VolumeFile]

    /// Space new clones may use, reserve deducted.
    func freeBytes() async -> Int64
}
