import Drivers
import Fleet
import Foundation
import Primitives
import ServiceKit

/// A real connect in a process of its own, and a host session over mutual TLS for each host in this one: buyers launch, hosts run what
/// is wanted, and it is measured how long connect needs to know of it.
struct ProtocolRehearsal {
    let hosts: Int
    let instances: Int
    /// Instances that run already.
    let running: Int
    let shapes: [SimulationPlan.Shape]
    let buyers: Int
    let seed: UInt64

    func run() async throws -> [SimulateCommand.Figure] {
        OpenFiles.raiseLimit()
        let folder = FileManager.default.currentDirectoryPath + "/bourse-simulate-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let connect = try await ConnectProcess.start(
            executable, directory: folder, hosts: hosts, instances: running, contracts: buyers, lots: 10_000_000, meterSeconds: 3_600)
        let result: Result<[SimulateCommand.Figure], any Error>
        do { result = .success(try await measure(connect)) } catch { result = .failure(error) }
        await connect.stop()
        return try result.get()
    }

    private func measure(_ connect: ConnectProcess) async throws -> [SimulateCommand.Figure] {
        var behaviour = NodeSwarm.Behaviour()
        behaviour.seed = seed
        let lag = LagMeter()
        let swarm = NodeSwarm(connect.site, behaviour, lag: lag)
        let now = SystemTime().now()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await swarm.run(at: now) }
            defer { group.cancelAll() }
            try await wait(for: hosts, upTo: 600, toward: swarm) { swarm.counts.greeted }
            // Larger weights are asked for more often.
            let weighted = shapes.flatMap { Array(repeating: $0.resources, count: max(1, $0.weight)) }
            let load = LaunchLoad(connect.site, callers: buyers, shapes: weighted, lag: lag)
            let outcome = try await load.run(instances, from: 1, at: now)
            let begun = ContinuousClock.now
            try await wait(for: outcome.accepted, upTo: 120, toward: swarm) { lag.settled }
            let settling = (ContinuousClock.now - begun).components
            var figures = [
                SimulateCommand.Figure("hosts", Double(hosts)), .init("accepted", Double(outcome.accepted)),
                .init("durable_launches_per_s", outcome.perSecond), .init("launch_p99_ms", Double(outcome.percentile(99)) / 1_000),
                .init("known_to_run", Double(lag.settled)), .init("converge_lag_p50_s", lag.seconds(percent: 50)),
                .init("converge_lag_p99_s", lag.seconds(percent: 99)), .init("settled_after_s", Double(settling.seconds)),
                .init("connect.resident_mib", connect.residentMiB), .init("connect.processor_s", connect.processorSeconds),
            ]
            figures += Self.figures(of: swarm.counts)
            figures += outcome.refused.sorted { $0.key < $1.key }.map { .init("refused.\($0.key)", Double($0.value)) }
            return figures
        }
    }

    private static func figures(of counts: NodeSwarm.Counts) -> [SimulateCommand.Figure] {
        [
            .init("swarm.polls", Double(counts.polls)), .init("swarm.heartbeats", Double(counts.heartbeats)),
            .init("swarm.mismatches", Double(counts.mismatches)), .init("swarm.reports", Double(counts.reports)),
            .init("swarm.errors", Double(counts.errors)),
        ]
    }

    private func wait(for count: Int, upTo seconds: Int, toward swarm: NodeSwarm, _ current: () -> Int) async throws {
        let limit = ContinuousClock.now + .seconds(seconds)
        while current() < count {
            guard ContinuousClock.now < limit else {
                let trouble = swarm.trouble.map { "; last: \($0)" } ?? ""
                return print("after \(seconds) s only \(current()) of \(count) are there\(trouble)")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
