import AsyncHTTPClient
public import CloudAPI
public import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
public import NIOSSL
public import Primitives

/// A typed client of one program, made from the endpoint values the program serves.
///
/// Every call has a deadline. Errors are `ProblemDocument` (the program refused and says why) or `ClientError`.
/// Call `shutdown()` when done.
public final class CloudClient: Sendable {
    public enum Authentication: Sendable {
        case none
        case bearer(String)
        /// TLS with a client certificate; `bearer` is not sent.
        case mutual(TLSConfiguration)
    }

    private let base: String
    private let token: String?
    private let http: HTTPClient

    /// - Parameters:
    ///   - base: e.g. `http://127.0.0.1:7400`
    ///   - dialing: host names mapped to the address to connect to instead; the certificate is still checked against the name.
    ///   - trustRoots: PEM certificates to trust for `https` when `authentication` brings no TLS configuration of its own.
    public init(base: String, authentication: Authentication = .none, dialing: [String: String] = [:], trustRootsPEM: String? = nil) throws
    {
        self.base = base.hasSuffix("/") ? String(base.dropLast()) : base
        var configuration = HTTPClient.Configuration()
        configuration.timeout = .init(connect: .seconds(5))
        // Longer than any answer is waited for, and than a stream is ever silent.
        configuration.timeout.read = .seconds(90)
        configuration.connectionPool.idleTimeout = .seconds(60)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.dnsOverride = dialing
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        switch authentication {
        case .none: token = nil
        case .bearer(let text): token = text
        case .mutual(let tls):
            token = nil
            configuration.tlsConfiguration = tls
        }
        if let trustRootsPEM, configuration.tlsConfiguration == nil {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(trustRootsPEM.utf8)))
            configuration.tlsConfiguration = tls
        }
        http = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }

    public func shutdown() async {
        // Fails only when it was shut down before.
        try? await http.shutdown()
    }

    /// Runs a body with this client and shuts the client down after it, whatever comes of it.
    public func closing<Value>(_ body: (CloudClient) async throws -> Value) async throws -> Value {
        do {
            let value = try await body(self)
            await shutdown()
            return value
        } catch {
            await shutdown()
            throw error
        }
    }

    /// Calls an endpoint.
    /// - Parameters:
    ///   - condition: what the change relies on, where the endpoint is conditional.
    ///   - idempotencyKey: the same key and body give the same answer; made up when nil, for mutations.
    public func call<Request, Response>(
        _ endpoint: Endpoint<Request, Response>, path: [String: String] = [:], query: [String: String] = [:], body: Request,
        condition: ChangeCondition? = nil, idempotencyKey: String? = nil, deadline: Duration = .seconds(15)
    ) async throws -> Response {
        try await tagged(
            endpoint, path: path, query: query, body: body, condition: condition, idempotencyKey: idempotencyKey, deadline: deadline
        ).answer
    }

    /// Calls an endpoint. The answer comes with its version, where the endpoint is conditional.
    public func tagged<Request, Response>(
        _ endpoint: Endpoint<Request, Response>, path: [String: String] = [:], query: [String: String] = [:], body: Request,
        condition: ChangeCondition? = nil, idempotencyKey: String? = nil, deadline: Duration = .seconds(15)
    ) async throws -> (answer: Response, tag: String?) {
        var request = HTTPClientRequest(url: base + Self.fill(endpoint.path, path) + Self.queryText(query))
        request.method = .RAW(value: endpoint.method.rawValue)
        request.headers.add(name: "accept", value: "application/json")
        if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
        if endpoint.method != .get {
            request.headers.add(name: "content-type", value: "application/json")
            request.headers.add(name: "idempotency-key", value: idempotencyKey ?? Self.freshKey())
            request.body = .bytes(ByteBuffer(bytes: try WireJSON.encode(body)))
        }
        if let field = condition?.field { request.headers.add(name: field.name, value: field.value) }
        let (status, tag, data) = try await send(request, deadline: deadline, largestBody: 64 << 20)
        do {
            return (try WireJSON.decode(Response.self, from: data.isEmpty ? Data("{}".utf8) : data), tag)
        } catch {
            throw ClientError.malformed(
                "\(endpoint.operation) answered \(status) with a body that cannot be read: \(WireJSON.explain(error))")
        }
    }

    /// Calls an endpoint that takes no body.
    public func call<Response>(
        _ endpoint: Endpoint<Empty, Response>, path: [String: String] = [:], query: [String: String] = [:], idempotencyKey: String? = nil,
        deadline: Duration = .seconds(15)
    ) async throws -> Response {
        try await call(endpoint, path: path, query: query, body: Empty(), idempotencyKey: idempotencyKey, deadline: deadline)
    }

    /// All items of a list, page after page.
    /// - Parameter most: stop after the page that reaches it.
    public func items<Item>(
        of endpoint: Endpoint<Empty, Page<Item>>, path: [String: String] = [:], query: [String: String] = [:], most: Int = .max,
        deadline: Duration = .seconds(15)
    ) async throws -> [Item] {
        var (items, query): ([Item], _) = ([], query)
        if endpoint.query.contains(where: { $0.name == "limit" }) { query["limit"] = "1000" }
        while true {
            let page = try await call(endpoint, path: path, query: query, deadline: deadline)
            items += page.items
            guard let next = page.next, items.count < most else { return items }
            query["cursor"] = next
        }
    }

    /// Sends a request of another protocol, e.g. a signed EC2 call, and gives whatever status and body come back.
    public func exchange(
        _ method: CloudAPI.HTTPMethod, path: String, headers: [(name: String, value: String)], body: Data, deadline: Duration = .seconds(30)
    ) async throws -> (status: Int, body: Data) {
        var request = HTTPClientRequest(url: base + path)
        request.method = .RAW(value: method.rawValue)
        for header in headers { request.headers.replaceOrAdd(name: header.name, value: header.value) }
        request.body = .bytes(ByteBuffer(bytes: body))
        let response = try await execute(request, deadline: deadline)
        return (Int(response.status.code), Data(try await response.body.collect(upTo: 64 << 20).readableBytesView))
    }

    /// The bytes at a path, chunk by chunk, from an offset on.
    public func download(
        path: String, from offset: Int64, deadline: Duration, _ consume: (Data) async throws -> Void
    ) async throws {
        var request = HTTPClientRequest(url: base + path)
        if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
        if offset > 0 { request.headers.add(name: "range", value: "bytes=\(offset)-") }
        let response = try await execute(request, deadline: deadline)
        guard response.status == .ok || response.status == .partialContent else {
            throw Self.problem(response.status.code, Data(try await response.body.collect(upTo: 1 << 20).readableBytesView))
        }
        for try await chunk in response.body { try await consume(Data(chunk.readableBytesView)) }
    }

    /// Reads an endpoint's stream of events until `consume` has enough or the stream ends.
    /// - Parameters:
    ///   - after: the identifier of the last event seen before; nil: from now on.
    ///   - consume: takes an event and its identifier; false: enough.
    public func events<Event>(
        _ endpoint: Endpoint<Empty, Event>, path: [String: String] = [:], after: String? = nil,
        _ consume: (Event, _ id: String) async throws -> Bool
    ) async throws {
        var request = HTTPClientRequest(url: base + Self.fill(endpoint.path, path))
        request.headers.add(name: "accept", value: endpoint.answer.rawValue)
        if let after { request.headers.add(name: "last-event-id", value: after) }
        if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
        let response = try await execute(request, deadline: .seconds(365 * 86_400))
        guard response.status == .ok else {
            throw Self.problem(response.status.code, Data(try await response.body.collect(upTo: 1 << 20).readableBytesView))
        }
        var parser = ServerEventParser()
        do {
            for try await chunk in response.body {
                for event in parser.take(chunk.readableBytesView) {
                    guard try await consume(try WireJSON.decode(Event.self, from: event.data), event.id) else { return }
                }
            }
        } catch let error as HTTPClientError {
            throw ClientError.unreachable("\(base): the stream broke off: \(Self.explain(error))")
        }
    }

    private func send(_ request: HTTPClientRequest, deadline: Duration, largestBody: Int) async throws -> (UInt, tag: String?, Data) {
        let response = try await execute(request, deadline: deadline)
        let data: Data
        do {
            data = Data(try await response.body.collect(upTo: largestBody).readableBytesView)
        } catch {
            throw ClientError.unreachable("\(base): the answer broke off (\(error))")
        }
        guard (200..<300).contains(response.status.code) else { throw Self.problem(response.status.code, data) }
        return (response.status.code, response.headers.first(name: "etag"), data)
    }

    private func execute(_ request: HTTPClientRequest, deadline: Duration) async throws -> HTTPClientResponse {
        do {
            let (seconds, attoseconds) = deadline.components
            return try await http.execute(request, timeout: .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
        } catch let error as HTTPClientError where error == .deadlineExceeded {
            throw ClientError.deadline("\(base) did not answer within \(deadline)")
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw ClientError.unreachable("\(base) cannot be reached: \(Self.explain(error))")
        }
    }

    private static func problem(_ status: UInt, _ data: Data) -> any Error {
        if let problem = try? WireJSON.decode(ProblemDocument.self, from: data) { return problem }
        return ClientError.malformed("answered \(status) without a problem document: \(String(decoding: data.prefix(200), as: UTF8.self))")
    }

    private static func explain(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError where error == .connectTimeout: "no answer to the connection attempt"
        case let error as HTTPClientError where error == .remoteConnectionClosed: "the other side closed the connection"
        case is NIOSSLError, is NIOSSLExtraError: "TLS: \(error)"
        case let error as NIOConnectionError where error.connectionErrors.isEmpty == false:
            error.connectionErrors.map { explain($0.error) }.joined(separator: "; ")
        // What NIO makes of it has brackets that do not match.
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        default: "\(error)"
        }
    }

    private static func freshKey() -> String {
        var system = SystemRandomNumberGenerator()
        return String(system.next(), radix: 16) + String(system.next(), radix: 16)
    }

    private static func fill(_ template: String, _ values: [String: String]) -> String {
        var path = template
        for (name, value) in values { path = path.replacingOccurrences(of: "{\(name)}", with: escaped(value)) }
        precondition(!path.contains("{"), "path parameter of \(template) is missing")
        return path
    }

    private static func queryText(_ query: [String: String]) -> String {
        query.isEmpty ? "" : "?" + query.sorted { $0.key < $1.key }.map { "\(escaped($0.key))=\(escaped($0.value))" }.joined(separator: "&")
    }

    private static func escaped(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: CharacterSet(charactersIn: "-._~").union(.alphanumerics)) ?? ""
    }
}

/// What a change relies on.
public enum ChangeCondition: Sendable, Hashable {
    /// It is made to this version, as an `ETag` names it.
    case match(String)
    /// There is none yet.
    case new

    fileprivate var field: (name: String, value: String) {
        switch self {
        case .match(let tag): ("if-match", tag)
        case .new: ("if-none-match", "*")
        }
    }
}

/// The call did not get an answer of the program itself.
public enum ClientError: Error, Sendable, CustomStringConvertible {
    case unreachable(String)
    case deadline(String)
    case malformed(String)

    public var description: String {
        switch self {
        case .unreachable(let text), .deadline(let text), .malformed(let text): text
        }
    }

    /// As a refusal that may succeed later.
    public var refusal: Refusal {
        Refusal("client.unreachable", .unavailable, description, nearest: "the same request once it can be reached")
    }
}
