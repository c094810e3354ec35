import Foundation

/// One program of the cloud on this machine, as a process of its own that outlives the command that started it.
struct LocalProgram: Sendable {
    let name: String
    let home: LocalHome
    let url: String

    private var pidFile: String { home.folder("run/\(name).pid") }
    var logFile: String { home.folder("run/\(name).log") }

    static func all(_ state: CloudState, _ home: LocalHome) -> [LocalProgram] {
        [("exchange", state.ports.exchange), ("connect", state.ports.connect), ("node", state.ports.node), ("manage", state.ports.manage)]
            .map { LocalProgram(name: $0.0, home: home, url: "http://127.0.0.1:\($0.1)") }
    }

    /// The process, when it is still the one we started: its command line names this program and this home.
    var pid: Int32? {
        guard let text = FileManager.default.contents(atPath: pidFile), let pid = Int32(String(decoding: text, as: UTF8.self)),
            let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
        else { return nil }
        let arguments = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        return arguments.contains(name) && arguments.contains("serve") && arguments.contains(home.folder(name)) ? pid : nil
    }

    /// - Parameter secrets: environment variables; a command line can be read by every user of the machine.
    func start(_ arguments: [String], secrets: [String: String] = [:]) throws {
        guard pid == nil else { return }
        try FileManager.default.createDirectory(atPath: home.folder("run"), withIntermediateDirectories: true)
        if !FileManager.default.fileExists(atPath: logFile) { _ = FileManager.default.createFile(atPath: logFile, contents: nil) }
        guard let log = FileHandle(forWritingAtPath: logFile) else { throw Failure(text: "\(logFile) cannot be written.") }
        try log.seekToEnd()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        process.arguments = ["-c", Self.closingFiles, "bash", executable, name, "serve", "--data", home.folder(name)] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(secrets) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = log
        process.standardError = log
        try process.run()
        try Data("\(process.processIdentifier)".utf8).write(to: URL(fileURLWithPath: pidFile), options: .atomic)
    }

    /// Becomes the program with nothing open but the three standard files: a program that kept its starter's pipes open would make
    /// whoever waits for their end wait for ever.
    private static let closingFiles =
        "for file in /proc/self/fd/*; do number=${file##*/}; [ \"$number\" -le 2 ] || eval \"exec $number>&-\"; done; exec \"$@\""

    /// Asks the process to stop, and ends it when it has not within the limit.
    func stop(limit: Duration = .seconds(20)) async {
        guard let pid else { return }
        kill(pid, SIGTERM)
        let deadline = ContinuousClock.now + limit
        while self.pid == pid, .now < deadline { try? await Task.sleep(for: .milliseconds(50)) }
        if self.pid == pid { kill(pid, SIGKILL) }
        try? FileManager.default.removeItem(atPath: pidFile)
    }

    /// `ready`, `starting` or `stopped`.
    func state() async -> String {
        guard pid != nil else { return "stopped" }
        return await answers("/readyz") ? "ready" : "starting"
    }

    /// Waits until the program says it is ready; fails with the end of its log when it stops or takes too long.
    func waitUntilReady(limit: Duration = .seconds(60)) async throws {
        let deadline = ContinuousClock.now + limit
        // While a process turns into another program its command line is empty for a moment.
        var absences = 0
        while .now < deadline {
            if await answers("/readyz") { return }
            absences = pid == nil ? absences + 1 : 0
            guard absences < 10 else { throw Failure(text: "\(name) stopped while starting. The end of \(logFile):\n\(logTail())") }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failure(text: "\(name) was not ready within \(limit). The end of \(logFile):\n\(logTail())")
    }

    private func answers(_ path: String) async -> Bool {
        guard let url = URL(string: url + path) else { return false }
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: probe(url)) }
        }
    }

    private func logTail() -> String {
        let data = FileManager.default.contents(atPath: logFile) ?? Data()
        return String(decoding: data.suffix(3_000), as: UTF8.self)
    }
}

/// One HTTP/1.0 request over a blocking socket, on a thread of its own: true for a 200.
private func probe(_ url: URL) -> Bool {
    guard let port = url.port, let host = url.host else { return false }
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var limit = timeval(tv_sec: 2, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr(host)
    let connected = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard connected == 0 else { return false }
    let request = Array("GET \(url.path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n".utf8)
    guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return false }
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return count > 12 && String(decoding: buffer[0..<count], as: UTF8.self).hasPrefix("HTTP/1.1 200")
}
