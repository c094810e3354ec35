import Glibc
public import Primitives
import Synchronization
import SystemPackage

/// Leases as small files in a directory that all hosts of a pod share, e.g. on NFS: `<host>.lease`, written by the host alone, and
/// `<host>.taken`, written by whoever fences it. Files are opened anew for each look, because a network file system promises only then to
/// show what others have closed (close-to-open consistency, RFC 1813 §4.8).
///
/// A renewal is written first and the taking looked for after; a taker writes first and looks at the lease after. So of the two that meet
/// at least one sees the other.
public final class FileLeases: LeaseStore {
    private let directory: String
    private let deadline: Duration
    /// Calls into the file system that have not come back.
    private let hanging = Mutex(0)
    private static let mostHanging = 4

    /// - Parameters:
    ///   - directory: never made here: where it is missing, its file system is not mounted.
    ///   - deadline: for one verb.
    public init(directory: String, deadline: Duration = .seconds(5)) {
        self.directory = directory
        self.deadline = deadline
    }

    public func renew(_ lease: StorageLease) async throws(Refusal) {
        try await run { [self] () throws(Refusal) in
            try lease.check(against: readTaken(lease.host))
            try write(lease.text, to: path(lease.host, "lease"))
            try lease.check(against: readTaken(lease.host))
        }
    }

    public func release(_ lease: StorageLease) async throws(Refusal) {
        var released = lease
        released.isReleased = true
        let text = released.text
        try await run { [self] () throws(Refusal) in try write(text, to: path(lease.host, "lease")) }
    }

    public func read(_ host: HostID) async throws(Refusal) -> StorageLease? {
        try await run { [self] () throws(Refusal) in
            let path = path(host, "lease")
            guard let text = try content(path) else { return Optional<StorageLease>.none }
            guard let lease = StorageLease(text), lease.host == host else { throw Self.unreadable(path, text) }
            return lease
        }
    }

    public func take(_ host: HostID, epoch: Int64) async throws(Refusal) {
        try await run { [self] () throws(Refusal) in
            guard try readTaken(host) < epoch else { return }
            try write("bourse-taken 1 \(host) \(epoch)\n", to: path(host, "taken"))
        }
    }

    public func taken(_ host: HostID) async throws(Refusal) -> Int64 {
        try await run { [self] () throws(Refusal) in try readTaken(host) }
    }

    private func run<T: Sendable>(_ body: @escaping @Sendable () throws(Refusal) -> T) async throws(Refusal) -> T {
        let isFree = hanging.withLock { hanging in
            guard hanging < Self.mostHanging else { return false }
            hanging += 1
            return true
        }
        let done =
            isFree
            ? try await Blocking.run(within: deadline) { [self] () throws(Refusal) -> T in
                defer { hanging.withLock { $0 -= 1 } }
                return try body()
            } : nil
        guard let done else {
            throw Refusal(
                "lease.deadline", .unavailable, "The storage at \(directory) has not answered within \(deadline).",
                facts: ["path": .text(directory)], nearest: "look at the storage")
        }
        return done
    }

    // MARK: Files. All of it blocks.

    private func path(_ host: HostID, _ kind: String) -> String { "\(directory)/\(host).\(kind)" }

    private func readTaken(_ host: HostID) throws(Refusal) -> Int64 {
        let path = path(host, "taken")
        guard let text = try content(path) else { return 0 }
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 4, words[0] == "bourse-taken", words[1] == "1", words[2] == host.description, let epoch = Int64(words[3])
        else {
            throw Self.unreadable(path, text)
        }
        return epoch
    }

    /// Nil only when the directory is there and the file is not: storage that does not answer says nothing.
    private func content(_ path: String) throws(Refusal) -> String? {
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec])
            return try file.closeAfter {
                var bytes = [UInt8](repeating: 0, count: 512)
                let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0) }
                return String(decoding: bytes[..<count], as: UTF8.self)
            }
        } catch let error as Errno where error == .noSuchFileOrDirectory && Files.exists(directory) {
            return nil
        } catch {
            throw Files.problem("read", path, error)
        }
    }

    private func write(_ text: String, to path: String) throws(Refusal) {
        let temporary = Files.temporaryName(path)
        do {
            let file = try FileDescriptor.open(
                FilePath(temporary), .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: FilePermissions(rawValue: 0o600))
            try file.closeAfter {
                _ = try file.writeAll(Array(text.utf8))
                guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
            }
            try Files.rename(temporary, to: path)
            try syncDirectory()
        } catch {
            unlink(temporary)
            throw Files.problem("write", path, error)
        }
    }

    private func syncDirectory() throws {
        let folder = try FileDescriptor.open(FilePath(directory), .readOnly, options: [.directory, .closeOnExec])
        try folder.closeAfter {
            guard fsync(folder.rawValue) == 0 else { throw Errno(rawValue: errno) }
        }
    }

    private static func unreadable(_ path: String, _ text: String) -> Refusal {
        Refusal(
            "lease.unreadable", .unavailable, "\(path) is no lease: '\(text.prefix(80))'.", facts: ["path": .text(path)],
            nearest: "look at the storage")
    }
}

extension StorageLease {
    /// One line: `bourse-lease 1 HOST EPOCH NUMBER MICROSECONDS guarded|unguarded held|released`.
    fileprivate var text: String {
        "bourse-lease 1 \(host) \(epoch) \(number) \(lasts.microseconds) \(isGuarded ? "guarded" : "unguarded") \(isReleased ? "released" : "held")\n"
    }

    fileprivate init?(_ text: String) {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 8, words[0] == "bourse-lease", words[1] == "1", let host = HostID(words[2]), let epoch = Int64(words[3]),
            let number = Int64(words[4]), let lasts = Int64(words[5]), lasts > 0, ["guarded", "unguarded"].contains(words[6]),
            ["held", "released"].contains(words[7])
        else { return nil }
        self.init(
            host: host, epoch: epoch, number: number, lasts: Span(microseconds: lasts), isGuarded: words[6] == "guarded",
            isReleased: words[7] == "released")
    }
}
