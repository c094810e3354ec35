import CloudAPI
import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import Primitives

/// What a change relies on, as the headers of its request say (RFC 9110, section 13): that the resource is what its caller saw, or that
/// there is none yet.
public struct RequestCondition: Sendable, Hashable {
    /// Tags one of which the resource must have, `*` standing for all; nil: whatever it is.
    public let matches: [String]?
    /// It must not be there yet.
    public let isForNew: Bool

    public static let none = RequestCondition(matches: nil, isForNew: false)

    public init(matches: [String]?, isForNew: Bool) {
        self.matches = matches
        self.isForNew = isForNew
    }

    init(_ request: Request) throws(Refusal) {
        matches = request.headers[.ifMatch].map { text in
            text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces).trimmingCharacters(in: ["\""]) }
        }
        let other = request.headers[.ifNoneMatch]
        guard other == nil || other == "*" else {
            throw Refusal(
                "request.condition", .invalid, "A change is made to what has one tag, or to nothing; not to all but '\(other ?? "")'.",
                facts: ["ifNoneMatch": .text(other ?? "")], nearest: "If-None-Match: *, or If-Match with the ETag of what was read")
        }
        isForNew = other != nil
    }

    public func allows(_ tag: String) -> Bool { matches?.contains { $0 == tag || $0 == "*" } ?? true }
}

public enum EntityTag {
    /// Equal for equal values, another for others.
    public static func of(_ value: some Encodable) throws -> String {
        let digest = SHA256.hash(data: try WireJSON.encode(value))
        return digest.prefix(8).map { byte in
            let text = String(byte, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }.joined()
    }
}
