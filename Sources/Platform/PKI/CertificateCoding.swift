// Small conversions between our values and those of X.509: times, serial numbers, PEM, hexadecimal.
import Crypto
import Foundation
import Primitives
import SwiftASN1
import X509

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

/// Nil unless `text` is an even number of hexadecimal digits.
func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = Character(UnicodeScalar(digits[index])).hexDigitValue,
            let low = Character(UnicodeScalar(digits[index + 1])).hexDigitValue
        else { return nil }
        bytes.append(UInt8(high << 4 | low))
    }
    return bytes
}

extension Instant {
    /// X.509 times are whole seconds.
    init(_ date: Date) { self.init(seconds: Int64(date.timeIntervalSince1970.rounded())) }
    var date: Date { Date(timeIntervalSince1970: Double(flooredToSecond.microseconds / 1_000_000)) }
    var flooredToSecond: Instant { floored(to: .seconds(1)) }
}

extension Certificate.SerialNumber {
    /// 127 random bits, never zero, positive, 16 octets (RFC 5280 §4.1.2.2 wants at most 20).
    static func random() -> Self {
        var generator = SystemRandomNumberGenerator()
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        bytes[0] = UInt8.random(in: 0x10...0x7F, using: &generator)
        return Self(bytes: bytes)
    }

    /// Lower case, whole octets, no leading zero octet: one number has one text.
    var text: String { hexadecimal(bytes.drop { $0 == 0 }) }

    /// The form in which `text` gives it; nil when it is no hexadecimal number of 1 to 20 octets.
    static func normalized(_ text: String) -> String? {
        guard let octets = PKI.bytes(hexadecimal: text.utf8.count % 2 == 0 ? text : "0" + text) else { return nil }
        let significant = octets.drop { $0 == 0 }
        return (1...20).contains(significant.count) ? hexadecimal(significant) : nil
    }
}

func derBytes(of certificate: Certificate) throws(PKIError) -> [UInt8] {
    try decoding("certificate cannot be encoded") {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return serializer.serializedBytes
    }
}

/// SHA-256 of the DER, 64 lower-case hexadecimal digits.
func fingerprint(of certificate: Certificate) throws(PKIError) -> String {
    hexadecimal(SHA256.hash(data: try derBytes(of: certificate)))
}

/// PEM with a newline at its end, so that texts can be put one after the other.
func pemText(of certificate: Certificate) throws(PKIError) -> String {
    try decoding("certificate cannot be encoded") { try certificate.serializeAsPEM().pemString + "\n" }
}

/// All certificates of a PEM text, in order. At most 8: no chain of ours has more than 3.
func certificates(pem: String, what: String) throws(PKIError) -> [Certificate] {
    guard pem.utf8.count <= 65_536 else { throw .malformed("\(what): longer than 64 KiB") }
    let found = try decoding(what) { try PEMDocument.parseMultiple(pemString: pem).map { try Certificate(pemDocument: $0) } }
    guard found.count <= 8 else { throw .malformed("\(what): more than 8 certificates") }
    return found
}

func onlyCertificate(pem: String, what: String) throws(PKIError) -> Certificate {
    let found = try certificates(pem: pem, what: what)
    guard let certificate = found.first, found.count == 1 else {
        throw .malformed("\(what): \(found.count) certificates where one is wanted")
    }
    return certificate
}

/// The key's identifier: SHA-1 of the public key's bits (RFC 5280 §4.2.1.2, method 1), as the library computes it.
func keyIdentifier(of certificate: Certificate) -> ArraySlice<UInt8> {
    SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier
}
