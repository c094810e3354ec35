import Foundation

/// One Swift file of the repository, as the rules see it.
struct SourceFile: Sendable {
    /// From the root of the repository, e.g. `Sources/Domain/Market/Order.swift`.
    let path: String
    /// What the compiler sees: comments, texts and regular expressions are blank, and every line is where it was.
    let code: [Substring]
    /// Comments alone, every line where it was.
    let comments: [Substring]
    let blanked: BlankedSource

    init(path: String, text: String) {
        self.path = path
        blanked = BlankedSource(text)
        code = Self.lines(blanked.code)
        comments = Self.lines(blanked.comments)
    }

    private static func lines(_ bytes: [UInt8]) -> [Substring] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// Lines of text; a newline at the end begins none.
    var lineCount: Int { code.count - (code.last?.isEmpty == true ? 1 : 0) }

    var folders: [String] { path.split(separator: "/").map(String.init) }

    /// Violations on all lines of `lines` that contain the pattern.
    func matches(of pattern: some RegexComponent, in lines: [Substring], _ text: String) -> [Violation] {
        lines.enumerated().filter { $0.element.contains(pattern) }.map { Violation(path: path, line: $0.offset + 1, text: text) }
    }
}

struct Violation: Hashable, Sendable, CustomStringConvertible {
    var path: String
    /// From 1.
    var line: Int
    var text: String

    var description: String { "\(path):\(line): \(text)" }
}

/// The repository this test was compiled from.
enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every Swift file below Sources, Benchmarks and Tests.
    static let files: [SourceFile] = ["Sources", "Benchmarks", "Tests"].flatMap(files(below:))

    private static func files(below folder: String) -> [SourceFile] {
        let enumerator = FileManager.default.enumerator(atPath: root.appending(path: folder).path)
        let paths = (enumerator?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(".swift") }.sorted()
        return paths.compactMap { path in
            guard let data = FileManager.default.contents(atPath: root.appending(path: folder).appending(path: path).path) else { return nil }
            return SourceFile(path: "\(folder)/\(path)", text: String(decoding: data, as: UTF8.self))
        }
    }
}
