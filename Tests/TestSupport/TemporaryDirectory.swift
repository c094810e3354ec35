import Foundation
import Synchronization

/// A directory that is removed with all in it when nobody holds this value any more. Its path is short: Unix sockets fit in it.
public final class TemporaryDirectory: Sendable {
    public let path: String

    public init(_ label: String = "test") throws {
        path = "/tmp/bourse-\(label)-\(getpid())-\(temporaryNumber.add(1, ordering: .relaxed).newValue)"
        // What a process with the same number left behind.
        try? FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    public func file(_ name: String) -> String { path + "/" + name }
}

private let temporaryNumber = Atomic<Int>(0)

/// Gives the body a directory of its own and removes it afterwards.
public func withTemporaryDirectory<Result>(_ body: (_ path: String) async throws -> Result) async throws -> Result {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    return try await body(directory.path)
}
