import SystemPackage

/// The parts of a qcow2 header that matter here (docs/interop/qcow2.txt in QEMU's source). Numbers are big-endian.
package struct QCOW2Header: Sendable, Hashable {
    package var version: UInt32
    package var virtualBytes: Int64
    package var backingFile: String?
    package var hasExternalDataFile: Bool

    /// Nil when the file cannot be read or is not qcow2.
    package static func read(_ path: String) -> QCOW2Header? {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec]) else { return nil }
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        guard let count = try? bytes.withUnsafeMutableBytes({ try file.read(into: $0) }) else { return nil }
        return QCOW2Header(Array(bytes[..<count]))
    }

    package init?(_ bytes: [UInt8]) {
        func number(_ offset: Int, _ width: Int) -> UInt64 { bytes[offset..<(offset + width)].reduce(0) { $0 << 8 | UInt64($1) } }
        guard bytes.count >= 72, bytes[0..<4].elementsEqual([0x51, 0x46, 0x49, 0xfb]) else { return nil }
        version = UInt32(number(4, 4))
        guard (2...3).contains(version), let size = Int64(exactly: number(24, 8)) else { return nil }
        virtualBytes = size
        let start = Int(clamping: number(8, 8))
        let length = Int(clamping: number(16, 4))
        backingFile = nil
        if start != 0 {
            guard length <= 1_023, (72...bytes.count).contains(start), length <= bytes.count - start else { return nil }
            backingFile = String(decoding: bytes[start..<(start + length)], as: UTF8.self)
        }
        hasExternalDataFile = version == 3 && bytes.count >= 80 && number(72, 8) & 0b100 != 0
    }
}
