// The authority's four files, and how they come into being when the machine may stop at any moment.
import Crypto
public import Primitives
import X509

extension CertificateAuthority {
    /// Loads the authority of `directory`, making first whatever is missing: root key, root, intermediate key, intermediate, in
    /// this order. Each file appears whole or not at all and is never replaced, so a start that was interrupted, or two starts at
    /// the same time, end in one authority.
    ///
    /// Errors: `.corrupted` when the directory belongs to another exchange, when parts contradict each other, or when a part is
    /// missing that cannot be made again (`root.key` is needed to make an intermediate).
    public static func open(directory: String, exchange: String, now: Instant) throws(PKIError) -> CertificateAuthority {
        guard IdentityName.isExchangeName(exchange) else {
            throw .refused(
                Refusal(
                    "pki.exchange.name", .invalid,
                    "'\(exchange.prefix(64))' cannot name an exchange: 1 to 32 lower-case letters, digits and inner hyphens can.",
                    facts: ["name": .text(String(exchange.prefix(64)))]))
        }
        let files = AuthorityFiles(directory: directory)
        try SecureFile.makeDirectory(directory)
        try files.makeRoot(exchange: exchange, now: now)
        try files.makeIntermediate(exchange: exchange, now: now)
        let authority = try load(directory: directory)
        guard authority.exchange == exchange else {
            throw .corrupted(path: directory, "holds the authority of exchange '\(authority.exchange)', not of '\(exchange)'")
        }
        return authority
    }

    /// Loads a complete authority; `root.key` may be absent.
    public static func load(directory: String) throws(PKIError) -> CertificateAuthority {
        let files = AuthorityFiles(directory: directory)
        guard let root = try files.root(), let intermediate = try files.certificate(files.intermediatePEM) else {
            throw .corrupted(path: directory, "holds no complete certificate authority")
        }
        guard let key = try files.key(files.intermediateKey) else {
            throw .corrupted(
                path: files.intermediateKey, "is missing: restore it, or remove intermediate.pem to have both made again (needs root.key)")
        }
        do {
            return try CertificateAuthority(root: root, intermediate: intermediate, key: key)
        } catch {
            throw .corrupted(path: directory, error.description)
        }
    }

    /// Signs the intermediate's key again for another year and replaces `intermediate.pem`. Needs `root.key`.
    ///
    /// The key stays, so what was issued and revoked under the old certificate stays valid and revoked under the new one.
    public static func renewIntermediate(directory: String, now: Instant) throws(PKIError) -> CertificateAuthority {
        let current = try load(directory: directory)
        let files = AuthorityFiles(directory: directory)
        let rootKey = try files.requireRootKey(of: current.root, to: "renew intermediate.pem")
        let renewed = try makeIntermediate(
            exchange: current.exchange, key: current.key.publicKey, root: current.root, rootKey: rootKey, now: now)
        try SecureFile.replace(files.intermediatePEM, with: Array(try pemText(of: renewed).utf8))
        return try load(directory: directory)
    }
}

/// Names and contents of the files in an authority's directory.
private struct AuthorityFiles {
    let directory: String
    var rootKey: String { "\(directory)/root.key" }
    var rootPEM: String { "\(directory)/root.pem" }
    var intermediateKey: String { "\(directory)/intermediate.key" }
    var intermediatePEM: String { "\(directory)/intermediate.pem" }

    func key(_ path: String) throws(PKIError) -> P256.Signing.PrivateKey? { try PrivateKeyFile.load(path) }

    func certificate(_ path: String) throws(PKIError) -> Certificate? {
        guard let text = try SecureFile.text(path, secret: false) else { return nil }
        do {
            return try onlyCertificate(pem: text, what: "certificate")
        } catch {
            throw .corrupted(path: path, error.description)
        }
    }

    func root() throws(PKIError) -> Certificate? {
        guard let root = try certificate(rootPEM) else { return nil }
        guard CertificateAuthority.exchangeName(ofRoot: root) != nil else {
            throw .corrupted(path: rootPEM, "is not a root of an exchange")
        }
        return root
    }

    func makeRoot(exchange: String, now: Instant) throws(PKIError) {
        if try root() != nil { return }
        if SecureFile.exists(intermediatePEM) {
            throw .corrupted(path: rootPEM, "is missing beside intermediate.pem: restore it, a new root would break every peer's trust")
        }
        let key = try PrivateKeyFile.loadOrCreate(rootKey)
        let root = try CertificateAuthority.makeRoot(exchange: exchange, key: key, now: now)
        _ = try SecureFile.create(rootPEM, with: Array(try pemText(of: root).utf8))
    }

    func makeIntermediate(exchange: String, now: Instant) throws(PKIError) {
        if SecureFile.exists(intermediatePEM) { return }
        guard let root = try root() else { throw .corrupted(path: rootPEM, "disappeared") }
        guard CertificateAuthority.exchangeName(ofRoot: root) == exchange else {
            throw .corrupted(path: rootPEM, "is the root of another exchange, not of '\(exchange)'")
        }
        let signer = try requireRootKey(of: root, to: "make intermediate.pem")
        let key = try PrivateKeyFile.loadOrCreate(intermediateKey)
        let made = try CertificateAuthority.makeIntermediate(
            exchange: exchange, key: key.publicKey, root: root, rootKey: signer, now: now)
        _ = try SecureFile.create(intermediatePEM, with: Array(try pemText(of: made).utf8))
    }

    func requireRootKey(of root: Certificate, to purpose: String) throws(PKIError) -> P256.Signing.PrivateKey {
        guard let key = try key(rootKey) else {
            throw .corrupted(path: rootKey, "is needed to \(purpose): bring it back for this, then move it away again")
        }
        guard Certificate.PublicKey(key.publicKey) == root.publicKey else {
            throw .corrupted(path: rootKey, "does not belong to root.pem")
        }
        return key
    }
}

/// A P-256 private key in a file of its own: PKCS #8 in PEM, mode 0600.
enum PrivateKeyFile {
    static func load(_ path: String) throws(PKIError) -> P256.Signing.PrivateKey? {
        guard let text = try SecureFile.text(path, secret: true) else { return nil }
        guard let key = try? P256.Signing.PrivateKey(pemRepresentation: text) else {
            throw .corrupted(path: path, "is not a P-256 private key in PEM")
        }
        return key
    }

    /// The key is on disk before it is used for anything.
    static func loadOrCreate(_ path: String) throws(PKIError) -> P256.Signing.PrivateKey {
        if let key = try load(path) { return key }
        _ = try SecureFile.create(path, with: encoded(P256.Signing.PrivateKey()))
        // Read back: what is used is what a restart will find, also when another program made it at the same time.
        guard let key = try load(path) else { throw .corrupted(path: path, "disappeared") }
        return key
    }

    static func encoded(_ key: P256.Signing.PrivateKey) -> [UInt8] { Array((key.pemRepresentation + "\n").utf8) }
}
