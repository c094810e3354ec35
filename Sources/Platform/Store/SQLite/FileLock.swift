import Foundation

/// Holds `<path>.lock` for as long as it lives, so that one process at a time has the database open. The kernel frees it when the
/// process dies, however it dies.
final class FileLock: Sendable {
    private let descriptor: Int32

    /// Throws `StoreError.other(code: "in-use", …)` when another holds it.
    init(guarding path: String) throws {
        let lockPath = path + ".lock"
        // Close-on-exec: a child (a virtual machine, say) that outlives this process must not keep the lock.
        let descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileLock.failure(errno, "cannot open \(lockPath)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let (reason, owner) = (errno, FileLock.owner(descriptor))
            close(descriptor)
            guard reason == EWOULDBLOCK else { throw FileLock.failure(reason, "cannot lock \(lockPath)") }
            throw StoreError.other(code: "in-use", "\(path) is open in another program\(owner): SQLite serves one process at a time")
        }
        self.descriptor = descriptor
        // For the message above only. On a full disk the note is missing, the lock is not.
        let note = "\(getpid())\n"
        if ftruncate(descriptor, 0) == 0 { _ = note.withCString { pwrite(descriptor, $0, strlen($0), 0) } }
    }

    /// Unlocks first: a child that is just being started has the descriptor too until it runs its program, and closing here would leave it the lock.
    deinit {
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    private static func owner(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(0, count)).prefix { (48...57).contains($0) }
        return digits.isEmpty ? "" : " (process \(String(decoding: digits, as: UTF8.self)))"
    }

    private static func failure(_ code: Int32, _ what: String) -> StoreError {
        let text = "\(what): \(String(cString: strerror(code)))"
        return code == ENOSPC || code == EDQUOT ? .full(text) : .connection(text)
    }
}
