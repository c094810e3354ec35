import Foundation

/// Reads values as `JSONDecoder` does, from a tape instead of dictionaries.
///
/// It reads what is well formed and plain. Whatever it does not understand, or finds wrong, is read once more by Foundation, which
/// then says what is wrong with it: refusals and what is accepted are the same.
enum JSONTapeDecoder {
    /// Nil when it is beyond this, or wrong.
    static func value<Value: Decodable>(_ type: Value.Type, from data: Data) -> Value? { read(type, from: data)?.value }

    /// The value, and whether it asked for all that is there: what it did not ask for, it does not know.
    static func read<Value: Decodable>(_ type: Value.Type, from data: Data) -> (value: Value, isWhole: Bool)? {
        data.withUnsafeBytes { bytes in
            guard let tape = JSONTape(bytes), let value = try? JSONValueDecoder(tape, 0).value(type), !tape.isBeyond else { return nil }
            return (value, tape.unread == 0)
        }
    }
}

/// Not said to anybody: Foundation finds the same and says it better.
struct JSONMismatch: Error {}

/// One value of a tape.
struct JSONValueDecoder: Decoder {
    let tape: JSONTape
    let token: Int

    init(_ tape: JSONTape, _ token: Int) {
        self.tape = tape
        self.token = token
    }

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard tape.tokens[token].kind == .object else { throw JSONMismatch() }
        guard tape.tokens[token].count <= JSONTape.mostMembers else { throw beyond() }
        return KeyedDecodingContainer(JSONObjectDecoder<Key>(tape: tape, object: token))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard tape.tokens[token].kind == .list else { throw JSONMismatch() }
        return JSONListDecoder(tape: tape, list: token)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    func value<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if type == Date.self || type == Data.self || type == URL.self || type == Decimal.self { throw beyond() }
        return try Value(from: self)
    }

    func text() throws -> String {
        guard let text = tape.text(token) else { throw JSONMismatch() }
        return text
    }

    func number<Number: FixedWidthInteger>() throws -> Number {
        guard let number = tape.number(token, Number.self) else { throw JSONMismatch() }
        return number
    }

    func flag() throws -> Bool {
        switch tape.tokens[token].kind {
        case .yes: true
        case .no: false
        default: throw JSONMismatch()
        }
    }

    var isNull: Bool { tape.tokens[token].kind == .null }

    func beyond() -> JSONMismatch {
        tape.isBeyond = true
        return JSONMismatch()
    }
}

extension JSONValueDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { isNull }
    func decode(_ type: Bool.Type) throws -> Bool { try flag() }
    func decode(_ type: String.Type) throws -> String { try text() }
    func decode(_ type: Double.Type) throws -> Double { throw beyond() }
    func decode(_ type: Float.Type) throws -> Float { throw beyond() }
    func decode(_ type: Int.Type) throws -> Int { try number() }
    func decode(_ type: Int8.Type) throws -> Int8 { try number() }
    func decode(_ type: Int16.Type) throws -> Int16 { try number() }
    func decode(_ type: Int32.Type) throws -> Int32 { try number() }
    func decode(_ type: Int64.Type) throws -> Int64 { try number() }
    func decode(_ type: UInt.Type) throws -> UInt { try number() }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try number() }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try number() }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try number() }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try number() }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try value(type) }
}

struct JSONObjectDecoder<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let tape: JSONTape
    let object: Int

    init(tape: JSONTape, object: Int) {
        self.tape = tape
        self.object = object
    }

    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { tape.keys(of: object).compactMap(Key.init(stringValue:)) }
    func contains(_ key: Key) -> Bool { tape.member(key.stringValue, of: object) != nil }

    private func member(_ key: Key) throws -> JSONValueDecoder {
        guard let token = tape.member(key.stringValue, of: object) else { throw JSONMismatch() }
        return JSONValueDecoder(tape, token)
    }

    /// Nil when it is not there, or null.
    private func present(_ key: Key) -> JSONValueDecoder? {
        guard let token = tape.member(key.stringValue, of: object), tape.tokens[token].kind != .null else { return nil }
        return JSONValueDecoder(tape, token)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try member(key).isNull }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try member(key).flag() }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try member(key).text() }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { throw try member(key).beyond() }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { throw try member(key).beyond() }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try member(key).number() }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try member(key).number() }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try member(key).number() }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try member(key).number() }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try member(key).number() }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try member(key).number() }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try member(key).number() }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try member(key).number() }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try member(key).number() }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try member(key).number() }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try member(key).value(type) }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try present(key)?.flag() }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try present(key)?.text() }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try present(key)?.number() }
    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? { try present(key)?.value(type) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try member(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try member(key).unkeyedContainer() }
    func superDecoder() throws -> any Decoder { throw JSONValueDecoder(tape, object).beyond() }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw JSONValueDecoder(tape, object).beyond() }
}

struct JSONListDecoder: UnkeyedDecodingContainer {
    private let tape: JSONTape
    private let list: Int
    private var token: Int
    private(set) var currentIndex = 0

    init(tape: JSONTape, list: Int) {
        self.tape = tape
        self.list = list
        token = list + 1
    }

    var codingPath: [any CodingKey] { [] }
    var count: Int? { tape.tokens[list].count }
    var isAtEnd: Bool { currentIndex >= tape.tokens[list].count }

    private mutating func next<Value>(_ read: (JSONValueDecoder) throws -> Value) throws -> Value {
        guard !isAtEnd else { throw JSONMismatch() }
        let value = try read(JSONValueDecoder(tape, token))
        token = tape.tokens[token].next
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, tape.tokens[token].kind == .null else { return false }
        return try next { _ in true }
    }
    mutating func decode(_ type: Bool.Type) throws -> Bool { try next { try $0.flag() } }
    mutating func decode(_ type: String.Type) throws -> String { try next { try $0.text() } }
    mutating func decode(_ type: Double.Type) throws -> Double { try next { throw $0.beyond() } }
    mutating func decode(_ type: Float.Type) throws -> Float { try next { throw $0.beyond() } }
    mutating func decode(_ type: Int.Type) throws -> Int { try next { try $0.number() } }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try next { try $0.number() } }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try next { try $0.number() } }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try next { try $0.number() } }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try next { try $0.number() } }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try next { try $0.number() } }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try next { try $0.number() } }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try next { try $0.number() } }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try next { try $0.number() } }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try next { try $0.number() } }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next { try $0.value(type) } }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try next { try $0.container(keyedBy: type) }
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next { try $0.unkeyedContainer() } }
    mutating func superDecoder() throws -> any Decoder { try next { throw $0.beyond() } }
}
