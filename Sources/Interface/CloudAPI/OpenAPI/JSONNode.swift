/// A JSON value whose object members keep the order they were written in, so that a generated document reads top down and has
/// the same bytes every time.
enum JSONNode: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case text(String)
    case array([JSONNode])
    case object([Member])

    struct Member: Hashable, Sendable {
        var name: String
        var value: JSONNode
    }

    /// Indented by two spaces, with a newline at the end of each line but the last.
    func text(indentation: Int = 0) -> String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .text(let value): Self.quoted(value)
        case .array(let items): Self.block("[", items.map { $0.text(indentation: indentation + 1) }, "]", indentation)
        case .object(let members):
            Self.block("{", members.map { Self.quoted($0.name) + ": " + $0.value.text(indentation: indentation + 1) }, "}", indentation)
        }
    }

    /// The member of that name, when this is an object that has one.
    subscript(name: String) -> JSONNode? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// An object without the members whose value is nil.
    static func members(_ pairs: KeyValuePairs<String, JSONNode?>) -> JSONNode {
        .object(pairs.compactMap { name, value in value.map { Member(name: name, value: $0) } })
    }

    private static func block(_ open: String, _ lines: [String], _ close: String, _ indentation: Int) -> String {
        if lines.isEmpty { return open + close }
        let inner = "\n" + String(repeating: "  ", count: indentation + 1)
        return open + lines.map { inner + $0 }.joined(separator: ",") + "\n" + String(repeating: "  ", count: indentation) + close
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension JSONNode: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral {
    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(arrayLiteral elements: JSONNode...) { self = .array(elements) }
}

extension JSONNode: ExpressibleByDictionaryLiteral {
    typealias Key = String
    typealias Value = JSONNode

    init(dictionaryLiteral elements: (String, JSONNode)...) {
        self = .object(elements.map { Member(name: $0.0, value: $0.1) })
    }
}

extension JSONNode: Decodable {
    private struct MemberKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// From any decoder; object members in the order of their names.
    init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: MemberKey.self) {
            let names = object.allKeys.map(\.stringValue).sorted()
            self = .object(try names.map { Member(name: $0, value: try object.decode(JSONNode.self, forKey: MemberKey(stringValue: $0))) })
        } else if var array = try? decoder.unkeyedContainer() {
            var items: [JSONNode] = []
            while !array.isAtEnd { items.append(try array.decode(JSONNode.self)) }
            self = .array(items)
        } else {
            self = try Self.scalar(decoder.singleValueContainer())
        }
    }

    private static func scalar(_ container: any SingleValueDecodingContainer) throws -> JSONNode {
        if container.decodeNil() { return .null }
        if let value = try? container.decode(Bool.self) { return .bool(value) }
        if let value = try? container.decode(Int64.self) { return .integer(value) }
        return .text(try container.decode(String.self))
    }
}
