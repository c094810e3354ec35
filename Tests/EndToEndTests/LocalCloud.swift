import CloudAPI
import Foundation
import Primitives
import TestSupport

/// A whole cloud in a network namespace of its own: `bourse up` and everything it starts, torn down at the end.
final class LocalCloud: Sendable {
    let name: String
    let home: String
    let executable: String
    let image: String

    /// Nil, with the reason, where the tests cannot run.
    static let obstacle: String? = {
        if getuid() != 0 { return "needs root, for network namespaces and taps" }
        for tool in ["/usr/bin/qemu-system-x86_64", "/usr/sbin/nft", "/usr/sbin/dnsmasq", "/usr/sbin/ip", "/usr/bin/ssh"]
        where !FileManager.default.fileExists(atPath: tool) {
            return "needs \(tool)"
        }
        if !FileManager.default.fileExists(atPath: imageFolder + "/manifest.json") { return "needs a guest image in \(imageFolder)" }
        if !BuiltExecutable.isThere { return "needs the built executable \(BuiltExecutable.path)" }
        return nil
    }()

    private static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static var imageFolder: String {
        ProcessInfo.processInfo.environment["BOURSE_GUEST_IMAGE"] ?? package + "/.bourse/images/bourse-guest"
    }

    init(_ suffix: String) throws {
        name = "bourse-e2e-\(suffix)"
        home = NSTemporaryDirectory() + "bourse-e2e-\(suffix)-\(getpid())"
        executable = BuiltExecutable.path
        image = Self.imageFolder
        _ = try? runCommandBlocking(["ip", "netns", "del", name])
        _ = try runCommandBlocking(["ip", "netns", "add", name])
        _ = try runCommandBlocking(["ip", "-n", name, "link", "set", "lo", "up"])
    }

    /// Gives `body` a cloud of its own and takes it down afterwards, whatever happens.
    static func with(_ suffix: String, _ body: (LocalCloud) async throws -> Void) async throws {
        let cloud = try LocalCloud(suffix)
        let result: Result<Void, any Error>
        do { result = .success(try await body(cloud)) } catch { result = .failure(error) }
        await cloud.tearDown()
        try result.get()
    }

    /// Runs a command in the cloud's namespace. Standard error goes with standard output when `merged`.
    @discardableResult
    func run(_ arguments: [String], environment: [String: String] = [:], limit: Int = 300) async throws -> (status: Int32, output: String) {
        let assignments = ["BOURSE_HOME=\(home)"] + environment.map { "\($0.key)=\($0.value)" }
        let command = ["ip", "netns", "exec", name, "timeout", "\(limit)", "env"] + assignments + arguments
        return try await Shell.run(command)
    }

    /// `bourse …`, failing the test when it fails.
    @discardableResult
    func bourse(_ arguments: [String], environment: [String: String] = [:], limit: Int = 300) async throws -> String {
        let (status, output) = try await run([executable] + arguments, environment: environment, limit: limit)
        guard status == 0 else {
            throw CommandError(text: "bourse \(arguments.joined(separator: " ")) ended with \(status):\n\(output)\n\(logs())")
        }
        return output
    }

    func json<T: Decodable>(_ type: T.Type, _ arguments: [String]) async throws -> T {
        try WireJSON.decode(type, from: Data(try await bourse(arguments + ["-o", "json"]).utf8))
    }

    func up(_ more: [String] = [], environment: [String: String] = [:]) async throws -> String {
        try await bourse(["up", "--image", image] + more, environment: environment, limit: 400)
    }

    /// What `bourse env` prints.
    func variables() async throws -> [String: String] {
        var values: [String: String] = [:]
        for line in try await bourse(["env"]).split(separator: "\n") {
            let parts = line.dropFirst("export ".count).split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = parts[1].trimmingCharacters(in: CharacterSet(charactersIn: "'")) }
        }
        return values
    }

    struct ProgramStatus: Decodable {
        var name: String
        var pid: Int32?
        var state: String
    }

    func pid(_ program: String) async throws -> Int32 {
        let all = try await json([ProgramStatus].self, ["status"])
        guard let pid = all.first(where: { $0.name == program })?.pid else { throw CommandError(text: "\(program) does not run") }
        return pid
    }

    /// `kill -9`, and wait until it is gone.
    func murder(_ program: String) async throws {
        let pid = try await pid(program)
        kill(pid, SIGKILL)
        try await until("\(program) is gone") { isGone(pid) }
    }

    /// True when the process has ended, waited for or not.
    func isGone(_ pid: Int32) -> Bool {
        guard kill(pid, 0) == 0 else { return true }
        let status = FileManager.default.contents(atPath: "/proc/\(pid)/stat").map { String(decoding: $0, as: UTF8.self) } ?? ""
        return status.contains(") Z ")
    }

    func ssh(_ address: String, _ command: String) async throws -> (status: Int32, output: String) {
        try await run(
            [
                "ssh", "-i", home + "/demo-key", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
                "LogLevel=ERROR", "-o",
                "BatchMode=yes", "-o", "ConnectTimeout=10", "root@\(address)", command,
            ], limit: 60)
    }

    /// A request with curl; the answer's status and body.
    func curl(_ arguments: [String]) async throws -> (status: Int, body: String) {
        let (status, output) = try await run(["curl", "-sS", "-m", "20", "-w", "\n%{http_code}"] + arguments, limit: 30)
        guard status == 0 else { return (0, output) }
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
        return (lines.last.flatMap { Int($0) } ?? 0, lines.dropLast().joined(separator: "\n"))
    }

    func instance(_ id: InstanceID) async throws -> ManagedInstanceView {
        try await json(ManagedInstanceView.self, ["instance", "show", id.description])
    }

    func instances() async throws -> [ManagedInstanceView] { try await json([ManagedInstanceView].self, ["instance", "list"]) }

    func until(_ what: String, limit: Duration = .seconds(120), _ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + limit
        while .now < deadline {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw CommandError(text: "waited \(limit) in vain until \(what)\n\(logs())")
    }

    private func logs() -> String {
        ["exchange", "connect", "node", "manage"].map { program in
            let data = FileManager.default.contents(atPath: "\(home)/run/\(program).log") ?? Data()
            return "--- \(program)\n" + String(decoding: data.suffix(1_500), as: UTF8.self)
        }.joined(separator: "\n")
    }

    func tearDown() async {
        _ = try? await run([executable, "down"], limit: 90)
        _ = try? runCommandBlocking(["ip", "netns", "del", name])
        if ProcessInfo.processInfo.environment["BOURSE_KEEP"] == nil { try? FileManager.default.removeItem(atPath: home) }
    }
}

struct CommandError: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

/// Commands with their status and all they print.
enum Shell {
    static func run(_ arguments: [String]) async throws -> (status: Int32, output: String) {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try runBlocking(arguments) }) }
        }
    }

    private static func runBlocking(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let file = NSTemporaryDirectory() + "bourse-out-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        defer { try? FileManager.default.removeItem(atPath: file) }
        guard let output = FileHandle(forWritingAtPath: file) else { throw CommandError(text: "\(file) cannot be written") }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self))
    }
}
