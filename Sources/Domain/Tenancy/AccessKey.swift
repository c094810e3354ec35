public import Primitives

/// An access key of the EC2 API. The secret is kept because verifying a signature needs it itself, not a hash of it.
public struct AccessKey: Hashable, Sendable {
    /// 20 characters: `AKBO` and 16 of A–Z, 2–7.
    public var name: String
    /// 40 characters of base64's alphabet without `+` and `/`, which clients and shells mistreat.
    public var secret: String
    public var user: UserID

    /// Makes a key of random bytes: 10 for the name, 40 for the secret.
    public init(user: UserID, nameBytes: [UInt8], secretBytes: [UInt8]) {
        precondition(nameBytes.count == 10 && secretBytes.count == 40)
        self.user = user
        self.name = "AKBO" + base32(nameBytes)
        // 62 letters do not divide 256; the bias costs less than a tenth of a bit per character of 240.
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        self.secret = String(decoding: secretBytes.map { letters[Int($0) % letters.count] }, as: UTF8.self)
    }
}

/// RFC 4648 base32 without padding; `bytes` are a multiple of five.
private func base32(_ bytes: [UInt8]) -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
    var text: [UInt8] = []
    var buffer = 0
    var bits = 0
    for byte in bytes {
        buffer = buffer << 8 | Int(byte)
        bits += 8
        while bits >= 5 {
            bits -= 5
            text.append(letters[buffer >> bits & 31])
        }
        buffer &= (1 << bits) - 1
    }
    return String(decoding: text, as: UTF8.self)
}
