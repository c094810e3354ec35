import CloudAPI
import Foundation
import Synchronization

/// JSON texts that were decoded before. Thousands of hosts have few kinds of hardware, and are read every few seconds.
final class DecodedTexts<Value: Decodable & Sendable>: Sendable {
    private static var bound: Int { 4_096 }
    private let known = Mutex<[String: Value]>([:])

    func value(_ text: String) throws -> Value {
        if let value = known.withLock({ $0[text] }) { return value }
        let value = try WireJSON.decode(Value.self, from: Data(text.utf8))
        known.withLock { known in
            if known.count >= Self.bound { known = [:] }
            known[text] = value
        }
        return value
    }
}

/// JSON texts of values that come again and again: thousands of instances have few sizes.
final class EncodedTexts<Value: Encodable & Hashable & Sendable>: Sendable {
    private static var bound: Int { 4_096 }
    private let known = Mutex<[Value: String]>([:])

    func text(_ value: Value) throws -> String {
        if let text = known.withLock({ $0[value] }) { return text }
        let text = try WireJSON.text(value)
        known.withLock { known in
            if known.count >= Self.bound { known = [:] }
            known[value] = text
        }
        return text
    }
}
