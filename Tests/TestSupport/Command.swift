import Foundation

/// A program ended badly.
public struct CommandFailed: Error, CustomStringConvertible {
    public let command: String
    public let status: Int32
    public let output: String

    public var description: String { "'\(command)' ended with \(status): \(output)" }
}

/// Runs a program to its end on a thread of its own and returns what it wrote (both streams). Throws `CommandFailed`.
@discardableResult
public func runCommand(_ arguments: [String]) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread { continuation.resume(with: Result { try runCommandBlocking(arguments) }) }
        thread.start()
    }
}

/// The same on this thread, for what cannot be asynchronous.
@discardableResult
public func runCommandBlocking(_ arguments: [String]) throws -> String {
    let (status, output) = try runToEnd(arguments)
    guard status == 0 else { throw CommandFailed(command: arguments.joined(separator: " "), status: status, output: output) }
    return output
}

/// Runs a program to its end on this thread, and returns how it ended and what it wrote (both streams).
public func runToEnd(_ arguments: [String], inputFile: String = "/dev/null") throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: "/")
    process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: inputFile))
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: remainder(of: output), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
}

/// What is still written to a pipe.
private func remainder(of pipe: Pipe) -> [UInt8] {
    var bytes: [UInt8] = []
    while case let part = next(of: pipe), !part.isEmpty { bytes += part }
    return bytes
}

/// The next of what is written to a pipe; nothing at its end. Foundation's own reading ends the process when a signal comes
/// while it waits.
func next(of pipe: Pipe) -> [UInt8] {
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(pipe.fileHandleForReading.fileDescriptor, &part, part.count)
        if count >= 0 || errno != EINTR { return Array(part[..<max(0, count)]) }
    }
}
