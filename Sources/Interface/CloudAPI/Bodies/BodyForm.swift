import Synchronization

/// The form of a wire type as JSON: made from its schema, to say what is wrong with a body.
indirect enum BodyForm: Sendable {
    struct Field: Sendable {
        var name: String
        var form: BodyForm
        var isRequired: Bool
    }

    case object([Field])
    /// An object whose members have names of the caller's choice.
    case map(BodyForm)
    case list(BodyForm)
    /// One of these texts.
    case choice([String])
    /// - Parameters:
    ///   - pattern: a regular expression it must match, if any.
    ///   - example: of one that would do, if not any does.
    case text(pattern: String?, example: String?)
    case number
    case flag
    case any

    /// The form of a type; nil: it cannot be told.
    static func of(_ type: any Decodable.Type) -> BodyForm? {
        if let known = made.withLock({ $0[ObjectIdentifier(type)] }) { return known }
        var maker = SchemaMaker()
        guard let (schema, _) = try? maker.describe(type) else { return nil }
        let form = BodyForm(schema, maker.components)
        made.withLock { $0[ObjectIdentifier(type)] = form }
        return form
    }

    /// There are as many as types of requests.
    private static let made = Mutex<[ObjectIdentifier: BodyForm]>([:])

    private init(_ schema: JSONNode, _ components: [String: JSONNode]) {
        if case .text(let reference)? = schema["$ref"] {
            let name = String(reference.split(separator: "/").last ?? "")
            self = components[name].map { BodyForm($0, components) } ?? .any
            return
        }
        guard case .text(let type)? = schema["type"] else {
            self = .any
            return
        }
        switch type {
        case "object": self = Self.object(schema, components)
        case "array": self = .list(schema["items"].map { BodyForm($0, components) } ?? .any)
        case "string": self = Self.text(schema)
        case "integer": self = .number
        case "boolean": self = .flag
        default: self = .any
        }
    }

    private static func object(_ schema: JSONNode, _ components: [String: JSONNode]) -> BodyForm {
        if let members = schema["additionalProperties"] { return .map(BodyForm(members, components)) }
        guard case .object(let properties)? = schema["properties"] else { return .object([]) }
        var required: [JSONNode] = []
        if case .array(let names)? = schema["required"] { required = names }
        return .object(
            properties.map {
                Field(name: $0.name, form: BodyForm($0.value, components), isRequired: required.contains(.text($0.name)))
            })
    }

    private static func text(_ schema: JSONNode) -> BodyForm {
        if case .array(let values)? = schema["enum"] {
            return .choice(values.compactMap { if case .text(let value) = $0 { value } else { nil } })
        }
        if case .text(let pattern)? = schema["pattern"] {
            // Identifiers, and codes of three letters.
            let isIdentifier = pattern.hasSuffix("-0[0-9a-f]{16}$")
            let example = isIdentifier ? String(pattern.dropFirst().prefix { $0 != "-" }) + "-00af31c2299d04be1" : "EUR"
            return .text(pattern: pattern, example: example)
        }
        if case .text("date-time")? = schema["format"] { return .text(pattern: timePattern, example: "2027-01-15T08:00:00Z") }
        return .text(pattern: nil, example: nil)
    }

    /// RFC 3339 in UTC.
    private static let timePattern = #"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?[Zz]$"#

    /// In words, as in "is not …".
    var words: String {
        switch self {
        case .object, .map: "an object"
        case .list: "a list"
        case .choice, .text: "a string"
        case .number: "a whole number"
        case .flag: "true or false"
        case .any: "a value"
        }
    }
}
