import Crypto
import Foundation
import Glibc
package import Primitives
import SystemPackage

/// Files of the host, with refusals that say what failed. All of it blocks: call it through `Blocking`.
enum Files {
    static func makeDirectory(_ path: String, mode: mode_t = 0o700) throws(Refusal) {
        var made = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            made += part.isEmpty ? (made.isEmpty ? "" : "") : "/" + part
            if part.isEmpty || made == "/" { continue }
            if mkdir(made, mode) != 0, errno != EEXIST { throw problem("make the directory", made, Errno(rawValue: errno)) }
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func list(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    static func read(_ path: String, limit: Int = 16 << 20) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec]) else { return nil }
        defer { try? file.close() }
        return try? readAll(file, limit: limit)
    }

    static func readText(_ path: String) -> String? {
        read(path, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func readAll(_ file: FileDescriptor, limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count < limit {
            let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// Writes beside the file and renames, so that a reader sees the old content or the new, never half of it.
    static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o600) throws(Refusal) {
        let temporary = temporaryName(path)
        do {
            let file = try FileDescriptor.open(
                FilePath(temporary), .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: FilePermissions(rawValue: mode))
            try file.closeAfter { _ = try file.writeAll(bytes) }
            try rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw problem("write", path, error)
        }
    }

    /// Returns once a file, or the names in a directory, are on the disk.
    static func flush(_ path: String) throws(Refusal) {
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec])
            defer { try? file.close() }
            guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            throw problem("write", path, error)
        }
    }

    static func rename(_ from: String, to path: String) throws {
        guard Glibc.rename(from, path) == 0 else { throw Errno(rawValue: errno) }
    }

    /// A copy that shares blocks where the file system can (reflink). Appears whole or not at all.
    static func copy(_ from: String, to path: String, mode: UInt32 = 0o600) throws(Refusal) {
        let temporary = temporaryName(path)
        do {
            let source = try FileDescriptor.open(FilePath(from), .readOnly, options: [.closeOnExec])
            try source.closeAfter {
                let target = try FileDescriptor.open(
                    FilePath(temporary), .writeOnly, options: [.create, .truncate, .closeOnExec],
                    permissions: FilePermissions(rawValue: mode))
                try target.closeAfter {
                    if ioctl(target.rawValue, cloneRequest, source.rawValue) != 0 { try copyBytes(source, target) }
                }
            }
            try rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw problem("copy to", path, error)
        }
    }

    /// FICLONE from linux/fs.h.
    private static let cloneRequest: UInt = 0x4004_9409

    private static func copyBytes(_ source: FileDescriptor, _ target: FileDescriptor) throws {
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = try chunk.withUnsafeMutableBytes { try source.read(into: $0) }
            if count == 0 { return }
            _ = try target.writeAll(chunk[..<count])
        }
    }

    /// Hidden, so that nothing that watches the directory takes it for a finished file.
    static func temporaryName(_ path: String) -> String {
        let cut = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        return path[..<cut] + "." + path[cut...] + ".new"
    }

    /// Part of a file's name that tells writers apart; empty for no writer.
    static func tag(_ writer: String) -> String {
        writer.isEmpty
            ? "" : "." + SHA256.hash(data: Array(writer.utf8)).prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static func remove(_ path: String) throws(Refusal) {
        if unlink(path) != 0, errno != ENOENT { throw problem("delete", path, Errno(rawValue: errno)) }
    }

    static func removeTree(_ path: String) throws(Refusal) {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            if exists(path) { throw problem("delete", path, error) }
        }
    }

    static func status(_ path: String) -> stat? {
        var info = stat()
        return stat(path, &info) == 0 ? info : nil
    }

    /// Bytes an ordinary writer may still use on the file system of `path`; nil when it cannot be asked.
    static func freeBytes(at path: String) -> Int64? {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return nil }
        return Int64(info.f_bavail) * Int64(info.f_frsize)
    }

    static func problem(_ verb: String, _ path: String, _ error: any Error) -> Refusal {
        if let refusal = error as? Refusal { return refusal }
        if let number = error as? Errno, number == .noSpace || number == .diskQuotaExceeded {
            return Refusal(
                "storage.full", .capacity, "no space is left to \(verb) \(path)", facts: ["path": .text(path)],
                nearest: "free space on this disk")
        }
        return Refusal("host.file", .unavailable, "could not \(verb) \(path): \(error)", facts: ["path": .text(path)])
    }

    /// True when another process holds a lock on any byte of the file, as QEMU does on its disks and its pid file.
    static func isLockedByAnother(_ path: String) -> Bool {
        guard let file = try? FileDescriptor.open(FilePath(path), .readWrite, options: [.closeOnExec]) else { return false }
        defer { try? file.close() }
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        let openFileDescriptionGetLock: Int32 = 36  // F_OFD_GETLK, fcntl(2)
        guard fcntl(file.rawValue, openFileDescriptionGetLock, &lock) == 0 else { return false }
        return lock.l_type != Int16(F_UNLCK)
    }
}

/// An exclusive claim on a directory that ends with the process that made it.
package final class DirectoryClaim: Sendable {
    private let file: Int32

    package init(_ directory: String) throws(Refusal) {
        let path = directory + "/.lock"
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Files.problem("lock", path, Errno(rawValue: errno)) }
        // `deinit` closes it, after a refusal too.
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            throw Refusal(
                "host.claimed", .conflict, "another process uses \(directory)", facts: ["path": .text(directory)],
                nearest: "stop the other node, or give this one its own data directory")
        }
    }

    deinit { if file >= 0 { close(file) } }
}
