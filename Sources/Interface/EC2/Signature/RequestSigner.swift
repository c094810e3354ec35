import Crypto
public import Primitives

/// Signs requests with AWS Signature Version 4; the client's side of `SignatureVerifier`.
public struct RequestSigner: Sendable {
    private let credential: AccessCredential
    private let region: String
    private let service: String
    private let cache: SigningKeyCache

    public init(_ credential: AccessCredential, region: String, service: String = "ec2", cache: SigningKeyCache = SigningKeyCache()) {
        self.credential = credential
        self.region = region
        self.service = service
        self.cache = cache
    }

    /// Adds `X-Amz-Date` and `Authorization`. `Host` must be among the headers already; every header is signed.
    public func sign(_ request: SignableRequest, at now: Instant) -> SignableRequest {
        precondition(request.header("host") != nil, "a signature covers the Host header")
        var signed = request
        let timestamp = SignatureTime.text(now)
        signed.headers.removeAll { ["x-amz-date", "authorization"].contains($0.name.lowercased()) }
        signed.headers.append(("X-Amz-Date", timestamp))
        let names = Set(signed.headers.map { $0.name.lowercased() }).sorted()
        let scope = scope(timestamp)
        let signature = signature(of: signed, headers: names, scope: scope, timestamp: timestamp)
        signed.headers.append(
            (
                "Authorization",
                "\(CanonicalRequest.algorithm) Credential=\(credential.accessKey)/\(scope), SignedHeaders=\(names.joined(separator: ";")), Signature=\(signature)"
            ))
        return signed
    }

    /// Puts the signature into the query, good for `validSeconds` (1 to 604800).
    public func presign(_ request: SignableRequest, at now: Instant, validSeconds: Int64) -> SignableRequest {
        precondition((1...604_800).contains(validSeconds))
        var signed = request
        let timestamp = SignatureTime.text(now)
        let scope = scope(timestamp)
        let parameters = [
            ("X-Amz-Algorithm", CanonicalRequest.algorithm), ("X-Amz-Credential", "\(credential.accessKey)/\(scope)"),
            ("X-Amz-Date", timestamp),
            ("X-Amz-Expires", String(validSeconds)), ("X-Amz-SignedHeaders", "host"),
        ]
        let addition = QueryForm.encode(parameters)
        signed.query = request.query.isEmpty ? addition : "\(request.query)&\(addition)"
        signed.query += "&X-Amz-Signature=" + signature(of: signed, headers: ["host"], scope: scope, timestamp: timestamp)
        return signed
    }

    private func scope(_ timestamp: String) -> CredentialScope {
        CredentialScope(day: String(timestamp.prefix(8)), region: region, service: service)
    }

    private func signature(of request: SignableRequest, headers: [String], scope: CredentialScope, timestamp: String) -> String {
        guard let text = CanonicalRequest.stringToSign(request, signedHeaders: headers, scope: scope, timestamp: timestamp) else {
            preconditionFailure("only headers of the request are signed")
        }
        let code = HMAC<SHA256>.authenticationCode(for: text, using: cache.key(secret: credential.secretKey, scope: scope))
        return String(decoding: hexadecimal(code), as: UTF8.self)
    }
}

extension RequestSigner {
    /// A signed `POST` of one EC2 action, ready to be sent to `http(s)://<host>/`.
    public func call(_ action: String, _ parameters: [(String, String)], host: String, at now: Instant) -> SignableRequest {
        let form = QueryForm.encode([("Action", action), ("Version", EC2Version.current)] + parameters)
        let request = SignableRequest(
            method: "POST", path: "/", query: "",
            headers: [("Host", host), ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")], body: Array(form.utf8))
        return sign(request, at: now)
    }
}
