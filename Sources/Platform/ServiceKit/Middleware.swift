import CloudAPI
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import PKI
import Primitives
import Store

/// Outermost: every error becomes a problem document, every request is counted and, when it failed on our side, logged.
struct ProblemMiddleware: RouterMiddleware {
    let metrics: Metrics
    let known: KnownRoutes

    @concurrent
    func handle(
        _ request: Request, context: ServiceContext, next: @concurrent (Request, ServiceContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = answer(error, request, context)
        }
        response.headers[.requestID] = context.requestID
        metrics.observeRequest(
            route: context.endpointPath ?? "unknown", method: request.method.rawValue, status: response.status.code, took: .now - start)
        return response
    }

    private func answer(_ error: any Error, _ request: Request, _ context: ServiceContext) -> Response {
        var fault = Fault(error)
        var headers = HTTPFields()
        if fault.refusal.rule == "http.not-found" {
            let methods = known.methods(at: request.uri.path)
            if !methods.isEmpty, !methods.contains(request.method.rawValue) {
                let list = Set(methods).sorted().joined(separator: ", ")
                fault = Fault(Refusal("http.method", .invalid, "\(request.method.rawValue) is not possible here.", nearest: list))
                headers[.allow] = list
            }
        }
        if fault.status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
        if fault.status.code == 503 || fault.status.code == 429 { headers[.retryAfter] = "\(Self.pause(before: fault.refusal))" }
        if let cause = fault.cause {
            context.logger.error(
                "request failed",
                metadata: [
                    "request": "\(context.requestID)", "path": "\(request.uri.path)", "rule": "\(fault.refusal.rule)", "cause": "\(cause)",
                ])
        }
        let document = ProblemDocument(
            fault.refusal, status: fault.status.code, title: fault.status.reasonPhrase, request: context.requestID)
        let body = (try? WireJSON.encode(document)) ?? Data()
        var response = ProgramRouter.json(body, status: fault.status.code, type: "application/problem+json")
        for field in headers { response.headers[field.name] = field.value }
        return response
    }
}

extension ProblemMiddleware {
    /// Seconds until the same request may succeed, when the rule says so; else one.
    private static func pause(before refusal: Refusal) -> Int64 {
        if case .number(let seconds)? = refusal.facts["retryAfterSeconds"] { max(1, seconds) } else { 1 }
    }
}

/// A limit on the whole request: the idle timeout of the connection does not stop a body that drips.
struct DeadlineMiddleware: RouterMiddleware {
    let limit: Duration

    @concurrent
    func handle(
        _ request: Request, context: ServiceContext, next: @concurrent (Request, ServiceContext) async throws -> Response
    ) async throws -> Response {
        try await withoutActuallyEscaping(next) { next in
            let handler = Transferred(next)
            return try await withThrowingTaskGroup(of: Response.self) { group in
                group.addTask { try await handler.value(request, context) }
                group.addTask {
                    try await CoarseClock.shared.sleep(for: limit)
                    throw HTTPError(.requestTimeout)
                }
                defer { group.cancelAll() }
                guard let first = try await group.next() else { throw HTTPError(.requestTimeout) }
                return first
            }
        }
    }
}

/// Carries the next handler into one child task of the same request. The task group ends before the handler does, so it never
/// outlives its scope and is called once.
private struct Transferred<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// Turns a bearer token, or the session cookie of the web pages, into a principal. An unknown token is refused at once.
struct TokenMiddleware: RouterMiddleware {
    let tokens: TokenCache

    @concurrent
    func handle(
        _ request: Request, context: ServiceContext, next: @concurrent (Request, ServiceContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        if let token = Self.bearer(request) {
            guard let principal = try await tokens.principal(of: token) else {
                throw Refusal("http.unauthorized", .forbidden, "This bearer token is not known here.")
            }
            context.principal = principal
        } else if let token = Session.token(request), let principal = try await tokens.principal(of: token) {
            context.principal = principal
        }
        return try await next(request, context)
    }

    private static func bearer(_ request: Request) -> String? {
        guard let value = request.headers[.authorization], value.lowercased().hasPrefix("bearer ") else { return nil }
        return String(value.dropFirst(7)).trimmingCharacters(in: .whitespaces)
    }
}

/// Looks at the certificate again at each request: a connection may outlive its certificate, its contract, or be revoked.
struct PeerMiddleware: RouterMiddleware {
    let tls: PeerTLS

    @concurrent
    func handle(
        _ request: Request, context: ServiceContext, next: @concurrent (Request, ServiceContext) async throws -> Response
    ) async throws -> Response {
        guard let peer = context.peer else {
            throw Refusal("http.unauthorized", .forbidden, "This listener needs a client certificate of the exchange.")
        }
        guard !tls.trust.isRevoked(peer.serial) else {
            throw Refusal(
                "certificate.revoked", .forbidden, "The certificate \(peer.serial) has been revoked.", facts: ["serial": .text(peer.serial)]
            )
        }
        guard peer.isValid(at: tls.time.now()) else {
            throw Refusal(
                "certificate.ended", .forbidden, "The certificate ended at \(peer.notAfter).",
                facts: ["end": .text(peer.notAfter.description)],
                nearest: "the next certificate, from the exchange")
        }
        return try await next(request, context)
    }
}
