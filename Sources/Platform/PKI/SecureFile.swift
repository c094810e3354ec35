// Files with secrets: readable by the owner only, whole or not there at all, and on disk before anybody is told.
#if canImport(Glibc)
    import CoreFoundation  // defines `stat` on Linux
    import Glibc
#else
    import Darwin
#endif

/// Blocking file operations. Programs call them while starting and on threads of their own, never on the cooperative pool.
enum SecureFile {
    /// Makes a directory (and its parents) with mode 0700; leaves an existing one as it is.
    static func makeDirectory(_ path: String) throws(PKIError) {
        if mkdir(path, 0o700) == 0 { return }
        switch errno {
        case EEXIST: return
        case ENOENT where path.contains("/"):
            let parent = directory(of: path)
            guard parent != path else { throw .file(path: path, operation: "mkdir", code: ENOENT) }
            try makeDirectory(parent)
            if mkdir(path, 0o700) != 0, errno != EEXIST { throw .file(path: path, operation: "mkdir", code: errno) }
        default: throw .file(path: path, operation: "mkdir", code: errno)
        }
    }

    /// Replaces the file in one step, mode 0600. After a crash it holds either all of the old or all of the new bytes.
    static func replace(_ path: String, with bytes: [UInt8]) throws(PKIError) {
        let temporary = try writeTemporary(beside: path, bytes)
        guard rename(temporary, path) == 0 else { throw failure(path, "rename", removing: temporary) }
        try synchronizeDirectory(of: path)
    }

    /// Makes the file in one step, mode 0600, unless it is there already; returns whether this call made it. Of two programs
    /// that create the same file at the same time, exactly one is told true.
    static func create(_ path: String, with bytes: [UInt8]) throws(PKIError) -> Bool {
        let temporary = try writeTemporary(beside: path, bytes)
        defer { unlink(temporary) }
        guard link(temporary, path) == 0 else {
            if errno == EEXIST { return false }
            throw failure(path, "link", removing: temporary)
        }
        try synchronizeDirectory(of: path)
        return true
    }

    /// The file's bytes, or nil when there is no such file.
    /// - Parameter secret: refuse a file that others may read.
    static func read(_ path: String, secret: Bool) throws(PKIError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw .file(path: path, operation: "open", code: errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .file(path: path, operation: "stat", code: errno) }
        if secret, status.st_mode & 0o077 != 0 {
            throw .corrupted(path: path, "holds a secret but others may read it: chmod 600 it, or replace it if it was exposed")
        }
        return try readAll(descriptor, path)
    }

    static func text(_ path: String, secret: Bool) throws(PKIError) -> String? {
        guard let bytes = try read(path, secret: secret) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .corrupted(path: path, "is not text") }
        return text
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func removeIfPresent(_ path: String) throws(PKIError) {
        if unlink(path) != 0, errno != ENOENT { throw .file(path: path, operation: "unlink", code: errno) }
    }

    // MARK: - How

    private static let largest = 1 << 24

    private static func readAll(_ descriptor: Int32, _ path: String) throws(PKIError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Self.read(descriptor, into: &buffer)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .file(path: path, operation: "read", code: errno) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= largest else { throw .corrupted(path: path, "is larger than 16 MiB") }
        }
    }

    private static func read(_ descriptor: Int32, into buffer: inout [UInt8]) -> Int {
        buffer.withUnsafeMutableBytes { readBytes(descriptor, $0.baseAddress, $0.count) }
    }

    private static func writeTemporary(beside path: String, _ bytes: [UInt8]) throws(PKIError) -> String {
        let temporary = "\(path).\(getpid()).\(String(UInt64.random(in: .min ... .max), radix: 36)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .file(path: temporary, operation: "create", code: errno) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { writeBytes(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = failure(path, "write", removing: temporary)
                close(descriptor)
                throw error
            }
            written += count
        }
        guard fsync(descriptor) == 0 else {
            let error = failure(path, "fsync", removing: temporary)
            close(descriptor)
            throw error
        }
        close(descriptor)
        return temporary
    }

    /// A rename is durable only when the directory is.
    private static func synchronizeDirectory(of path: String) throws(PKIError) {
        let parent = directory(of: path)
        let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(path: parent, operation: "open", code: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .file(path: parent, operation: "fsync", code: errno) }
    }

    private static func failure(_ path: String, _ operation: String, removing temporary: String) -> PKIError {
        let error = PKIError.file(path: path, operation: operation, code: errno)
        unlink(temporary)
        return error
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

// Outside the type, where `read` means the system's.
private func readBytes(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int { read(descriptor, buffer, count) }
private func writeBytes(_ descriptor: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int { write(descriptor, buffer, count) }
