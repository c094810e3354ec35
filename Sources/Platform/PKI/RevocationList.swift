// Certificate revocation lists, version 2 (RFC 5280 §5), written and read on SwiftASN1.
import Crypto
import Foundation
public import Primitives
import SwiftASN1
import X509

/// What a revocation list says. One that came through `TrustBundle.updating` also had its signature checked.
public struct RevocationList: Sendable, Hashable {
    public struct Entry: Sendable, Hashable {
        /// Lower-case hexadecimal, as in `IssuedCertificate.serial`.
        public var serial: String
        public var at: Instant
    }

    /// Grows with every list; a lower one is an old one.
    public let number: Int64
    public let thisUpdate: Instant
    /// A newer list exists by then: from this moment this one is stale.
    public let nextUpdate: Instant
    public let entries: [Entry]
    /// The list as it came.
    public let der: [UInt8]

    let issuer: DistinguishedName
    let signedBytes: ArraySlice<UInt8>
    let signature: ArraySlice<UInt8>

    static let largest = 1 << 24
    private static let numberIdentifier: ASN1ObjectIdentifier = [2, 5, 29, 20]
    private static let ecdsaWithSHA256: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 2]
}

// MARK: - Writing

extension CertificateAuthority {
    /// A DER-encoded list signed by the intermediate.
    /// - Parameter number: larger than that of every list before: peers refuse to go back.
    /// - Parameter revoked: serial numbers in hexadecimal, with the moment each was revoked.
    public func revocationList(
        number: Int64, revoked: [(serial: String, at: Instant)], now: Instant, nextUpdate: Instant
    ) throws(PKIError) -> [UInt8] {
        guard number >= 0, now < nextUpdate else { throw .malformed("revocation list with number \(number), from \(now) to \(nextUpdate)") }
        var entries: [RevocationList.Entry] = []
        for (serial, at) in revoked {
            guard let text = Certificate.SerialNumber.normalized(serial) else { throw .malformed("'\(serial)' is not a serial number") }
            entries.append(RevocationList.Entry(serial: text, at: at))
        }
        return try decoding("revocation list") {
            let signedBytes = try RevocationList.encoded(
                entries, number: number, issuer: intermediate, thisUpdate: now, nextUpdate: nextUpdate)
            let signature = try key.signature(for: signedBytes).derRepresentation
            return try RevocationList.encoded(signedBytes: signedBytes, signature: Array(signature))
        }
    }
}

extension RevocationList {
    fileprivate static func encoded(
        _ entries: [Entry], number: Int64, issuer: Certificate, thisUpdate: Instant, nextUpdate: Instant
    ) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { list in
            try list.serialize(Int64(1))  // version 2
            try writeAlgorithm(&list)
            try list.serialize(issuer.subject)
            try writeTime(thisUpdate, &list)
            try writeTime(nextUpdate, &list)
            if !entries.isEmpty {  // an empty sequence is not allowed
                try list.appendConstructedNode(identifier: .sequence) { try write(entries, &$0) }
            }
            try list.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) { tagged in
                try tagged.appendConstructedNode(identifier: .sequence) { try writeExtensions(number, issuer, &$0) }
            }
        }
        return serializer.serializedBytes
    }

    fileprivate static func encoded(signedBytes: [UInt8], signature: [UInt8]) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { list in
            list.serializeRawBytes(signedBytes)
            try writeAlgorithm(&list)
            try list.serialize(ASN1BitString(bytes: signature[...]))
        }
        return serializer.serializedBytes
    }

    private static func write(_ entries: [Entry], _ list: inout DER.Serializer) throws {
        for entry in entries {
            guard let serial = bytes(hexadecimal: entry.serial) else { throw PKIError.malformed("serial number '\(entry.serial)'") }
            try list.appendConstructedNode(identifier: .sequence) { fields in
                try fields.serialize(serial[...])
                try writeTime(entry.at, &fields)
            }
        }
    }

    private static func writeExtensions(_ number: Int64, _ issuer: Certificate, _ list: inout DER.Serializer) throws {
        try list.serialize(Certificate.Extension(AuthorityKeyIdentifier(keyIdentifier: keyIdentifier(of: issuer)), critical: false))
        var value = DER.Serializer()
        try value.serialize(number)
        try list.serialize(Certificate.Extension(oid: numberIdentifier, critical: false, value: value.serializedBytes[...]))
    }

    private static func writeAlgorithm(_ serializer: inout DER.Serializer) throws {
        try serializer.appendConstructedNode(identifier: .sequence) { try $0.serialize(ecdsaWithSHA256) }
    }

    /// UTCTime up to 2049, GeneralizedTime from 2050 (RFC 5280 §5.1.2.4).
    private static func writeTime(_ instant: Instant, _ serializer: inout DER.Serializer) throws {
        let digits = instant.flooredToSecond.description.split { !$0.isNumber }.compactMap { Int($0) }
        guard digits.count == 6 else { throw PKIError.malformed("time \(instant)") }
        let (year, month, day, hours, minutes, seconds) = (digits[0], digits[1], digits[2], digits[3], digits[4], digits[5])
        if (1950..<2050).contains(year) {
            try serializer.serialize(UTCTime(year: year, month: month, day: day, hours: hours, minutes: minutes, seconds: seconds))
        } else {
            try serializer.serialize(
                GeneralizedTime(
                    year: year, month: month, day: day, hours: hours, minutes: minutes, seconds: seconds, fractionalSeconds: 0))
        }
    }
}

// MARK: - Reading

extension RevocationList {
    /// Reads a list without believing it: who verifies it is `TrustBundle.updating`.
    /// - Throws: `.revocationList(.malformed, …)`, also for critical extensions, of which none is understood.
    public init(der: [UInt8]) throws(PKIError) {
        do {
            guard der.count <= Self.largest else { throw PKIError.malformed("larger than 16 MiB") }
            self = try Self.parsed(der)
        } catch {
            throw .revocationList(.malformed, "\(error)")
        }
    }

    private static func parsed(_ der: [UInt8]) throws -> RevocationList {
        try DER.sequence(try DER.parse(der), identifier: .sequence) { outer in
            guard let signed = outer.next() else { throw PKIError.malformed("empty list") }
            try requireAlgorithm(outer.next())
            let signature = try ASN1BitString(derEncoded: &outer)
            var body = try fields(of: signed)
            guard let version = body.popFirst(), try Int64(derEncoded: version) == 1 else { throw PKIError.malformed("not version 2") }
            try requireAlgorithm(body.popFirst())
            guard let issuer = body.popFirst(), let thisUpdate = body.popFirst(), let nextUpdate = body.popFirst() else {
                throw PKIError.malformed("issuer or times are missing")
            }
            var entries: [Entry] = []
            if let list = body.first, list.identifier == .sequence {
                body.removeFirst()
                entries = try fields(of: list).map(entry)
            }
            let number = try number(body)
            return RevocationList(
                number: number, thisUpdate: try time(thisUpdate), nextUpdate: try time(nextUpdate), entries: entries, der: der,
                issuer: try DistinguishedName(derEncoded: issuer), signedBytes: signed.encodedBytes, signature: signature.bytes)
        }
    }

    private static func fields(of node: ASN1Node) throws -> ArraySlice<ASN1Node> {
        guard node.identifier == .sequence, case .constructed(let nodes) = node.content else { throw PKIError.malformed("no sequence") }
        return Array(nodes)[...]
    }

    private static func requireAlgorithm(_ node: ASN1Node?) throws {
        guard let node, let first = try fields(of: node).first, try ASN1ObjectIdentifier(derEncoded: first) == ecdsaWithSHA256 else {
            throw PKIError.malformed("not signed with ECDSA and SHA-256")
        }
    }

    private static func entry(_ node: ASN1Node) throws -> Entry {
        var parts = try fields(of: node)
        guard let serial = parts.popFirst(), let at = parts.popFirst() else { throw PKIError.malformed("incomplete entry") }
        if let extensions = parts.popFirst() { _ = try known(extensions) }
        let octets = try ArraySlice<UInt8>(derEncoded: serial)
        return Entry(serial: Certificate.SerialNumber(bytes: octets).text, at: try time(at))
    }

    /// The list's number, from the extensions, which come last and in an explicit tag of their own.
    private static func number(_ rest: ArraySlice<ASN1Node>) throws -> Int64 {
        guard rest.count == 1, let tagged = rest.first, case .constructed(let inner) = tagged.content, let list = Array(inner).first,
            let found = try known(list).first(where: { $0.oid == numberIdentifier })
        else { throw PKIError.malformed("the number is missing") }
        return try Int64(derEncoded: try DER.parse(found.value))
    }

    /// The extensions of a list or an entry. A critical one changes what the list means, and none such is understood here.
    private static func known(_ node: ASN1Node) throws -> [Certificate.Extension] {
        try fields(of: node).map { field in
            let found = try Certificate.Extension(derEncoded: field)
            guard !found.critical else { throw PKIError.malformed("unknown critical extension \(found.oid)") }
            return found
        }
    }

    private static func time(_ node: ASN1Node) throws -> Instant {
        let time = node.identifier == .utcTime ? try GeneralizedTime(UTCTime(derEncoded: node)) : try GeneralizedTime(derEncoded: node)
        let two = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
        let year = String(repeating: "0", count: max(0, 4 - "\(time.year)".count)) + "\(time.year)"
        let text = "\(year)-\(two(time.month))-\(two(time.day))T\(two(time.hours)):\(two(time.minutes)):\(two(time.seconds))Z"
        guard let instant = Instant(text) else { throw PKIError.malformed("time \(text)") }
        return instant
    }
}

extension GeneralizedTime {
    fileprivate init(_ time: UTCTime) throws {
        try self.init(
            year: time.year, month: time.month, day: time.day, hours: time.hours, minutes: time.minutes, seconds: time.seconds,
            fractionalSeconds: 0)
    }
}
