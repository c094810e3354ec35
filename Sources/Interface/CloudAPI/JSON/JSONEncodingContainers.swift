import Foundation

// The three kinds of containers that `Encoder` gives out.

struct JSONObjectEncoder<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: JSONValueEncoder
    var codingPath: [any CodingKey] { [] }
    private var output: JSONOutput { encoder.output }

    init(encoder: JSONValueEncoder) { self.encoder = encoder }

    func encodeNil(forKey key: Key) { encoder.member(key) { output.writeNull() } }
    func encode(_ value: Bool, forKey key: Key) { encoder.member(key) { output.write(value) } }
    func encode(_ value: String, forKey key: Key) { encoder.member(key) { output.write(value) } }
    func encode(_ value: Double, forKey key: Key) { output.isBeyond = true }
    func encode(_ value: Float, forKey key: Key) { output.isBeyond = true }
    func encode(_ value: Int, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: Int8, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: Int16, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: Int32, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: Int64, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: UInt, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: UInt8, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: UInt16, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: UInt32, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: UInt64, forKey key: Key) { encoder.member(key) { output.writeNumber(value) } }
    func encode(_ value: some Encodable, forKey key: Key) throws { try encoder.member(key) { try output.writeValue(value) } }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
        beyond().container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { beyond().unkeyedContainer() }
    func superEncoder() -> any Encoder { beyond() }
    func superEncoder(forKey key: Key) -> any Encoder { beyond() }

    /// These stay open while others are written.
    private func beyond() -> JSONValueEncoder { encoder.beyond() }
}

struct JSONListEncoder: UnkeyedEncodingContainer {
    let encoder: JSONValueEncoder
    var codingPath: [any CodingKey] { [] }
    var count: Int { encoder.count }
    private var output: JSONOutput { encoder.output }

    init(encoder: JSONValueEncoder) { self.encoder = encoder }

    func encodeNil() { encoder.element { output.writeNull() } }
    func encode(_ value: Bool) { encoder.element { output.write(value) } }
    func encode(_ value: String) { encoder.element { output.write(value) } }
    func encode(_ value: Double) { output.isBeyond = true }
    func encode(_ value: Float) { output.isBeyond = true }
    func encode(_ value: Int) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: Int8) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: Int16) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: Int32) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: Int64) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: UInt) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: UInt8) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: UInt16) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: UInt32) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: UInt64) { encoder.element { output.writeNumber(value) } }
    func encode(_ value: some Encodable) throws { try encoder.element { try output.writeValue(value) } }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        encoder.beyond().container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { encoder.beyond().unkeyedContainer() }
    func superEncoder() -> any Encoder { encoder.beyond() }
}

struct JSONSingleEncoder: SingleValueEncodingContainer {
    let encoder: JSONValueEncoder
    var codingPath: [any CodingKey] { [] }
    private var output: JSONOutput { encoder.output }

    init(encoder: JSONValueEncoder) { self.encoder = encoder }

    func encodeNil() { one { output.writeNull() } }
    func encode(_ value: Bool) { one { output.write(value) } }
    func encode(_ value: String) { one { output.write(value) } }
    func encode(_ value: Double) { output.isBeyond = true }
    func encode(_ value: Float) { output.isBeyond = true }
    func encode(_ value: Int) { one { output.writeNumber(value) } }
    func encode(_ value: Int8) { one { output.writeNumber(value) } }
    func encode(_ value: Int16) { one { output.writeNumber(value) } }
    func encode(_ value: Int32) { one { output.writeNumber(value) } }
    func encode(_ value: Int64) { one { output.writeNumber(value) } }
    func encode(_ value: UInt) { one { output.writeNumber(value) } }
    func encode(_ value: UInt8) { one { output.writeNumber(value) } }
    func encode(_ value: UInt16) { one { output.writeNumber(value) } }
    func encode(_ value: UInt32) { one { output.writeNumber(value) } }
    func encode(_ value: UInt64) { one { output.writeNumber(value) } }
    func encode(_ value: some Encodable) throws { try one { try output.writeValue(value) } }

    private func one(_ write: () throws -> Void) rethrows {
        encoder.single()
        try write()
    }
}

extension JSONValueEncoder {
    /// For what is to be thrown away.
    func beyond() -> JSONValueEncoder {
        output.isBeyond = true
        return JSONValueEncoder(JSONOutput())
    }
}
