/// An HTTP request as signatures see it: the request line undecoded, the headers, the body.
public struct SignableRequest: Sendable {
    /// Upper case, e.g. `POST`.
    public var method: String
    /// As on the request line, still percent-encoded, without the query.
    public var path: String
    /// As on the request line, without `?`; empty when there is none.
    public var query: String
    /// In any order and case. `Host` must be among them: signatures cover it.
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]

    public init(method: String, path: String, query: String, headers: [(name: String, value: String)], body: [UInt8]) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// The first header of that name; `name` in lower case.
    func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name }?.value
    }
}

/// An access key of the EC2 API: a public name and the secret that signs.
public struct AccessCredential: Sendable, Hashable {
    public var accessKey: String
    public var secretKey: String

    public init(accessKey: String, secretKey: String) {
        self.accessKey = accessKey
        self.secretKey = secretKey
    }
}
