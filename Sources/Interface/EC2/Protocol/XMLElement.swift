/// A parsed XML element, for clients of the EC2 API. Reads what `XMLWriter` and EC2 write: elements, text, character
/// references and predefined entities; attributes, comments and the declaration are skipped, document types are refused.
public struct XMLElement: Sendable, Hashable {
    public var name: String
    public var text: String
    public var children: [XMLElement]

    /// The first child of that name.
    public subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

    /// The elements of a list: its `item` children.
    public var items: [XMLElement] { children.filter { $0.name == "item" } }

    /// Nil when the document is not well-formed.
    public init?(document: some Sequence<UInt8>) {
        var parser = XMLParser(bytes: Array(document))
        guard let root = parser.document() else { return nil }
        self = root
    }

    init(name: String, text: String, children: [XMLElement]) {
        self.name = name
        self.text = text
        self.children = children
    }
}

private struct XMLParser {
    private static let deepest = 64
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() -> XMLElement? {
        guard skipMiscellany(), let root = element(depth: 0), skipMiscellany(), position == bytes.count else { return nil }
        return root
    }

    /// Blanks, comments and processing instructions.
    private mutating func skipMiscellany() -> Bool {
        while position < bytes.count {
            if isBlank(bytes[position]) {
                position += 1
            } else if take("<?") {
                guard skip(past: "?>") else { return false }
            } else if take("<!--") {
                guard skip(past: "-->") else { return false }
            } else {
                break
            }
        }
        return true
    }

    private mutating func element(depth: Int) -> XMLElement? {
        guard depth < Self.deepest, take("<"), let name = name() else { return nil }
        guard let empty = skipAttributes() else { return nil }
        var element = XMLElement(name: name, text: "", children: [])
        if empty { return element }
        var text: [UInt8] = []
        while position < bytes.count {
            if take("</") {
                guard self.name() == name else { return nil }
                skipBlanks()
                guard take(">"), let decoded = String(validating: text, as: UTF8.self) else { return nil }
                element.text = element.children.isEmpty ? decoded : ""
                return element
            } else if take("<!--") {
                guard skip(past: "-->") else { return nil }
            } else if bytes[position] == UInt8(ascii: "<") {
                guard let child = self.element(depth: depth + 1) else { return nil }
                element.children.append(child)
            } else if bytes[position] == UInt8(ascii: "&") {
                guard let character = reference() else { return nil }
                text += String(character).utf8
            } else {
                text.append(bytes[position])
                position += 1
            }
        }
        return nil
    }

    /// True: the element is empty (`/>`); nil: malformed.
    private mutating func skipAttributes() -> Bool? {
        while position < bytes.count {
            skipBlanks()
            if take(">") { return false }
            if take("/>") { return true }
            guard name() != nil, take("="), position < bytes.count else { return nil }
            let quote = bytes[position]
            guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"),
                let end = bytes[(position + 1)...].firstIndex(of: quote)
            else { return nil }
            position = end + 1
        }
        return nil
    }

    private mutating func name() -> String? {
        let start = position
        while position < bytes.count, !isBlank(bytes[position]), !"<>/=&'\"".utf8.contains(bytes[position]) { position += 1 }
        return position > start ? String(validating: bytes[start..<position], as: UTF8.self) : nil
    }

    private mutating func reference() -> Character? {
        guard let end = bytes[position...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let body = String(decoding: bytes[(position + 1)..<end], as: UTF8.self)
        position = end + 1
        switch body {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default: break
        }
        guard body.hasPrefix("#") else { return nil }
        let digits = body.dropFirst(body.hasPrefix("#x") ? 2 : 1)
        return UInt32(digits, radix: body.hasPrefix("#x") ? 16 : 10).flatMap(Unicode.Scalar.init).map(Character.init)
    }

    private mutating func take(_ text: StaticString) -> Bool {
        let expected = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes[position...].starts(with: expected) else { return false }
        position += expected.count
        return true
    }

    private mutating func skip(past text: StaticString) -> Bool {
        while position < bytes.count {
            if take(text) { return true }
            position += 1
        }
        return false
    }

    private mutating func skipBlanks() {
        while position < bytes.count, isBlank(bytes[position]) { position += 1 }
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 10 || byte == 13 }
}
