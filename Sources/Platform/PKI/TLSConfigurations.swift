// TLS settings for the programs' connections with each other.
import NIOCore
public import NIOSSL

extension Credential {
    /// The chain for `TLSConfiguration.certificateChain`.
    public func certificateSources() throws(PKIError) -> [NIOSSLCertificateSource] {
        try decoding("certificate chain") { try NIOSSLCertificate.fromPEMBytes(Array(chainPEM.utf8)).map { .certificate($0) } }
    }

    /// The key for `TLSConfiguration.privateKey`.
    public func privateKeySource() throws(PKIError) -> NIOSSLPrivateKeySource {
        try decoding("private key") { .privateKey(try NIOSSLPrivateKey(bytes: Array(privateKeyPEM.utf8), format: .pem)) }
    }

    /// What a server answers with when SNI asks for one of `dnsNames`.
    public func contextOverride() throws(PKIError) -> NIOSSLContextConfigurationOverride {
        var override = NIOSSLContextConfigurationOverride()
        override.certificateChain = try certificateSources()
        override.privateKey = try privateKeySource()
        return override
    }
}

extension TrustBundle {
    /// The roots for `TLSConfiguration.trustRoots`.
    public func trustRoots() throws(PKIError) -> NIOSSLTrustRoots {
        try decoding("root certificates") { .certificates(try NIOSSLCertificate.fromPEMBytes(Array(rootPEM.utf8))) }
    }
}

/// For a client: TLS 1.3, the server's chain and host name verified against our roots only.
///
/// The host name to connect with is the server's identity (`IdentityName.dns(for:)`). BoringSSL does not know our revocation
/// list; whoever must not reach a revoked *server* verifies its chain with `TrustBundle.verify` too.
/// - Parameter credential: nil for a client without a certificate, such as one that is about to enrol.
public func clientTLS(credential: Credential?, trust: TrustBundle) throws(PKIError) -> TLSConfiguration {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv13
    configuration.certificateVerification = .fullVerification
    configuration.trustRoots = try trust.trustRoots()
    configuration.applicationProtocols = ["http/1.1"]
    configuration.shutdownTimeout = .milliseconds(500)
    if let credential {
        configuration.certificateChain = try credential.certificateSources()
        configuration.privateKey = try credential.privateKeySource()
    }
    return configuration
}

/// For a listener that requires client certificates.
///
/// **Make a fresh `NIOSSLContext` from it for every connection** (a few microseconds): connections that share one can resume each
/// other's TLS sessions, and a resumed session skips the verification of the client. Verify with a callback that calls
/// `TrustBundle.verify(chainDER:usage: .client, now:)`: it replaces all of BoringSSL's verification, and BoringSSL alone knows
/// neither revocation nor our names.
public func serverConfiguration(credential: Credential, trust: TrustBundle) throws(PKIError) -> TLSConfiguration {
    var configuration = try publicServerConfiguration(credential: credential)
    // A client has no host name to check; this also makes its certificate mandatory.
    configuration.certificateVerification = .noHostnameVerification
    configuration.trustRoots = try trust.trustRoots()
    return configuration
}

/// For a listener that authenticates its clients by other means than certificates.
public func publicServerConfiguration(credential: Credential) throws(PKIError) -> TLSConfiguration {
    var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: try credential.certificateSources(), privateKey: try credential.privateKeySource())
    configuration.minimumTLSVersion = .tlsv13
    configuration.applicationProtocols = ["http/1.1"]
    // How long to wait for the peer's close_notify when closing.
    configuration.shutdownTimeout = .milliseconds(500)
    return configuration
}
