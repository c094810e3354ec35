// A program's own key and the certificate chain the exchange gave for it.
import Crypto
import Foundation
public import Primitives
import SwiftASN1
import X509

/// A P-256 private key, made on this machine and never leaving it.
public struct CredentialKey: Sendable {
    let key: P256.Signing.PrivateKey

    /// A key in memory only.
    public init() { key = P256.Signing.PrivateKey() }

    init(_ key: P256.Signing.PrivateKey) { self.key = key }

    /// The key in `<directory>/<name>.key`, made there (mode 0600) if there is none: ask for certificates only with a key that a
    /// restart will find again.
    public static func loadOrCreate(directory: String, name: String = "identity") throws(PKIError) -> CredentialKey {
        try SecureFile.makeDirectory(directory)
        return CredentialKey(try PrivateKeyFile.loadOrCreate("\(directory)/\(name).key"))
    }

    /// A request that proves possession of the key. It carries no names worth anything: the authority ignores them.
    public func csrPEM() throws(PKIError) -> String {
        try decoding("certificate signing request") {
            let request = try CertificateSigningRequest(
                version: .v1, subject: try DistinguishedName { CommonName("bourse") }, privateKey: .init(key), attributes: .init())
            return try request.serializeAsPEM().pemString + "\n"
        }
    }

    /// This key with the chain that was issued for it.
    public func credential(chainPEM: String) throws(PKIError) -> Credential { try Credential(key: self, chainPEM: chainPEM) }
}

/// A private key with its certificate chain.
public struct Credential: Sendable {
    public let key: CredentialKey
    /// The certificate, then the authorities above it without the root.
    public let chainPEM: String
    /// Whom the certificate names. Read, not verified: it is our own.
    public let identity: PeerIdentity
    /// Lower-case hexadecimal.
    public let serial: String
    public let notBefore: Instant
    /// The last valid second.
    public let notAfter: Instant
    /// The host names peers may ask for (SNI) to get this certificate.
    public let dnsNames: [String]

    /// - Throws: `.malformed` when the chain's first certificate is not for this key; `.rejected` when it is none of our form.
    public init(key: CredentialKey, chainPEM: String) throws(PKIError) {
        let chain = try certificates(pem: chainPEM, what: "certificate chain")
        guard let leaf = chain.first else { throw .malformed("certificate chain: empty") }
        guard leaf.publicKey == Certificate.PublicKey(key.key.publicKey) else {
            throw .malformed("certificate chain: the certificate is not for this key")
        }
        self.key = key
        self.chainPEM = chainPEM
        identity = try LeafRules.identity(of: leaf)
        serial = leaf.serialNumber.text
        notBefore = Instant(leaf.notValidBefore)
        notAfter = Instant(leaf.notValidAfter)
        dnsNames = try LeafRules.alternativeNames(of: leaf).dns
    }

    /// A request for the next certificate with the same key.
    public func csrPEM() throws(PKIError) -> String { try key.csrPEM() }

    /// PKCS #8 in PEM, for libraries that want it so. It must not leave the machine.
    public var privateKeyPEM: String { key.key.pemRepresentation + "\n" }

    public func isValid(at now: Instant) -> Bool { notBefore <= now && now < notAfter + .seconds(1) }

    /// True from two thirds of the certificate's life on.
    ///
    /// A contract certificate that already reaches the end of its contract is not renewed: there is no more to get.
    /// - Parameter contractEnd: the contract's end as known now, which moves when the contract rolls; nil for the certificate's own.
    public func needsRenewal(now: Instant, contractEnd: Instant? = nil) -> Bool {
        let life = notAfter - notBefore
        guard now >= notBefore + Span(microseconds: life.microseconds / 3 * 2) else { return false }
        guard let end = contractEnd ?? identity.terms?.period.end else { return true }
        return notAfter < end.flooredToSecond - .seconds(1)
    }
}

// MARK: - On disk

extension Credential {
    /// Writes `<name>.key`, then `<name>.pem`. When the key is a new one, the old one is kept as `<name>.old.key` until the chain
    /// is written, so that there is a matching pair at every moment.
    public func save(directory: String, name: String = "identity") throws(PKIError) {
        let files = CredentialFiles(directory: directory, name: name)
        try SecureFile.makeDirectory(directory)
        let bytes = PrivateKeyFile.encoded(key.key)
        let present = try SecureFile.read(files.key, secret: true)
        if present != bytes {
            // What the chain on disk belongs to, which after an interrupted save is the old key already.
            let current = try? Self.load(directory: directory, name: name)
            if let current { try SecureFile.replace(files.oldKey, with: PrivateKeyFile.encoded(current.key.key)) }
            try SecureFile.replace(files.key, with: bytes)
        }
        try SecureFile.replace(files.chain, with: Array(chainPEM.utf8))
        try SecureFile.removeIfPresent(files.oldKey)
    }

    /// Nil when there is no chain yet.
    public static func load(directory: String, name: String = "identity") throws(PKIError) -> Credential? {
        let files = CredentialFiles(directory: directory, name: name)
        guard let chain = try SecureFile.text(files.chain, secret: false) else { return nil }
        let keys = [try PrivateKeyFile.load(files.key), try PrivateKeyFile.load(files.oldKey)].compactMap { $0 }
        guard !keys.isEmpty else { throw .corrupted(path: files.key, "is missing: enrol again, or restore it") }
        var problem = PKIError.corrupted(path: files.chain, "cannot be read")
        for key in keys {
            do {
                return try Credential(key: CredentialKey(key), chainPEM: chain)
            } catch {
                problem = .corrupted(path: files.chain, error.description)
            }
        }
        throw problem
    }

    /// Removes the credential; nothing happens when there is none. The chain goes first: a key alone is harmless.
    public static func remove(directory: String, name: String = "identity") throws(PKIError) {
        let files = CredentialFiles(directory: directory, name: name)
        for path in [files.chain, files.oldKey, files.key] { try SecureFile.removeIfPresent(path) }
    }
}

private struct CredentialFiles {
    let directory: String
    let name: String
    var key: String { "\(directory)/\(name).key" }
    var oldKey: String { "\(directory)/\(name).old.key" }
    var chain: String { "\(directory)/\(name).pem" }
}
