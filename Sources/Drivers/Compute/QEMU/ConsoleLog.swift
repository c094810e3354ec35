import Glibc
package import Primitives
import SystemPackage

/// The guest's serial console, kept in two files of bounded size. QEMU appends to the first for as long as the guest lives.
package struct ConsoleLog: Sendable {
    package var current: String
    package var older: String

    package init(current: String, older: String) {
        self.current = current
        self.older = older
    }

    package static let largestFile = 1 << 20
    package static let keptAtRotation = 1 << 18

    /// The end of the console.
    package func tail(_ bytes: Int) -> [UInt8] {
        let recent = end(of: current, bytes)
        guard recent.count < bytes else { return recent }
        return end(of: older, bytes - recent.count) + recent
    }

    /// Moves the end of a log grown too long aside and empties it. QEMU opened it for appending and goes on at the new end; what it
    /// writes between the two steps is lost, a few bytes at most.
    package func rotate() throws(Refusal) {
        guard let size = Files.status(current)?.st_size, size > Self.largestFile else { return }
        try Files.write(end(of: current, Self.keptAtRotation), to: older)
        if truncate(current, 0) != 0 { throw Files.problem("shorten", current, Errno(rawValue: errno)) }
    }

    private func end(of path: String, _ bytes: Int) -> [UInt8] {
        guard bytes > 0, let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec]) else { return [] }
        defer { try? file.close() }
        guard let size = try? file.seek(offset: 0, from: .end) else { return [] }
        let start = max(0, size - Int64(bytes))
        var buffer = [UInt8](repeating: 0, count: Int(size - start))
        let count = (try? buffer.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: start, into: $0) }) ?? 0
        return Array(buffer[..<count])
    }
}
