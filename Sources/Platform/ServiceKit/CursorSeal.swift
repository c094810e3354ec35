import CloudAPI
import Crypto
import Foundation
import Primitives

/// Makes the cursors of a list such that garbled ones, and those of other lists, are told from its own.
///
/// It is no secret: who makes one up only chooses where in a list he may see his page begins.
struct CursorSeal: Sendable {
    private let operation: String
    private static let digits = 8

    init(_ operation: String) { self.operation = operation }

    /// The answer with its `next` sealed; nil: it has none.
    func sealing<Answer>(_ answer: Answer) -> Answer? {
        guard var page = answer as? any Continued, let next = page.next else { return nil }
        page.next = sealed(next)
        return page as? Answer
    }

    func sealed(_ place: String) -> String {
        let text = Data(place.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        return text + "." + mark(place)
    }

    func open(_ cursor: String) throws(Refusal) -> String {
        let parts = cursor.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count == 2 {
            let text = String(parts[0]).replacing("-", with: "+").replacing("_", with: "/")
            let padded = text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
            if let data = Data(base64Encoded: padded), let place = String(bytes: data, encoding: .utf8), mark(place) == parts[1] {
                return place
            }
        }
        throw Refusal(
            "request.cursor", .invalid, "The cursor '\(cursor.prefix(64))' is not the `next` of a page of this list.",
            facts: ["cursor": .text(String(cursor.prefix(64)))],
            nearest: "the `next` of the page before as it was given, or no cursor for the first page")
    }

    private func mark(_ place: String) -> String {
        let hash = SHA256.hash(data: Data((operation + "\n" + place).utf8))
        return hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined().prefix(Self.digits).description
    }
}
