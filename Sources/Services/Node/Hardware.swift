import Foundation
import Glibc
import Primitives

/// What this host is.
enum Hardware {
    static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "host" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// All hardware threads, and the memory the host does not need for itself. Local disks of today's kind give more IOPS and
    /// networks more bandwidth than guests on one bridge use, so neither limits placement.
    static func capacity(diskMiB: Int64, reservedMemoryMiB: Int64) -> Resources {
        Resources(
            milliCPU: Int64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) * 1_000, memoryMiB: max(0, memoryMiB - reservedMemoryMiB),
            diskMiB: max(0, diskMiB), iops: 100_000, networkMbps: 10_000)
    }

    private static var memoryMiB: Int64 {
        Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE))) / 1_048_576
    }
}
