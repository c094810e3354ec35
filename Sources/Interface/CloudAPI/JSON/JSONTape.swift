/// A JSON text, cut into its values: what stands where, nothing copied.
///
/// Strict (RFC 8259): what is not valid gives no tape. Nor does what is rare and would need care: text beyond ASCII or with escapes,
/// fractions, very deep nesting.
final class JSONTape {
    enum Kind: UInt8 { case object, list, text, number, yes, no, null }

    struct Token {
        var kind: Kind
        /// Of texts what is between the quotes.
        var start: Int
        var end: Int
        /// The token after this value and all in it.
        var next = 0
        /// Members or elements.
        var count = 0
        /// Of a member's key: the member was asked for.
        var isRead = false
    }

    let bytes: UnsafeRawBufferPointer
    private(set) var tokens: ContiguousArray<Token> = []
    /// Members that nobody asked for.
    private(set) var unread = 0
    /// Something was asked for that only Foundation does.
    var isBeyond = false
    private var index = 0
    private static let deepest = 64
    /// Members are looked for one after the other.
    static let mostMembers = 64

    /// The bytes must outlive it.
    init?(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        tokens.reserveCapacity(bytes.count / 8 + 4)
        guard readValue(depth: 0) else { return nil }
        skipSpace()
        guard index == bytes.count else { return nil }
    }

    private func skipSpace() {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x0A, 0x0D, 0x09: index += 1
            default: return
            }
        }
    }

    private func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    private func readValue(depth: Int) -> Bool {
        skipSpace()
        guard index < bytes.count, depth < Self.deepest else { return false }
        switch bytes[index] {
        case UInt8(ascii: "{"): return readObject(depth)
        case UInt8(ascii: "["): return readList(depth)
        case UInt8(ascii: "\""): return readText()
        case UInt8(ascii: "t"): return readWord("true", .yes)
        case UInt8(ascii: "f"): return readWord("false", .no)
        case UInt8(ascii: "n"): return readWord("null", .null)
        default: return readNumber()
        }
    }

    private func open(_ kind: Kind) -> Int {
        tokens.append(Token(kind: kind, start: index, end: index))
        index += 1
        skipSpace()
        return tokens.count - 1
    }

    private func close(_ token: Int, _ count: Int) -> Bool {
        tokens[token].next = tokens.count
        tokens[token].count = count
        return true
    }

    private func readObject(_ depth: Int) -> Bool {
        let (token, end) = (open(.object), UInt8(ascii: "}"))
        if take(end) { return close(token, 0) }
        var count = 0
        while true {
            skipSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\""), readText() else { return false }
            skipSpace()
            guard take(UInt8(ascii: ":")), readValue(depth: depth + 1) else { return false }
            count += 1
            unread += 1
            skipSpace()
            if take(end) { return close(token, count) }
            guard take(UInt8(ascii: ",")) else { return false }
        }
    }

    private func readList(_ depth: Int) -> Bool {
        let (token, end) = (open(.list), UInt8(ascii: "]"))
        if take(end) { return close(token, 0) }
        var count = 0
        while true {
            guard readValue(depth: depth + 1) else { return false }
            count += 1
            skipSpace()
            if take(end) { return close(token, count) }
            guard take(UInt8(ascii: ",")) else { return false }
        }
    }

    private func readText() -> Bool {
        index += 1
        let start = index
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                tokens.append(Token(kind: .text, start: start, end: index, next: tokens.count + 1))
                index += 1
                return true
            case 0..<0x20, UInt8(ascii: "\\"), 0x80...: return false
            default: index += 1
            }
        }
        return false
    }

    private func readWord(_ word: StaticString, _ kind: Kind) -> Bool {
        let end = index + word.utf8CodeUnitCount
        guard end <= bytes.count, word.withUTF8Buffer({ bytes[index..<end].elementsEqual($0) }) else { return false }
        tokens.append(Token(kind: kind, start: index, end: end, next: tokens.count + 1))
        index = end
        return true
    }

    /// Whole numbers only: a fraction or an exponent after it is not what may follow a value, so there is no tape.
    private func readNumber() -> Bool {
        let start = index
        _ = take(UInt8(ascii: "-"))
        let digits = index
        while index < bytes.count, (48...57).contains(bytes[index]) { index += 1 }
        guard index > digits, index - digits == 1 || bytes[digits] != 48 else { return false }
        tokens.append(Token(kind: .number, start: start, end: index, next: tokens.count + 1))
        return true
    }

    // MARK: Reading

    func text(_ token: Int) -> String? {
        let it = tokens[token]
        guard it.kind == .text else { return nil }
        return String(decoding: UnsafeRawBufferPointer(rebasing: bytes[it.start..<it.end]), as: UTF8.self)
    }

    func number<Number: FixedWidthInteger>(_ token: Int, _ type: Number.Type) -> Number? {
        let it = tokens[token]
        guard it.kind == .number else { return nil }
        let isNegative = bytes[it.start] == UInt8(ascii: "-")
        var number: Number = 0
        for index in (isNegative ? it.start + 1 : it.start)..<it.end {
            let digit = Number(truncatingIfNeeded: bytes[index] &- 48)
            let (shifted, tooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = isNegative ? shifted.subtractingReportingOverflow(digit) : shifted.addingReportingOverflow(digit)
            guard !tooLarge, !overflow else { return nil }
            number = sum
        }
        return number
    }

    /// The token of a member's value. A key that is there twice is for Foundation to decide.
    func member(_ key: String, of object: Int) -> Int? {
        var key = key
        return key.withUTF8 { wanted in
            var found: Int?
            var token = object + 1
            for _ in 0..<tokens[object].count {
                let it = tokens[token]
                if it.end - it.start == wanted.count, bytes[it.start..<it.end].elementsEqual(wanted) {
                    if found != nil { isBeyond = true }
                    found = token + 1
                    if !it.isRead {
                        tokens[token].isRead = true
                        unread -= 1
                    }
                }
                token = tokens[token + 1].next
            }
            return found
        }
    }

    func keys(of object: Int) -> [String] {
        var token = object + 1
        return (0..<tokens[object].count).compactMap { _ in
            defer { token = tokens[token + 1].next }
            return text(token)
        }
    }
}
