public import CloudAPI
public import Foundation
public import HTTPTypes
public import Hummingbird
import NIOCore
import Primitives
public import Store
import Synchronization

/// Routes of one listener: typed endpoints, pages and raw paths, with authentication, refusals and metrics around them.
public final class ProgramRouter {
    public static let largestBody = 1 << 20

    let router: Router<ServiceContext>
    let database: any Database
    let known = KnownRoutes()
    private let isStrict: Bool

    /// - Parameters:
    ///   - peers: given on peer listeners, which know their callers by certificate alone; without it callers have tokens.
    ///   - isStrict: refused is, whatever it is for, a whole number beyond `WireJSON.largestNumber`, a field the endpoint does not know
    ///     (but see `Endpoint.toleratesNewFields`), and a cursor that its list did not give.
    public init(
        database: any Database, metrics: Metrics, peers: PeerTLS? = nil, deadline: Duration = .seconds(75), isStrict: Bool = false
    ) {
        self.database = database
        self.isStrict = isStrict
        router = Router(context: ServiceContext.self)
        router.add(middleware: ProblemMiddleware(metrics: metrics, known: known))
        router.add(middleware: DeadlineMiddleware(limit: deadline))
        if let peers {
            router.add(middleware: PeerMiddleware(tls: peers))
        } else {
            router.add(middleware: TokenMiddleware(tokens: TokenCache(database: database)))
        }
    }

    /// Serves an endpoint. The handler answers or throws a refusal; a mutation stores its answer with `WriteContext.remember`.
    /// - Parameters:
    ///   - looksItself: the handler looks in its own transaction whether the request was answered before (`WriteContext.retell`), which
    ///     saves a read before it. A refusal is looked up here: the first answer stands, whatever has changed since.
    ///   - csv: the answer as CSV, for callers that ask for it by `format=csv` or the Accept header.
    ///   - tag: the version an answer is of; given for endpoints that are conditional, and for no others.
    public func on<Body, Answer>(
        _ endpoint: Endpoint<Body, Answer>, looksItself: Bool = false, csv: (@Sendable (Answer) -> String)? = nil,
        tag: (@Sendable (Answer) throws -> String)? = nil, _ handle: @escaping @Sendable (Call<Body>) async throws -> Answer
    ) {
        precondition(endpoint.isConditional == (tag != nil), "\(endpoint.operation): conditions need tags")
        let names = Self.parameterNames(endpoint.path)
        known.add(endpoint.method.rawValue, endpoint.path)
        let (database, isStrict) = (self.database, self.isStrict)
        let seal = isStrict && endpoint.query.contains { $0.name == "cursor" } ? CursorSeal(endpoint.operation) : nil
        router.on(RouterPath(endpoint.path), method: .init(rawValue: endpoint.method.rawValue) ?? .get) { request, context -> Response in
            try Self.authorize(context.principal, for: endpoint.access)
            let path = try Self.path(names, context)
            let query = try QueryValues(request, allowed: endpoint.query, seal)
            let data = try await Self.jsonBody(of: request)
            let call = Call(
                body: try Self.decode(Body.self, data, for: endpoint, isStrict), principal: context.principal, query: query,
                requestID: context.requestID,
                idempotency: try Self.idempotency(of: request, context.principal, endpoint.operation, endpoint.method, path, data),
                condition: endpoint.isConditional ? try RequestCondition(request) : .none, path: path)
            if !looksItself, let earlier = try await call.idempotency?.earlierAnswer(in: database) { return Self.again(earlier) }
            let wantsCSV = try csv != nil && Self.wantsCSV(request, query)
            let answer: Answer
            do {
                let plain = try await handle(call)
                answer = seal?.sealing(plain) ?? plain
            } catch {
                guard looksItself, let earlier = try await call.idempotency?.earlierAnswer(in: database) else { throw error }
                return Self.again(earlier)
            }
            if let csv, wantsCSV {
                return Self.json(Data(csv(answer).utf8), status: endpoint.success, type: "text/csv; charset=utf-8; header=present")
            }
            let told = try call.idempotency?.told.value.map { Data($0.utf8) } ?? WireJSON.encode(answer)
            var response = Self.json(told, status: endpoint.success)
            if let tag { response.headers[.eTag] = "\"\(try tag(answer))\"" }
            return response
        }
    }

    /// Serves an endpoint whose answer is a stream of events. The handler refuses, or gives a body that writes them.
    ///
    /// The last event the caller has seen comes as a header or as the query parameter `after`.
    public func events<Event>(
        _ endpoint: Endpoint<Empty, Event>,
        _ handle: @escaping @Sendable (_ call: Call<Empty>, _ after: String?, _ context: ServiceContext) async throws -> ResponseBody
    ) {
        let names = Self.parameterNames(endpoint.path)
        known.add(endpoint.method.rawValue, endpoint.path)
        router.on(RouterPath(endpoint.path), method: .get) { request, context -> Response in
            try Self.authorize(context.principal, for: endpoint.access)
            let path = try Self.path(names, context)
            let query = try QueryValues(request, allowed: endpoint.query)
            let call = Call(
                body: Empty(), principal: context.principal, query: query, requestID: context.requestID, idempotency: nil,
                condition: .none, path: path)
            let body = try await handle(call, request.headers[.lastEventID] ?? query.text("after"), context)
            let headers: HTTPFields = [.contentType: endpoint.answer.rawValue, .cacheControl: "no-store"]
            return Response(status: .ok, headers: headers, body: body)
        }
    }

    /// A path that is not JSON: pages, files, another protocol.
    public func raw(
        _ method: HTTPRequest.Method, _ path: String, _ handle: @escaping @Sendable (Request, ServiceContext) async throws -> Response
    ) {
        known.add(method.rawValue, path)
        router.on(RouterPath(path), method: method) { request, context in try await handle(request, context) }
    }

    public static func authorize(_ principal: Principal, for access: Set<Caller>) throws {
        if access.contains(.anyone) { return }
        guard principal != .anonymous else {
            throw Refusal("http.unauthorized", .forbidden, "This needs a bearer token: `Authorization: Bearer bt_…`.")
        }
        guard let caller = principal.caller, access.contains(caller) else {
            let names = access.map(\.rawValue).sorted().joined(separator: ", ")
            throw Refusal(
                "http.forbidden", .forbidden, "\(principal.name) may not do this; it is for: \(names).", facts: ["allowed": .text(names)])
        }
    }

    public static func body(of request: Request) async throws -> Data {
        do {
            return Data(try await request.body.collect(upTo: largestBody).readableBytesView)
        } catch is NIOTooManyBytesError {
            throw Refusal(
                "http.too-large", .invalid, "The body is larger than the 1 MiB allowed.", facts: ["bytes": .number(Int64(largestBody))],
                nearest: "a body of at most \(largestBody) bytes")
        }
    }

    /// A body of another media type is refused, whatever it holds; one without a type is taken as JSON.
    private static func jsonBody(of request: Request) async throws -> Data {
        let data = try await body(of: request)
        guard !data.isEmpty, let type = request.headers[.contentType] else { return data }
        let media = (type.split(separator: ";").first ?? "").trimmingCharacters(in: .whitespaces).lowercased()
        guard media.isEmpty || media == "application/json" || media.hasPrefix("application/") && media.hasSuffix("+json") else {
            throw Refusal(
                "http.media-type", .invalid, "The body comes as \(media.prefix(100)); bodies are JSON here.",
                facts: ["contentType": .text(String(type.prefix(100)))], nearest: "the same as JSON, with Content-Type: application/json")
        }
        return data
    }

    /// The parameters of a path, as they were before they were percent-encoded.
    private static func path(_ names: [String], _ context: ServiceContext) throws(Refusal) -> [String: String] {
        var values: [String: String] = [:]
        for name in names {
            let text = context.parameters.get(name) ?? ""
            guard let value = text.removingPercentEncoding else {
                throw Refusal(
                    "request.path", .invalid, "The \(name) '\(text.prefix(100))' in the path is not percent-encoded UTF-8 (RFC 3986).",
                    facts: ["parameter": .text(name)], nearest: "%25 for a percent sign")
            }
            values[name] = value
        }
        return values
    }

    private static func again(_ answer: StoredAnswer) -> Response { json(Data(answer.body.utf8), status: answer.status) }

    static func json(_ data: Data, status: Int, type: String = "application/json") -> Response {
        var headers = HTTPFields()
        headers[.contentType] = type
        headers[.cacheControl] = "no-store"
        return Response(status: .init(code: status), headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: data)))
    }

    private static func wantsCSV(_ request: Request, _ query: QueryValues) throws(Refusal) -> Bool {
        switch query.text("format") {
        case "csv": return true
        case "json": return false
        case nil: return request.headers[.accept]?.lowercased().contains("text/csv") ?? false
        case let other?:
            throw Refusal(
                "request.query", .invalid, "The query parameter 'format' is '\(other)'.", facts: ["parameter": "format"],
                nearest: "json, csv")
        }
    }

    private static func parameterNames(_ path: String) -> [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }

    private static func decode<Body: Decodable, Answer>(
        _ type: Body.Type, _ data: Data, for endpoint: Endpoint<Body, Answer>, _ isStrict: Bool
    ) throws(Refusal) -> Body {
        if isStrict, let number = WireJSON.oversizedNumber(in: data) {
            throw Refusal(
                "request.number", .invalid, "The request has the number \(number), which is beyond \(WireJSON.largestNumber).",
                facts: ["number": .text(number), "largest": .number(WireJSON.largestNumber)],
                nearest: "whole numbers from -\(WireJSON.largestNumber) to \(WireJSON.largestNumber)")
        }
        return try BodyReader.read(
            type, from: data.isEmpty ? Data("{}".utf8) : data, toleratesUnknown: !isStrict || endpoint.toleratesNewFields)
    }

    private static func idempotency(
        of request: Request, _ principal: Principal, _ operation: String, _ method: CloudAPI.HTTPMethod, _ path: [String: String],
        _ body: Data
    ) throws -> IdempotentRequest? {
        guard method != .get, let key = request.headers[.idempotencyKey] else { return nil }
        guard (1...128).contains(key.utf8.count) else {
            throw Refusal(
                "idempotency.key", .invalid, "An idempotency key has 1 to 128 characters, not \(key.utf8.count).",
                facts: ["characters": .number(Int64(key.utf8.count))], nearest: "a key of 1 to 128 characters")
        }
        return IdempotentRequest(principal: principal, operation: operation, key: key, path: path, body: body)
    }
}

extension HTTPField.Name {
    static let idempotencyKey = Self(checked: "idempotency-key")
    static let requestID = Self(checked: "x-request-id")
    static let lastEventID = Self(checked: "last-event-id")

    fileprivate init(checked name: StaticString) {
        guard let valid = Self(name.description) else { preconditionFailure("\(name) is not a header name") }
        self = valid
    }
}

/// All routes of a listener, to tell "no such address" from "not with this method".
final class KnownRoutes: Sendable {
    private let routes = Mutex<[(method: String, segments: [Substring])]>([])

    func add(_ method: String, _ path: String) {
        routes.withLock { $0.append((method, Array(Self.segments(path)))) }
    }

    func methods(at path: String) -> [String] {
        let given = Self.segments(path)
        return routes.withLock { routes in
            routes.filter { route in
                route.segments.count == given.count && zip(route.segments, given).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
            }.map(\.method)
        }
    }

    private static func segments(_ path: String) -> [Substring] {
        // A copy, so that the substrings kept do not hold on to a request.
        String(path).split(separator: "/")
    }
}
