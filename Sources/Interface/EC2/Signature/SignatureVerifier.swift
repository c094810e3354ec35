import Crypto
public import Primitives

/// Verifies AWS Signature Version 4 in both forms: `Authorization` header and presigned address.
///
/// In two steps, because the secret has to be looked up in between: read the claim, then prove it.
public struct SignatureVerifier: Sendable {
    /// How far the caller's clock may be from ours.
    public static let largestSkew = Span.minutes(15)

    private let service: String
    private let cache: SigningKeyCache

    public init(service: String = "ec2", cache: SigningKeyCache = SigningKeyCache()) {
        self.service = service
        self.cache = cache
    }

    /// Proves that the holder of `secret` signed exactly this request, and not too long ago.
    public func verify(_ claim: SignatureClaim, of request: SignableRequest, secret: String, now: Instant) throws(EC2Error) {
        try checkTime(claim, now: now)
        guard claim.scope.service == service else {
            throw EC2Error(.signatureDoesNotMatch, "The credential is scoped to service '\(claim.scope.service)', not to '\(service)'.")
        }
        guard
            let signed = CanonicalRequest.stringToSign(
                request, signedHeaders: claim.signedHeaders, scope: claim.scope, timestamp: claim.timestamp)
        else {
            throw EC2Error(.signatureDoesNotMatch, "A header named in SignedHeaders is not in the request.")
        }
        // `isValidAuthenticationCode` compares in constant time.
        guard
            HMAC<SHA256>.isValidAuthenticationCode(
                claim.signature, authenticating: signed, using: cache.key(secret: secret, scope: claim.scope))
        else {
            throw EC2Error(
                .signatureDoesNotMatch,
                "The request signature we calculated does not match the signature you provided. Check your secret access key and signing method."
            )
        }
    }

    private func checkTime(_ claim: SignatureClaim, now: Instant) throws(EC2Error) {
        if now > claim.signedAt + claim.validFor {
            throw EC2Error(
                .requestExpired,
                "Request has expired: it was signed for \(claim.signedAt), was good for \(claim.validFor.seconds) seconds, and it is \(now)."
            )
        }
        if claim.signedAt > now + Self.largestSkew {
            throw EC2Error(.signatureDoesNotMatch, "Signature not yet current: it was signed for \(claim.signedAt), and it is \(now).")
        }
    }
}

extension EC2Error {
    /// For an access key that does not exist or was withdrawn.
    public static let unknownAccessKey = EC2Error(.authFailure, "The provided credentials could not be validated: no such access key.")
}
