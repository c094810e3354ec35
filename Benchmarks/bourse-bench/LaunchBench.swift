import CloudAPI
import Foundation
import Primitives

/// How long a launch takes, on a whole cloud in a network namespace of its own: from the moment manage accepted it to the start of
/// the QEMU process; and how long the guest takes to its first line of user space, beside the same QEMU command run bare.
struct LaunchBench {
    private let name = "bourse-bench"
    private let home = NSTemporaryDirectory() + "bourse-bench-\(getpid())"
    private let image = ProcessInfo.processInfo.environment["BOURSE_GUEST_IMAGE"] ?? ".bourse/images/bourse-guest"
    private let launches = 15
    private let boots = 5

    func measure() async throws -> [String: Double] {
        guard getuid() == 0 else { throw BenchError(text: "the launch group needs root, for a network namespace and taps") }
        _ = try? shell(["ip", "netns", "del", name])
        try shell(["ip", "netns", "add", name])
        try shell(["ip", "-n", name, "link", "set", "lo", "up"])
        defer {
            _ = try? bourse(["down"])
            _ = try? shell(["ip", "netns", "del", name])
            try? FileManager.default.removeItem(atPath: home)
        }
        print("· starting a cloud in network namespace \(name)")
        try bourse(["up", "--image", image])
        var figures = try await latencies()
        figures.merge(try await bootTimes()) { first, _ in first }
        return figures
    }

    /// Launches one after the other under a contract in hand; the first, which warms everything up, is not counted.
    private func latencies() async throws -> [String: Double] {
        print("· \(launches) launches")
        var milliseconds: [Double] = []
        for number in 0...launches {
            let id = try launch()
            let view = try await wait(for: id) { $0.state == .running && $0.executed != nil }
            if let executed = view.executed, number > 0 { milliseconds.append(Double((executed - view.accepted).microseconds) / 1_000) }
            try bourse(["instance", "terminate", id.description])
            _ = try await wait(for: id) { $0.state == .terminated }
        }
        milliseconds.sort()
        return [
            "accept_to_exec_p50_ms": milliseconds[milliseconds.count / 2], "accept_to_exec_min_ms": milliseconds.first ?? 0,
            "accept_to_exec_max_ms": milliseconds.last ?? 0,
        ]
    }

    /// Seconds from exec to the guest's first line, ours and bare in turn; the ratio of the medians.
    private func bootTimes() async throws -> [String: Double] {
        print("· \(boots) boots, and as many of the same QEMU command without us")
        var ours: [Double] = []
        var bare: [Double] = []
        for _ in 0..<boots {
            let id = try launch()
            let view = try await wait(for: id) { $0.state == .running && $0.executed != nil }
            let machine = try process(of: id)
            let shown = try await firstLine(in: machine.serial)
            if let executed = view.executed { ours.append(Double(shown.microseconds - executed.microseconds) / 1_000_000) }
            let command = try machine.bare(in: home)
            try bourse(["instance", "terminate", id.description])
            _ = try await wait(for: id) { $0.state == .terminated }
            bare.append(try await bareBoot(command))
        }
        let (mine, other) = (ours.sorted()[boots / 2], bare.sorted()[boots / 2])
        return ["boot_s": mine, "bare_qemu_boot_s": other, "boot_ratio_to_bare_qemu": mine / other]
    }

    private func bareBoot(_ command: (arguments: [String], serial: String)) async throws -> Double {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command.arguments
        process.standardInput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let start = now()
        defer {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        return Double(try await firstLine(in: command.serial).microseconds - start.microseconds) / 1_000_000
    }

    private func launch() throws -> InstanceID {
        struct Launched: Decodable { var id: InstanceID }
        let text = try bourse(["instance", "launch", "--image", "bourse-guest", "--type", "t2.nano", "-o", "json"])
        guard let id = try WireJSON.decode([Launched].self, from: Data(text.utf8)).first?.id else {
            throw BenchError(text: "no instance: \(text)")
        }
        return id
    }

    /// Looks seldom: looking takes processor time from what is measured.
    private func wait(for id: InstanceID, _ condition: (ManagedInstanceView) -> Bool) async throws -> ManagedInstanceView {
        for _ in 0..<120 {
            try await Task.sleep(for: .milliseconds(500))
            let view = try WireJSON.decode(
                ManagedInstanceView.self, from: Data(try bourse(["instance", "show", id.description, "-o", "json"]).utf8))
            if condition(view) { return view }
        }
        throw BenchError(text: "\(id) did not get there in time")
    }

    private func firstLine(in file: String) async throws -> Instant {
        for _ in 0..<12_000 {
            if let data = FileManager.default.contents(atPath: file),
                String(decoding: data, as: UTF8.self).contains("bourse-guest: booting")
            {
                return now()
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw BenchError(text: "the guest shows nothing in \(file)")
    }

    private func process(of id: InstanceID) throws -> Machine {
        for pid in try FileManager.default.contentsOfDirectory(atPath: "/proc") where pid.allSatisfy(\.isNumber) {
            guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { continue }
            let arguments = data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            if arguments.first?.contains("qemu-system") == true,
                arguments.contains(where: { $0.contains(home) && $0.contains(id.description) })
            {
                return try Machine(arguments)
            }
        }
        throw BenchError(text: "no QEMU process of \(id)")
    }

    private func now() -> Instant { Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }

    @discardableResult
    private func bourse(_ arguments: [String]) throws -> String {
        let executable = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path + "/bourse"
        return try shell(["ip", "netns", "exec", name, "env", "BOURSE_HOME=\(home)", executable] + arguments)
    }
}

/// The command line of a running guest.
private struct Machine {
    let arguments: [String]
    let serial: String
    let disk: String

    init(_ arguments: [String]) throws {
        self.arguments = arguments
        let paths = arguments.flatMap { $0.split(separator: ",").map(String.init) }
        guard
            let serial = paths.first(where: {
                $0.hasPrefix("path=") && $0.contains("serial") || $0.hasSuffix("console.log") || $0.hasSuffix("serial.log")
            }),
            let disk = paths.first(where: { $0.hasPrefix("filename=") && $0.hasSuffix(".qcow2") })
        else { throw BenchError(text: "cannot tell console and disk of: \(arguments.joined(separator: " "))") }
        self.serial = String(serial.split(separator: "=").last ?? "").replacingOccurrences(of: "file:", with: "")
        self.disk = String(disk.dropFirst("filename=".count))
    }

    /// The same machine on a copy of its disk, with a console of its own, without a network, and in the foreground.
    func bare(in home: String) throws -> (arguments: [String], serial: String) {
        let copy = home + "/bare.qcow2"
        let console = home + "/bare.log"
        for path in [copy, console] { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.copyItem(atPath: disk, toPath: copy)
        var result: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "-daemonize": continue
            case "-netdev", "-pidfile", "-qmp", "-mon", "-name": _ = rest.popFirst()
            case "-device" where rest.first?.contains("netdev=") == true: _ = rest.popFirst()
            case "-chardev" where rest.first?.contains("socket") == true: _ = rest.popFirst()
            default: result.append(argument.replacingOccurrences(of: disk, with: copy).replacingOccurrences(of: serial, with: console))
            }
        }
        return (result, console)
    }
}

struct BenchError: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

@discardableResult
private func shell(_ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw BenchError(text: "'\(arguments.joined(separator: " "))' ended with \(process.terminationStatus)")
    }
    return text
}
