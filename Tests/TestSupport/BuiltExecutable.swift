import Foundation

/// The `bourse` that was built along with the tests.
public enum BuiltExecutable {
    public static let path: String = {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        // Beside the test bundle: both are products of one build.
        let folder = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")).map {
            URL(fileURLWithPath: $0).deletingLastPathComponent().path
        }
        let beside = (folder ?? "") + "/bourse"
        return FileManager.default.fileExists(atPath: beside) ? beside : package.path + "/.build/release/bourse"
    }()

    public static var isThere: Bool { FileManager.default.isExecutableFile(atPath: path) }
}
