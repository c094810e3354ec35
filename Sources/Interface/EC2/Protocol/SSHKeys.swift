import Crypto
import FoundationEssentials

/// A public key in OpenSSH's one-line form (RFC 4253 section 6.6 for what the line encodes).
public struct SSHPublicKey: Sendable, Hashable {
    public enum Kind: String, Sendable { case rsa, ed25519 }
    public let kind: Kind
    /// `ssh-ed25519 AAAA… comment`
    public let line: String
    private let blob: [UInt8]

    /// Nil unless `text` is one line with an ed25519 key, or an RSA key of at least 1024 bits.
    public init?(_ text: String) {
        let line = text.trimmingPrefix { $0.isWhitespace }.split(whereSeparator: \.isNewline)
        guard line.count == 1 else { return nil }
        let words = line[0].split(separator: " ", maxSplits: 2)
        guard words.count >= 2, let blob = decodeBase64(String(words[1])) else { return nil }
        var reader = SSHFieldReader(blob)
        guard let algorithm = reader.next(), algorithm.elementsEqual(words[0].utf8) else { return nil }
        switch words[0] {
        case "ssh-ed25519":
            guard let key = reader.next(), key.count == 32, reader.isAtEnd else { return nil }
            kind = .ed25519
        case "ssh-rsa":
            guard reader.next() != nil, let modulus = reader.next(), modulus.count >= 128, reader.isAtEnd else { return nil }
            kind = .rsa
        default: return nil
        }
        self.line = words.joined(separator: " ")
        self.blob = blob
    }

    /// As EC2 computes it: SHA-256 in base64 for ed25519, MD5 of the DER form (RFC 5280 SubjectPublicKeyInfo) for imported RSA keys.
    public var fingerprint: String {
        switch kind {
        case .ed25519: return Data(SHA256.hash(data: blob)).base64EncodedString()
        case .rsa:
            let digest = hexadecimal(Insecure.MD5.hash(data: derEncodedRSA))
            return stride(from: 0, to: digest.count, by: 2).map { String(decoding: digest[$0..<($0 + 2)], as: UTF8.self) }.joined(
                separator: ":")
        }
    }

    private var derEncodedRSA: [UInt8] {
        var reader = SSHFieldReader(blob)
        _ = reader.next()
        let exponent = reader.next() ?? []
        let modulus = reader.next() ?? []
        let key = der(0x30, der(0x02, Array(modulus)) + der(0x02, Array(exponent)))
        // rsaEncryption, 1.2.840.113549.1.1.1, with NULL parameters.
        let algorithm = der(0x30, [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00])
        return der(0x30, algorithm + der(0x03, [0] + key))
    }

    private func der(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var length = content.count
        guard length >= 128 else { return [tag, UInt8(length)] + content }
        var digits: [UInt8] = []
        while length > 0 {
            digits.insert(UInt8(length & 255), at: 0)
            length >>= 8
        }
        return [tag, 0x80 | UInt8(digits.count)] + digits + content
    }
}

/// A new ed25519 key pair for ssh.
public struct SSHKeyPair: Sendable {
    public let publicKey: SSHPublicKey
    /// `-----BEGIN OPENSSH PRIVATE KEY-----…`, without a passphrase.
    public let privateKey: String

    /// Uses the system's randomness.
    public init(comment: String) {
        self.init(key: Curve25519.Signing.PrivateKey(), check: UInt32.random(in: .min ... .max), comment: comment)
    }

    /// `check` is any number; readers compare its two copies to see whether decryption worked.
    init(key: Curve25519.Signing.PrivateKey, check: UInt32, comment: String) {
        let raw = Array(key.publicKey.rawRepresentation)
        let blob = sshField("ssh-ed25519".utf8) + sshField(raw)
        let line = "ssh-ed25519 \(Data(blob).base64EncodedString())" + (comment.isEmpty ? "" : " \(comment)")
        guard let publicKey = SSHPublicKey(line) else { preconditionFailure("the line above is an OpenSSH public key") }
        self.publicKey = publicKey
        // OpenSSH, PROTOCOL.key: magic, cipher, kdf, options, count, public key, and the private part padded to 8 bytes with 1, 2, 3 …
        var secret = bigEndian(check) + bigEndian(check) + blob
        secret += sshField(Array(key.rawRepresentation) + raw) + sshField(comment.utf8)
        for pad in 1...8 where secret.count % 8 != 0 { secret.append(UInt8(pad)) }
        var file = Array("openssh-key-v1\0".utf8)
        file += sshField("none".utf8) + sshField("none".utf8) + sshField([]) + bigEndian(1) + sshField(blob) + sshField(secret)
        let text = Array(Data(file).base64EncodedString().utf8)
        let lines = stride(from: 0, to: text.count, by: 70).map { String(decoding: text[$0..<min($0 + 70, text.count)], as: UTF8.self) }
        privateKey = "-----BEGIN OPENSSH PRIVATE KEY-----\n\(lines.joined(separator: "\n"))\n-----END OPENSSH PRIVATE KEY-----\n"
    }
}

private func bigEndian(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

private func sshField(_ bytes: some Collection<UInt8>) -> [UInt8] { bigEndian(UInt32(bytes.count)) + Array(bytes) }

/// Fields of an ssh blob: four bytes of length, then that many bytes.
private struct SSHFieldReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }
    var isAtEnd: Bool { rest.isEmpty }

    mutating func next() -> ArraySlice<UInt8>? {
        guard rest.count >= 4 else { return nil }
        let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        rest = rest.dropFirst(4)
        guard rest.count >= length else { return nil }
        defer { rest = rest.dropFirst(length) }
        return rest.prefix(length)
    }
}

/// Standard base64; line breaks are allowed, as clients send them.
package func decodeBase64(_ text: String) -> [UInt8]? {
    Data(base64Encoded: String(text.filter { !$0.isNewline })).map(Array.init)
}
