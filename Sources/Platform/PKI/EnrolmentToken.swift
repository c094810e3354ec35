// The one-time secret with which a program introduces itself, and which tells it whom to trust.
import Crypto
import Foundation

/// `bet_<secret, base64url>.<first 16 hexadecimal digits of the SHA-256 of the root certificate's DER>`
///
/// The second half pins the root, so that a program can enrol over a connection it cannot yet verify: it accepts an answer
/// only if `pins(rootPEM:)`. The exchange stores `secretHash`, never the token.
public struct EnrolmentToken: Sendable {
    /// The whole token: show it once, store it nowhere.
    public let text: String
    /// SHA-256 of the secret, 64 lower-case hexadecimal digits.
    public let secretHash: String
    /// 16 lower-case hexadecimal digits.
    public let rootPin: String

    private static let prefix = "bet_"
    private static let secretLength = 32

    /// A new token with 256 random bits, for programs that shall trust this root.
    public init(rootPEM: String) throws(PKIError) {
        let secret = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
        self.init(secret: secret, rootPin: try Self.pin(rootPEM: rootPEM))
    }

    /// Nil unless `text` has exactly the form of a token.
    public init?(_ text: String) {
        guard text.utf8.count <= 128, text.hasPrefix(Self.prefix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let secret = base64URLDecoded(String(parts[0])), secret.count == Self.secretLength,
            parts[1].utf8.count == 16, parts[1].utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else { return nil }
        self.init(secret: secret, rootPin: String(parts[1]))
        // Base64 has spare bits at the end: two texts must not be one token.
        guard self.text == text else { return nil }
    }

    private init(secret: [UInt8], rootPin: String) {
        self.rootPin = rootPin
        secretHash = hexadecimal(SHA256.hash(data: secret))
        text = Self.prefix + base64URLEncoded(secret) + "." + rootPin
    }

    /// Compares with a stored hash, taking the same time whatever the difference.
    public func matches(hash: String) -> Bool { equalInConstantTime(secretHash, hash) }

    /// Whether this is the root certificate the token was made for.
    public func pins(rootPEM: String) -> Bool {
        guard let pin = try? Self.pin(rootPEM: rootPEM) else { return false }
        return equalInConstantTime(pin, rootPin)
    }

    private static func pin(rootPEM: String) throws(PKIError) -> String {
        let certificate = try onlyCertificate(pem: rootPEM, what: "root certificate")
        return String(try fingerprint(of: certificate).prefix(16))
    }
}

extension EnrolmentToken: CustomStringConvertible, CustomDebugStringConvertible {
    /// Never the secret: descriptions end up in logs.
    public var description: String { "enrolment token for root \(rootPin)" }
    public var debugDescription: String { description }
}

/// Looks at every byte of texts of equal length before it answers.
func equalInConstantTime(_ a: String, _ b: String) -> Bool {
    let left = Array(a.utf8)
    let right = Array(b.utf8)
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in left.indices { difference |= left[index] ^ right[index] }
    return difference == 0
}

private func base64URLEncoded(_ bytes: [UInt8]) -> String {
    Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
}

private func base64URLDecoded(_ text: String) -> [UInt8]? {
    guard !text.contains(where: { "+/=".contains($0) }) else { return nil }
    let standard = text.replacing("-", with: "+").replacing("_", with: "/")
    let padding = String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4)
    return Data(base64Encoded: standard + padding).map { Array($0) }
}
