/// An explained no: which rule refused, the numbers, and the nearest thing that would be allowed.
///
/// A refusal never changes anything. It is the one error type of the domain (`throws(Refusal)`); the edge turns it into a
/// problem document (RFC 9457) without losing a word.
public struct Refusal: Error, Hashable, Sendable, Codable {
    /// The rule that refused, dotted and stable, e.g. `market.cash`. Documented, never reused for something else.
    public var rule: String
    public var category: Category
    /// One sentence for a person, with the numbers in it.
    public var message: String
    /// The numbers (and names) in `message`, for programs.
    public var facts: [String: Fact]
    /// The nearest thing that would be allowed, as a sentence; nil when there is none.
    public var nearest: String?

    public init(_ rule: String, _ category: Category, _ message: String, facts: [String: Fact] = [:], nearest: String? = nil) {
        self.rule = rule
        self.category = category
        self.message = message
        self.facts = facts
        self.nearest = nearest
    }

    /// What kind of no it is. The edge maps each to one HTTP status.
    public enum Category: String, Sendable, Codable, CaseIterable {
        /// The request itself is malformed or out of range (422).
        case invalid
        /// No such thing, or none the caller may know of (404).
        case notFound
        /// The caller may not do this (403).
        case forbidden
        /// The thing is in a state that does not allow this (409).
        case conflict
        /// Not enough money, credit, quota or budget (402).
        case funds
        /// Not enough capacity (507).
        case capacity
        /// Not now; the same request may succeed later (503).
        case unavailable
        /// Too many requests (429).
        case throttled
    }

    public enum Fact: Hashable, Sendable {
        case number(Int64)
        case text(String)
    }
}

extension Refusal.Fact: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int64.self) {
            self = .number(number)
        } else {
            self = .text(try container.decode(String.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        }
    }
}

extension Refusal.Fact: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
    public init(integerLiteral value: Int64) { self = .number(value) }
    public init(stringLiteral value: String) { self = .text(value) }
}

extension Refusal: CustomStringConvertible {
    public var description: String { "\(message) [\(rule)]" + (nearest.map { " Nearest: \($0)" } ?? "") }
}
