/// Swift source in which comments, text literals and regular expressions are blanked out, byte for byte, so that a search finds code
/// only and a brace is a brace. What stands in an interpolation is code and stays.
struct BlankedSource: Sendable {
    private(set) var code: [UInt8]
    private(set) var comments: [UInt8]
    private let source: [UInt8]
    private var index = 0

    init(_ text: String) {
        source = Array(text.utf8)
        code = source.map { $0 == newline ? newline : space }
        comments = code
        readCode(inInterpolation: false)
    }

    private mutating func readCode(inInterpolation: Bool) {
        var depth = 0
        while index < source.count {
            if starts("//") {
                readLineComment()
            } else if starts("/*") {
                readBlockComment()
            } else if let literal = literal() {
                readText(literal)
            } else if beginsRegex {
                readRegex()
            } else {
                let byte = source[index]
                if inInterpolation, byte == UInt8(ascii: ")") {
                    if depth == 0 { return }
                    depth -= 1
                }
                if byte == UInt8(ascii: "(") { depth += 1 }
                code[index] = byte
                index += 1
            }
        }
    }

    private func starts(_ text: StaticString, at offset: Int = 0) -> Bool {
        let start = index + offset
        guard start + text.utf8CodeUnitCount <= source.count else { return false }
        return text.withUTF8Buffer { source[start..<(start + text.utf8CodeUnitCount)].elementsEqual($0) }
    }

    // MARK: Comments

    private mutating func readLineComment() {
        while index < source.count, source[index] != newline { keepComment() }
    }

    /// Block comments nest.
    private mutating func readBlockComment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                keepComment()
            } else if starts("*/") {
                depth -= 1
                keepComment()
            }
            keepComment()
        } while depth > 0 && index < source.count
    }

    private mutating func keepComment() {
        guard index < source.count else { return }
        comments[index] = source[index]
        index += 1
    }

    // MARK: Text literals

    private struct Literal {
        /// The number of `#` around it.
        var hashes: Int
        var isMultiline: Bool
        var quotes: Int { isMultiline ? 3 : 1 }
    }

    /// The literal that begins here, if one does.
    private func literal() -> Literal? {
        var hashes = 0
        while index + hashes < source.count, source[index + hashes] == UInt8(ascii: "#") { hashes += 1 }
        guard starts("\"", at: hashes) else { return nil }
        return Literal(hashes: hashes, isMultiline: starts("\"\"\"", at: hashes))
    }

    private mutating func readText(_ literal: Literal) {
        index += literal.hashes + literal.quotes
        while index < source.count {
            if ends(literal) {
                index += literal.quotes + literal.hashes
                return
            }
            if source[index] == newline, !literal.isMultiline { return }
            guard source[index] == UInt8(ascii: "\\"), hasHashes(literal.hashes, at: index + 1) else {
                index += 1
                continue
            }
            index += 1 + literal.hashes
            if starts("(") {
                index += 1
                readCode(inInterpolation: true)
            }
            // The character after a backslash, or the parenthesis that ends an interpolation.
            index += 1
        }
    }

    private func ends(_ literal: Literal) -> Bool {
        (literal.isMultiline ? starts("\"\"\"") : starts("\"")) && hasHashes(literal.hashes, at: index + literal.quotes)
    }

    private func hasHashes(_ count: Int, at start: Int) -> Bool {
        start + count <= source.count && source[start..<(start + count)].allSatisfy { $0 == UInt8(ascii: "#") }
    }

    // MARK: Regular expressions

    /// A slash is the beginning of a regular expression, not a division, when no value stands before it and another slash ends it
    /// on the same line.
    private var beginsRegex: Bool {
        if starts("#/") { return true }
        guard source[index] == UInt8(ascii: "/"), !starts(" ", at: 1), let end = regexEnd(from: index + 1), end > index + 1 else {
            return false
        }
        let before = source[..<index].last { $0 != space }
        return before.map { Array("([{,=:;!&|?\n".utf8).contains($0) } ?? true
    }

    private mutating func readRegex() {
        if starts("#/") {
            index += 2
            while index < source.count, !starts("/#") { index += 1 }
            index = min(index + 2, source.count)
        } else if let end = regexEnd(from: index + 1) {
            index = end + 1
        }
    }

    private func regexEnd(from start: Int) -> Int? {
        var position = start
        while position < source.count, source[position] != newline {
            if source[position] == UInt8(ascii: "/") { return position }
            position += source[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }
}

private let newline = UInt8(ascii: "\n")
private let space = UInt8(ascii: " ")
