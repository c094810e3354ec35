import Primitives
import Store

/// Appends plain values to bytes: integers in their full width, lowest byte first; texts after their length.
struct JournalWriter {
    /// Those that are written, and room for more.
    private var room: [UInt8]
    private var count = 0

    init(reserving count: Int) { room = [UInt8](repeating: 0, count: max(count, 64)) }

    var bytes: [UInt8] { Array(room.prefix(count)) }

    mutating func put<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        let place = take(MemoryLayout<Value>.size)
        room.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: place, as: Value.self) }
    }

    /// Where the next bytes go: so many.
    private mutating func take(_ size: Int) -> Int {
        if count + size > room.count { room.append(contentsOf: repeatElement(0, count: max(size, room.count))) }
        defer { count += size }
        return count
    }

    mutating func put(_ value: Bool) { put(value ? 1 : 0 as UInt8) }

    mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            put(UInt32(utf8.count))
            let place = take(utf8.count)
            room.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[place...]).copyMemory(from: UnsafeRawBufferPointer(utf8))
            }
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
