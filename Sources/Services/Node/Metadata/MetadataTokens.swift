package import Crypto
import Foundation
package import Primitives
import Store

/// Session tokens of the metadata service, version 2: good for one instance and for the time it asked for.
///
/// A token is the moment it ends and a keyed hash over that and the instance, so none need to be kept, and one still works after
/// a restart.
package struct MetadataTokens: Sendable {
    private let key: SymmetricKey

    package static let longestSeconds: Int64 = 21_600

    package init(key: SymmetricKey = SymmetricKey(size: .bits256)) { self.key = key }

    /// The key in the node's database, made there when there is none.
    static func load(from database: any Database) async throws -> MetadataTokens {
        let fresh = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
        let kept = try await database.write { transaction -> String in
            if let known = try transaction.setting("metadata_key") { return known }
            try transaction.set("metadata_key", fresh.base64EncodedString())
            return fresh.base64EncodedString()
        }
        return MetadataTokens(key: SymmetricKey(data: Data(base64Encoded: kept) ?? fresh))
    }

    package func issue(for instance: InstanceID, seconds: Int64, at now: Instant) -> String {
        let end = now + .seconds(seconds)
        var bytes = withUnsafeBytes(of: end.microseconds.bigEndian) { Data($0) }
        bytes.append(contentsOf: HMAC<SHA256>.authenticationCode(for: message(instance, end), using: key))
        return Self.text(bytes)
    }

    /// EC2's tokens are base64 text that ends in ==, with URL-safe letters.
    private static func text(_ bytes: Data) -> String {
        bytes.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
    }

    package func accepts(_ token: String, for instance: InstanceID, at now: Instant) -> Bool {
        // One token has one text: the bits that base64 leaves over are as they were given out.
        guard token.utf8.count == 56, let bytes = Data(base64Encoded: token.replacing("-", with: "+").replacing("_", with: "/")),
            bytes.count == 40, Self.text(bytes) == token
        else { return false }
        let end = Instant(microseconds: bytes.prefix(8).reduce(0) { $0 << 8 | Int64($1) })
        guard now < end else { return false }
        // Compares in constant time.
        return HMAC<SHA256>.isValidAuthenticationCode(bytes.suffix(32), authenticating: message(instance, end), using: key)
    }

    private func message(_ instance: InstanceID, _ end: Instant) -> Data { Data("\(instance) \(end.microseconds)".utf8) }
}
