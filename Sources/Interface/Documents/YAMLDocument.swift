import CloudAPI
import Foundation
public import Primitives
import Yams

/// Reads what people write down in YAML (1.1; JSON is YAML, too) into the wire's types, strictly: what the type does not know is refused
/// with its line and column, and not silently passed over.
public enum YAMLDocument {
    public static func read<Value: Codable>(_ type: Value.Type, from text: String) throws(Refusal) -> Value {
        let root = try compose(text)
        let value: Value
        do {
            value = try YAMLDecoder().decode(type, from: root)
        } catch {
            throw refusal(error, root, type)
        }
        guard let data = try? WireJSON.encode(value), let known = try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
        else {
            throw Refusal("document.value", .invalid, "The document has a value that cannot be kept.", nearest: "texts and whole numbers")
        }
        try check(root, against: known, type, [])
        return value
    }

    /// A document that reads as this value.
    public static func write(_ value: some Encodable) throws -> String {
        let encoder = YAMLEncoder()
        encoder.options.width = -1
        return try encoder.encode(value)
    }

    private static func compose(_ text: String) throws(Refusal) -> Node {
        do {
            if let root = try Yams.compose(yaml: text) { return root }
        } catch let error as YamlError {
            throw refusal(error)
        } catch {
            throw Refusal("document.yaml", .invalid, "The document cannot be read: \(error).", nearest: wellFormed)
        }
        throw Refusal("document.yaml", .invalid, "The document is empty.", nearest: "a document with `key: value` lines")
    }

    // MARK: What the type does not know

    /// Everything that was read stands in the value again. What does not was not understood.
    private static func check(
        _ node: Node, against known: Any, _ type: any Decodable.Type, _ path: [String]
    ) throws(Refusal) {
        if let mapping = node.mapping {
            guard let members = known as? [String: Any] else { return }
            for (key, value) in mapping {
                let name = key.string ?? ""
                guard let member = members[name] else {
                    let fields = BodyReader.fields(of: type, at: path)
                    throw unknown(key, name, value, (fields.isEmpty ? Array(members.keys) : fields).sorted())
                }
                try check(value, against: member, type, path + [name])
            }
        } else if let sequence = node.sequence {
            guard let items = known as? [Any], items.count == sequence.count else { return }
            for (index, (value, item)) in zip(sequence, items).enumerated() {
                try check(value, against: item, type, path + ["\(index)"])
            }
        }
    }

    private static func unknown(_ key: Node, _ name: String, _ value: Node, _ others: [String]) -> Refusal {
        let isEmpty = value.scalar.map { $0.string.isEmpty || $0.string == "~" || $0.string == "null" } ?? false
        if isEmpty, others.contains(name) || others.isEmpty {
            return Refusal(
                "document.key", .invalid, "\(place(key)): '\(name)' has no value.", facts: ["key": .text(name)],
                nearest: "leave it out, or write [] for an empty list")
        }
        return Refusal(
            "document.key", .invalid, "\(place(key)): '\(name)' is not known here, beside \(others.joined(separator: ", ")).",
            facts: ["key": .text(name)],
            nearest: (others.contains(name) ? nil : NearestNames.text(others, to: name)) ?? "another spelling, or without it")
    }

    // MARK: Errors with their place

    private static let wellFormed = "YAML 1.1 or JSON"

    private static func place(_ node: Node) -> String { place(node.mark) }
    private static func place(_ mark: Mark?) -> String { mark.map { "line \($0.line), column \($0.column)" } ?? "somewhere" }

    private static func refusal(_ error: YamlError) -> Refusal {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            Refusal(
                "document.yaml", .invalid, "\(place(mark)): \(problem).",
                facts: ["line": .number(Int64(mark.line)), "column": .number(Int64(mark.column))], nearest: wellFormed)
        case .duplicatedKeysInMapping(let duplicates, let context):
            Refusal(
                "document.yaml", .invalid, "\(place(context.mark)): a key stands twice: \(duplicates.joined(separator: ", ")).",
                nearest: "once")
        default: Refusal("document.yaml", .invalid, "The document cannot be read: \(error).", nearest: wellFormed)
        }
    }

    private static func refusal(_ error: any Error, _ root: Node, _ type: any Decodable.Type) -> Refusal {
        if let error = error as? YamlError { return refusal(error) }
        guard let error = error as? DecodingError else {
            return Refusal("document.value", .invalid, "The document cannot be read: \(error).", nearest: wellFormed)
        }
        let path: [any CodingKey] =
            switch error {
            case .keyNotFound(_, let context), .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                context.codingPath
            @unknown default: []
            }
        let names = path.map { $0.intValue.map(String.init) ?? $0.stringValue }
        let choices = BodyReader.choices(of: type, at: names)
        let problem =
            choices.isEmpty
            ? WireJSON.explain(error) : "the field '\(names.joined(separator: "."))' has none of the values that are allowed"
        return Refusal(
            "document.value", .invalid, "\(place(mark(at: path, in: root))): \(problem).",
            facts: ["field": .text(names.joined(separator: "."))],
            nearest: NearestNames.text(choices, to: text(at: path, in: root) ?? "", most: 24) ?? missing(error)
                ?? BodyReader.nearest(of: type, at: names) ?? wellFormed)
    }

    private static func missing(_ error: DecodingError) -> String? {
        guard case .keyNotFound(let key, _) = error else { return nil }
        return "the same with \(key.stringValue)"
    }

    private static func text(at path: [any CodingKey], in root: Node) -> String? { node(at: path, in: root).scalar?.string }
    private static func mark(at path: [any CodingKey], in root: Node) -> Mark? { node(at: path, in: root).mark }

    /// Where a path leads, or the last place on it that is there.
    private static func node(at path: [any CodingKey], in root: Node) -> Node {
        var node = root
        for key in path {
            if let index = key.intValue, let sequence = node.sequence, sequence.indices.contains(index) {
                node = sequence[index]
            } else if let next = node.mapping?[key.stringValue] {
                node = next
            } else {
                break
            }
        }
        return node
    }
}
