/// What a type asked its decoder for. Shared by the containers of one decoding.
final class SchemaRecording {
    var maker: SchemaMaker
    private var names: [String] = []
    private var schemas: [String: JSONNode] = [:]
    private var optional: Set<String> = []

    init(_ maker: SchemaMaker) { self.maker = maker }

    /// A type that asks whether a key is there can live without it.
    func asksWhetherPresent(_ name: String) { optional.insert(name) }

    func value<T: Decodable>(_ type: T.Type, for name: String) throws -> T {
        let (schema, sample) = try maker.describe(type)
        if schemas.updateValue(schema, forKey: name) == nil { names.append(name) }
        guard let value = sample as? T else { throw SchemaMaker.Failure(description: "the sample made for '\(name)' is no \(type)") }
        return value
    }

    /// The object with the members that were asked for, in that order.
    var schema: JSONNode {
        let required = names.filter { !optional.contains($0) }.map(JSONNode.text)
        let properties = names.compactMap { name in schemas[name].map { JSONNode.Member(name: name, value: $0) } }
        return .members([
            "type": "object", "required": required.isEmpty ? nil : .array(required),
            "properties": properties.isEmpty ? nil : .object(properties),
        ])
    }
}

/// A decoder without data, for objects; see `SchemaMaker`.
struct RecordingDecoder: Decoder {
    let recording: SchemaRecording
    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]

    init(_ maker: SchemaMaker) { recording = SchemaRecording(maker) }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(RecordingContainer<Key>(recording: recording))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw Self.unsupported }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { throw Self.unsupported }

    fileprivate static let unsupported = SchemaMaker.Failure(
        description: "the type decodes itself neither from an object nor in a way known here; describe it by hand (SchemaDescribed)")
}

private struct RecordingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let recording: SchemaRecording
    let codingPath: [any CodingKey] = []
    let allKeys: [Key] = []

    func contains(_ key: Key) -> Bool {
        recording.asksWhetherPresent(key.stringValue)
        return true
    }
    func decodeNil(forKey key: Key) throws -> Bool { false }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try recording.value(type, for: key.stringValue) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try recording.value(type, for: key.stringValue) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try recording.value(type, for: key.stringValue) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try recording.value(type, for: key.stringValue) }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try recording.value(type, for: key.stringValue) }

    // Numbers of other widths, and floating-point numbers, have no place on the wire.
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { throw RecordingDecoder.unsupported }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { throw RecordingDecoder.unsupported }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { throw RecordingDecoder.unsupported }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { throw RecordingDecoder.unsupported }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { throw RecordingDecoder.unsupported }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { throw RecordingDecoder.unsupported }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { throw RecordingDecoder.unsupported }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { throw RecordingDecoder.unsupported }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { throw RecordingDecoder.unsupported }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { throw RecordingDecoder.unsupported }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        throw RecordingDecoder.unsupported
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { throw RecordingDecoder.unsupported }
    func superDecoder() throws -> any Decoder { throw RecordingDecoder.unsupported }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw RecordingDecoder.unsupported }
}
