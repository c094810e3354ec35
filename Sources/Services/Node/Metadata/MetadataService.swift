import CloudAPI
package import Foundation
package import Primitives

/// One request to the metadata service, with all that matters of it.
package struct MetadataRequest: Sendable {
    package var method: String
    /// As sent, query included.
    package var target: String
    /// Names in lower case.
    package var headers: [String: String]

    package init(method: String, target: String, headers: [String: String]) {
        self.method = method
        self.target = target
        self.headers = headers
    }
}

package struct MetadataAnswer: Sendable, Equatable {
    package var status: Int
    package var body: Data
    package var headers: [String: String] = [:]
    /// The answer carries a token and must not travel further than the instance itself.
    package var isToken = false

    package static func plain(_ status: Int, _ text: String = "") -> MetadataAnswer {
        MetadataAnswer(status: status, body: Data(text.utf8))
    }
}

/// What the metadata service answers. Pure: who asks has been found out by address before.
///
/// Version 1 is a plain GET. Version 2 asks for a session token by PUT first and sends it with each GET; a wrong or outdated token
/// is refused even where none is needed.
package struct MetadataService: Sendable {
    package var tokens: MetadataTokens

    package init(tokens: MetadataTokens) { self.tokens = tokens }

    private static let tokenHeader = "x-aws-ec2-metadata-token"
    private static let lifetimeHeader = "x-aws-ec2-metadata-token-ttl-seconds"
    private static let versions = ["1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2019-10-01", "2021-03-23", "2023-02-15", "latest"]

    package func answer(_ request: MetadataRequest, from subject: MetadataSubject?, at now: Instant) -> MetadataAnswer {
        // A proxy in the guest that passes requests of others on would tell them the instance's secrets.
        if request.headers["x-forwarded-for"] != nil { return .plain(403) }
        guard let subject else { return .plain(404) }
        let path = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)[0]
        let parts = path.split(separator: "/")[...]
        guard path.hasPrefix("/"), !parts.contains(where: { $0 == "." || $0 == ".." }), let decoded = Self.decoded(parts) else {
            return .plain(400)
        }
        switch request.method {
        case "PUT": return decoded.elementsEqual(["latest", "api", "token"]) ? token(request, subject, now) : .plain(405)
        case "GET", "HEAD": return item(decoded[...], request, subject, now)
        default: return .plain(405)
        }
    }

    private static func decoded(_ parts: ArraySlice<Substring>) -> [Substring]? {
        var result: [Substring] = []
        for part in parts {
            guard let text = String(part).removingPercentEncoding else { return nil }
            result.append(Substring(text))
        }
        return result
    }

    private func token(_ request: MetadataRequest, _ subject: MetadataSubject, _ now: Instant) -> MetadataAnswer {
        guard let text = request.headers[Self.lifetimeHeader], let seconds = Int64(text),
            (1...MetadataTokens.longestSeconds).contains(seconds)
        else { return .plain(400) }
        let token = tokens.issue(for: subject.intent.instance, seconds: seconds, at: now)
        return MetadataAnswer(status: 200, body: Data(token.utf8), headers: [Self.lifetimeHeader: "\(seconds)"], isToken: true)
    }

    private func item(_ path: ArraySlice<Substring>, _ request: MetadataRequest, _ subject: MetadataSubject, _ now: Instant)
        -> MetadataAnswer
    {
        if let token = request.headers[Self.tokenHeader], !tokens.accepts(token, for: subject.intent.instance, at: now) {
            return .plain(401)
        }
        guard let version = path.first else { return .plain(200, Self.versions.joined(separator: "\n")) }
        guard Self.versions.contains(String(version)) else { return .plain(404) }
        if path.dropFirst().elementsEqual(["api", "token"]) { return .plain(405) }
        guard let tree = subject.tree.at(path.dropFirst()) else { return .plain(404) }
        return MetadataAnswer(status: 200, body: tree.body)
    }
}
