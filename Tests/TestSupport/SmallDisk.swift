import Foundation

/// A file system of a few mebibytes, to run out of space on.
public struct SmallDisk: Sendable {
    public let path: String
    private var ballast: String { path + "/ballast" }

    /// Mounting needs root, and a container may forbid it all the same.
    public static let isAvailable: Bool = {
        guard geteuid() == 0, let directory = try? TemporaryDirectory("mount") else { return false }
        guard (try? mount(directory.path, mebibytes: 1)) != nil else { return false }
        return (try? runCommandBlocking(["umount", directory.path])) != nil
    }()

    /// Takes space that `removeBallast` gives back.
    public func addBallast(mebibytes: Int) throws {
        try Data(count: mebibytes << 20).write(to: URL(fileURLWithPath: ballast))
    }

    public func removeBallast() throws { try FileManager.default.removeItem(atPath: ballast) }

    fileprivate static func mount(_ path: String, mebibytes: Int) throws {
        try runCommandBlocking(["mount", "-t", "tmpfs", "-o", "size=\(mebibytes)m,mode=0777", "bourse-test", path])
    }
}

/// Mounts a small disk for the body and takes it away afterwards.
public func withSmallDisk<Result>(mebibytes: Int, _ body: (SmallDisk) async throws -> Result) async throws -> Result {
    let directory = try TemporaryDirectory("disk")
    try SmallDisk.mount(directory.path, mebibytes: mebibytes)
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(SmallDisk(path: directory.path))) } catch { result = .failure(error) }
    try await runCommand(["umount", directory.path])
    return try result.get()
}
