import Crypto
import Foundation
import PKI
import Primitives
import SwiftASN1
import Testing
import X509

struct IssuingTests {
    @Test func identityRoundTrip() async throws {
        let laboratory = try Laboratory()
        let key = CredentialKey()
        for (identity, host) in [
            (laboratory.manage, "desk.manage.demo.bourse"), (laboratory.node, "h-00000000000000001.node.demo.bourse"),
            (PeerIdentity.ofExchange("demo"), "main.exchange.demo.bourse"),
        ] {
            let issued = try laboratory.authority.issueIdentity(csrPEM: key.csrPEM(), identity: identity, now: noon)
            #expect(issued.notBefore == noon - .minutes(1))
            #expect(issued.notAfter == noon + .days(30))
            #expect(issued.serial.utf8.count == 32)
            let credential = try key.credential(chainPEM: issued.chainPEM)
            #expect(credential.identity == identity)
            #expect(credential.dnsNames == [host])
            for usage in PeerUsage.allCases {
                let peer = try await laboratory.trust.verify(chainDER: chain(issued.chainPEM), usage: usage, now: noon)
                #expect(peer.identity == identity)
                #expect(peer.serial == issued.serial)
                #expect(peer.notAfter == issued.notAfter)
                #expect(peer.fingerprint == SHA256.hash(data: try chain(issued.chainPEM)[0]).map { String(format: "%02x", $0) }.joined())
            }
        }
    }

    @Test func contractRoundTrip() async throws {
        let laboratory = try Laboratory()
        let key = CredentialKey()
        for (side, own, other) in [(ContractSide.buyer, PeerUsage.client, PeerUsage.server), (.seller, .server, .client)] {
            let terms = laboratory.terms(side)
            let issued = try laboratory.authority.issueContract(csrPEM: key.csrPEM(), terms: terms, now: noon + .minutes(10))
            let peer = try await laboratory.trust.verify(chainDER: chain(issued.chainPEM), usage: own, now: noon + .minutes(10))
            #expect(peer.identity == .contract(exchange: "demo", terms))
            #expect(peer.isValid(at: noon + .minutes(59)))
            #expect(!peer.isValid(at: noon + .hours(1)))
            #expect(await verification(laboratory.trust, try chain(issued.chainPEM), other, at: noon + .minutes(10)) == "wrongUsage")
            let names = try key.credential(chainPEM: issued.chainPEM).dnsNames
            #expect(names == (side == .seller ? ["\(terms.contract).contract.demo.bourse"] : []))
        }
    }

    /// A peer that sends its own certificate only is verified with the intermediates we know.
    @Test func leafAloneIsEnough() async throws {
        let laboratory = try Laboratory()
        let issued = try laboratory.authority.issueIdentity(csrPEM: CredentialKey().csrPEM(), identity: laboratory.node, now: noon)
        let leaf = Array(try chain(issued.chainPEM).prefix(1))
        #expect(await verification(laboratory.trust, leaf, .client, at: noon) == "accepted")
        let rootOnly = try TrustBundle(rootPEM: laboratory.authority.rootPEM)
        #expect(await verification(rootOnly, leaf, .client, at: noon) == "untrusted")
        #expect(await verification(rootOnly, try chain(issued.chainPEM), .client, at: noon) == "accepted")
        let fromChain = try TrustBundle(rootPEM: laboratory.authority.rootPEM, intermediatesPEM: issued.chainPEM, exchange: "demo")
        #expect(fromChain.intermediatesPEM == laboratory.authority.intermediatePEM)
    }

    @Test func namesInTheRequestAreIgnoredAndExtraNamesAdded() throws {
        let laboratory = try Laboratory()
        let key = P256.Signing.PrivateKey()
        let wish = try Certificate.Extensions {
            SubjectAlternativeNames([.dnsName("wish.example"), .uniformResourceIdentifier("bourse://demo/par-00000000000000009/node/root")])
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
        }
        let request = try CertificateSigningRequest(
            version: .v1, subject: try DistinguishedName { CommonName("wish") }, privateKey: .init(key),
            attributes: try .init([.init(ExtensionRequest(extensions: wish))]))
        let issued = try laboratory.authority.issueIdentity(
            csrPEM: request.serializeAsPEM().pemString, identity: laboratory.manage,
            extraNames: ["Portal.Example", "10.0.0.7", "::1", "localhost", "portal.example"], now: noon)
        let leaf = try Certificate(derEncoded: chain(issued.chainPEM)[0])
        let expected: [GeneralName] = [
            .uniformResourceIdentifier("bourse://demo/par-00000000000000007/manage/desk"), .dnsName("desk.manage.demo.bourse"),
            .dnsName("portal.example"), .ipAddress(ASN1OctetString(contentBytes: [10, 0, 0, 7])),
            .ipAddress(ASN1OctetString(contentBytes: [UInt8](repeating: 0, count: 15)[...] + [1])), .dnsName("localhost"),
        ]
        #expect(Array(try #require(try leaf.extensions.subjectAlternativeNames)) == expected)
        #expect(try leaf.extensions.basicConstraints == .notCertificateAuthority)
        #expect(!"\(leaf.subject)".contains("wish"))
    }

    @Test(arguments: [
        "", ".", "a..b", "*.example.com", "desk.manage.demo.bourse", "BOURSE", "x.Bourse", "ex ample", "10.0.0.256", "-a.example",
        "a_b.example",
        "example.com.", String(repeating: "a.", count: 130) + "a", "bourse://demo", "exämple.de",
    ])
    func refusesExtraNames(name: String) throws {
        let laboratory = try Laboratory()
        let csr = try CredentialKey().csrPEM()
        #expect(
            outcome { _ = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, extraNames: [name], now: noon) }
                == "pki.names")
        #expect(
            outcome {
                _ = try laboratory.authority.issueContract(csrPEM: csr, terms: laboratory.terms(.seller), extraNames: [name], now: noon)
            } == "pki.names")
    }

    @Test func refusesTooManyExtraNames() throws {
        let laboratory = try Laboratory()
        let csr = try CredentialKey().csrPEM()
        let names = (0..<17).map { "a\($0).example" }
        let authority = laboratory.authority
        #expect(
            outcome { _ = try authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, extraNames: names, now: noon) }
                == "pki.names")
        #expect(
            outcome {
                _ = try authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, extraNames: Array(names.dropLast()), now: noon)
            } == "accepted")
    }

    @Test func refusesRequestsThatProveNothing() throws {
        let laboratory = try Laboratory()
        let good = try CredentialKey().csrPEM()
        var tampered = try #require(try chain(good).first)
        tampered[tampered.count - 3] ^= 1
        // The signature of one request under the key of another.
        let other = try CertificateSigningRequest(pemEncoded: try CredentialKey().csrPEM())
        let p384 = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName(), privateKey: .init(P384.Signing.PrivateKey()), attributes: .init())
        let certificate = laboratory.authority.rootPEM
        let wrong = [
            "empty": "", "no PEM": "hello", "certificate": certificate, "RSA": rsaRequest, "P-384": try p384.serializeAsPEM().pemString,
            "tampered": PEMDocument(type: "CERTIFICATE REQUEST", derBytes: tampered).pemString,
            "other's signature": try swapped(good, signatureOf: other),
            "huge": good + String(repeating: "\n", count: 20_000),
        ]
        for (name, csr) in wrong {
            #expect(
                outcome { _ = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, now: noon) } == "pki.csr",
                "\(name)")
            #expect(
                outcome { _ = try laboratory.authority.issueContract(csrPEM: csr, terms: laboratory.terms(.buyer), now: noon) }
                    == "pki.csr", "\(name)")
        }
    }

    private func swapped(_ pem: String, signatureOf other: CertificateSigningRequest) throws -> String {
        let node = try DER.parse(try chain(pem)[0])
        guard case .constructed(let parts) = node.content else { return "" }
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { list in
            for part in Array(parts).prefix(2) { list.serialize(part) }
            try list.serialize(ASN1BitString(bytes: other.signature.rawRepresentation[...]))
        }
        return PEMDocument(type: "CERTIFICATE REQUEST", derBytes: serializer.serializedBytes).pemString
    }

    @Test func refusesIdentitiesAndTermsThatCannotBe() throws {
        let laboratory = try Laboratory()
        let csr = try CredentialKey().csrPEM()
        let wrong: [PeerIdentity] = [
            .program(exchange: "other", participant: ParticipantID(bits: 7), role: .manage, id: "desk"),
            .program(exchange: "demo", participant: ParticipantID(bits: 7), role: .manage, id: "a/b"),
            .program(exchange: "demo", participant: ParticipantID(bits: 7), role: .manage, id: "a.b"),
            .program(exchange: "demo", participant: ParticipantID(bits: 7), role: .manage, id: ""),
            .contract(exchange: "demo", laboratory.terms(.buyer)),
        ]
        for identity in wrong {
            #expect(
                outcome { _ = try laboratory.authority.issueIdentity(csrPEM: csr, identity: identity, now: noon) } == "pki.identity.name")
        }
        for lifetime in [Span.zero, .seconds(59), .days(90) + .seconds(1), .days(-1)] {
            #expect(
                outcome {
                    _ = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.node, lifetime: lifetime, now: noon)
                }
                    == "pki.identity.lifetime")
        }
        var terms = laboratory.terms(.buyer)
        terms.lots = 0
        #expect(outcome { _ = try laboratory.authority.issueContract(csrPEM: csr, terms: terms, now: noon) } == "pki.contract.terms")
        let empty = laboratory.terms(.buyer, lasting: .zero)
        #expect(outcome { _ = try laboratory.authority.issueContract(csrPEM: csr, terms: empty, now: noon) } == "pki.contract.terms")
    }

    @Test func refusalWhenThePeriodIsOverExplains() throws {
        let laboratory = try Laboratory()
        let csr = try CredentialKey().csrPEM()
        for late in [Span.zero, .seconds(1), .days(400)] {
            do throws(PKIError) {
                _ = try laboratory.authority.issueContract(
                    csrPEM: csr, terms: laboratory.terms(.buyer, from: noon - .hours(1)), now: noon + late)
                Issue.record("issued")
            } catch {
                guard case .refused(let refusal) = error else {
                    Issue.record("\(error)")
                    continue
                }
                if late < .days(365) {
                    #expect(refusal.rule == "pki.contract.over")
                    #expect(refusal.facts["end"] == .text("2026-03-01T12:00:00Z"))
                    #expect(refusal.facts["now"] == .text((noon + late).description))
                }
            }
        }
    }

    @Test func serialNumbersAreDistinct() throws {
        let laboratory = try Laboratory()
        let csr = try CredentialKey().csrPEM()
        let serials = try (0..<200).map { _ in
            try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, now: noon).serial
        }
        #expect(Set(serials).count == 200)
    }
}

/// A well-formed, well-signed request for an RSA key of 2,048 bits.
let rsaRequest = """
    -----BEGIN CERTIFICATE REQUEST-----
    MIICUzCCATsCAQAwDjEMMAoGA1UEAwwDcnNhMIIBIjANBgkqhkiG9w0BAQEFAAOC
    AQ8AMIIBCgKCAQEAvVFri8ylyzJQRMizD71wYRND/lhVihFekIBrr2F876D6VER7
    dmnP9hNA671mxSNlvVmcgWB1Czn8/an5I4InxLFq4VO3E6v2pIfvH4qxDKLMf+Sj
    iyqRD7sBbZnfaWUH/r2qt8WbFEz4FHZ3u72RLPm1/hn0HqkwJON8ql8fF7cB5T7P
    /g+RXBMdGEVKm1Tz1l/Pd9TEjYGTlPjIrNPTdN/vlWpC+3Y0dPS2ZDD8EEsh9pZX
    pZO9pTqtbHU4PeVFBzc0E8SbXTA7CtqLUUUUeq18oKg5b9I3e1P/5d9mSP29LQOI
    7uQBC8nq2kssmELC5nRB4hP1U+qKu9/oA2aeGQIDAQABoAAwDQYJKoZIhvcNAQEL
    BQADggEBAElAKnAOXOL78S5bbhN69WCjkKN3rtEofb0PSWw4LAJnWsN1JAmyz/rV
    Hse2xVFysWRXpoAfjOdzjlDlbsGbMRUm9ir35RD4hcVaaa4tmW31A4aQ4VQC7vrO
    50LYj16XcGqt/BFfgpWj+u+iTQX0cYptHlvJN9tsH0hpG0j7/LfeltKg8fRWFVmp
    sDfi2pHDah+GW1BZk4IQrqac7T0aRuZK6qAD64ImtBguUSHPumDqzah29ZTF6VOJ
    qOvn2duOEHQTUtttldTTaOPAtEdamnGYQQrK9LCD5HuEBRYAYkYv1n5FSX4VrJzq
    NVEkW5eNTdDU2zFaPKi4aBw16A9i3G4=
    -----END CERTIFICATE REQUEST-----
    """
