import Foundation
import Glibc

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

    /// Takes all the space there is.
    public func fill() throws {
        guard let file = fopen(ballast, "w") else { throw CommandFailed(command: "fill", status: errno, output: ballast) }
        // Each write goes to the disk by itself, so that the last one fits or fails alone.
        setvbuf(file, nil, _IONBF, 0)
        let page = [UInt8](repeating: 0, count: 4_096)
        while fwrite(page, 1, page.count, file) == page.count {}
        fclose(file)
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
    // Whoever used it last may be about to end.
    try await runCommand(["umount", "--lazy", directory.path])
    return try result.get()
}
