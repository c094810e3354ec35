// An authority in a directory of its own, and forgeries of what it issues.
import Crypto
import Foundation
import PKI
import Primitives
import SwiftASN1
import X509

/// A temporary directory that goes away with its owner.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "pki-test-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

let noon = Instant(seconds: 1_772_366_400)

struct Laboratory {
    let directory: TemporaryDirectory
    let authority: CertificateAuthority
    let trust: TrustBundle
    let rootKey: P256.Signing.PrivateKey
    let issuerKey: P256.Signing.PrivateKey
    let root: Certificate
    let issuer: Certificate

    init(exchange: String = "demo", now: Instant = noon) throws {
        directory = try TemporaryDirectory()
        authority = try CertificateAuthority.open(directory: directory.path, exchange: exchange, now: now)
        trust = try authority.trustBundle()
        rootKey = try P256.Signing.PrivateKey(pemRepresentation: String(contentsOfFile: directory.path + "/root.key", encoding: .utf8))
        issuerKey = try P256.Signing.PrivateKey(
            pemRepresentation: String(contentsOfFile: directory.path + "/intermediate.key", encoding: .utf8))
        root = try Certificate(pemEncoded: authority.rootPEM)
        issuer = try Certificate(pemEncoded: authority.intermediatePEM)
    }

    var manage: PeerIdentity { .program(exchange: authority.exchange, participant: ParticipantID(bits: 7), role: .manage, id: "desk") }
    var node: PeerIdentity {
        .program(exchange: authority.exchange, participant: ParticipantID(bits: 8), role: .node, id: "h-00000000000000001")
    }

    func terms(_ side: ContractSide, contract: UInt64 = 1, from start: Instant = noon, lasting: Span = .hours(1)) -> ContractTerms {
        ContractTerms(
            contract: ContractID(bits: contract), side: side, product: ProductID(bits: 5), lots: 3,
            period: Period(start: start, end: start + lasting))
    }

    /// A certificate with one thing wrong: `change` says what.
    func forged(_ change: (inout Draft) throws -> Void) throws -> [[UInt8]] {
        var draft = Draft(signer: issuerKey, issuer: issuer)
        try change(&draft)
        return try draft.chain()
    }
}

/// A certificate about to be signed. As it stands it is a good identity certificate for `manage`.
struct Draft {
    var signer: P256.Signing.PrivateKey
    var issuer: Certificate
    var publicKey = Certificate.PublicKey(P256.Signing.PrivateKey().publicKey)
    var serial = Certificate.SerialNumber(0x1234_5678_9ABC)
    var notBefore = noon - .minutes(1)
    var notAfter = noon + .hours(1)
    var uris = ["bourse://demo/par-00000000000000007/manage/desk"]
    var dns = ["desk.manage.demo.bourse"]
    var usages: [ExtendedKeyUsage.Usage] = [.serverAuth, .clientAuth]
    var keyUsage: KeyUsage? = KeyUsage(digitalSignature: true)
    var basicConstraints = BasicConstraints.notCertificateAuthority
    var terms: [UInt8]?
    var extra: [Certificate.Extension] = []
    var intermediates: [Certificate] = []

    func certificate() throws -> Certificate {
        var extensions = try Certificate.Extensions { Critical(basicConstraints) }
        if let keyUsage { try extensions.append(Certificate.Extension(keyUsage, critical: true)) }
        if !usages.isEmpty { try extensions.append(Certificate.Extension(ExtendedKeyUsage(usages), critical: false)) }
        let names = uris.map { GeneralName.uniformResourceIdentifier($0) } + dns.map { GeneralName.dnsName($0) }
        if !names.isEmpty { try extensions.append(Certificate.Extension(SubjectAlternativeNames(names), critical: false)) }
        if let terms {
            try extensions.append(Certificate.Extension(oid: [1, 3, 6, 1, 4, 1, 59999, 1, 1], critical: false, value: terms[...]))
        }
        for one in extra { try extensions.append(one) }
        return try Certificate(
            version: .v3, serialNumber: serial, publicKey: publicKey, notValidBefore: notBefore.asDate, notValidAfter: notAfter.asDate,
            issuer: issuer.subject, subject: try DistinguishedName { CommonName("forged") }, extensions: extensions,
            issuerPrivateKey: .init(signer))
    }

    func chain() throws -> [[UInt8]] { try [der(certificate())] + intermediates.map(der) }

    /// Makes this the certificate of a contract's side, as the authority would.
    mutating func makeContract(_ terms: ContractTerms) throws {
        uris = ["bourse://demo/contract/\(terms.contract)/\(terms.side.rawValue)"]
        dns = terms.side == .seller ? ["\(terms.contract).contract.demo.bourse"] : []
        usages = terms.side == .seller ? [.serverAuth] : [.clientAuth]
        self.terms = try encoded(terms)
    }
}

/// The contract extension's DER, written once more, apart from the module's own encoder.
func encoded(_ terms: ContractTerms, lots: Int64? = nil) throws -> [UInt8] {
    var serializer = DER.Serializer()
    try serializer.appendConstructedNode(identifier: .sequence) {
        try $0.serialize(1)
        try $0.serialize(ASN1UTF8String(terms.contract.description))
        try $0.serialize(ASN1UTF8String(terms.side.rawValue))
        try $0.serialize(ASN1UTF8String(terms.product.description))
        try $0.serialize(lots ?? terms.lots)
        try $0.serialize(terms.period.start.microseconds)
        try $0.serialize(terms.period.end.microseconds)
    }
    return serializer.serializedBytes
}

func der(_ certificate: Certificate) throws -> [UInt8] {
    var serializer = DER.Serializer()
    try serializer.serialize(certificate)
    return serializer.serializedBytes
}

func chain(_ pem: String) throws -> [[UInt8]] { try PEMDocument.parseMultiple(pemString: pem).map(\.derBytes) }

extension Instant {
    var asDate: Date { Date(timeIntervalSince1970: Double(microseconds / 1_000_000)) }
}

extension PKIError {
    /// The rule of a refusal, the code of a rejection: what tests compare.
    var code: String {
        switch self {
        case .refused(let refusal): refusal.rule
        case .rejected(let rejection, _): rejection.rawValue
        case .revocationList(let problem, _): problem.rawValue
        case .corrupted: "corrupted"
        case .file: "file"
        case .malformed: "malformed"
        }
    }
}

/// The code of the error `body` throws, or "accepted".
func outcome(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "accepted"
    } catch let error as PKIError {
        return error.code
    } catch {
        return "other: \(error)"
    }
}

func verification(
    _ trust: TrustBundle, _ chain: [[UInt8]], _ usage: PeerUsage, at now: Instant
) async -> String {
    do {
        _ = try await trust.verify(chainDER: chain, usage: usage, now: now)
        return "accepted"
    } catch {
        return error.code
    }
}
