// What the authority signs for others: identities of programs and the two sides of contracts.
import Crypto
import Foundation
public import Primitives
import SwiftASN1
import X509

/// A fresh certificate with the chain its holder presents to peers.
public struct IssuedCertificate: Sendable, Hashable, Codable {
    /// The certificate, then the intermediate; the root is not in it.
    public var chainPEM: String
    /// Lower-case hexadecimal: what to store for revocation.
    public var serial: String
    public var notBefore: Instant
    /// The last valid second.
    public var notAfter: Instant

    public init(chainPEM: String, serial: String, notBefore: Instant, notAfter: Instant) {
        self.chainPEM = chainPEM
        self.serial = serial
        self.notBefore = notBefore
        self.notAfter = notAfter
    }
}

extension CertificateAuthority {
    /// An identity for a program, good as client and as server. Of the request only the key counts: names asked for in it are
    /// ignored, names in `extraNames` (DNS names or IP addresses, at most 16) are added after checks.
    ///
    /// The caller sees to it that `id` is unique within exchange and role, since host names carry no participant.
    /// - Parameter lifetime: 1 minute to 90 days; cut off at the end of the intermediate.
    /// - Throws: `.refused` with rule `pki.csr`, `pki.identity.name`, `pki.identity.lifetime`, `pki.names`, `pki.authority.expired`.
    public func issueIdentity(
        csrPEM: String, identity: PeerIdentity, extraNames: [String] = [], lifetime: Span = .days(30), now: Instant
    ) throws(PKIError) -> IssuedCertificate {
        guard case .program(exchange, _, _, let id) = identity, IdentityName.isLabel(id) else {
            throw .refused(
                Refusal(
                    "pki.identity.name", .invalid,
                    "'\(identity)' is not the identity of a program of exchange '\(exchange)' whose id is 1 to 63 lower-case letters,"
                        + " digits and inner hyphens.", facts: ["identity": .text(identity.description)]))
        }
        return try issue(
            csrPEM: csrPEM, identity: identity, commonName: id, extraNames: try AlternativeName.parsed(extraNames),
            validity: try Validity.identity(lifetime: lifetime, now: now, issuer: validity))
    }

    /// A certificate for one side of a contract: at most 24 hours, and over when the contract is. The buyer's is good as client
    /// only, the seller's as server only; a buyer gets no extra names.
    /// - Throws: `.refused` with rule `pki.csr`, `pki.names`, `pki.contract.terms`, `pki.contract.over` (nothing of the period is
    ///   left), `pki.authority.expires`, `pki.authority.expired`.
    public func issueContract(
        csrPEM: String, terms: ContractTerms, extraNames: [String] = [], now: Instant
    ) throws(PKIError) -> IssuedCertificate {
        guard terms.lots > 0, terms.period.start < terms.period.end else {
            throw .refused(
                Refusal(
                    "pki.contract.terms", .invalid,
                    "Contract \(terms.contract) has \(terms.lots) lots over \(terms.period.length.seconds) s.",
                    facts: ["lots": .number(terms.lots), "seconds": .number(terms.period.length.seconds)]))
        }
        let names = terms.side == .seller ? try AlternativeName.parsed(extraNames) : []
        return try issue(
            csrPEM: csrPEM, identity: .contract(exchange: exchange, terms), commonName: terms.contract.description, extraNames: names,
            validity: try Validity.contract(terms, now: now, issuer: validity))
    }

    // MARK: - How

    private func issue(
        csrPEM: String, identity: PeerIdentity, commonName: String, extraNames: [GeneralName], validity: Validity
    ) throws(PKIError) -> IssuedCertificate {
        let publicKey = try Self.provenKey(csrPEM: csrPEM)
        let extensions = try Self.extensions(for: identity, extraNames: extraNames, issuer: intermediate)
        let certificate = try decoding("certificate") {
            try Certificate(
                version: .v3, serialNumber: .random(), publicKey: publicKey, notValidBefore: validity.notBefore.date,
                notValidAfter: validity.notAfter.date, issuer: intermediate.subject,
                subject: try DistinguishedName {
                    OrganizationName(exchange)
                    CommonName(commonName)
                },
                extensions: extensions, issuerPrivateKey: .init(key))
        }
        return IssuedCertificate(
            chainPEM: try pemText(of: certificate) + intermediatePEM, serial: certificate.serialNumber.text,
            notBefore: validity.notBefore, notAfter: validity.notAfter)
    }

    /// SHA-256 of the key that a signing request is for and signed with, lower-case hexadecimal: two requests of one key have the same.
    public static func keyFingerprint(csrPEM: String) throws(PKIError) -> String {
        let key = try provenKey(csrPEM: csrPEM)
        return hexadecimal(SHA256.hash(data: Array(key.subjectPublicKeyInfoBytes)))
    }

    /// The request's key, if it is a P-256 key and the request is signed with it.
    private static func provenKey(csrPEM: String) throws(PKIError) -> Certificate.PublicKey {
        guard csrPEM.utf8.count <= 16_384, let request = try? CertificateSigningRequest(pemEncoded: csrPEM) else {
            throw .refused(
                Refusal(
                    "pki.csr", .invalid, "This is not a certificate signing request (PKCS #10) in PEM of at most 16 KiB.",
                    nearest: "one made by `openssl req -new`, or by the program that enrols"))
        }
        guard P256.Signing.PublicKey(request.publicKey) != nil else {
            throw .refused(Refusal("pki.csr", .invalid, "The request is for a key of another kind than P-256.", nearest: "a P-256 key"))
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw .refused(
                Refusal(
                    "pki.csr", .invalid, "The request is not signed with the key it is for: possession is not proven.",
                    nearest: "a request signed with its own key"))
        }
        return request.publicKey
    }

    private static func extensions(
        for identity: PeerIdentity, extraNames: [GeneralName], issuer: Certificate
    ) throws(PKIError) -> Certificate.Extensions {
        var names: [GeneralName] = [.uniformResourceIdentifier(IdentityName.uri(for: identity))]
        if let dns = IdentityName.dns(for: identity) { names.append(.dnsName(dns)) }
        names += extraNames
        var extensions = try decoding("certificate extensions") {
            try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage(ExtendedKeyUsage.usages(of: identity))
                SubjectAlternativeNames(names)
                AuthorityKeyIdentifier(keyIdentifier: keyIdentifier(of: issuer))
            }
        }
        if let terms = identity.terms {
            let carried = try ContractExtension.encoded(terms)
            try decoding("certificate extensions") { try extensions.append(carried) }
        }
        return extensions
    }
}

extension ExtendedKeyUsage {
    /// What a certificate of this identity may be used for: no more, no less.
    static func usages(of identity: PeerIdentity) -> [Usage] {
        switch identity.terms?.side {
        case .buyer: [.clientAuth]
        case .seller: [.serverAuth]
        case nil: [.serverAuth, .clientAuth]
        }
    }
}
