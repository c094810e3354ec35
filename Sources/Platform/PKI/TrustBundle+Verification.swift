// From the bytes a peer sent to who it is.
import Crypto
import Foundation
public import Primitives
import SwiftASN1
@_spi(FixedExpiryValidationTime) import X509

extension TrustBundle {
    /// Verifies a peer's certificate at a given moment: path to a root (RFC 5280), P-256 throughout, key usages, names, contract
    /// terms, revocation. It does not compare host names: a client's TLS does, and the host name is the identity.
    ///
    /// A connection that resumes a TLS session never comes here. See `serverConfiguration(credential:trust:)`.
    /// - Parameter chainDER: as the peer sent it, its own certificate first; at most 4 certificates of at most 16 KiB.
    /// - Parameter usage: what the *peer* is.
    public func verify(chainDER: [[UInt8]], usage: PeerUsage, now: Instant) async throws(PKIError) -> VerifiedPeer {
        let chain = try Self.parsed(chainDER)
        let leaf = chain[0]
        try await requirePath(chain, now)
        try LeafRules.requireKeyUsage(leaf)
        let identity = try LeafRules.identity(of: leaf)
        guard identity.exchange == exchange else {
            throw .rejected(.wrongName, "'\(identity)' is not of exchange '\(exchange)'")
        }
        try LeafRules.requireUsage(leaf, identity, usage)
        if let terms = identity.terms, now >= terms.period.end {
            throw .rejected(.contractOver, "contract \(terms.contract) ended at \(terms.period.end) and it is \(now)")
        }
        return VerifiedPeer(
            identity: identity, serial: leaf.serialNumber.text, notAfter: Instant(leaf.notValidAfter),
            fingerprint: hexadecimal(SHA256.hash(data: chainDER[0])))
    }

    private static func parsed(_ chainDER: [[UInt8]]) throws(PKIError) -> [Certificate] {
        guard (1...4).contains(chainDER.count), chainDER.allSatisfy({ $0.count <= 16_384 }) else {
            throw .rejected(.malformed, "\(chainDER.count) certificates of \(chainDER.map(\.count)) bytes")
        }
        do {
            return try chainDER.map { try Certificate(derEncoded: $0) }
        } catch {
            throw .rejected(.malformed, "\(error)")
        }
    }

    private func requirePath(_ chain: [Certificate], _ now: Instant) async throws(PKIError) {
        let rules = ChainRules(revocation: self)
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) {
            RFC5280Policy(fixedExpiryValidationTime: now.date)
            rules
        }
        let result = await verifier.validate(leaf: chain[0], intermediates: CertificateStore(Array(chain.dropFirst()) + intermediates))
        if case .couldNotValidate(let failures) = result {
            let reasons = failures.map { "\($0.policyFailureReason)" }.joined(separator: "; ")
            throw .rejected(rejection(of: chain, now), reasons.isEmpty ? "no path to a root of exchange '\(exchange)'" : reasons)
        }
    }

    /// The verifier says no in prose; this finds the most telling reason again, for logs and metrics.
    private func rejection(of chain: [Certificate], _ now: Instant) -> PKIError.Rejection {
        let second = now.flooredToSecond
        if chain.contains(where: { P256.Signing.PublicKey($0.publicKey) == nil }) { return .wrongKey }
        if chain.contains(where: { isRevoked($0.serialNumber.text) }) { return .revoked }
        if chain.contains(where: { Instant($0.notValidAfter) < second }) { return .expired }
        if chain.contains(where: { Instant($0.notValidBefore) > second }) { return .notYetValid }
        return .untrusted
    }
}

/// What RFC5280Policy leaves out and every certificate of a path must obey: P-256 keys, authorities that may sign certificates,
/// nothing revoked, no detours.
private struct ChainRules: VerifierPolicy {
    let revocation: TrustBundle
    /// `LeafRules` looks at both.
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [.X509ExtensionID.extendedKeyUsage, .X509ExtensionID.subjectAlternativeName]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        let path = Array(chain)
        if path.count > 3 { return .failsToMeetPolicy(reason: "a path of more than three certificates") }
        if path.count < 2 { return .failsToMeetPolicy(reason: "a root is nobody's identity") }
        if path.contains(where: { P256.Signing.PublicKey($0.publicKey) == nil }) {
            return .failsToMeetPolicy(reason: "a key of another kind than P-256")
        }
        if path.dropFirst().contains(where: { (try? $0.extensions.keyUsage)?.keyCertSign != true }) {
            return .failsToMeetPolicy(reason: "an issuer that may not sign certificates")
        }
        if let revoked = path.first(where: { revocation.isRevoked($0.serialNumber.text) }) {
            let serial = revoked.serialNumber.text
            return .failsToMeetPolicy(reason: "certificate \(serial) is revoked")
        }
        return .meetsPolicy
    }
}

/// What a certificate of ours looks like, apart from who signed it.
enum LeafRules {
    static func requireKeyUsage(_ leaf: Certificate) throws(PKIError) {
        guard let usage = try? leaf.extensions.keyUsage, usage == KeyUsage(digitalSignature: true) else {
            throw .rejected(.wrongUsage, "key usage is not just 'digital signature'")
        }
        if case .isCertificateAuthority = try? leaf.extensions.basicConstraints {
            throw .rejected(.wrongUsage, "an authority is nobody's identity")
        }
    }

    /// Extended key usages must be exactly those of the identity's kind, and the one needed now among them.
    static func requireUsage(_ leaf: Certificate, _ identity: PeerIdentity, _ usage: PeerUsage) throws(PKIError) {
        guard let found = try? leaf.extensions.extendedKeyUsage else { throw .rejected(.wrongUsage, "no extended key usage") }
        guard Set(found) == Set(ExtendedKeyUsage.usages(of: identity)) else {
            throw .rejected(.wrongUsage, "extended key usages are not those of '\(identity)'")
        }
        guard found.contains(usage == .client ? .clientAuth : .serverAuth) else {
            throw .rejected(.wrongUsage, "'\(identity)' may not act as \(usage.rawValue)")
        }
    }

    /// Whom the certificate names: exactly one URI of our form, host names of ours only where they say the same, and contract
    /// terms exactly where the URI names a contract.
    static func identity(of leaf: Certificate) throws(PKIError) -> PeerIdentity {
        let names = try alternativeNames(of: leaf)
        guard names.uris.count == 1, let uri = names.uris.first, let parsed = IdentityName.parse(uri: uri) else {
            throw .rejected(.wrongName, "URIs \(names.uris.map { String($0.prefix(256)) }) where exactly one of ours is wanted")
        }
        let identity = try identity(parsed, terms: try terms(of: leaf))
        let expected = IdentityName.dns(for: identity)
        let ours = names.dns.map { $0.lowercased() }.filter { $0 == IdentityName.topLevel || $0.hasSuffix(".\(IdentityName.topLevel)") }
        guard ours.allSatisfy({ $0 == expected }) else { throw .rejected(.wrongName, "host names \(ours) do not belong to '\(uri)'") }
        return identity
    }

    private static func identity(_ parsed: IdentityName.Parsed, terms: ContractTerms?) throws(PKIError) -> PeerIdentity {
        switch parsed {
        case .program(let exchange, let participant, let role, let id):
            guard terms == nil else { throw .rejected(.wrongTerms, "the identity of a program carries contract terms") }
            return .program(exchange: exchange, participant: participant, role: role, id: id)
        case .contract(let exchange, let contract, let side):
            guard let terms, terms.contract == contract, terms.side == side else {
                throw .rejected(.wrongTerms, "contract terms are missing or not those of \(contract), \(side.rawValue)")
            }
            return .contract(exchange: exchange, terms)
        }
    }

    private static func terms(of leaf: Certificate) throws(PKIError) -> ContractTerms? {
        do {
            return try ContractExtension.terms(of: leaf)
        } catch {
            throw .rejected(.wrongTerms, error.description)
        }
    }

    static func alternativeNames(of leaf: Certificate) throws(PKIError) -> (uris: [String], dns: [String]) {
        guard let names = try? leaf.extensions.subjectAlternativeNames else { throw .rejected(.wrongName, "no subject alternative names") }
        var uris: [String] = []
        var dns: [String] = []
        for name in names {
            switch name {
            case .uniformResourceIdentifier(let uri): uris.append(uri)
            case .dnsName(let host): dns.append(host)
            case .ipAddress: continue
            default: throw .rejected(.wrongName, "a name that is no URI, host name or address")
            }
        }
        return (uris, dns)
    }
}
