import Drivers
import Foundation
import Primitives
import ServiceKit

/// A connect with 10,000 hosts and 300,000 instances in a process of its own, SQLite on this machine's disk: how many launches a second
/// it accepts from buyers with contract certificates, each durable before it is answered; how soon it knows that they run while 10,000
/// nodes are connected; how long it takes to start again; its memory.
struct ConnectBench {
    private let hosts = Self.setting("BOURSE_BENCH_HOSTS", 10_000)
    private let instances = Self.setting("BOURSE_BENCH_INSTANCES", 300_000)
    private let launches = Self.setting("BOURSE_BENCH_LAUNCHES", 40_000)
    private let callers = 64
    /// What instances are like: as the unit classes are.
    private let shapes = [
        Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480), Resources(milliCPU: 1_000, memoryMiB: 2_048, diskMiB: 20_480),
        Resources(milliCPU: 2_000, memoryMiB: 8_192, diskMiB: 40_960), Resources(milliCPU: 1_000, memoryMiB: 8_192, diskMiB: 20_480),
    ]

    private static func setting(_ name: String, _ usual: Int) -> Int { Int(ProcessInfo.processInfo.environment[name] ?? "") ?? usual }

    func measure() async throws -> [String: Double] {
        OpenFiles.raiseLimit()
        // Beside the build, which is on a disk; temporary files may be in memory.
        let folder = FileManager.default.currentDirectoryPath + "/.build/bench-connect-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        print("· a connect with \(hosts) hosts and \(instances) instances is made")
        // Without nodes: hosts are not to be missed meanwhile.
        var figures = try await running(in: folder, heartbeatSeconds: 3_600) { connect in try await launching(connect) }
        print("· the same connect again, and \(hosts) nodes with it")
        let again = try await running(in: folder, heartbeatSeconds: 5) { connect in
            let rebuild = connect.secondsToStart
            let resident = connect.residentMiB
            return try await converging(connect).merging(["rebuild_s": rebuild, "resident_mib": resident]) { $1 }
        }
        figures.merge(again) { $1 }
        return figures
    }

    private func running(
        in folder: String, heartbeatSeconds: Int64, _ body: (ConnectProcess) async throws -> [String: Double]
    ) async throws -> [String: Double] {
        let executable = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path + "/bourse"
        let connect = try await ConnectProcess.start(
            executable, directory: folder, hosts: hosts, instances: instances, contracts: callers, lots: 1_000_000, meterSeconds: 3_600,
            heartbeatSeconds: heartbeatSeconds)
        let result: Result<[String: Double], any Error>
        do { result = .success(try await body(connect)) } catch { result = .failure(error) }
        await connect.stop()
        return try result.get()
    }

    private func launching(_ connect: ConnectProcess) async throws -> [String: Double] {
        let load = LaunchLoad(connect.site, callers: callers, shapes: shapes)
        print("· \(launches) launches from \(callers) buyers")
        _ = try await load.run(2_000, from: 0, at: SystemTime().now())
        let before = connect.processorSeconds
        let outcome = try await load.run(launches, from: 2_000, at: SystemTime().now())
        guard outcome.refused.isEmpty else { throw BenchError(text: "launches were refused: \(outcome.refused)") }
        let cost = (connect.processorSeconds - before) / Double(max(1, outcome.accepted))
        return [
            "durable_launches_per_s": outcome.perSecond, "launch_p50_ms": Double(outcome.percentile(50)) / 1_000,
            "launch_p99_ms": Double(outcome.percentile(99)) / 1_000, "launch_processor_us": cost * 1_000_000,
        ]
    }

    /// All nodes come up and are sent what is wanted of them; then buyers go on launching.
    private func converging(_ connect: ConnectProcess) async throws -> [String: Double] {
        let lag = LagMeter()
        let swarm = NodeSwarm(connect.site, lag: lag)
        let now = SystemTime().now()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await swarm.run(at: now) }
            defer { group.cancelAll() }
            let begun = ContinuousClock.now
            try await wait(swarm) { swarm.counts.settled >= hosts }
            let joined = (ContinuousClock.now - begun).components.seconds
            print("· \(launches) launches with \(hosts) nodes")
            let load = LaunchLoad(connect.site, callers: callers, shapes: shapes, lag: lag)
            let before = connect.processorSeconds
            let outcome = try await load.run(launches, from: 1_000_000, at: now)
            try await wait(swarm) { lag.settled >= outcome.accepted }
            let cost = (connect.processorSeconds - before) / Double(max(1, outcome.accepted))
            let idle = try await quietRound(connect, swarm)
            return [
                "converge_lag_p50_s": lag.seconds(percent: 50), "converge_lag_p99_s": lag.seconds(percent: 99),
                "launches_with_nodes_per_s": outcome.perSecond, "launch_with_nodes_processor_us": cost * 1_000_000,
                "nodes_join_s": Double(joined), "resident_with_nodes_mib": connect.residentMiB,
            ].merging(idle) { $1 }
        }
    }

    /// A round of heartbeats in which nothing happens: each node says what is settled, and connect should know the same.
    private func quietRound(_ connect: ConnectProcess, _ swarm: NodeSwarm) async throws -> [String: Double] {
        let (counts, processor, begun) = (swarm.counts, connect.processorSeconds, ContinuousClock.now)
        try await wait(swarm) { swarm.counts.heartbeats >= counts.heartbeats + hosts }
        let seconds = (ContinuousClock.now - begun) / .seconds(1)
        return [
            "heartbeats_per_s": Double(swarm.counts.heartbeats - counts.heartbeats) / seconds,
            "heartbeat_mismatches": Double(swarm.counts.mismatches - counts.mismatches),
            "idle_processor_percent": (connect.processorSeconds - processor) / seconds * 100,
        ]
    }

    private func wait(_ swarm: NodeSwarm, until isDone: () -> Bool) async throws {
        let limit = ContinuousClock.now + .seconds(600)
        while !isDone() {
            guard ContinuousClock.now < limit else {
                throw BenchError(text: "not settled after 600 s: \(swarm.counts) \(swarm.trouble ?? "")")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
