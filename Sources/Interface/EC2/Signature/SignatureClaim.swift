public import Primitives

/// What a request says about its own signature: who signed, for where and when. Nothing of it is proven yet.
public struct SignatureClaim: Sendable {
    public let accessKey: String
    public let region: String
    public let signedAt: Instant
    let scope: CredentialScope
    let signedHeaders: [String]
    let signature: [UInt8]
    let timestamp: String
    /// How long after `signedAt` the request may still arrive: 15 minutes, or what a presigned address says.
    let validFor: Span

    /// Reads the `Authorization` header, or the `X-Amz-…` parameters of a presigned address.
    public init(_ request: SignableRequest) throws(EC2Error) {
        if let header = request.header("authorization") {
            try self.init(header: header, date: request.header("x-amz-date"))
        } else {
            try self.init(presigned: request.query)
        }
    }

    private init(header: String, date: String?) throws(EC2Error) {
        let halves = header.split(separator: " ", maxSplits: 1)
        guard halves.count == 2, halves[0] == CanonicalRequest.algorithm else {
            throw EC2Error(.incompleteSignature, "Unsupported algorithm '\(halves.first ?? "")': sign with \(CanonicalRequest.algorithm).")
        }
        var fields: [Substring: String] = [:]
        for field in halves[1].split(separator: ",") {
            let pair = field.drop { $0 == " " }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { fields[pair[0]] = String(pair[1]) }
        }
        guard let date else { throw EC2Error(.incompleteSignature, "The request must have an X-Amz-Date header.") }
        for name in ["Credential", "SignedHeaders", "Signature"] where fields[Substring(name)] == nil {
            throw EC2Error(.incompleteSignature, "The Authorization header has no '\(name)'.")
        }
        try self.init(
            credential: fields["Credential"] ?? "", signedHeaders: fields["SignedHeaders"] ?? "", signature: fields["Signature"] ?? "",
            timestamp: date, validFor: SignatureVerifier.largestSkew)
    }

    private init(presigned query: String) throws(EC2Error) {
        let fields = Self.amazonParameters(query)
        guard let algorithm = fields["X-Amz-Algorithm"] else {
            throw EC2Error(
                .missingAuthenticationToken, "The request is not signed: it has neither an Authorization header nor X-Amz-Algorithm.")
        }
        guard algorithm == CanonicalRequest.algorithm else {
            throw EC2Error(.incompleteSignature, "Unsupported algorithm '\(algorithm)': sign with \(CanonicalRequest.algorithm).")
        }
        for name in ["X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires"] where fields[name] == nil
        {
            throw EC2Error(.incompleteSignature, "The presigned address has no '\(name)'.")
        }
        guard let seconds = Int64(fields["X-Amz-Expires"] ?? ""), (1...604_800).contains(seconds) else {
            throw EC2Error(.incompleteSignature, "X-Amz-Expires must be 1 to 604800 seconds.")
        }
        try self.init(
            credential: fields["X-Amz-Credential"] ?? "", signedHeaders: fields["X-Amz-SignedHeaders"] ?? "",
            signature: fields["X-Amz-Signature"] ?? "", timestamp: fields["X-Amz-Date"] ?? "", validFor: .seconds(seconds))
    }

    private init(credential: String, signedHeaders: String, signature: String, timestamp: String, validFor: Span) throws(EC2Error) {
        let parts = credential.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, !parts[0].isEmpty, parts[4] == CredentialScope.terminator else {
            throw EC2Error(
                .incompleteSignature, "Credential must be <access key>/<YYYYMMDD>/<region>/<service>/\(CredentialScope.terminator).")
        }
        guard let signedAt = SignatureTime.instant(timestamp) else {
            throw EC2Error(.incompleteSignature, "The date '\(timestamp)' is not of the form 20260131T120000Z.")
        }
        guard timestamp.hasPrefix(parts[1]), parts[1].utf8.count == 8 else {
            throw EC2Error(
                .signatureDoesNotMatch, "The day in the credential, '\(parts[1])', is not the day of the request, '\(timestamp)'.")
        }
        let names = signedHeaders.split(separator: ";").map(String.init)
        guard names.contains("host") else { throw EC2Error(.signatureDoesNotMatch, "'Host' must be among the signed headers.") }
        self.accessKey = parts[0]
        self.region = parts[2]
        self.signedAt = signedAt
        self.scope = CredentialScope(day: parts[1], region: parts[2], service: parts[3])
        self.signedHeaders = names
        self.signature = bytes(hexadecimal: signature) ?? []
        self.timestamp = timestamp
        self.validFor = validFor
    }

    private static func amazonParameters(_ query: String) -> [String: String] {
        var fields: [String: String] = [:]
        for part in query.utf8.split(separator: UInt8(ascii: "&")) {
            let halves = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, let name = PercentCoding.decode(halves[0], plusIsSpace: false),
                let value = PercentCoding.decode(halves[1], plusIsSpace: false)
            else { continue }
            fields[String(decoding: name, as: UTF8.self)] = String(decoding: value, as: UTF8.self)
        }
        return fields
    }
}
