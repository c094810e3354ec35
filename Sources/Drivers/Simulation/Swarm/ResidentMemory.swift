import Foundation

/// What of a process is in RAM, as the kernel counts it.
public enum ResidentMemory {
    public static func mebibytes(of process: Int32) -> Double {
        let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return (line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) } ?? 0) / 1_024
    }
}

/// How many files, and so connections, this process may have open.
public enum OpenFiles {
    /// As many as the system lets it; root may go beyond its own limit.
    public static func raiseLimit() {
        var limit = rlimit(rlim_cur: 65_536, rlim_max: 65_536)
        if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { return }
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
