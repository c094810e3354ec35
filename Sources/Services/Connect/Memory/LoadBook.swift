import CloudAPI
import Fleet
import Primitives
import Synchronization

/// How busy hosts and their machines are, as their nodes tell. It is in no table: a connect that starts knows it again after a report
/// of each host.
final class LoadBook: Sendable {
    struct HostLoad: Sendable {
        /// What is not its machines'.
        var own: LoadAverage
        var memoryMiB: Int64
        var at: Instant
        /// In the order of the machines' identifiers.
        fileprivate var machines: [Machine]

        /// How busy it is, in milli-vCPU: what rebalancing goes by. A machine counts where it is, from its first report there on.
        var milliCPU: Int64 { machines.reduce(own.value) { $0 + $1.average.value } }

        /// What a machine uses, in milli-vCPU; nil when its host has not told of it.
        func milliCPU(of instance: InstanceID) -> Int64? { average(of: instance)?.value }

        fileprivate func average(of instance: InstanceID) -> LoadAverage? {
            var (low, high) = (0, machines.count)
            while low < high {
                let middle = (low + high) / 2
                if machines[middle].instance < instance { low = middle + 1 } else { high = middle }
            }
            return low < machines.count && machines[low].instance == instance ? machines[low].average : nil
        }
    }

    fileprivate struct Machine: Sendable {
        var instance: InstanceID
        var average: LoadAverage
    }

    /// What is older says nothing about now.
    static let fresh = Span.minutes(5)

    private let hosts = Mutex<[HostID: HostLoad]>([:])

    func note(_ report: HostLoadReport, of host: HostID, at now: Instant) {
        let stretch = Span.milliseconds(min(max(report.milliseconds, 0), 3_600_000))
        hosts.withLock { hosts in
            let former = hosts[host].flatMap { now - $0.at <= Self.fresh ? $0 : nil }
            let machines = report.instances.map { load -> Machine in
                guard var average = former?.average(of: load.instance) else {
                    return Machine(instance: load.instance, average: LoadAverage(load.milliCPU, over: stretch))
                }
                average.add(load.milliCPU, over: stretch)
                return Machine(instance: load.instance, average: average)
            }
            let rest = max(0, report.milliCPU - report.instances.map { min(max(0, $0.milliCPU), 1 << 40) }.reduce(0, +))
            var own = former?.own ?? LoadAverage(rest, over: stretch)
            if former != nil { own.add(rest, over: stretch) }
            hosts[host] = HostLoad(
                own: own, memoryMiB: max(0, report.memoryMiB), at: now,
                machines: machines.sorted { $0.instance < $1.instance })
        }
    }

    /// Nil: nothing was told in the last minutes.
    func load(of host: HostID, at now: Instant) -> HostLoad? {
        hosts.withLock { hosts in hosts[host].flatMap { now - $0.at <= Self.fresh ? $0 : nil } }
    }
}
