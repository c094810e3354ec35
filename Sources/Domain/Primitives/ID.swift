/// Identifiers: a prefix that says what a thing is, a dash, and 17 hexadecimal digits, e.g. `ctr-0af31c2299d04be17`.
///
/// The form is EC2's. The first digit is always 0, so an identifier is 64 bits in memory: comparing or hashing one touches
/// no heap. One identifier names one thing in all programs.
public struct ID<Kind: IDKind>: Hashable, Sendable, Comparable {
    public let bits: UInt64

    public init(bits: UInt64) { self.bits = bits }

    public static func < (a: Self, b: Self) -> Bool { a.bits < b.bits }
}

/// What an identifier names. Conforming types are empty enums.
public protocol IDKind: Sendable {
    /// The part before the dash, e.g. `ctr`.
    static var prefix: String { get }
}

extension ID: LosslessStringConvertible {
    /// Nil unless `text` has this kind's prefix and 17 lower-case hexadecimal digits, the first of them 0.
    public init?(_ text: String) {
        let prefix = Kind.prefix.utf8
        let bytes = text.utf8
        guard bytes.count == prefix.count + 18, bytes.starts(with: prefix) else { return nil }
        var rest = bytes.dropFirst(prefix.count)
        guard rest.popFirst() == UInt8(ascii: "-"), rest.popFirst() == UInt8(ascii: "0") else { return nil }
        var bits: UInt64 = 0
        for byte in rest {
            guard let digit = hexadecimalValue(byte) else { return nil }
            bits = bits << 4 | UInt64(digit)
        }
        self.bits = bits
    }

    public var description: String {
        let prefix = Kind.prefix.utf8
        return String(unsafeUninitializedCapacity: prefix.count + 18) { text in
            var place = 0
            for byte in prefix {
                text[place] = byte
                place += 1
            }
            text[place] = UInt8(ascii: "-")
            text[place + 1] = UInt8(ascii: "0")
            for digit in 0..<16 {
                let value = UInt8(truncatingIfNeeded: bits >> UInt64(60 - 4 * digit)) & 15
                text[place + 2 + digit] = value + (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
            }
            return place + 18
        }
    }
}

private func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
}

extension ID: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = Self(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is not an identifier of the form \(Kind.prefix)- and 17 hexadecimal digits")
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension ID: CodingKeyRepresentable {
    public var codingKey: any CodingKey { TextKey(stringValue: description) }
    public init?<Key: CodingKey>(codingKey: Key) { self.init(codingKey.stringValue) }
}

private struct TextKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// Where new identifiers come from. Programs use the system's randomness, tests and replays a seeded generator.
public protocol IDSource: Sendable {
    func nextBits() -> UInt64
}

extension IDSource {
    public func next<Kind>(_ kind: ID<Kind>.Type = ID<Kind>.self) -> ID<Kind> { ID(bits: nextBits()) }
}
