import Primitives

/// A type whose form on the wire is not that of its stored properties: its schema is written down, and a sample of it is given
/// to decoders that ask for one.
protocol SchemaDescribed: Decodable {
    static var schema: JSONNode { get }
    static var sample: Self { get }
}

extension ID: SchemaDescribed {
    static var schema: JSONNode { ["type": "string", "pattern": .text(pattern)] }
    static var sample: Self { Self(bits: 0x0AF3_1C22_99D0_4BE1) }
    static var pattern: String { "^\(Kind.prefix)-0[0-9a-f]{16}$" }
}

extension Instant: SchemaDescribed {
    static var schema: JSONNode {
        ["type": "string", "format": "date-time", "description": "RFC 3339 in UTC (`Z`), with up to 6 fraction digits."]
    }
    static var sample: Self { Instant(seconds: 1_800_000_000) }
}

extension Currency: SchemaDescribed {
    static var schema: JSONNode { ["type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217."] }
    static var sample: Self { .eur }
}

extension Refusal.Fact: SchemaDescribed {
    static var schema: JSONNode { ["type": ["integer", "string"]] }
    static var sample: Self { .number(1) }
}

extension Bool: SchemaDescribed {
    static var schema: JSONNode { ["type": "boolean"] }
    static var sample: Bool { true }
}

extension String: SchemaDescribed {
    static var schema: JSONNode { ["type": "string"] }
    static var sample: String { "text" }
}

extension Int64: SchemaDescribed {
    static var schema: JSONNode { ["type": "integer", "format": "int64"] }
    static var sample: Int64 { 1 }
}

extension Int: SchemaDescribed {
    static var schema: JSONNode { Int64.schema }
    static var sample: Int { 1 }
}

// MARK: - Types made of other types

/// An array: the schema is that of its elements.
protocol ListShape {
    static var element: any Decodable.Type { get }
    static func list(of sample: any Decodable) -> Any
}

extension Array: ListShape where Element: Decodable {
    static var element: any Decodable.Type { Element.self }
    static func list(of sample: any Decodable) -> Any { [sample].compactMap { $0 as? Element } }
}

/// A dictionary with text keys: a JSON object with members of one form.
protocol MapShape {
    static var element: any Decodable.Type { get }
    static func map(of sample: any Decodable) -> Any
}

extension Dictionary: MapShape where Key == String, Value: Decodable {
    static var element: any Decodable.Type { Value.self }
    static func map(of sample: any Decodable) -> Any { ["name": sample].compactMapValues { $0 as? Value } }
}
