import Foundation

/// Writes values as `JSONEncoder` does with sorted keys, straight into bytes.
///
/// Foundation's encoder makes a tree of objects and dictionaries first, which took a sixth of connect's time for a launch. This one
/// writes what it understands, which is all this project's types do; anything else it leaves to Foundation, so that the text of a value
/// never depends on who wrote it.
enum JSONTextEncoder {
    /// Nil when it is beyond this.
    static func bytes(of value: some Encodable) -> [UInt8]? {
        let output = JSONOutput()
        guard (try? output.writeValue(value)) != nil, !output.isBeyond else { return nil }
        return output.bytes
    }
}

/// The text so far, shared by all containers of one value.
final class JSONOutput {
    var bytes: [UInt8] = []
    /// Something was asked for that only Foundation does.
    var isBeyond = false
    /// For members on their way into order.
    private var scratch: [UInt8] = []

    init() { bytes.reserveCapacity(1_024) }

    func writeValue<Value: Encodable>(_ value: Value) throws {
        guard !Self.isSpecial(Value.self) else { return isBeyond = true }
        let encoder = JSONValueEncoder(self)
        try value.encode(to: encoder)
        encoder.finish()
    }

    /// Types that Foundation's encoder treats in a way of its own.
    private static func isSpecial(_ type: Any.Type) -> Bool {
        type == Date.self || type == Data.self || type == URL.self || type == Decimal.self
    }

    func write(_ flag: Bool) { bytes.append(contentsOf: flag ? "true".utf8 : "false".utf8) }
    func writeNull() { bytes.append(contentsOf: "null".utf8) }

    func writeNumber(_ number: some FixedWidthInteger) {
        guard number >= 0, number < 10 else { return bytes.append(contentsOf: String(number).utf8) }
        bytes.append(48 + UInt8(truncatingIfNeeded: number))
    }

    func write(_ text: String) {
        var text = text
        bytes.append(0x22)
        text.withUTF8 { utf8 in
            var start = 0
            for index in utf8.indices where utf8[index] < 0x20 || utf8[index] == 0x22 || utf8[index] == 0x5C {
                bytes.append(contentsOf: utf8[start..<index])
                escape(utf8[index])
                start = index + 1
            }
            bytes.append(contentsOf: utf8[start...])
        }
        bytes.append(0x22)
    }

    /// RFC 8259, section 7, with the short forms where there are any.
    private func escape(_ byte: UInt8) {
        bytes.append(0x5C)
        switch byte {
        case 0x22, 0x5C: bytes.append(byte)
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        default:
            let digits = Array("0123456789abcdef".utf8)
            bytes.append(contentsOf: [UInt8(ascii: "u"), 48, 48, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
    }

    /// Puts members that were written one after the other from `start` on into the order of their keys, with commas between them.
    func sort(_ members: inout [JSONMember], from start: Int) {
        members.sort { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        scratch.removeAll(keepingCapacity: true)
        for (index, member) in members.enumerated() {
            if index > 0 {
                // Of two members with one key the later wins, and that is Foundation's to decide.
                if members[index - 1].key == member.key { isBeyond = true }
                scratch.append(0x2C)
            }
            scratch.append(contentsOf: bytes[member.start..<member.end])
        }
        bytes.removeSubrange(start...)
        bytes.append(contentsOf: scratch)
    }
}

/// A key, and where it stands with its value.
struct JSONMember {
    let key: String
    let start: Int
    let end: Int
}

/// One value on its way into text.
final class JSONValueEncoder: Encoder {
    private enum Shape { case nothing, single, list, object }

    let output: JSONOutput
    private var shape = Shape.nothing
    private var start = 0
    private var members: [JSONMember] = []
    private(set) var count = 0

    init(_ output: JSONOutput) { self.output = output }

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        open(.object, with: 0x7B)
        return KeyedEncodingContainer(JSONObjectEncoder<Key>(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        open(.list, with: 0x5B)
        return JSONListEncoder(encoder: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { JSONSingleEncoder(encoder: self) }

    /// A type may ask for its container again, but not for one of another shape.
    private func open(_ wanted: Shape, with bracket: UInt8) {
        if shape == wanted { return }
        guard shape == .nothing else { return output.isBeyond = true }
        shape = wanted
        output.bytes.append(bracket)
        start = output.bytes.count
    }

    func single() {
        if shape != .nothing { output.isBeyond = true }
        shape = .single
    }

    func member(_ key: some CodingKey, _ write: () throws -> Void) rethrows {
        let (key, start) = (key.stringValue, output.bytes.count)
        output.write(key)
        output.bytes.append(0x3A)
        try write()
        members.append(JSONMember(key: key, start: start, end: output.bytes.count))
    }

    func element(_ write: () throws -> Void) rethrows {
        if count > 0 { output.bytes.append(0x2C) }
        count += 1
        try write()
    }

    func finish() {
        switch shape {
        case .nothing: output.isBeyond = true
        case .single: break
        case .list: output.bytes.append(0x5D)
        case .object:
            output.sort(&members, from: start)
            output.bytes.append(0x7D)
        }
    }
}
