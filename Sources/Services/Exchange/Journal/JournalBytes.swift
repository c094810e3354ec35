import Primitives
import Store

/// Appends plain values to bytes: integers in their full width, lowest byte first; texts after their length.
struct JournalWriter {
    private(set) var bytes: [UInt8] = []

    init(reserving count: Int) { bytes.reserveCapacity(count) }

    mutating func put(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }

    mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            put(UInt32(utf8.count))
            bytes.append(contentsOf: utf8)
        }
    }

    mutating func put(_ value: some RawRepresentable<String>) { put(value.rawValue) }
    mutating func put(_ id: ID<some IDKind>) { put(id.bits) }
    mutating func put(_ instant: Instant) { put(instant.microseconds) }

    mutating func put<Value>(_ value: Value?, _ write: (inout JournalWriter, Value) -> Void) {
        put(value != nil)
        if let value { write(&self, value) }
    }
}

/// Takes the same values out again. Whatever does not fit is an error: the journal was not written by this program.
struct JournalReader {
    private let bytes: [UInt8]
    private var place = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { place == bytes.count }

    mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws -> Value {
        let size = MemoryLayout<Value>.size
        try need(size)
        defer { place += size }
        var value: Value = 0
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: bytes[place..<(place + size)]) }
        return Value(littleEndian: value)
    }

    mutating func bool() throws -> Bool { try integer(UInt8.self) != 0 }

    mutating func text() throws -> String {
        let count = Int(try integer(UInt32.self))
        try need(count)
        defer { place += count }
        return String(decoding: bytes[place..<(place + count)], as: UTF8.self)
    }

    mutating func value<Value: RawRepresentable<String>>(_: Value.Type = Value.self) throws -> Value {
        let raw = try text()
        guard let value = Value(rawValue: raw) else { throw StoreError.corrupted("the journal says '\(raw)' where a \(Value.self) stands") }
        return value
    }

    mutating func id<Kind>() throws -> ID<Kind> { ID(bits: try integer()) }
    mutating func instant() throws -> Instant { Instant(microseconds: try integer()) }

    mutating func optional<Value>(_ read: (inout JournalReader) throws -> Value) throws -> Value? {
        try bool() ? try read(&self) : nil
    }

    private func need(_ count: Int) throws {
        guard count <= bytes.count - place else { throw StoreError.corrupted("a batch of the journal ends too early") }
    }
}
