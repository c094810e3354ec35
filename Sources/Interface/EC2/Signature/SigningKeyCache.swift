import Crypto
import Synchronization

/// Signing keys by secret, day, region and service. One lives for a day, and keeping it saves four of the five hash rounds
/// of every signature.
public final class SigningKeyCache: Sendable {
    private struct Name: Hashable {
        let secret: String
        let scope: CredentialScope
    }

    private static let largestCount = 4_096
    private let keys = Mutex<[Name: SymmetricKey]>([:])

    public init() {}

    func key(secret: String, scope: CredentialScope) -> SymmetricKey {
        let name = Name(secret: secret, scope: scope)
        if let known = keys.withLock({ $0[name] }) { return known }
        let key = Self.derive(secret: secret, scope: scope)
        keys.withLock { keys in
            // Days pass and callers may name any region: start over rather than grow without end.
            if keys.count >= Self.largestCount { keys.removeAll(keepingCapacity: true) }
            keys[name] = key
        }
        return key
    }

    private static func derive(secret: String, scope: CredentialScope) -> SymmetricKey {
        var key = SymmetricKey(data: Array("AWS4\(secret)".utf8))
        for part in [scope.day, scope.region, scope.service, CredentialScope.terminator] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key))
        }
        return key
    }
}
