// The exchange's certificate authority: a root that can be kept offline, and the intermediate that issues everything.
import Crypto
import Foundation
public import Primitives
import SwiftASN1
import X509

/// Issues identity and contract certificates and revocation lists with the intermediate's key.
///
/// The root signs nothing but the intermediate, so `root.key` may be moved away once `open(directory:exchange:now:)` has run.
public struct CertificateAuthority: Sendable {
    /// The trust domain: the host part of every identity's URI.
    public let exchange: String
    public let rootPEM: String
    public let intermediatePEM: String
    /// When the intermediate ends. Renew it well before: nothing it issues outlives it.
    public let notAfter: Instant

    let root: Certificate
    let intermediate: Certificate
    let key: P256.Signing.PrivateKey
    var validity: Validity { Validity(intermediate) }
    /// When the intermediate ends, and with it everything it signed.
    public var expires: Instant { validity.notAfter }

    /// Checks that the parts belong together.
    init(root: Certificate, intermediate: Certificate, key: P256.Signing.PrivateKey) throws(PKIError) {
        guard let exchange = Self.exchangeName(ofRoot: root) else { throw .malformed("the root certificate names no exchange") }
        guard root.publicKey.isValidSignature(intermediate.signature, for: intermediate) else {
            throw .malformed("the intermediate certificate is not signed by the root")
        }
        guard Certificate.PublicKey(key.publicKey) == intermediate.publicKey else {
            throw .malformed("the intermediate key does not belong to the intermediate certificate")
        }
        self.exchange = exchange
        self.root = root
        self.intermediate = intermediate
        self.key = key
        rootPEM = try pemText(of: root)
        intermediatePEM = try pemText(of: intermediate)
        notAfter = Instant(intermediate.notValidAfter)
    }

    /// What peers need to verify what this authority issues. It knows of no revocation yet.
    public func trustBundle() throws(PKIError) -> TrustBundle {
        try TrustBundle(rootPEM: rootPEM, intermediatesPEM: intermediatePEM, exchange: exchange)
    }

    /// A new one-time token that pins this authority's root. Store its `secretHash`.
    public func makeEnrolmentToken() throws(PKIError) -> EnrolmentToken { try EnrolmentToken(rootPEM: rootPEM) }

    /// The exchange a root was made for: the organization in its subject. Nil when it is no root of ours.
    static func exchangeName(ofRoot root: Certificate) -> String? {
        let organizations = root.subject.flatMap { Array($0) }.filter { $0.type == .RDNAttributeType.organizationName }
        guard organizations.count == 1, let name = organizations.first.flatMap({ String($0.value) }), IdentityName.isExchangeName(name),
            P256.Signing.PublicKey(root.publicKey) != nil, root.subject == root.issuer,
            root.publicKey.isValidSignature(root.signature, for: root)
        else { return nil }
        return name
    }
}

extension Validity {
    init(_ certificate: Certificate) {
        self.init(notBefore: Instant(certificate.notValidBefore), notAfter: Instant(certificate.notValidAfter))
    }
}

// MARK: - The two certificates of the authority itself

extension CertificateAuthority {
    static let rootLifetime: Span = .days(3_650)
    static let intermediateLifetime: Span = .days(365)
    /// Leaves are back-dated by a minute and must not be older than their issuer.
    private static let backDating: Span = .minutes(5)

    static func makeRoot(exchange: String, key: P256.Signing.PrivateKey, now: Instant) throws(PKIError) -> Certificate {
        try decoding("root certificate") {
            let publicKey = Certificate.PublicKey(key.publicKey)
            let name = try DistinguishedName {
                OrganizationName(exchange)
                CommonName("\(exchange) root")
            }
            return try Certificate(
                version: .v3, serialNumber: .random(), publicKey: publicKey, notValidBefore: (now - backDating).date,
                notValidAfter: (now + rootLifetime).date, issuer: name, subject: name,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 1))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: publicKey)
                },
                issuerPrivateKey: .init(key))
        }
    }

    /// Its name constraint lets it issue URIs of this exchange only, whatever becomes of its key.
    static func makeIntermediate(
        exchange: String, key: P256.Signing.PublicKey, root: Certificate, rootKey: P256.Signing.PrivateKey, now: Instant
    ) throws(PKIError) -> Certificate {
        try decoding("intermediate certificate") {
            let publicKey = Certificate.PublicKey(key)
            let name = try DistinguishedName {
                OrganizationName(exchange)
                CommonName("\(exchange) issuing authority")
            }
            let end = min(now + intermediateLifetime, Instant(root.notValidAfter))
            return try Certificate(
                version: .v3, serialNumber: .random(), publicKey: publicKey, notValidBefore: (now - backDating).date,
                notValidAfter: end.date, issuer: root.subject, subject: name,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    Critical(NameConstraints(permittedURIDomains: [exchange]))
                    AuthorityKeyIdentifier(keyIdentifier: keyIdentifier(of: root))
                    SubjectKeyIdentifier(hash: publicKey)
                },
                issuerPrivateKey: .init(rootKey))
        }
    }
}
