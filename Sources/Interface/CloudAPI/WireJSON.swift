public import Foundation

/// JSON as all programs write and read it: sorted keys, so that equal values have equal bytes.
///
/// The common case is written and read by a plain coder of our own, the rest, and all that is wrong, by Foundation's.
public enum WireJSON {
    public static func encode(_ value: some Encodable) throws -> Data {
        if let bytes = JSONTextEncoder.bytes(of: value) { return Data(bytes) }
        return try encodeByFoundation(value)
    }

    /// What `encode` gives for everything, only slower.
    package static func encodeByFoundation(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }

    public static func text(_ value: some Encodable) throws -> String {
        if let bytes = JSONTextEncoder.bytes(of: value) { return String(decoding: bytes, as: UTF8.self) }
        return String(decoding: try encodeByFoundation(value), as: UTF8.self)
    }

    public static func decode<T: Decodable>(_ type: T.Type, from data: Data) throws -> T {
        try JSONTapeDecoder.value(type, from: data) ?? JSONDecoder().decode(type, from: data)
    }

    /// The largest amount of a whole number in a request, 2^53: what every JSON reader keeps exactly. Sums of thousands of such amounts, and
    /// a thousand of one, stay within 64 bits.
    public static let largestNumber: Int64 = 1 << 53

    /// The first whole number beyond `largestNumber`, above or below zero, as it is written; nil: there is none.
    public static func oversizedNumber(in data: Data) -> String? {
        var (isInText, isEscaped, isStarted, number) = (false, false, false, "")
        func isOversized() -> Bool {
            let digits = number.drop { $0 == "-" || $0 == "0" }
            if digits.contains(where: { !("0"..."9").contains($0) }) { return false }
            return digits.utf8.count > 16 || Int64(digits) ?? 0 > largestNumber
        }
        for byte in data {
            if isInText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else {
                    isInText = byte != UInt8(ascii: "\"")
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                // `true` and `false` have an e, and no digit before it.
                isStarted = isStarted || byte != UInt8(ascii: "e")
                if isStarted { number.unicodeScalars.append(Unicode.Scalar(byte)) }
            default:
                if isStarted, isOversized() { return number }
                (isStarted, number) = (false, "")
                isInText = byte == UInt8(ascii: "\"")
            }
        }
        return isStarted && isOversized() ? number : nil
    }

    /// A decoding error as one sentence that names the field.
    public static func explain(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, let context): "the field '\(path(context.codingPath + [key]))' is missing"
        case DecodingError.typeMismatch(let type, let context): "the field '\(path(context.codingPath))' is not \(typeName(type))"
        case DecodingError.valueNotFound(let type, let context):
            "the field '\(path(context.codingPath))' is null where \(typeName(type)) is needed"
        case DecodingError.dataCorrupted(let context):
            context.codingPath.isEmpty
                ? "the body is not valid JSON"
                : "the field '\(path(context.codingPath))' has a value that is not allowed: \(context.debugDescription)"
        default: "the body could not be read"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map { key in key.intValue.map(String.init) ?? key.stringValue }.joined(separator: ".")
    }

    private static func typeName(_ type: Any.Type) -> String {
        switch type {
        case is Int64.Type, is Int.Type: "a whole number"
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is [Any].Type: "a list"
        default: "an object of the expected form"
        }
    }
}
