import Glibc
import Primitives

/// Which process exactly: a bare process number is reused, number plus start time plus boot is not.
struct ProcessIdentity: Codable, Hashable, Sendable {
    var pid: Int32
    /// Field 22 of /proc/PID/stat: clock ticks since boot.
    var startTicks: UInt64
    var boot: String
}

/// Processes of this host, through /proc. Reading it does not block for longer than a function call.
enum HostProcess {
    /// Changes with every boot of the host.
    static let boot = Files.readText("/proc/sys/kernel/random/boot_id")?.split(separator: "\n").first.map(String.init) ?? ""

    /// Nil when no such process lives; a zombie does not.
    static func identity(of pid: Int32) -> ProcessIdentity? { fields(of: pid).flatMap { identity(of: pid, $0) } }

    private static func identity(of pid: Int32, _ fields: [Substring]) -> ProcessIdentity? {
        guard fields[0] != "Z", fields[0] != "X", let ticks = UInt64(fields[19]) else { return nil }
        return ProcessIdentity(pid: pid, startTicks: ticks, boot: boot)
    }

    /// Fields of /proc/PID/stat from the third on, at least twenty.
    private static func fields(of pid: Int32) -> [Substring]? {
        guard pid > 0, let stat = Files.readText("/proc/\(pid)/stat"), let close = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: close)...].split(separator: " ")
        return fields.count > 19 ? fields : nil
    }

    /// What a process has used in user and kernel mode, to a clock tick (10 ms); nil when it lives no more.
    static func processorTime(of process: ProcessIdentity) -> Span? {
        guard let fields = fields(of: process.pid), identity(of: process.pid, fields) == process, let user = Int64(fields[11]),
            let system = Int64(fields[12])
        else { return nil }
        return Span(microseconds: (user + system) * 1_000_000 / max(1, Int64(sysconf(Int32(_SC_CLK_TCK)))))
    }

    static func isAlive(_ process: ProcessIdentity) -> Bool { identity(of: process.pid) == process }

    static func commandLine(of pid: Int32) -> [String] {
        guard let bytes = Files.read("/proc/\(pid)/cmdline", limit: 1 << 18) else { return [] }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// When the process was started, to a clock tick (10 ms).
    static func started(_ process: ProcessIdentity) -> Instant? {
        var uptime = timespec()
        guard clock_gettime(CLOCK_BOOTTIME, &uptime) == 0 else { return nil }
        let ticksPerSecond = Int64(sysconf(Int32(_SC_CLK_TCK)))
        let sinceBoot = Int64(process.startTicks) * 1_000_000 / max(1, ticksPerSecond)
        let booted = HostClock.now().microseconds - Instant(uptime).microseconds
        return Instant(microseconds: booted + sinceBoot)
    }

    /// Signals the process only while it is still the same one.
    static func signal(_ process: ProcessIdentity, _ number: Int32) {
        if isAlive(process) { kill(process.pid, number) }
    }

    /// The number in a pid file.
    static func pid(inFile path: String) -> Int32? {
        Files.readText(path)?.split(whereSeparator: \.isWhitespace).first.flatMap { Int32($0) }
    }
}
