import EC2
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Primitives
import ServiceKit
import Store
import Tenancy

/// Who calls an EC2 action, once the signature is verified.
struct EC2Caller: Sendable {
    let user: User
    /// The user's account and those below it.
    let accounts: Set<AccountID>
    /// The address the caller used, for DescribeRegions.
    let endpoint: String
}

extension ManageCore {
    /// The EC2 Query API: `POST /` or `GET /` with a signed form.
    func addEC2Routes(to router: ProgramRouter) {
        var registry = ActionRegistry<EC2Caller>()
        addCatalogueActions(to: &registry)
        addKeyActions(to: &registry)
        addLaunchActions(to: &registry)
        addInstanceActions(to: &registry)
        addVolumeActions(to: &registry)
        addTagActions(to: &registry)
        precondition(registry.missing.isEmpty, "actions without an operation: \(registry.missing)")
        let listener = EC2Listener(core: self, registry: registry, verifier: SignatureVerifier())
        router.raw(.post, "/") { request, context in await listener.answer(request, context) }
        router.raw(.get, "/") { request, context in await listener.answer(request, context) }
    }
}

struct EC2Listener: Sendable {
    let core: ManageCore
    let registry: ActionRegistry<EC2Caller>
    let verifier: SignatureVerifier

    /// Whatever happens, the answer is EC2's XML: its clients read nothing else.
    func answer(_ request: Request, _ context: ServiceContext) async -> Response {
        let requestID = requestIdentifier(core.ids.nextBits(), core.ids.nextBits())
        do {
            let body = try await ProgramRouter.body(of: request)
            let signed = Self.signable(request, body)
            let caller = try await authenticate(signed)
            let parameters = try QueryForm.decode(query: signed.query, body: try Self.form(request, signed.body))
            let answered = try await registry.perform(parameters, caller)
            return Self.xml(answered.document(requestID: requestID), .ok)
        } catch {
            let refused = EC2Error(any: error)
            if refused.code.status >= 500 {
                context.logger.error("EC2 request failed", metadata: ["request": "\(requestID)", "cause": "\(error)"])
            }
            return Self.xml(refused.document(requestID: requestID), .init(code: refused.code.status))
        }
    }

    private func authenticate(_ request: SignableRequest) async throws -> EC2Caller {
        let claim = try SignatureClaim(request)
        let found = try await core.database.read { context -> (user: User, secret: String, accounts: Set<AccountID>)? in
            guard let (user, secret) = try User.load(accessKey: claim.accessKey, in: context) else { return nil }
            return (user, secret, try AccountTree.load(in: context).subtree(of: user.account))
        }
        guard let found else { throw EC2Error.unknownAccessKey }
        try verifier.verify(claim, of: request, secret: found.secret, now: core.time.now())
        let host = request.headers.first { $0.name.lowercased() == "host" }?.value ?? ""
        return EC2Caller(user: found.user, accounts: found.accounts, endpoint: host)
    }

    /// The request as the client signed it: the raw target, still percent-encoded.
    private static func signable(_ request: Request, _ body: Data) -> SignableRequest {
        let halves = (request.head.path ?? "/").split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var headers = request.headers.map { (name: $0.name.rawName, value: $0.value) }
        // The Host header is kept apart from the others.
        if let authority = request.head.authority { headers.append(("host", authority)) }
        return SignableRequest(
            method: request.method.rawValue, path: String(halves.first ?? "/"), query: halves.count > 1 ? String(halves[1]) : "",
            headers: headers,
            body: Array(body))
    }

    private static func form(_ request: Request, _ body: [UInt8]) throws -> [UInt8] {
        let type = request.headers[.contentType]?.lowercased() ?? ""
        guard body.isEmpty || type.isEmpty || type.hasPrefix("application/x-www-form-urlencoded") else {
            throw EC2Error(.malformedQueryString, "The body must be application/x-www-form-urlencoded, not \(type).")
        }
        return body
    }

    private static func xml(_ document: [UInt8], _ status: HTTPResponse.Status) -> Response {
        Response(
            status: status, headers: [.contentType: "text/xml;charset=UTF-8", .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(bytes: document)))
    }
}
