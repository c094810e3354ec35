import CloudAPI
import CloudClient
import Connect
import Foundation
import Glibc
import ServiceKit
import Synchronization
import TestSupport

/// A connect in a process of its own, which is killed, and started again on what it left behind.
final class ConnectProgram: Sendable {
    private let configuration: ConnectConfiguration
    private let process = Mutex<Process?>(nil)

    init(_ configuration: ConnectConfiguration) { self.configuration = configuration }

    /// Returns once it answers.
    func start() async throws {
        let started = Process()
        started.executableURL = URL(fileURLWithPath: BuiltExecutable.path)
        started.arguments = [
            "connect", "serve", "--data", configuration.dataDirectory, "--database", configuration.databaseURL, "--exchange",
            configuration.exchangeURL, "--name", configuration.name, "--region", configuration.region, "--zone", configuration.zone,
            "--port", "\(configuration.publicPort)", "--peer-port", "\(configuration.peerPort)", "--contract-grace",
            "\(configuration.contractGraceSeconds)", "--move-bandwidth", "\(configuration.moveBandwidthMiB)", "--log", "warning",
        ]
        started.environment = ["BOURSE_OPERATOR_TOKEN": configuration.operatorToken ?? ""]
        (started.standardInput, started.standardOutput) = (FileHandle.nullDevice, FileHandle.nullDevice)
        let log = configuration.dataDirectory + "/connect.log"
        if !FileManager.default.fileExists(atPath: log) { _ = FileManager.default.createFile(atPath: log, contents: nil) }
        let errors = FileHandle(forWritingAtPath: log)
        try errors?.seekToEnd()
        started.standardError = errors
        try started.run()
        process.withLock { $0 = started }
        let client = try CloudClient(
            base: "http://127.0.0.1:\(configuration.publicPort)", authentication: .bearer(configuration.operatorToken ?? ""))
        try await client.closing { client in
            try await eventually("connect answers") {
                guard started.isRunning else { throw DidNotHappen(description: "connect ended: \(Self.text(log))") }
                return (try? await client.call(ConnectAPI.listHosts, body: Empty())) != nil
            }
        }
    }

    private static func text(_ path: String) -> String {
        String(decoding: (FileManager.default.contents(atPath: path) ?? Data()).suffix(2_000), as: UTF8.self)
    }

    /// As `kill -9` does. Returns once it is gone.
    func kill() async throws { try await end(SIGKILL) }
    func stop() async throws { try await end(SIGTERM) }

    private func end(_ signal: Int32) async throws {
        guard let running = process.withLock({ $0 }), running.isRunning else { return }
        Glibc.kill(running.processIdentifier, signal)
        try await eventually("connect is gone") { !running.isRunning }
    }
}
