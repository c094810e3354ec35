import CloudAPI
import Drivers
import Foundation
import Primitives
import Synchronization

/// Measures how busy this host and its machines are: what was used up between two looks, for the time between them. A report that gets lost
/// takes its measurement with it; the next one is as good.
final class LoadMeter: Sendable {
    private struct Look {
        var at: ContinuousClock.Instant
        /// Milliseconds that all processors together were busy since the host was started.
        var busy: Int64
        var machines: [InstanceID: MachineUsage]
    }

    private let root: String
    private let interval: Duration
    private let last = Mutex<Look?>(nil)

    init(root: String, interval: Duration) {
        self.root = root.hasSuffix("/") ? root : root + "/"
        self.interval = max(interval, .milliseconds(10))
    }

    /// What was used since the last time; nil when that is not long ago.
    func measured(_ compute: any ComputeDriver) async -> HostLoadReport? {
        let former = last.withLock { $0 }
        if let former, ContinuousClock.now - former.at < interval { return nil }
        let usage = await compute.usage()
        let look = Look(
            at: .now, busy: Self.busyMilliseconds(text("proc/stat")) ?? 0,
            machines: Dictionary(usage.map { ($0.instance, $0) }, uniquingKeysWith: { first, _ in first }))
        last.withLock { $0 = look }
        guard let former else { return nil }
        let stretch = (look.at - former.at) / .milliseconds(1)
        guard stretch >= 1 else { return nil }
        let instances = usage.compactMap { machine -> InstanceLoad? in
            guard let before = former.machines[machine.instance], before.executed == machine.executed else { return nil }
            let used = machine.processorTime - before.processorTime
            return InstanceLoad(instance: machine.instance, milliCPU: Self.milliCPU(Double(used.microseconds) / 1_000, in: stretch))
        }
        return HostLoadReport(
            milliseconds: Int64(stretch), milliCPU: Self.milliCPU(Double(look.busy - former.busy), in: stretch),
            memoryMiB: Self.usedMemoryMiB(text("proc/meminfo")) ?? 0, instances: instances)
    }

    private static func milliCPU(_ milliseconds: Double, in stretch: Double) -> Int64 {
        Int64(max(0, (milliseconds * 1_000 / stretch).rounded()))
    }

    private func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: root + path) ?? Data(), as: UTF8.self)
    }

    /// The first line of /proc/stat: clock ticks of 10 ms in user, nice, system, idle, iowait, irq, softirq, steal; what guests use is in
    /// the first two.
    static func busyMilliseconds(_ stat: String) -> Int64? {
        guard let line = stat.split(separator: "\n").first(where: { $0.hasPrefix("cpu ") }) else { return nil }
        let ticks = line.split(separator: " ").dropFirst().compactMap { Int64($0) }
        guard ticks.count >= 7 else { return nil }
        return [0, 1, 2, 5, 6].map { ticks[$0] }.reduce(0, +) * 10
    }

    static func usedMemoryMiB(_ meminfo: String) -> Int64? {
        func kibibytes(_ name: String) -> Int64? {
            meminfo.split(separator: "\n").first { $0.hasPrefix(name + ":") }?.split(separator: " ").dropFirst().first.flatMap { Int64($0) }
        }
        guard let total = kibibytes("MemTotal"), let available = kibibytes("MemAvailable") else { return nil }
        return max(0, total - available) / 1_024
    }
}
