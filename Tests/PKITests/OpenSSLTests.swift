import Foundation
import PKI
import Primitives
import TestSupport
import Testing

/// A second opinion on what we encode, from the openssl command.
struct OpenSSLTests {
    private static let path = ["/usr/bin/openssl", "/usr/local/bin/openssl"].first { FileManager.default.isExecutableFile(atPath: $0) }
    static var isInstalled: Bool { path != nil }

    private func openssl(_ arguments: String...) throws -> (status: Int32, output: String) {
        try runToEnd([#require(Self.path)] + arguments)
    }

    private func write(_ laboratory: Laboratory, _ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        let path = "\(laboratory.directory.path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test(.enabled(if: isInstalled)) func agreesOnChains() throws {
        let laboratory = try Laboratory()
        let root = laboratory.directory.path + "/root.pem"
        let intermediate = laboratory.directory.path + "/intermediate.pem"
        let csr = try CredentialKey().csrPEM()
        #expect(try openssl("req", "-verify", "-noout", "-in", write(laboratory, "request.pem", csr.utf8)).status == 0)
        let issued = [
            (
                try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.node, extraNames: ["::1"], now: noon),
                ["sslclient", "sslserver"], "h-00000000000000001.node.demo.bourse"
            ),
            (try laboratory.authority.issueContract(csrPEM: csr, terms: laboratory.terms(.buyer), now: noon), ["sslclient"], nil),
            (
                try laboratory.authority.issueContract(csrPEM: csr, terms: laboratory.terms(.seller), now: noon), ["sslserver"],
                "ctr-00000000000000001.contract.demo.bourse"
            ),
        ]
        for (certificate, purposes, host) in issued {
            let file = try write(laboratory, "leaf.pem", certificate.chainPEM.utf8)
            func verify(_ purpose: String, at moment: Instant, _ host: String?) throws -> Int32 {
                let time = "\(moment.microseconds / 1_000_000)"
                let name = host.map { ["-verify_hostname", $0] } ?? []
                return try run(
                    ["verify", "-x509_strict", "-purpose", purpose, "-attime", time, "-CAfile", root, "-untrusted", intermediate] + name + [
                        file
                    ])
            }
            for purpose in ["sslclient", "sslserver"] {
                #expect(try verify(purpose, at: noon, host) == (purposes.contains(purpose) ? 0 : 2), "\(purpose) of \(host ?? "the buyer")")
            }
            let purpose = try #require(purposes.first)
            #expect(try verify(purpose, at: certificate.notAfter + .seconds(2), nil) == 2)
            #expect(try verify(purpose, at: certificate.notBefore - .seconds(2), nil) == 2)
            #expect(try verify(purpose, at: noon, "main.exchange.demo.bourse") == 2)
        }
    }

    private func run(_ arguments: [String]) throws -> Int32 { try runToEnd([#require(Self.path)] + arguments).status }

    @Test(.enabled(if: isInstalled)) func readsOurCertificates() throws {
        let laboratory = try Laboratory()
        let issued = try laboratory.authority.issueContract(csrPEM: CredentialKey().csrPEM(), terms: laboratory.terms(.seller), now: noon)
        let text = try openssl("x509", "-text", "-noout", "-in", write(laboratory, "leaf.pem", issued.chainPEM.utf8)).output
        for part in [
            "URI:bourse://demo/contract/ctr-00000000000000001/seller", "DNS:ctr-00000000000000001.contract.demo.bourse",
            "1.3.6.1.4.1.59999.1.1", "TLS Web Server Authentication", "prime256v1", "Not After : Mar  1 12:59:59 2026 GMT", "CA:FALSE",
            "ecdsa-with-SHA256",
        ] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(!text.contains("TLS Web Client Authentication"))
        let serial = try openssl("x509", "-serial", "-noout", "-in", laboratory.directory.path + "/leaf.pem").output
        #expect(serial.lowercased().contains("serial=" + issued.serial))
        let authority = try openssl("x509", "-text", "-noout", "-in", laboratory.directory.path + "/intermediate.pem").output
        for part in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "URI:demo"] { #expect(authority.contains(part), "\(part)") }
    }

    @Test(.enabled(if: isInstalled)) func agreesOnRevocation() throws {
        let laboratory = try Laboratory()
        let issued = try laboratory.authority.issueIdentity(csrPEM: CredentialKey().csrPEM(), identity: laboratory.node, now: noon)
        let intermediate = laboratory.directory.path + "/intermediate.pem"
        for (revoked, expected) in [([(serial: issued.serial, at: noon)], Int32(2)), ([], 0)] {
            let list = try laboratory.authority.revocationList(number: 17, revoked: revoked, now: noon, nextUpdate: noon + .minutes(5))
            let file = try write(laboratory, "list.crl", list)
            let read = try openssl("crl", "-inform", "DER", "-in", file, "-CAfile", intermediate, "-verify", "-text", "-noout")
            #expect(read.status == 0 && read.output.contains("verify OK"), "\(read.output)")
            #expect(read.output.contains("Version 2") && read.output.contains("X509v3 CRL Number") && read.output.contains("17"))
            #expect(read.output.lowercased().contains(issued.serial) == !revoked.isEmpty)
            #expect(try openssl("crl", "-inform", "DER", "-in", file, "-out", file + ".pem").status == 0)
            let leaf = try write(laboratory, "leaf.pem", issued.chainPEM.utf8)
            let status = try run([
                "verify", "-crl_check", "-CRLfile", file + ".pem", "-attime", "\(noon.microseconds / 1_000_000)", "-CAfile",
                laboratory.directory.path + "/root.pem", "-untrusted", intermediate, leaf,
            ])
            #expect(status == expected)
        }
    }

    @Test(.enabled(if: isInstalled)) func takesAndMakesKeysAndRequests() throws {
        let laboratory = try Laboratory()
        let key = laboratory.directory.path + "/their.key"
        let request = laboratory.directory.path + "/their.csr"
        #expect(try run(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key]) == 0)
        #expect(
            try run(["req", "-new", "-key", key, "-subj", "/CN=x", "-addext", "subjectAltName=DNS:evil.example", "-out", request]) == 0)
        let issued = try laboratory.authority.issueIdentity(
            csrPEM: String(contentsOfFile: request, encoding: .utf8), identity: laboratory.manage, now: noon)
        let text = try openssl("x509", "-text", "-noout", "-in", write(laboratory, "leaf.pem", issued.chainPEM.utf8)).output
        #expect(text.contains("desk.manage.demo.bourse") && !text.contains("evil"))
        #expect(try run(["pkey", "-in", laboratory.directory.path + "/root.key", "-check", "-noout"]) == 0)
    }
}
