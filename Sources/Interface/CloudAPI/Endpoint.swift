public import Primitives

/// One operation of one program's API: everything a server, a client and the OpenAPI document need to know about it.
///
/// `Request` is the JSON body (`Empty` when there is none), `Response` the JSON answer. Path parameters stand in braces.
public struct Endpoint<Request: Codable & Sendable, Response: Codable & Sendable>: Sendable {
    /// The OpenAPI operation id, e.g. `placeOrder`.
    public let operation: String
    public let method: HTTPMethod
    /// e.g. `/v1/contracts/{contract}/certificate`
    public let path: String
    public let summary: String
    public let access: Set<Caller>
    public let query: [QueryParameter]
    /// The status of a successful answer: 200, 201, 202 or 204.
    public let success: Int
    public let answer: AnswerForm
    /// Its answer says which version it is of (`ETag`), and a change may be asked for on condition of one: `If-Match`, and on `PUT`
    /// `If-None-Match: *` for what is to be new.
    public let isConditional: Bool

    /// Only programs call it: one that is newer may say what this one does not know yet, and that is passed over. From people, and where
    /// something is bought, a field that is not understood is refused, as it could be a wish that would not be heard.
    public var toleratesNewFields: Bool { access.isDisjoint(with: [.operator, .participant, .user, .buyer]) }

    public init(
        _ operation: String, _ method: HTTPMethod, _ path: String, _ summary: String, access: Set<Caller>, query: [QueryParameter] = [],
        success: Int = 200, answer: AnswerForm = .json, conditional: Bool = false, request: Request.Type = Request.self,
        response: Response.Type = Response.self
    ) {
        self.operation = operation
        self.method = method
        self.path = path
        self.summary = summary
        self.access = access
        self.query = query
        self.success = success
        self.answer = answer
        isConditional = conditional
    }
}

/// How an answer comes.
public enum AnswerForm: String, Sendable {
    /// One JSON document.
    case json = "application/json"
    /// Server-sent events without end, each with a JSON document of the response type as its data.
    case events = "text/event-stream"
}

public enum HTTPMethod: String, Sendable, Codable { case get = "GET", post = "POST", put = "PUT", delete = "DELETE" }

/// Who may call an endpoint. What of the resource they may see is decided by the operation.
public enum Caller: String, Sendable, Codable, CaseIterable {
    case anyone
    /// The operator of the program, by bearer token.
    case `operator`
    /// A participant of the exchange, by bearer token.
    case participant
    /// A user of manage, by bearer token.
    case user
    /// A manage, connect or node of a participant, by identity certificate.
    case manage, connect, node
    /// The buyer of one contract, by contract certificate.
    case buyer
}

public struct QueryParameter: Sendable {
    public enum Kind: String, Sendable { case string, integer, boolean }
    public let name: String
    public let kind: Kind
    public let summary: String
    /// The whole numbers allowed; nil for other kinds.
    public let range: ClosedRange<Int64>?

    public init(_ name: String, _ kind: Kind, _ summary: String, range: ClosedRange<Int64>? = nil) {
        self.name = name
        self.kind = kind
        self.summary = summary
        self.range = range
    }

    /// For lists: `limit` and `cursor`.
    public static let paging = [
        QueryParameter("limit", .integer, "Largest number of items to return, 1 to 1000; 100 when absent.", range: 1...1_000),
        QueryParameter("cursor", .string, "The `next` of the page before."),
    ]
    /// For change feeds: `after` and `wait`.
    public static let feed = [
        QueryParameter(
            "after", .integer, "Return changes with a revision above this one; 0 or absent: from the beginning.", range: 0...Int64.max),
        QueryParameter("wait", .integer, "Seconds to wait for a change when there is none yet, 0 to 60; 0 when absent.", range: 0...60),
    ]
}

/// An empty JSON object.
public struct Empty: Codable, Sendable, Hashable {
    public init() {}
}

/// An answer that may go on.
public protocol Continued {
    /// The `cursor` of the following page; nil on the last.
    var next: String? { get set }
}

/// One page of a list. `next` is the `cursor` of the following page; absent on the last.
public struct Page<Item: Codable & Sendable>: Codable, Sendable, Continued {
    public var items: [Item]
    public var next: String?

    public init(_ items: [Item], next: String? = nil) {
        self.items = items
        self.next = next
    }
}

/// What happened to one record, in the order it was committed.
public struct ChangeRecord: Codable, Sendable {
    public var revision: Int64
    /// What changed, e.g. `contract`.
    public var topic: String
    /// Identifier of the record.
    public var subject: String
    public var kind: String
    public var at: Instant

    public init(revision: Int64, topic: String, subject: String, kind: String, at: Instant) {
        self.revision = revision
        self.topic = topic
        self.subject = subject
        self.kind = kind
        self.at = at
    }
}

/// A stretch of a change feed. `latest` is the revision to ask after next, even when no change was for the caller.
public struct ChangePage: Codable, Sendable {
    public var changes: [ChangeRecord]
    public var latest: Int64

    public init(changes: [ChangeRecord], latest: Int64) {
        self.changes = changes
        self.latest = latest
    }
}
