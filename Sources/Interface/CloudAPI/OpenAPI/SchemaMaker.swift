/// Makes JSON Schemas (2020-12, as OpenAPI 3.1 uses it) of wire types, by decoding each type from a decoder that has no data:
/// it notes which keys the type asks for and as what, and answers with samples.
///
/// So the schema says what the decoder does, whether the type's `init(from:)` was written by hand or by the compiler. Named types go
/// into `components`, everything else stands where it is used.
struct SchemaMaker {
    /// Schemas of named types, by name.
    private(set) var components: [String: JSONNode] = [:]
    /// The type behind each name, to notice two types that would share one.
    private var types: [String: ObjectIdentifier] = [:]
    /// Objects being described, outermost first.
    private var open: [ObjectIdentifier] = []

    init() {}

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The schema of a type, and a value of it. A named type's schema is a reference to its component.
    mutating func describe(_ type: any Decodable.Type) throws -> (schema: JSONNode, sample: any Decodable) {
        if let known = type as? any SchemaDescribed.Type { return (known.schema, known.sample) }
        if let list = type as? any ListShape.Type { return try describe(list, as: type) }
        if let map = type as? any MapShape.Type { return try describe(map, as: type) }
        if let choice = type as? any CaseIterable.Type { return try describe(choice, as: type) }
        return try describeObject(type)
    }

    private mutating func describe(_ list: any ListShape.Type, as type: any Decodable.Type) throws -> (JSONNode, any Decodable) {
        let (schema, sample) = try describe(list.element)
        return (["type": "array", "items": schema], try Self.cast(list.list(of: sample), to: type))
    }

    private mutating func describe(_ map: any MapShape.Type, as type: any Decodable.Type) throws -> (JSONNode, any Decodable) {
        let (schema, sample) = try describe(map.element)
        return (["type": "object", "additionalProperties": schema], try Self.cast(map.map(of: sample), to: type))
    }

    private mutating func describe(_ choice: any CaseIterable.Type, as type: any Decodable.Type) throws -> (JSONNode, any Decodable) {
        let cases = Self.cases(choice)
        let texts = cases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
        guard let first = cases.first, texts.count == cases.count else {
            throw Failure(description: "\(type) is an enum without text values; describe it by hand (SchemaDescribed)")
        }
        let name = try reserve(type)
        components[name] = ["type": "string", "enum": .array(texts.map(JSONNode.text))]
        return (Self.reference(name), try Self.cast(first, to: type))
    }

    private mutating func describeObject(_ type: any Decodable.Type) throws -> (JSONNode, any Decodable) {
        let name = try reserve(type)
        guard !open.contains(ObjectIdentifier(type)) else { throw Failure(description: "\(type) contains itself") }
        open.append(ObjectIdentifier(type))
        let decoder = RecordingDecoder(self)
        let sample = try type.init(from: decoder)
        self = decoder.recording.maker
        open.removeLast()
        components[name] = decoder.recording.schema
        return (Self.reference(name), sample)
    }

    private mutating func reserve(_ type: any Decodable.Type) throws -> String {
        let name = Self.name(of: type)
        guard types.updateValue(ObjectIdentifier(type), forKey: name) ?? ObjectIdentifier(type) == ObjectIdentifier(type) else {
            throw Failure(description: "two types would be called \(name) in the document")
        }
        return name
    }

    static func reference(_ name: String) -> JSONNode { ["$ref": .text("#/components/schemas/\(name)")] }

    /// `CloudAPI.ImageFile.Part` → `ImageFilePart`, `CloudAPI.Page<CloudAPI.OrderView>` → `OrderViewPage`.
    static func name(of type: any Any.Type) -> String {
        let full = String(reflecting: type)
        let parts = full.split(whereSeparator: { "<>, ".contains($0) }).map { $0.split(separator: ".").dropFirst().joined() }
        return parts.reversed().joined()
    }

    private static func cases<T: CaseIterable>(_ type: T.Type) -> [Any] { T.allCases.map { $0 } }

    private static func cast(_ value: Any, to type: any Decodable.Type) throws -> any Decodable {
        guard let value = value as? any Decodable else { throw Failure(description: "\(type) has no sample") }
        return value
    }
}
