public import Primitives

/// An error on the wire: RFC 9457 problem details, media type `application/problem+json`.
public struct ProblemDocument: Codable, Sendable, Error {
    /// `urn:bourse:problem:<rule>`
    public var type: String
    /// The HTTP status in words.
    public var title: String
    public var status: Int
    /// One sentence for a person.
    public var detail: String
    /// Which rule refused; see `Refusal.rule`.
    public var rule: String
    public var category: Refusal.Category
    public var facts: [String: Refusal.Fact]?
    /// The nearest thing that would be allowed.
    public var nearest: String?
    /// Names this answer in the server's log.
    public var request: String?

    public init(_ refusal: Refusal, status: Int, title: String, request: String? = nil) {
        self.type = "urn:bourse:problem:" + refusal.rule
        self.title = title
        self.status = status
        self.detail = refusal.message
        self.rule = refusal.rule
        self.category = refusal.category
        self.facts = refusal.facts.isEmpty ? nil : refusal.facts
        self.nearest = refusal.nearest
        self.request = request
    }

    public var refusal: Refusal { Refusal(rule, category, detail, facts: facts ?? [:], nearest: nearest) }
}
