import Crypto

/// The canonical form of a request, which both sides of a signature compute
/// (AWS General Reference, "Create a signed AWS API request", Signature Version 4).
enum CanonicalRequest {
    static let algorithm = "AWS4-HMAC-SHA256"

    /// What is signed: algorithm, time, scope, and the hash of the canonical request.
    static func stringToSign(_ request: SignableRequest, signedHeaders: [String], scope: CredentialScope, timestamp: String) -> [UInt8]? {
        guard let canonical = bytes(of: request, signedHeaders: signedHeaders) else { return nil }
        return Array("\(algorithm)\n\(timestamp)\n\(scope)\n".utf8) + hexadecimal(SHA256.hash(data: canonical))
    }

    /// Nil when a header that is said to be signed is not there.
    private static func bytes(of request: SignableRequest, signedHeaders: [String]) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(1_024)
        out += request.method.utf8
        out.append(newline)
        // Every service but S3 encodes the path once more than it was sent.
        PercentCoding.encode(request.path.isEmpty ? "/".utf8 : request.path.utf8, keepingSlashes: true, into: &out)
        out.append(newline)
        out += query(request.query)
        out.append(newline)
        for name in signedHeaders {
            guard let value = headerValue(name, in: request) else { return nil }
            out += name.utf8
            out.append(UInt8(ascii: ":"))
            out += value
            out.append(newline)
        }
        out.append(newline)
        out += signedHeaders.joined(separator: ";").utf8
        out.append(newline)
        out += hexadecimal(SHA256.hash(data: request.body))
        return out
    }

    private static let newline = UInt8(ascii: "\n")

    /// All values of that header joined with commas, blanks trimmed and runs of blanks made one.
    private static func headerValue(_ name: String, in request: SignableRequest) -> [UInt8]? {
        var out: [UInt8]?
        for header in request.headers where header.name.lowercased() == name {
            var value = out.map { $0 + [UInt8(ascii: ",")] } ?? []
            let start = value.count
            var pendingBlank = false
            for byte in header.value.utf8 {
                if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") {
                    pendingBlank = value.count > start
                } else {
                    if pendingBlank { value.append(UInt8(ascii: " ")) }
                    pendingBlank = false
                    value.append(byte)
                }
            }
            out = value
        }
        return out
    }

    /// Decoded, encoded in one way, and sorted, so that it does not matter how the client wrote it. `X-Amz-Signature` is left out.
    private static func query(_ raw: String) -> [UInt8] {
        var pairs: [(name: [UInt8], value: [UInt8])] = []
        for part in raw.utf8.split(separator: UInt8(ascii: "&")) {
            let halves = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let name = reencoded(halves[0])
            guard !name.elementsEqual("X-Amz-Signature".utf8) else { continue }
            pairs.append((name, halves.count > 1 ? reencoded(halves[1]) : []))
        }
        pairs.sort { a, b in a.name == b.name ? a.value.lexicographicallyPrecedes(b.value) : a.name.lexicographicallyPrecedes(b.name) }
        var out: [UInt8] = []
        for pair in pairs {
            if !out.isEmpty { out.append(UInt8(ascii: "&")) }
            out += pair.name
            out.append(UInt8(ascii: "="))
            out += pair.value
        }
        return out
    }

    private static func reencoded(_ raw: Substring.UTF8View) -> [UInt8] {
        var out: [UInt8] = []
        PercentCoding.encode(PercentCoding.decode(raw, plusIsSpace: false) ?? Array(raw), keepingSlashes: false, into: &out)
        return out
    }
}

/// Where and when a signature is good: `20130524/eu-west-1/ec2/aws4_request`.
struct CredentialScope: Sendable, Hashable, CustomStringConvertible {
    static let terminator = "aws4_request"
    /// `YYYYMMDD`
    var day: String
    var region: String
    var service: String

    var description: String { "\(day)/\(region)/\(service)/\(Self.terminator)" }
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    var out: [UInt8] = []
    for byte in bytes {
        out.append(digits[Int(byte >> 4)])
        out.append(digits[Int(byte & 15)])
    }
    return out
}

/// Nil unless `text` is pairs of hexadecimal digits.
func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var out: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = PercentCoding.value(ofDigit: digits[index]), let low = PercentCoding.value(ofDigit: digits[index + 1]) else {
            return nil
        }
        out.append(high << 4 | low)
    }
    return out
}
