public import Primitives
import Synchronization

/// Disks that exist in memory only.
public final class SimulatedStorage: RuntimeStorage {
    private struct State {
        var disks: [InstanceID: (image: String, sizeMiB: Int64)] = [:]
        var used: Set<InstanceID> = []
        var volumes: [VolumeID: Int64] = [:]
        var usedVolumes: Set<VolumeID> = []
        var capacityMiB: Int64

        var free: Int64 { capacityMiB - disks.values.reduce(0) { $0 + $1.sizeMiB } - volumes.values.reduce(0, +) }
    }

    private let state: Mutex<State>
    private let faults: SimulatedFaults

    public init(_ behaviour: SimulatedBehaviour, capacityMiB: Int64 = 1 << 20) {
        state = Mutex(State(capacityMiB: capacityMiB))
        faults = SimulatedFaults(behaviour)
    }

    public func change(_ edit: (inout SimulatedBehaviour) -> Void) { faults.change(edit) }

    /// Sets how much the disks may hold; less than they hold is a full disk.
    public func setCapacity(MiB capacity: Int64) { state.withLock { $0.capacityMiB = capacity } }

    /// Says that a machine has its disk open.
    public func setUsed(_ instance: InstanceID, _ used: Bool) {
        state.withLock { state in
            if used { state.used.insert(instance) } else { state.used.remove(instance) }
        }
    }

    public func prepare(_ image: GoldenImage, virtualSizeMiB: Int64) async throws(Refusal) {
        try await faults.strike("prepare")
        guard virtualSizeMiB >= image.virtualSizeMiB else {
            throw Refusal(
                "storage.size", .invalid, "a disk of \(virtualSizeMiB) MiB is smaller than its image of \(image.virtualSizeMiB) MiB",
                nearest: "\(image.virtualSizeMiB) MiB")
        }
    }

    @discardableResult public func ensureClone(
        of image: GoldenImage, virtualSizeMiB: Int64, for instance: InstanceID
    ) async throws(Refusal) -> String {
        if state.withLock({ $0.disks[instance] != nil }) { return path(instance) }
        try await prepare(image, virtualSizeMiB: virtualSizeMiB)
        let full = state.withLock { state in
            guard state.free >= virtualSizeMiB else { return true }
            state.disks[instance] = (image.sha256, virtualSizeMiB)
            return false
        }
        if full { throw Refusal("storage.full", .capacity, "the simulated storage is full", nearest: "free space on this disk") }
        return path(instance)
    }

    public func ensureSize(_ instance: InstanceID, virtualSizeMiB: Int64) async throws(Refusal) {
        try await faults.strike("ensureSize")
        guard let now = state.withLock({ $0.disks[instance]?.sizeMiB }) else {
            throw Refusal("storage.unknown", .notFound, "there is no disk of \(instance) on this host")
        }
        guard virtualSizeMiB >= now else {
            throw Refusal("storage.shrink", .invalid, "the disk of \(instance) has \(now) MiB and cannot shrink", nearest: "\(now) MiB")
        }
        if virtualSizeMiB > now { try refuseInUse(instance) }
        state.withLock { $0.disks[instance]?.sizeMiB = virtualSizeMiB }
    }

    public func ensureDeleted(_ instance: InstanceID) async throws(Refusal) {
        try await faults.strike("ensureDeleted")
        try refuseInUse(instance)
        _ = state.withLock { $0.disks.removeValue(forKey: instance) }
    }

    private func refuseInUse(_ instance: InstanceID) throws(Refusal) {
        if state.withLock({ $0.used.contains(instance) }) {
            throw Refusal("storage.used", .conflict, "the disk of \(instance) is in use by a running machine", nearest: "stop it first")
        }
    }

    public func disks() async throws(Refusal) -> [DiskObservation] {
        try await faults.strike("disks")
        return state.withLock { state in
            state.disks.map { DiskObservation(instance: $0.key, path: path($0.key), virtualSizeMiB: $0.value.sizeMiB, usedBytes: 0) }
                .sorted { $0.instance < $1.instance }
        }
    }

    public func users(ofImage sha256: String) async throws(Refusal) -> [InstanceID] {
        state.withLock { state in state.disks.filter { $0.value.image == sha256 }.map(\.key).sorted() }
    }

    // MARK: Volumes

    /// Says that a machine has a volume open.
    public func setUsed(_ volume: VolumeID, _ used: Bool) {
        state.withLock { state in
            if used { state.usedVolumes.insert(volume) } else { state.usedVolumes.remove(volume) }
        }
    }

    /// Takes a volume's file away, as a broken disk would.
    public func lose(_ volume: VolumeID) { _ = state.withLock { $0.volumes.removeValue(forKey: volume) } }

    public func volume(_ volume: VolumeID) async throws(Refusal) -> VolumeFile? {
        try await faults.strike("volume")
        return state.withLock { $0.volumes[volume] }.map { file(volume, $0) }
    }

    @discardableResult public func ensureVolume(_ volume: VolumeID, sizeMiB: Int64) async throws(Refusal) -> VolumeFile {
        try await faults.strike("ensureVolume")
        let there = state.withLock { state -> Int64? in
            if let there = state.volumes[volume] { return there }
            guard state.free >= sizeMiB else { return nil }
            state.volumes[volume] = sizeMiB
            return sizeMiB
        }
        guard let there else {
            throw Refusal("storage.full", .capacity, "the simulated storage is full", nearest: "free space on this disk")
        }
        return file(volume, there)
    }

    public func ensureVolumeSize(_ volume: VolumeID, sizeMiB: Int64) async throws(Refusal) {
        try await faults.strike("ensureVolumeSize")
        guard let now = state.withLock({ $0.volumes[volume] }) else { throw LocalStorage.unknown(volume) }
        guard sizeMiB >= now else { throw LocalStorage.shrinking(volume, from: now, to: sizeMiB) }
        guard sizeMiB > now else { return }
        try refuseInUse(volume)
        state.withLock { $0.volumes[volume] = sizeMiB }
    }

    public func ensureVolumeDeleted(_ volume: VolumeID) async throws(Refusal) {
        try await faults.strike("ensureVolumeDeleted")
        try refuseInUse(volume)
        _ = state.withLock { $0.volumes.removeValue(forKey: volume) }
    }

    public func volumes() async throws(Refusal) -> [VolumeFile] {
        try await faults.strike("volumes")
        return state.withLock { $0.volumes.sorted { $0.key < $1.key } }.map { file($0.key, $0.value) }
    }

    private func refuseInUse(_ volume: VolumeID) throws(Refusal) {
        if state.withLock({ $0.usedVolumes.contains(volume) }) { throw LocalStorage.inUse(volume) }
    }

    private func file(_ volume: VolumeID, _ size: Int64) -> VolumeFile {
        VolumeFile(volume: volume, path: "/simulated/\(volume)", sizeMiB: size, usedBytes: 0)
    }

    public func freeBytes() async -> Int64 { state.withLock { max(0, $0.free) << 20 } }

    private func path(_ instance: InstanceID) -> String { "/simulated/\(instance)" }
}

/// Image files that are there as soon as they are asked for.
public final class SimulatedImageStore: ImageStore {
    private let files = Mutex<Set<String>>([])
    private let faults: SimulatedFaults

    public init(_ behaviour: SimulatedBehaviour) { faults = SimulatedFaults(behaviour) }

    public func ensure(sha256: String, bytes: Int64, from source: any ImageSource) async throws(Refusal) -> String {
        try await faults.strike("fetch")
        files.withLock { _ = $0.insert(sha256) }
        return "/simulated/\(sha256)"
    }

    public func path(sha256: String) async -> String? { files.withLock { $0.contains(sha256) } ? "/simulated/\(sha256)" : nil }
    public func contents() async throws(Refusal) -> [String] { files.withLock { $0.sorted() } }

    public func ensureRemoved(sha256: String, unlessUsedIn storage: any RuntimeStorage) async throws(Refusal) {
        guard try await storage.users(ofImage: sha256).isEmpty else {
            throw Refusal(
                "image.used", .conflict, "image file \(sha256.prefix(12)) carries disks", nearest: "terminate their machines first")
        }
        files.withLock { _ = $0.remove(sha256) }
    }
}
