import Glibc
public import Primitives
import SystemPackage

/// Volumes: qcow2 files without a backing file, named by the volume.
extension LocalStorage {
    private static let suffix = ".qcow2"

    private func path(_ volume: VolumeID) -> String { "\(volumeFolder)/\(volume)\(Self.suffix)" }

    private static func look(_ volume: VolumeID, _ path: String) -> VolumeFile? {
        guard let header = QCOW2Header.read(path), let status = Files.status(path) else { return nil }
        return VolumeFile(volume: volume, path: path, sizeMiB: header.virtualBytes >> 20, usedBytes: Int64(status.st_blocks) * 512)
    }

    public func volume(_ volume: VolumeID) async throws(Refusal) -> VolumeFile? {
        let path = path(volume)
        return try await Blocking.run { () throws(Refusal) in Self.look(volume, path) }
    }

    @discardableResult public func ensureVolume(_ volume: VolumeID, sizeMiB: Int64) async throws(Refusal) -> VolumeFile {
        try await volumeLocks.withLock(volume) { () async throws(Refusal) in try await make(volume, sizeMiB) }
    }

    private func make(_ volume: VolumeID, _ sizeMiB: Int64) async throws(Refusal) -> VolumeFile {
        if let there = try await self.volume(volume) { return there }
        let (path, folder, reserve) = (path(volume), volumeFolder, reserveBytes)
        try await Blocking.run { () throws(Refusal) in try Self.requireRoom(folder: folder, reserve) }
        let temporary = temporaryName(path)
        do throws(Refusal) {
            try await runner.require("qemu-img", ["create", "-q", "-f", "qcow2", temporary, "\(sizeMiB)M"], deadline: .seconds(30))
            try await Blocking.run { () throws(Refusal) in try Self.publish(temporary, path) }
        } catch {
            unlink(temporary)
            throw error
        }
        guard let made = try await self.volume(volume) else { throw Self.unknown(volume) }
        return made
    }

    /// Unlike a rename this never replaces a file that somebody else has made meanwhile, and a machine may have open.
    private static func publish(_ temporary: String, _ path: String) throws(Refusal) {
        let problem = link(temporary, path) == 0 ? 0 : errno
        unlink(temporary)
        guard problem == 0 || problem == EEXIST else { throw Files.problem("make", path, Errno(rawValue: problem)) }
    }

    public func ensureVolumeSize(_ volume: VolumeID, sizeMiB: Int64) async throws(Refusal) {
        guard let now = try await self.volume(volume) else { throw Self.unknown(volume) }
        guard sizeMiB >= now.sizeMiB else { throw Self.shrinking(volume, from: now.sizeMiB, to: sizeMiB) }
        guard sizeMiB > now.sizeMiB else { return }
        try await refuseInUse(volume)
        try await runner.require("qemu-img", ["resize", "-q", "-f", "qcow2", now.path, "\(sizeMiB)M"], deadline: .seconds(30))
    }

    public func ensureVolumeDeleted(_ volume: VolumeID) async throws(Refusal) {
        try await refuseInUse(volume)
        let path = path(volume)
        try await Blocking.run { () throws(Refusal) in try Files.remove(path) }
    }

    public func volumes() async throws(Refusal) -> [VolumeFile] {
        let folder = volumeFolder
        return try await Blocking.run { () throws(Refusal) in
            Files.list(folder).compactMap { name in
                guard name.hasSuffix(Self.suffix), let volume = VolumeID(String(name.dropLast(Self.suffix.count))) else { return nil }
                return Self.look(volume, "\(folder)/\(name)")
            }
        }
    }

    private func refuseInUse(_ volume: VolumeID) async throws(Refusal) {
        let path = path(volume)
        if try await Blocking.run({ () throws(Refusal) in Files.isLockedByAnother(path) }) { throw Self.inUse(volume) }
    }

    // MARK: - Refusals, the same for every driver

    static func unknown(_ volume: VolumeID) -> Refusal {
        Refusal("storage.unknown", .notFound, "there is no volume \(volume) on this host", facts: ["volume": .text("\(volume)")])
    }

    static func shrinking(_ volume: VolumeID, from now: Int64, to size: Int64) -> Refusal {
        Refusal(
            "storage.shrink", .invalid, "volume \(volume) has \(now) MiB and cannot shrink to \(size) MiB",
            facts: ["sizeMiB": .number(now)],
            nearest: "\(now) MiB")
    }

    static func inUse(_ volume: VolumeID) -> Refusal {
        Refusal("storage.used", .conflict, "volume \(volume) is in use by a running machine", nearest: "detach it first")
    }
}
