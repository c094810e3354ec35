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
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: "/")
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw CommandFailed(command: arguments.joined(separator: " "), status: process.terminationStatus, output: text)
    }
    return text
}
