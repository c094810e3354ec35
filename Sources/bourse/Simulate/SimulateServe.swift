import ArgumentParser
import Connect
import Drivers
import Foundation
import Logging
import Primitives
import ServiceKit

extension SimulateCommand {
    /// The connect of a simulated site, in a process of its own so that what it needs can be told from what its callers need.
    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a connect on a simulated site: no exchange, hosts and contracts made up.", shouldDisplay: false)

        @Option(help: "Folder for everything it keeps; what is there is used again.") var data: String
        @Option(help: "Simulated hosts.") var hosts = 10_000
        @Option(help: "Instances that run already.") var instances = 0
        @Option(help: "Contracts.") var contracts = 64
        @Option(help: "Lots of each contract.") var lots: Int64 = 1_000_000
        @Option(help: "Longest stretch of one meter reading, in seconds.") var meterInterval: Int64 = 3_600
        @Option(help: "Seconds between a node's heartbeats, or more where there are many; six without one and its host is suspect.")
        var heartbeatInterval: Int64 = 5
        @Option(help: "trace, debug, info, notice, warning or error") var log = "error"

        func run() async throws {
            HeapSettings.manyConnections()
            OpenFiles.raiseLimit()
            try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
            let level = Logger.Level(rawValue: log) ?? .error
            LoggingSystem.bootstrap { label in
                var handler = StreamLogHandler.standardError(label: label)
                handler.logLevel = level
                return handler
            }
            let logger = Logger(label: "simulate")
            var site = SimulatedSite(
                directory: data, hosts: hosts, contracts: contracts, lotsPerContract: lots, hardware: SimulateCommand.hardware)
            try? FileManager.default.removeItem(atPath: data + "/site.json")
            let rehearsal = try await Rehearsal(
                site, instances: instances, meterSeconds: meterInterval, heartbeatSeconds: heartbeatInterval, logger: logger)
            let service = rehearsal.service
            async let running: Void = Program.run(service.services, logger: logger)
            site.publicPort = await service.publicPort.value()
            site.peerPort = await service.peerPort.value()
            site.process = ProcessInfo.processInfo.processIdentifier
            try site.write()
            try await running
        }
    }

    /// Of each simulated host: two sockets of 32 cores with two threads, as pods are built of today.
    static let hardware = Resources(milliCPU: 128_000, memoryMiB: 1 << 20, diskMiB: 16 << 20)
}
