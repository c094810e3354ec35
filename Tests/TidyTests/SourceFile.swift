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

    /// Violations on all lines of `lines` that contain one of the terms. A term that begins or ends like a word does not match
    /// inside of a longer one: `Date` is not in `dueDate`, but in `Date.now`.
    func lines(with terms: [String], in lines: [Substring], _ text: String) -> [Violation] {
        let terms = terms.map { Array($0.utf8) }
        return lines.enumerated().filter { line in terms.contains { contains($0, in: Array(line.element.utf8)) } }.map {
            Violation(path: path, line: $0.offset + 1, text: text)
        }
    }

    private func contains(_ term: [UInt8], in line: [UInt8]) -> Bool {
        guard let first = term.first, let last = term.last, line.count >= term.count else { return false }
        for start in 0...(line.count - term.count) where line[start] == first && line[start..<(start + term.count)].elementsEqual(term) {
            let end = start + term.count
            let beginsInside = isWordByte(first) && start > 0 && isWordByte(line[start - 1])
            let endsInside = isWordByte(last) && end < line.count && isWordByte(line[end])
            if !beginsInside, !endsInside { return true }
        }
        return false
    }
}

struct Violation: Hashable, Sendable, CustomStringConvertible {
    var path: String
    /// From 1.
    var line: Int
    var text: String

    var description: String { "\(path):\(line): \(text)" }
}

/// Letters, digits, underscores, and everything beyond ASCII.
func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "_"):
        true
    default: byte >= 0x80
    }
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
            guard let data = FileManager.default.contents(atPath: root.appending(path: folder).appending(path: path).path) else {
                return nil
            }
            return SourceFile(path: "\(folder)/\(path)", text: String(decoding: data, as: UTF8.self))
        }
    }
}
