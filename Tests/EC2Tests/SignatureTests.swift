import EC2
import Primitives
import Testing

@Suite struct SignatureTests {
    private let now = SignatureVector.signedAt
    private let verifier = SignatureVerifier()

    private func check(_ request: SignableRequest, secret: String = SignatureVector.secret, at now: Instant) throws(EC2Error) {
        try verifier.verify(try SignatureClaim(request), of: request, secret: secret, now: now)
    }

    private func refusal(_ request: SignableRequest, secret: String = SignatureVector.secret, at now: Instant? = nil) -> ErrorCode? {
        do throws(EC2Error) {
            try check(request, secret: secret, at: now ?? self.now)
            return nil
        } catch {
            return error.code
        }
    }

    @Test(arguments: SignatureVector.all) func acceptsWhatBotocoreSigns(_ vector: SignatureVector) throws {
        try check(vector.request, at: now)
        #expect(try SignatureClaim(vector.request).accessKey == "AKIDEXAMPLE")
        #expect(try SignatureClaim(vector.request).region == "eu-west-1")
    }

    @Test(arguments: SignatureVector.all) func refusesAnyChange(_ vector: SignatureVector) {
        #expect(refusal(vector.request, secret: "another") == .signatureDoesNotMatch)
        var body = vector.request
        body.body += Array("&DryRun=true".utf8)
        #expect(refusal(body) == .signatureDoesNotMatch)
        var query = vector.request
        query.query += query.query.isEmpty ? "Extra=1" : "&Extra=1"
        #expect(refusal(query) == .signatureDoesNotMatch)
        var path = vector.request
        path.path += "x"
        #expect(refusal(path) == .signatureDoesNotMatch)
        var method = vector.request
        method.method = "PUT"
        #expect(refusal(method) == .signatureDoesNotMatch)
        var host = vector.request
        host.headers = host.headers.map { $0.name.lowercased() == "host" ? ($0.name, "elsewhere.test") : $0 }
        #expect(refusal(host) == .signatureDoesNotMatch)
    }

    @Test func clocksMayDifferByFifteenMinutes() {
        let request = SignatureVector.all[0].request
        #expect(refusal(request, at: now + .minutes(15)) == nil)
        #expect(refusal(request, at: now + .minutes(15) + .seconds(1)) == .requestExpired)
        #expect(refusal(request, at: now - .minutes(15)) == nil)
        #expect(refusal(request, at: now - .minutes(15) - .seconds(1)) == .signatureDoesNotMatch)
    }

    @Test func presignedAddressesExpire() throws {
        let presigned = try #require(SignatureVector.all.first { $0.note == "presigned address" }).request
        #expect(refusal(presigned, at: now + .seconds(300)) == nil)
        #expect(refusal(presigned, at: now + .seconds(301)) == .requestExpired)
    }

    @Test(arguments: [
        ("", ErrorCode.missingAuthenticationToken), ("Bearer abc", .incompleteSignature), ("AWS4-HMAC-SHA256", .incompleteSignature),
        ("AWS4-HMAC-SHA256 Credential=AK/20260131/r/ec2/aws4_request, SignedHeaders=host", .incompleteSignature),
        ("AWS4-HMAC-SHA256 Credential=AK/20260131/r/ec2, SignedHeaders=host, Signature=00", .incompleteSignature),
        ("AWS4-HMAC-SHA256 Credential=AK/20260130/r/ec2/aws4_request, SignedHeaders=host, Signature=00", .signatureDoesNotMatch),
        ("AWS4-HMAC-SHA256 Credential=AK/20260131/r/s3/aws4_request, SignedHeaders=host, Signature=00", .signatureDoesNotMatch),
        ("AWS4-HMAC-SHA256 Credential=AK/20260131/r/ec2/aws4_request, SignedHeaders=x-amz-date, Signature=00", .signatureDoesNotMatch),
        ("AWS4-HMAC-SHA256 Credential=AK/20260131/r/ec2/aws4_request, SignedHeaders=host;missing, Signature=00", .signatureDoesNotMatch),
        ("AWS4-HMAC-SHA256 Credential=AK/20260131/r/ec2/aws4_request, SignedHeaders=host, Signature=zz", .signatureDoesNotMatch),
    ])
    func malformedSignaturesSayWhy(_ header: String, _ code: ErrorCode) {
        var headers = [(name: "Host", value: "h"), (name: "X-Amz-Date", value: "20260131T120000Z")]
        if !header.isEmpty { headers.append(("Authorization", header)) }
        #expect(refusal(SignableRequest(method: "POST", path: "/", query: "", headers: headers, body: [])) == code)
    }

    @Test func ownSignaturesAreThoseOfBotocore() throws {
        let vector = try #require(SignatureVector.all.first { $0.note == "form in the body" }).request
        let authorization = try #require(vector.headers.first { $0.name == "Authorization" }).value
        let headers = vector.headers.filter { !["Authorization", "X-Amz-Date"].contains($0.name) }
        let signer = RequestSigner(AccessCredential(accessKey: "AKIDEXAMPLE", secretKey: SignatureVector.secret), region: "eu-west-1")
        let signed = signer.sign(
            SignableRequest(method: vector.method, path: vector.path, query: vector.query, headers: headers, body: vector.body), at: now)
        #expect(signed.headers.first { $0.name == "Authorization" }?.value == authorization)
    }

    @Test func signedCallsAndPresignedAddressesVerify() throws {
        let signer = RequestSigner(AccessCredential(accessKey: "AK", secretKey: "secret"), region: "demo-1")
        let call = signer.call("DescribeInstances", [("Filter.1.Value.1", "a b+c&=ü/")], host: "127.0.0.1:7411", at: now)
        try check(call, secret: "secret", at: now)
        let parameters = try QueryForm.decode(query: call.query, body: call.body)
        #expect(parameters.contains { $0.name == "Filter.1.Value.1" && $0.value == "a b+c&=ü/" })
        let get = SignableRequest(method: "GET", path: "/", query: "Action=DescribeRegions", headers: [("Host", "h")], body: [])
        let presigned = signer.presign(get, at: now, validSeconds: 60)
        try check(presigned, secret: "secret", at: now + .seconds(60))
        #expect(refusal(presigned, secret: "secret", at: now + .seconds(61)) == .requestExpired)
        #expect(try QueryForm.decode(query: presigned.query, body: []).map(\.name) == ["Action"])
    }
}
