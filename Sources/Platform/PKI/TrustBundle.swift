// What a program trusts: the exchange's root, its issuing authorities, and what has been revoked.
import Crypto
public import Primitives
import X509

/// A value: an update gives a new bundle, and whoever shares one replaces it as a whole.
///
/// **Revocation.** A list replaces the one in force only when it is signed by an authority of this bundle, fresh, and not older.
/// A list that has since gone stale stays in force: what it revoked stays revoked, everything else stays accepted, and
/// `revocationIsStale(at:)` says so. An unreachable exchange must not stop running machines, and contract certificates are over
/// within 24 hours anyway.
public struct TrustBundle: Sendable {
    public let exchange: String
    public let rootPEM: String
    public let intermediatesPEM: String
    /// The list in force; nil when none has been seen.
    public private(set) var revocation: RevocationList?

    let roots: [Certificate]
    let intermediates: [Certificate]
    private var revokedSerials: Set<String> = []

    /// - Parameter rootPEM: one or more root certificates of one exchange.
    /// - Parameter intermediatesPEM: issuing authorities, so that peers who send only their own certificate are verified too. A
    ///   credential's whole chain will do: certificates that are no authorities are left out.
    /// - Parameter exchange: what the roots must be for; nil takes their word for it.
    public init(rootPEM: String, intermediatesPEM: String = "", exchange: String? = nil) throws(PKIError) {
        let roots = try certificates(pem: rootPEM, what: "root certificates")
        let names = Set(roots.map { CertificateAuthority.exchangeName(ofRoot: $0) })
        guard names.count == 1, let name = names.first.flatMap({ $0 }), exchange == nil || exchange == name else {
            throw .malformed("these are not the root certificates of \(exchange.map { "exchange '\($0)'" } ?? "one exchange")")
        }
        let issuers = try certificates(pem: intermediatesPEM, what: "intermediate certificates").filter(Self.isAuthority)
        for issuer in issuers where !roots.contains(where: { $0.publicKey.isValidSignature(issuer.signature, for: issuer) }) {
            throw .malformed("intermediate certificate \(issuer.serialNumber.text) is not signed by a root of exchange '\(name)'")
        }
        self.exchange = name
        self.roots = roots
        self.intermediates = issuers
        self.rootPEM = rootPEM
        var text = ""
        for issuer in issuers { text += try pemText(of: issuer) }
        self.intermediatesPEM = text
    }

    /// `serial` in lower-case hexadecimal, as in `VerifiedPeer.serial`. Ask for each request of a long connection.
    public func isRevoked(_ serial: String) -> Bool { revokedSerials.contains(serial) }

    /// Whether the list in force is overdue, or there is none.
    public func revocationIsStale(at now: Instant) -> Bool { revocation.map { $0.nextUpdate <= now } ?? true }

    /// This bundle with another revocation list.
    /// - Parameter allowingStale: for a list that was kept on disk over a restart: an old one is better than none.
    /// - Throws: `.revocationList`; this bundle is as good as before.
    public func updating(crlDER: [UInt8], now: Instant, allowingStale: Bool = false) throws(PKIError) -> TrustBundle {
        let list = try RevocationList(der: crlDER)
        try requireSigned(list)
        guard list.thisUpdate <= now + Validity.clockSkew else {
            throw .revocationList(.notYetValid, "list \(list.number) is of \(list.thisUpdate) and it is \(now)")
        }
        guard allowingStale || now < list.nextUpdate else {
            throw .revocationList(.stale, "list \(list.number) was to be replaced by \(list.nextUpdate) and it is \(now)")
        }
        if let current = revocation, list.number < current.number {
            throw .revocationList(.older, "list \(list.number) is older than list \(current.number), which is in force")
        }
        var updated = self
        updated.revocation = list
        updated.revokedSerials = Set(list.entries.map(\.serial))
        return updated
    }

    private func requireSigned(_ list: RevocationList) throws(PKIError) {
        let candidates = (intermediates + roots).filter { $0.subject == list.issuer && Self.mayRevoke($0) }
        guard !candidates.isEmpty else { throw .revocationList(.wrongIssuer, "issued by '\(list.issuer)', no authority of this exchange") }
        guard let signature = try? P256.Signing.ECDSASignature(derRepresentation: list.signature) else {
            throw .revocationList(.badSignature, "list \(list.number) has no ECDSA signature")
        }
        let signed = candidates.contains { issuer in
            P256.Signing.PublicKey(issuer.publicKey)?.isValidSignature(signature, for: list.signedBytes) ?? false
        }
        guard signed else { throw .revocationList(.badSignature, "list \(list.number) is not signed by '\(list.issuer)'") }
    }

    private static func isAuthority(_ certificate: Certificate) -> Bool {
        if case .isCertificateAuthority = try? certificate.extensions.basicConstraints { true } else { false }
    }

    private static func mayRevoke(_ certificate: Certificate) -> Bool { (try? certificate.extensions.keyUsage)?.cRLSign ?? false }
}

// MARK: - On disk

extension TrustBundle {
    /// Writes `root.pem`, `intermediates.pem` and, when a list is in force, `revoked.crl`; each is replaced in one step.
    public func save(directory: String) throws(PKIError) {
        try SecureFile.makeDirectory(directory)
        try SecureFile.replace("\(directory)/root.pem", with: Array(rootPEM.utf8))
        try SecureFile.replace("\(directory)/intermediates.pem", with: Array(intermediatesPEM.utf8))
        if let revocation { try SecureFile.replace("\(directory)/revoked.crl", with: revocation.der) }
    }

    /// Reads what `save(directory:)` wrote; nil when there is no root yet. A stale revocation list is taken, a bad one refused.
    public static func load(directory: String, now: Instant) throws(PKIError) -> TrustBundle? {
        guard let root = try SecureFile.text("\(directory)/root.pem", secret: false) else { return nil }
        let intermediates = try SecureFile.text("\(directory)/intermediates.pem", secret: false) ?? ""
        let bundle = try TrustBundle(rootPEM: root, intermediatesPEM: intermediates)
        guard let list = try SecureFile.read("\(directory)/revoked.crl", secret: false) else { return bundle }
        return try bundle.updating(crlDER: list, now: now, allowingStale: true)
    }
}
