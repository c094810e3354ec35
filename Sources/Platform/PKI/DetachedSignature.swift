// Statements signed with the key of a certificate, to be verified by whoever trusts the authority.
import Crypto
import Foundation
public import Primitives
import SwiftASN1
import X509

extension Credential {
    /// A signature of a text's UTF-8 with this key: ECDSA over P-256 with SHA-256 (FIPS 186-5), DER in base64.
    public func signature(of text: String) throws(PKIError) -> String {
        try decoding("signature") { try key.key.signature(for: Data(text.utf8)).derRepresentation.base64EncodedString() }
    }
}

extension TrustBundle {
    /// Who signed a text: the holder of the first certificate of a chain, which must be good now.
    ///
    /// - Throws: `.rejected` when the certificate is not accepted, `.malformed` when the signature is not of its key.
    public func signer(of text: String, signature: String, chainPEM: String, now: Instant) async throws(PKIError) -> VerifiedPeer {
        let chain = try certificates(pem: chainPEM, what: "certificate chain")
        guard let leaf = chain.first, let key = P256.Signing.PublicKey(leaf.publicKey) else {
            throw .malformed("certificate chain: no certificate with a P-256 key")
        }
        var encoded: [[UInt8]] = []
        for certificate in chain { encoded.append(try derBytes(of: certificate)) }
        let usage: PeerUsage = try LeafRules.identity(of: leaf).terms?.side == .seller ? .server : .client
        let peer = try await verify(chainDER: encoded, usage: usage, now: now)
        guard signature.utf8.count <= 200, let bytes = Data(base64Encoded: signature),
            let signed = try? P256.Signing.ECDSASignature(derRepresentation: bytes), key.isValidSignature(signed, for: Data(text.utf8))
        else { throw .malformed("the signature was not made with the certificate's key over these numbers") }
        return peer
    }
}
