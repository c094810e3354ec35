import Crypto
import Foundation
import Glibc
public import Primitives
import SystemPackage

/// Image files in a directory of the host, or one that hosts share: `<sha256>` once whole and verified (read-only), `<sha256>.part` while
/// they arrive, where hosts share it with a name for each host, since each fetches for itself.
public final class LocalImageStore: ImageStore {
    private let directory: String
    private let partSuffix: String
    private let reserveBytes: Int64
    private let locks = KeyedLock<String>()

    /// - Parameters:
    ///   - writer: what tells this host from others that share the directory; empty when none does.
    ///   - reserveMiB: a fetch that would leave less than this free is refused before it starts.
    public init(directory: String, writer: String = "", reserveMiB: Int64 = 512) throws(Refusal) {
        self.directory = directory
        partSuffix = Files.tag(writer) + ".part"
        reserveBytes = reserveMiB << 20
        try Files.makeDirectory(directory)
    }

    public func path(sha256: String) async -> String? {
        let path = "\(directory)/\(sha256)"
        return Self.isHash(sha256) && Files.exists(path) ? path : nil
    }

    public func contents() async throws(Refusal) -> [String] {
        let directory = directory
        return try await Blocking.run { () throws(Refusal) in Files.list(directory).filter(Self.isHash) }
    }

    static func isHash(_ text: String) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    public func ensure(sha256: String, bytes: Int64, from source: any ImageSource) async throws(Refusal) -> String {
        guard Self.isHash(sha256), bytes >= 0 else {
            throw Refusal("image.name", .invalid, "'\(sha256.prefix(80))' is not a SHA-256 in lower-case hexadecimal")
        }
        if let path = await path(sha256: sha256) { return path }
        return try await locks.withLock(sha256) { () async throws(Refusal) in
            if let path = await path(sha256: sha256) { return path }
            return try await fetch(sha256, bytes, source)
        }
    }

    private func fetch(_ sha256: String, _ bytes: Int64, _ source: any ImageSource) async throws(Refusal) -> String {
        let part = "\(directory)/\(sha256)\(partSuffix)"
        let (directory, reserve) = (directory, reserveBytes)
        let file = try await Blocking.run { () throws(Refusal) in
            let arrived = Files.status(part).map { Int64($0.st_size) } ?? 0
            try Self.requireRoom(directory, max(0, bytes - arrived), reserve)
            return try PartialFile(part, largest: bytes)
        }
        do {
            if file.count < bytes {
                try await source.read(sha256: sha256, from: file.count) { data in
                    try await Blocking.run { () throws(Refusal) in try file.append(data) }
                }
                if file.count < bytes { throw EndedEarly() }
            }
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw Refusal(
                "image.fetch", .unavailable,
                "fetching image file \(sha256.prefix(12)) broke off after \(file.count) of \(bytes) bytes: \(error)",
                facts: ["have": .number(file.count), "bytes": .number(bytes)])
        }
        return try await Blocking.run { () throws(Refusal) in
            try file.finish(sha256: sha256, as: "\(directory)/\(sha256)")
            return "\(directory)/\(sha256)"
        }
    }

    private static func requireRoom(_ directory: String, _ missing: Int64, _ reserve: Int64) throws(Refusal) {
        let free = Files.freeBytes(at: directory) ?? 0
        guard free - missing > reserve else {
            throw Refusal(
                "storage.full", .capacity,
                "an image file needs \(missing >> 20) MiB more, \(free >> 20) MiB are free and \(reserve >> 20) MiB of them are kept",
                facts: ["missingMiB": .number(missing >> 20), "freeMiB": .number(free >> 20), "reserveMiB": .number(reserve >> 20)],
                nearest: "free space on this disk")
        }
    }

    public func ensureRemoved(sha256: String, unlessUsedIn storage: any RuntimeStorage) async throws(Refusal) {
        guard Self.isHash(sha256) else { return }
        let users = try await storage.users(ofImage: sha256)
        guard users.isEmpty else {
            throw Refusal(
                "image.used", .conflict, "image file \(sha256.prefix(12)) carries the disks of \(users.count) machines",
                facts: ["machines": .number(Int64(users.count)), "first": .text("\(users[0])")], nearest: "terminate them first")
        }
        try await locks.withLock(sha256) { () async throws(Refusal) in
            let (directory, partSuffix) = (directory, partSuffix)
            try await Blocking.run { () throws(Refusal) in
                try Files.remove("\(directory)/\(sha256)")
                try Files.remove("\(directory)/\(sha256)\(partSuffix)")
            }
        }
    }
}

private struct EndedEarly: Error, CustomStringConvertible {
    var description: String { "the source ended early" }
}

/// A file that arrives in pieces. Used by one task at a time, which the lock on its name sees to.
private final class PartialFile: @unchecked Sendable {
    private let path: String
    private let largest: Int64
    private let file: FileDescriptor
    private var hash = SHA256()
    private(set) var count: Int64 = 0

    /// Opens what has arrived so far; hashing it again costs less than fetching it again.
    init(_ path: String, largest: Int64) throws(Refusal) {
        self.path = path
        self.largest = largest
        do {
            file = try FileDescriptor.open(FilePath(path), .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
        } catch {
            throw Files.problem("open", path, error)
        }
        do {
            var chunk = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let length = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
                if length == 0 { break }
                hash.update(data: chunk[..<length])
                count += Int64(length)
            }
            if count > largest { try startOver() }
        } catch {
            throw Files.problem("read", path, error)
        }
    }

    deinit { try? file.close() }

    private func startOver() throws {
        guard ftruncate(file.rawValue, 0) == 0 else { throw Errno(rawValue: errno) }
        _ = try file.seek(offset: 0, from: .start)
        hash = SHA256()
        count = 0
    }

    func append(_ data: Data) throws(Refusal) {
        guard count + Int64(data.count) <= largest else { try reject("more than the \(largest) bytes declared arrived") }
        do {
            _ = try file.writeAll(data)
        } catch {
            // Space is what others need now; the fetch can start again later.
            unlink(path)
            throw Files.problem("write", path, error)
        }
        hash.update(data: data)
        count += Int64(data.count)
    }

    /// The file takes its name only when it is what it was said to be and on disk.
    func finish(sha256: String, as final: String) throws(Refusal) {
        let digest = hash.finalize().map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        guard digest == sha256, count == largest else { try reject("\(count) bytes with SHA-256 \(digest.prefix(12))… arrived") }
        do {
            guard fsync(file.rawValue) == 0, fchmod(file.rawValue, 0o444) == 0 else { throw Errno(rawValue: errno) }
            try Files.rename(path, to: final)
        } catch {
            throw Files.problem("store", final, error)
        }
    }

    private func reject(_ why: String) throws(Refusal) -> Never {
        unlink(path)
        throw Refusal("image.content", .unavailable, "an image file is not what its name says: \(why)", facts: ["path": .text(path)])
    }
}
