import Crypto
import Foundation
import PKI
import Primitives
import SwiftASN1
import Testing
import X509

/// One thing wrong at a time; the same certificate without it is accepted.
struct VerificationTests {
    private struct Case {
        let name: String
        let expected: String
        var usage: PeerUsage = .client
        let change: (inout Draft) throws -> Void
    }

    private func check(_ cases: [Case], in laboratory: Laboratory, at now: Instant = noon) async throws {
        for one in cases {
            let sent = try laboratory.forged(one.change)
            #expect(await verification(laboratory.trust, sent, one.usage, at: now) == one.expected, "\(one.name)")
        }
    }

    @Test func timesKeysAndUsages() async throws {
        let rsa = try CertificateSigningRequest(pemEncoded: rsaRequest).publicKey
        let cases = [
            Case(name: "nothing wrong", expected: "accepted") { _ in },
            Case(name: "nothing wrong, as server", expected: "accepted", usage: .server) { _ in },
            Case(name: "expired", expected: "expired") { $0.notAfter = noon - .seconds(1) },
            Case(name: "not yet valid", expected: "notYetValid") { $0.notBefore = noon + .seconds(1) },
            Case(name: "RSA key", expected: "wrongKey") { $0.publicKey = rsa },
            Case(name: "P-384 key", expected: "wrongKey") { $0.publicKey = .init(P384.Signing.PrivateKey().publicKey) },
            Case(name: "client as server", expected: "wrongUsage", usage: .server) { $0.usages = [.clientAuth] },
            Case(name: "program with client usage only", expected: "wrongUsage") { $0.usages = [.clientAuth] },
            Case(name: "no usage", expected: "wrongUsage") { $0.usages = [] },
            Case(name: "any usage", expected: "wrongUsage") { $0.usages = [.any] },
            Case(name: "code signing too", expected: "wrongUsage") { $0.usages.append(.codeSigning) },
            Case(name: "no key usage", expected: "wrongUsage") { $0.keyUsage = nil },
            Case(name: "key usage without signature", expected: "wrongUsage") { $0.keyUsage = KeyUsage(keyAgreement: true) },
            Case(name: "key usage with certificate signing", expected: "wrongUsage") {
                $0.keyUsage = KeyUsage(digitalSignature: true, keyCertSign: true)
            },
            Case(name: "a second authority", expected: "wrongUsage") { $0.basicConstraints = .isCertificateAuthority(maxPathLength: nil) },
            Case(name: "unknown critical extension", expected: "untrusted") {
                $0.extra = [Certificate.Extension(oid: [1, 2, 3, 4], critical: true, value: [5, 0])]
            },
            Case(name: "unknown extension", expected: "accepted") {
                $0.extra = [Certificate.Extension(oid: [1, 2, 3, 4], critical: false, value: [5, 0])]
            },
        ]
        try await check(cases, in: try Laboratory())
    }

    @Test func names() async throws {
        let second = "bourse://demo/par-00000000000000009/manage/desk"
        let cases = [
            Case(name: "other exchange", expected: "untrusted") { $0.uris = ["bourse://other/par-00000000000000007/manage/desk"] },
            Case(name: "two URIs", expected: "wrongName") { $0.uris.append(second) },
            Case(name: "the same URI twice", expected: "wrongName") { $0.uris += $0.uris },
            Case(name: "no URI", expected: "wrongName") { $0.uris = [] },
            Case(name: "no names", expected: "wrongName") { ($0.uris, $0.dns) = ([], []) },
            Case(name: "no host name", expected: "accepted") { $0.dns = [] },
            Case(name: "host name of its own too", expected: "accepted") { $0.dns.append("portal.example") },
            Case(name: "node's URI with manage's host name", expected: "wrongName") {
                $0.uris = ["bourse://demo/par-00000000000000007/node/desk"]
            },
            Case(name: "another's host name too", expected: "wrongName") { $0.dns.append("main.exchange.demo.bourse") },
            Case(name: "a contract's host name too", expected: "wrongName") { $0.dns.append("CTR-00000000000000001.contract.demo.BOURSE") },
            Case(name: "unknown role", expected: "wrongName") { $0.uris = ["bourse://demo/par-00000000000000007/admin/desk"] },
            Case(name: "too long", expected: "wrongName") { $0.uris = [second + "/x"] },
            Case(name: "upper case", expected: "wrongName") { $0.uris = ["bourse://demo/par-00000000000000007/manage/Desk"] },
            Case(name: "other scheme", expected: "wrongName") { $0.uris = ["spiffe://demo/par-00000000000000007/manage/desk"] },
            Case(name: "terms on a program", expected: "wrongTerms") { $0.terms = try encoded(self.someTerms) },
        ]
        try await check(cases, in: try Laboratory())
    }

    private var someTerms: ContractTerms {
        ContractTerms(
            contract: ContractID(bits: 1), side: .buyer, product: ProductID(bits: 5), lots: 3,
            period: Period(start: noon, end: noon + .hours(1)))
    }

    @Test func contracts() async throws {
        let terms = someTerms
        var other = terms
        other.contract = ContractID(bits: 2)
        var seller = terms
        seller.side = .seller
        let cases = [
            Case(name: "buyer", expected: "accepted") { try $0.makeContract(terms) },
            Case(name: "seller", expected: "accepted", usage: .server) { try $0.makeContract(seller) },
            Case(name: "buyer as server", expected: "wrongUsage", usage: .server) { try $0.makeContract(terms) },
            Case(name: "seller as client", expected: "wrongUsage") { try $0.makeContract(seller) },
            Case(name: "buyer with both usages", expected: "wrongUsage") {
                try $0.makeContract(terms)
                $0.usages = [.clientAuth, .serverAuth]
            },
            Case(name: "terms of contract B under the name of A", expected: "wrongTerms") {
                try $0.makeContract(terms)
                $0.terms = try encoded(other)
            },
            Case(name: "terms of the other side", expected: "wrongTerms") {
                try $0.makeContract(terms)
                $0.terms = try encoded(seller)
            },
            Case(name: "seller with the host name of B", expected: "wrongName", usage: .server) {
                try $0.makeContract(seller)
                $0.dns = ["\(other.contract).contract.demo.bourse"]
            },
            Case(name: "buyer with a host name of ours", expected: "wrongName") {
                try $0.makeContract(terms)
                $0.dns = ["\(terms.contract).contract.demo.bourse"]
            },
            Case(name: "no terms", expected: "wrongTerms") {
                try $0.makeContract(terms)
                $0.terms = nil
            },
            Case(name: "garbled terms", expected: "wrongTerms") {
                try $0.makeContract(terms)
                $0.terms = [1, 2, 3]
            },
            Case(name: "terms with more behind them", expected: "wrongTerms") {
                try $0.makeContract(terms)
                $0.terms?.append(0)
            },
            Case(name: "negative lots", expected: "wrongTerms") {
                try $0.makeContract(terms)
                $0.terms = try encoded(terms, lots: -1)
            },
        ]
        try await check(cases, in: try Laboratory())
    }

    /// A certificate with a life longer than its contract can only come from a broken authority; it is refused all the same.
    @Test func contractOverBeforeItsCertificate() async throws {
        let laboratory = try Laboratory()
        let sent = try laboratory.forged {
            try $0.makeContract(someTerms)
            $0.notAfter = noon + .hours(5)
        }
        #expect(await verification(laboratory.trust, sent, .client, at: noon + .hours(1) - Span(microseconds: 1)) == "accepted")
        #expect(await verification(laboratory.trust, sent, .client, at: noon + .hours(1)) == "contractOver")
    }

    @Test func otherAuthoritiesAndBadPaths() async throws {
        let laboratory = try Laboratory()
        let stranger = try Laboratory()  // same exchange name, so the same subjects, but other keys
        #expect(stranger.issuer.subject == laboratory.issuer.subject)
        let foreign = try stranger.authority.issueIdentity(csrPEM: CredentialKey().csrPEM(), identity: laboratory.manage, now: noon)
        #expect(await verification(laboratory.trust, try chain(foreign.chainPEM), .client, at: noon) == "untrusted")
        #expect(await verification(laboratory.trust, try chain(foreign.chainPEM) + [der(stranger.root)], .client, at: noon) == "untrusted")

        // An ordinary certificate that signs another.
        let key = P256.Signing.PrivateKey()
        var holder = Draft(signer: laboratory.issuerKey, issuer: laboratory.issuer)
        holder.publicKey = .init(key.publicKey)
        let leaf = try holder.certificate()
        let byLeaf = Draft(signer: key, issuer: leaf, intermediates: [leaf])
        #expect(await verification(laboratory.trust, try byLeaf.chain(), .client, at: noon) == "untrusted", "issuer is no authority")

        // An authority below the intermediate, whose path length is zero; and one without the right to sign.
        for (name, signer, parent, keyUsage, expected) in [
            ("path too long", laboratory.issuerKey, laboratory.issuer, KeyUsage(keyCertSign: true), "untrusted"),
            ("no right to sign", laboratory.rootKey, laboratory.root, KeyUsage(digitalSignature: true), "untrusted"),
            ("authority under the root", laboratory.rootKey, laboratory.root, KeyUsage(keyCertSign: true), "accepted"),
        ] {
            var authority = Draft(signer: signer, issuer: parent)
            authority.publicKey = .init(key.publicKey)
            authority.basicConstraints = .isCertificateAuthority(maxPathLength: nil)
            authority.keyUsage = keyUsage
            (authority.uris, authority.dns) = ([], [])
            let below = try authority.certificate()
            let last = Draft(signer: key, issuer: below, intermediates: [below])
            #expect(await verification(laboratory.trust, try last.chain(), .client, at: noon) == expected, "\(name)")
        }
        for authority in [laboratory.root, laboratory.issuer] {
            #expect(await verification(laboratory.trust, [try der(authority)], .client, at: noon) != "accepted", "an authority as a peer")
        }
    }

    /// Any changed bit is refused, whatever it changes.
    @Test func tampering() async throws {
        let laboratory = try Laboratory()
        let good = try laboratory.forged { try $0.makeContract(someTerms) }
        for position in stride(from: 0, to: good[0].count, by: 3) {
            var bad = good
            bad[0][position] ^= 1 << UInt8(position % 8)
            #expect(await verification(laboratory.trust, bad, .client, at: noon) != "accepted", "byte \(position)")
        }
        var signature = good
        signature[0][good[0].count - 5] ^= 1
        #expect(await verification(laboratory.trust, signature, .client, at: noon) == "untrusted")
    }

    @Test func nothingAndTooMuch() async throws {
        let laboratory = try Laboratory()
        let good = try laboratory.forged { _ in }
        for (name, sent) in [
            ("nothing", []), ("garbage", [[1, 2, 3]]), ("empty", [[]]), ("five", Array(repeating: good[0], count: 5)),
            ("huge", [good[0] + [UInt8](repeating: 0, count: 20_000)]), ("garbage behind", [good[0], [0]]),
        ] as [(String, [[UInt8]])] {
            #expect(await verification(laboratory.trust, sent, .client, at: noon) == "malformed", "\(name)")
        }
    }

    @Test func trustBundleRefusesWhatDoesNotBelongTogether() throws {
        let laboratory = try Laboratory()
        let stranger = try Laboratory()
        let other = try Laboratory(exchange: "other")
        let root = laboratory.authority.rootPEM
        #expect(outcome { _ = try TrustBundle(rootPEM: root, intermediatesPEM: stranger.authority.intermediatePEM) } == "malformed")
        #expect(outcome { _ = try TrustBundle(rootPEM: root, exchange: "other") } == "malformed")
        #expect(outcome { _ = try TrustBundle(rootPEM: root + other.authority.rootPEM) } == "malformed")
        #expect(outcome { _ = try TrustBundle(rootPEM: "") } == "malformed")
        #expect(outcome { _ = try TrustBundle(rootPEM: laboratory.authority.intermediatePEM) } == "malformed")
        #expect(
            outcome { _ = try TrustBundle(rootPEM: root + stranger.authority.rootPEM, exchange: "demo") } == "accepted",
            "two roots of one exchange")
    }
}
