/// An endpoint without its types in front, for lists of all operations of a program.
public struct AnyEndpoint: Sendable {
    public let operation: String
    public let method: HTTPMethod
    public let path: String
    public let summary: String
    public let access: Set<Caller>
    public let query: [QueryParameter]
    public let success: Int
    public let answer: AnswerForm
    public let isConditional: Bool
    public let request: any (Codable & Sendable).Type
    public let response: any (Codable & Sendable).Type

    public init<Request, Response>(_ endpoint: Endpoint<Request, Response>) {
        operation = endpoint.operation
        method = endpoint.method
        path = endpoint.path
        summary = endpoint.summary
        access = endpoint.access
        query = endpoint.query
        success = endpoint.success
        answer = endpoint.answer
        isConditional = endpoint.isConditional
        request = Request.self
        response = Response.self
    }

    /// The names in braces, in the order of the path.
    public var pathParameters: [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") && $0.hasSuffix("}") }.map { String($0.dropFirst().dropLast()) }
    }
}
