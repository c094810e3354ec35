import Foundation
import Glibc
import Primitives

/// A connect on a simulated site, in a process of its own: started, waited for, measured and ended.
public final class ConnectProcess: Sendable {
    public let site: SimulatedSite
    /// Until it answered: reading its tables included.
    public let secondsToStart: Double
    private let process: Process

    /// - Parameters:
    ///   - executable: of `bourse`.
    ///   - instances: that run already when it is started for the first time.
    ///   - heartbeatSeconds: between heartbeats of a node; large where no nodes are to come and hosts are not to be missed.
    public static func start(
        _ executable: String, directory: String, hosts: Int, instances: Int, contracts: Int, lots: Int64, meterSeconds: Int64,
        heartbeatSeconds: Int64 = 5
    ) async throws -> ConnectProcess {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = [
            "simulate", "serve", "--data", directory, "--hosts", "\(hosts)", "--instances", "\(instances)", "--contracts", "\(contracts)",
            "--lots", "\(lots)",
            "--meter-interval", "\(meterSeconds)", "--heartbeat-interval", "\(heartbeatSeconds)",
        ]
        process.standardInput = FileHandle.nullDevice
        try? FileManager.default.removeItem(atPath: directory + "/site.json")
        let begun = ContinuousClock.now
        try process.run()
        let limit = ContinuousClock.now + .seconds(600)
        while ContinuousClock.now < limit, process.isRunning {
            if let site = try SimulatedSite.read(directory) {
                let took = (ContinuousClock.now - begun).components
                return ConnectProcess(site, process, Double(took.seconds) + Double(took.attoseconds) / 1e18)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        process.terminate()
        throw Refusal(
            "simulate.connect", .unavailable, "The simulated site's connect did not start.", nearest: "its log, on standard error")
    }

    private init(_ site: SimulatedSite, _ process: Process, _ seconds: Double) {
        self.site = site
        self.process = process
        secondsToStart = seconds
    }

    /// Memory that is in RAM, in MiB, as the kernel counts it.
    public var residentMiB: Double { ResidentMemory.mebibytes(of: site.process) }

    /// Processor time used, in seconds.
    public var processorSeconds: Double {
        let text = (try? String(contentsOfFile: "/proc/\(site.process)/stat", encoding: .utf8)) ?? ""
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// As `kill -9` would.
    public func kill() { Glibc.kill(site.process, SIGKILL) }

    public func stop() async {
        process.terminate()
        for _ in 0..<1_000 where process.isRunning { try? await Task.sleep(for: .milliseconds(20)) }
        if process.isRunning { kill() }
    }
}
