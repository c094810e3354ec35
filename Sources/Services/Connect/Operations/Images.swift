import CloudAPI
import Crypto
import Foundation
import Primitives
import ServiceKit
import Store
import Synchronization

/// What `images/build-*` writes beside the files of an image.
private struct BuiltImage: Decodable {
    var name: String
    var description: String
    var architecture: String
    var kernel: String?
    var initrd: String?
    var disk: String
    var commandLine: String?
    var minimumMemoryMiB: Int64
    var virtualSizeMiB: Int64
    var user: String
    var sha256: [String: String]
}

extension ConnectCore {
    /// Copies an image into connect's own store, named by content, and offers it. The same content again is the same image.
    func importImage(_ call: Call<ImportImage>) async throws -> ImageView {
        let folder = call.body.folder
        let built = try Self.manifest(in: folder)
        let files = try await blocking { try copyFiles(of: built, from: folder, to: imageFolder) }
        let now = time.now()
        let id = Self.imageID(of: files)
        let manifest = ImageManifest(
            id: id, name: built.name, files: files.map(\.file), commandLine: built.commandLine, minimumMemoryMiB: built.minimumMemoryMiB,
            virtualSizeMiB: built.virtualSizeMiB)
        let view = ImageView(
            id: id, name: built.name, description: built.description, architecture: built.architecture,
            virtualSizeMiB: built.virtualSizeMiB,
            minimumMemoryMiB: built.minimumMemoryMiB, user: built.user, created: now)
        return try await database.write { transaction in
            if let row = try transaction.queryOne("SELECT view FROM images WHERE id = $1", [SQLValue(id)]) {
                return try WireJSON.decode(ImageView.self, from: Data(try row.text("view").utf8))
            }
            for file in files {
                try transaction.execute(
                    "INSERT INTO image_files (sha256, path, bytes) VALUES ($1, $2, $3) ON CONFLICT (sha256) DO NOTHING",
                    [.text(file.file.sha256), .text(file.path), .integer(file.file.bytes)])
            }
            // A newer build takes the name; machines made from the older one keep it by identifier.
            try transaction.execute("UPDATE images SET name = name || ' ' || id WHERE name = $1", [.text(built.name)])
            try transaction.execute(
                "INSERT INTO images (id, name, manifest, view, created) VALUES ($1, $2, $3, $4, $5)",
                [SQLValue(id), .text(built.name), .text(try WireJSON.text(manifest)), .text(try WireJSON.text(view)), SQLValue(now)])
            try transaction.appendAudit(actor: call.principal.name, action: "image.import", subject: id.description, detail: "{}", at: now)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    func imageFile(sha256: String) async throws -> (path: String, bytes: Int64) {
        let row = try await database.read { try $0.queryOne("SELECT path, bytes FROM image_files WHERE sha256 = $1", [.text(sha256)]) }
        guard let row else {
            throw Refusal(
                "image.file", .notFound, "There is no image file \(sha256) here.", facts: ["sha256": .text(sha256)],
                nearest: "a file of an image that GET /v1/images shows")
        }
        return (try row.text("path"), try row.integer("bytes"))
    }

    private static func manifest(in folder: String) throws -> BuiltImage {
        guard let data = FileManager.default.contents(atPath: folder + "/manifest.json") else {
            throw Refusal(
                "image.manifest", .invalid, "There is no manifest.json in \(folder).", nearest: "a folder made by images/build-guest")
        }
        do {
            return try WireJSON.decode(BuiltImage.self, from: data)
        } catch {
            throw Refusal(
                "image.manifest", .invalid, "\(folder)/manifest.json cannot be read: \(WireJSON.explain(error)).",
                nearest: "a folder made by images/build-guest")
        }
    }

    /// The identifier follows from the content, so that importing twice, or at two datacenters, names one image.
    private static func imageID(of files: [StoredFile]) -> ImageID {
        let text = files.map(\.file.sha256).sorted().joined(separator: "\n")
        let digest = SHA256.hash(data: Data(text.utf8))
        return ImageID(bits: digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
    }
}

private struct StoredFile: Sendable {
    var file: ImageFile
    var path: String
}

/// Imports are copied one after the other: two of the same image would write the same file.
private let copying = Mutex(())

private func copyFiles(of built: BuiltImage, from folder: String, to store: String) throws -> [StoredFile] {
    try copying.withLock { _ in try copyInTurn(built, from: folder, to: store) }
}

private func copyInTurn(_ built: BuiltImage, from folder: String, to store: String) throws -> [StoredFile] {
    try FileManager.default.createDirectory(atPath: store, withIntermediateDirectories: true)
    let parts: [(ImageFile.Part, String?)] = [(.kernel, built.kernel), (.initrd, built.initrd), (.disk, built.disk)]
    return try parts.compactMap { part, name in
        guard let name else { return nil }
        let source = folder + "/" + name
        let (digest, bytes) = try hash(source)
        guard built.sha256[name] == nil || built.sha256[name] == digest else {
            throw Refusal(
                "image.hash", .invalid, "\(source) has SHA-256 \(digest), its manifest says \(built.sha256[name] ?? "").",
                facts: ["sha256": .text(digest)], nearest: "the folder as images/build-guest made it")
        }
        let target = store + "/" + digest
        if !FileManager.default.fileExists(atPath: target) {
            let partial = target + ".partial"
            try? FileManager.default.removeItem(atPath: partial)
            try FileManager.default.copyItem(atPath: source, toPath: partial)
            try FileManager.default.moveItem(atPath: partial, toPath: target)
        }
        return StoredFile(file: ImageFile(part: part, sha256: digest, bytes: bytes), path: target)
    }
}

private func hash(_ path: String) throws -> (sha256: String, bytes: Int64) {
    guard let handle = FileHandle(forReadingAtPath: path) else {
        throw Refusal(
            "image.file", .invalid, "\(path) cannot be read.", nearest: "a folder on this machine that connect may read")
    }
    defer { try? handle.close() }
    var hasher = SHA256()
    var bytes: Int64 = 0
    while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty {
        hasher.update(data: chunk)
        bytes += Int64(chunk.count)
    }
    return (hasher.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(), bytes)
}

/// Runs a body that blocks on a thread of its own, away from the cooperative pool.
private func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
