import Glibc
public import Primitives

/// Disks as qcow2 overlays on the host's own disk (direct-attached storage), and volumes as qcow2 files there or on a file system that the
/// hosts of a pod share (network-attached storage).
///
/// A clone is the copy of an empty overlay, a file of some 200 KiB made once per image and size: no program is run per launch.
/// Everything appears by rename, so a crash or a full disk leaves nothing half made.
public final class LocalStorage: RuntimeStorage {
    private let root: String
    private let tag: String
    let volumeFolder: String
    let reserveBytes: Int64
    let runner = CommandRunner(namespace: nil)
    private let templateLocks = KeyedLock<String>()
    let volumeLocks = KeyedLock<VolumeID>()

    /// - Parameters:
    ///   - directory: holds `disks/` and `templates/`.
    ///   - writer: what tells this host from others that share a directory; empty when none does.
    ///   - volumes: holds the volumes; `volumes/` in `directory` when nil.
    ///   - reserveMiB: clones are refused when less than this is free, so that running guests keep room to write.
    public init(directory: String, volumes: String? = nil, writer: String = "", reserveMiB: Int64 = 512) throws(Refusal) {
        root = directory
        tag = Files.tag(writer)
        volumeFolder = volumes ?? directory + "/volumes"
        reserveBytes = reserveMiB << 20
        try Files.makeDirectory(directory + "/disks")
        try Files.makeDirectory(directory + "/templates")
        try Files.makeDirectory(volumeFolder)
    }

    private func folder(_ instance: InstanceID) -> String { "\(root)/disks/\(instance)" }
    private func disk(_ instance: InstanceID) -> String { folder(instance) + "/root.qcow2" }
    private func template(_ image: GoldenImage, _ sizeMiB: Int64) -> String { "\(root)/templates/\(image.sha256)-\(sizeMiB).qcow2" }

    /// Hosts that share the directory may make the same file at the same time.
    func temporaryName(_ path: String) -> String { Files.temporaryName(path) + tag }

    // MARK: - Cloning

    public func prepare(_ image: GoldenImage, virtualSizeMiB: Int64) async throws(Refusal) {
        guard virtualSizeMiB >= image.virtualSizeMiB else {
            throw Refusal(
                "storage.size", .invalid, "a disk of \(virtualSizeMiB) MiB is smaller than its image of \(image.virtualSizeMiB) MiB",
                facts: ["virtualSizeMiB": .number(virtualSizeMiB), "imageMiB": .number(image.virtualSizeMiB)],
                nearest: "\(image.virtualSizeMiB) MiB")
        }
        let path = template(image, virtualSizeMiB)
        if Files.exists(path) { return }
        try await templateLocks.withLock(path) { () async throws(Refusal) in
            if Files.exists(path) { return }
            try await Blocking.run { () throws(Refusal) in try Self.inspect(image) }
            try await makeTemplate(path, image, virtualSizeMiB)
        }
    }

    /// An image that refers to other files could read or overwrite anything on the host.
    private static func inspect(_ image: GoldenImage) throws(Refusal) {
        guard let header = QCOW2Header.read(image.path) else {
            throw Refusal(
                "storage.image", .invalid, "image \(image.sha256.prefix(12)) is not a qcow2 file", facts: ["path": .text(image.path)])
        }
        guard header.backingFile == nil, !header.hasExternalDataFile else {
            throw Refusal(
                "storage.image", .invalid, "image \(image.sha256.prefix(12)) refers to other files", facts: ["path": .text(image.path)],
                nearest: "an image flattened with qemu-img convert")
        }
        guard header.virtualBytes <= image.virtualSizeMiB << 20 else {
            throw Refusal(
                "storage.image", .invalid,
                "image \(image.sha256.prefix(12)) holds \(header.virtualBytes) bytes, more than the \(image.virtualSizeMiB) MiB declared")
        }
    }

    private func makeTemplate(_ path: String, _ image: GoldenImage, _ sizeMiB: Int64) async throws(Refusal) {
        let temporary = temporaryName(path)
        do throws(Refusal) {
            try await runner.require(
                "qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image.path, temporary, "\(sizeMiB)M"],
                deadline: .seconds(30))
            try await Blocking.run { () throws(Refusal) in
                do { try Files.rename(temporary, to: path) } catch { throw Files.problem("make", path, error) }
            }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    @discardableResult public func ensureClone(
        of image: GoldenImage, virtualSizeMiB: Int64, for instance: InstanceID
    ) async throws(Refusal) -> String {
        let path = disk(instance)
        let isThere = try await Blocking.run { () throws(Refusal) in QCOW2Header.read(path) != nil }
        if isThere { return path }
        try await prepare(image, virtualSizeMiB: virtualSizeMiB)
        let (folder, source, reserve) = (folder(instance), template(image, virtualSizeMiB), reserveBytes)
        try await Blocking.run { () throws(Refusal) in
            try Self.requireRoom(folder: self.root, reserve)
            do throws(Refusal) {
                try Files.makeDirectory(folder)
                try Files.copy(source, to: path)
            } catch {
                rmdir(folder)
                throw error
            }
        }
        return path
    }

    static func requireRoom(folder: String, _ reserve: Int64) throws(Refusal) {
        let free = Files.freeBytes(at: folder) ?? 0
        guard free > reserve else {
            throw Refusal(
                "storage.full", .capacity,
                "\(free >> 20) MiB are free on this host's storage, of which \(reserve >> 20) MiB are kept for running guests",
                facts: ["freeMiB": .number(free >> 20), "reserveMiB": .number(reserve >> 20)], nearest: "free space on this disk")
        }
    }

    // MARK: - Changing and deleting

    public func ensureSize(_ instance: InstanceID, virtualSizeMiB: Int64) async throws(Refusal) {
        let path = disk(instance)
        let header = try await Blocking.run { () throws(Refusal) in QCOW2Header.read(path) }
        guard let header else { throw Refusal("storage.unknown", .notFound, "there is no disk of \(instance) on this host") }
        let now = header.virtualBytes >> 20
        guard virtualSizeMiB >= now else {
            throw Refusal(
                "storage.shrink", .invalid, "the disk of \(instance) has \(now) MiB and cannot shrink to \(virtualSizeMiB) MiB",
                facts: ["virtualSizeMiB": .number(now)], nearest: "\(now) MiB")
        }
        guard virtualSizeMiB > now else { return }
        try await refuseInUse(instance, path)
        try await runner.require("qemu-img", ["resize", "-q", "-f", "qcow2", path, "\(virtualSizeMiB)M"], deadline: .seconds(30))
    }

    public func ensureDeleted(_ instance: InstanceID) async throws(Refusal) {
        let path = disk(instance)
        try await refuseInUse(instance, path)
        let folder = folder(instance)
        try await Blocking.run { () throws(Refusal) in try Files.removeTree(folder) }
    }

    private func refuseInUse(_ instance: InstanceID, _ path: String) async throws(Refusal) {
        let used = try await Blocking.run { () throws(Refusal) in Files.isLockedByAnother(path) }
        if used {
            throw Refusal("storage.used", .conflict, "the disk of \(instance) is in use by a running machine", nearest: "stop it first")
        }
    }

    // MARK: - Looking

    public func disks() async throws(Refusal) -> [DiskObservation] {
        let folder = root + "/disks"
        return try await Blocking.run { () throws(Refusal) in
            Files.list(folder).compactMap { name in
                let path = "\(folder)/\(name)/root.qcow2"
                guard let instance = InstanceID(name), let header = QCOW2Header.read(path), let status = Files.status(path) else {
                    return nil
                }
                return DiskObservation(
                    instance: instance, path: path, virtualSizeMiB: header.virtualBytes >> 20, usedBytes: Int64(status.st_blocks) * 512)
            }
        }
    }

    public func users(ofImage sha256: String) async throws(Refusal) -> [InstanceID] {
        let found = try await disks()
        return try await Blocking.run { () throws(Refusal) in
            found.filter { QCOW2Header.read($0.path)?.backingFile?.hasSuffix("/\(sha256)") ?? false }.map(\.instance)
        }
    }

    public func freeBytes() async -> Int64 {
        let root = root
        let free = try? await Blocking.run { () throws(Refusal) in Files.freeBytes(at: root) ?? 0 }
        return max(0, (free ?? 0) - reserveBytes)
    }
}
