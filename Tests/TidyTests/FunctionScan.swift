/// A declaration with a body, as `FunctionScan` finds it.
struct FunctionExtent: Hashable, Sendable {
    /// e.g. `func place`, `init`, `var description`
    var name: String
    /// The line of the keyword, from 1.
    var line: Int
    /// Lines from the keyword to the closing brace, both counted.
    var length: Int
}

/// Finds functions, initializers, subscripts and computed properties and how long they are, in code without comments and text.
struct FunctionScan {
    private let code: [UInt8]
    private let lineStarts: [Int]

    init(_ source: BlankedSource) {
        code = source.code
        lineStarts = [0] + source.code.indices.filter { source.code[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
    }

    func functions() -> [FunctionExtent] {
        let words = self.words
        return words.enumerated().compactMap { position, word in
            guard let keyword = Keyword(rawValue: text(word)), !isMember(word) else { return nil }
            guard let open = bodyStart(after: word, keyword), let close = closingBrace(of: open) else { return nil }
            let next = position + 1 < words.count ? " " + text(words[position + 1]) : ""
            let first = line(of: word.lowerBound)
            return FunctionExtent(
                name: keyword.rawValue + (keyword == .func || keyword == .var ? next : ""), line: first, length: line(of: close) - first + 1
            )
        }
    }

    private enum Keyword: String { case `func`, `init`, `deinit`, `subscript`, `var` }

    /// Words that begin another declaration: a requirement without a body ends before them.
    private static let declarations: Set<String> = [
        "func", "init", "deinit", "subscript", "var", "let", "case", "static", "struct", "enum", "class", "actor", "extension", "protocol",
        "import",
        "typealias", "associatedtype", "public", "package", "internal", "private", "fileprivate", "open", "mutating", "nonisolated",
        "override",
    ]

    /// The ranges of all identifiers and keywords.
    private var words: [Range<Int>] {
        var result: [Range<Int>] = []
        var index = 0
        while index < code.count {
            let start = index
            while index < code.count, isWordByte(code[index]) { index += 1 }
            if index > start { result.append(start..<index) } else { index += 1 }
        }
        return result
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: code[range], as: UTF8.self) }

    /// `.init` and `self.init` are calls.
    private func isMember(_ word: Range<Int>) -> Bool { word.lowerBound > 0 && code[word.lowerBound - 1] == UInt8(ascii: ".") }

    /// Where the body opens; nil for a requirement of a protocol or a stored property.
    private func bodyStart(after keyword: Range<Int>, _ kind: Keyword) -> Int? {
        var depth = 0
        var index = keyword.upperBound
        while index < code.count {
            switch code[index] {
            case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"):
                depth -= 1
                if depth < 0 { return nil }
            case UInt8(ascii: "{") where depth == 0: return index
            case UInt8(ascii: "{"): index = closingBrace(of: index) ?? code.count
            case UInt8(ascii: "}") where depth == 0: return nil
            case UInt8(ascii: "\n") where depth == 0 && kind == .var && !continues(after: index): return nil
            case let byte where depth == 0 && isWordByte(byte):
                let end = code[index...].firstIndex { !isWordByte($0) } ?? code.count
                if Self.declarations.contains(text(index..<end)), kind == .var || index > keyword.upperBound + 1 { return nil }
                index = end - 1
            default: break
            }
            index += 1
        }
        return nil
    }

    /// Whether what comes after this newline still belongs to a property: its body.
    private func continues(after newline: Int) -> Bool {
        code[newline...].first { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: " ") } == UInt8(ascii: "{")
    }

    private func closingBrace(of open: Int) -> Int? {
        var depth = 0
        for index in open..<code.count {
            if code[index] == UInt8(ascii: "{") { depth += 1 }
            if code[index] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return index }
        }
        return nil
    }

    private func line(of index: Int) -> Int {
        var (low, high) = (0, lineStarts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= index { low = middle } else { high = middle }
        }
        return low + 1
    }
}
