import Foundation
import PKI
import Primitives
import Testing

@Suite struct DetachedSignatureTests {
    private func credential(_ authority: CertificateAuthority, _ role: IdentityRole, at now: Instant) throws -> Credential {
        let key = CredentialKey()
        let identity = PeerIdentity.program(exchange: "demo", participant: ParticipantID(bits: 1), role: role, id: "one")
        return try key.credential(chainPEM: try authority.issueIdentity(csrPEM: try key.csrPEM(), identity: identity, now: now).chainPEM)
    }

    @Test func onlyTheTextThatWasSignedWithTheKeyOfAGoodCertificateCounts() async throws {
        let folder = NSTemporaryDirectory() + "bourse-signature-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let now = Instant(seconds: 1_800_000_000)
        let authority = try CertificateAuthority.open(directory: folder + "/one", exchange: "demo", now: now)
        let stranger = try CertificateAuthority.open(directory: folder + "/two", exchange: "demo", now: now)
        let trust = try authority.trustBundle()
        let (mine, other) = (try credential(authority, .connect, at: now), try credential(authority, .manage, at: now))
        let signature = try mine.signature(of: "12 lots\n")
        let signer = try await trust.signer(of: "12 lots\n", signature: signature, chainPEM: mine.chainPEM, now: now)
        #expect(signer.identity.role == .connect && signer.serial == mine.serial)

        let foreign = try credential(stranger, .connect, at: now)
        let wrong: [(String, String, String, Instant)] = [
            ("13 lots\n", signature, mine.chainPEM, now), ("12 lots\n", signature, other.chainPEM, now),
            ("12 lots\n", "AAAA", mine.chainPEM, now), ("12 lots\n", "", mine.chainPEM, now),
            ("12 lots\n", try foreign.signature(of: "12 lots\n"), foreign.chainPEM, now),
            ("12 lots\n", signature, mine.chainPEM, now + .days(400)), ("12 lots\n", signature, "", now),
        ]
        for (text, signature, chain, at) in wrong {
            await #expect(throws: PKIError.self) { try await trust.signer(of: text, signature: signature, chainPEM: chain, now: at) }
        }
    }
}
