import CloudAPI
import CloudClient
import Exchange
import Logging
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

@Suite struct EnrolmentTests {
    @Test(arguments: DatabaseKind.allCases)
    func `A token is good once, for one program, for its time`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let admin = try town.exchange.operator
            let client = try town.exchange.client(token: nil)
            let token = try await admin.call(
                ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: town.buyer, role: .manage, id: "office"))
            let csr = try CredentialKey().csrPEM()
            let request = Enrol(token: token.token, csr: csr, names: ["127.0.0.1"])
            let identity = try await client.call(ExchangeAPI.enrol, body: request, idempotencyKey: "a")
            #expect(
                identity.id == "office" && identity.role == .manage && identity.participant == town.buyer && identity.exchange == "demo")
            #expect(identity.peerName == "main.exchange.demo.bourse")
            #expect(
                try await client.call(ExchangeAPI.enrol, body: request, idempotencyKey: "a").chain == identity.chain,
                "a lost answer comes again")
            let second = try await problem { try await client.call(ExchangeAPI.enrol, body: request, idempotencyKey: "b") }
            #expect(second.status == 403 && second.rule == "enrolment.used")

            let late = try await admin.call(
                ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: town.buyer, role: .manage, validSeconds: 60))
            town.exchange.clock.advance(by: .seconds(60))
            let expired = try await problem {
                try await client.call(ExchangeAPI.enrol, body: Enrol(token: late.token, csr: csr, names: []))
            }
            #expect(expired.rule == "enrolment.expired")
            let unknown = try EnrolmentToken(rootPEM: identity.root).text
            #expect(
                try await problem { try await client.call(ExchangeAPI.enrol, body: Enrol(token: unknown, csr: csr, names: [])) }.rule
                    == "enrolment.token")
            #expect(
                try await problem { try await client.call(ExchangeAPI.enrol, body: Enrol(token: "x", csr: csr, names: [])) }.status == 403)
        }
    }

    @Test func `A refused signing request leaves the token unused`() async throws {
        try await withTown(.sqlite) { town in
            let client = try town.exchange.client(token: nil)
            let token = try await town.exchange.operator.call(
                ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: town.buyer, role: .manage)
            ).token
            let bad = try await problem { try await client.call(ExchangeAPI.enrol, body: Enrol(token: token, csr: "junk", names: [])) }
            #expect(bad.status == 422 && bad.rule == "pki.csr")
            let csr = try CredentialKey().csrPEM()
            #expect(
                try await problem { try await client.call(ExchangeAPI.enrol, body: Enrol(token: token, csr: csr, names: ["x y"])) }.status
                    == 422)
            #expect(try await client.call(ExchangeAPI.enrol, body: Enrol(token: token, csr: csr, names: [])).participant == town.buyer)
        }
    }

    @Test func `Who may enrol what`() async throws {
        try await withTown(.sqlite) { town in
            let admin = try town.exchange.operator
            let cases: [(CreateEnrolment, Int, String)] = [
                (CreateEnrolment(participant: town.buyer, role: .connect), 403, "enrolment.role"),
                (CreateEnrolment(participant: town.seller, role: .manage), 403, "enrolment.role"),
                (CreateEnrolment(participant: town.seller, role: .node), 422, "enrolment.role"),
                (CreateEnrolment(participant: ParticipantID(bits: 1), role: .manage), 404, "market.unknown-participant"),
                (CreateEnrolment(participant: town.buyer, role: .manage, id: "Not A Label"), 422, "enrolment.id"),
                (CreateEnrolment(participant: town.seller, role: .connect, id: "office"), 422, "enrolment.id"),
                (CreateEnrolment(participant: town.stranger, role: .manage, id: town.manage.id), 409, "enrolment.program"),
                (CreateEnrolment(participant: town.buyer, role: .manage, validSeconds: 59), 422, "enrolment.lifetime"),
                (CreateEnrolment(participant: town.buyer, role: .manage, validSeconds: .max), 422, "enrolment.lifetime"),
            ]
            for (body, status, rule) in cases {
                let no = try await problem { try await admin.call(ExchangeAPI.createEnrolment, body: body) }
                #expect(no.status == status && no.rule == rule, "\(body): \(no.status) \(no.rule)")
            }
        }
    }

    @Test func `A program that enrols anew takes its old certificate out of use`() async throws {
        try await withTown(.sqlite) { town in
            let old = town.manage.identity.tls.credential.serial
            let token = try await town.exchange.operator.call(
                ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: town.buyer, role: .manage, id: town.manage.id)
            ).token
            let csr = try CredentialKey().csrPEM()
            _ = try await town.exchange.client(token: nil).call(ExchangeAPI.enrol, body: Enrol(token: token, csr: csr, names: []))
            try await town.connect.identity.refreshRevocations()
            #expect(town.connect.identity.tls.trust.isRevoked(old))
            #expect(!town.connect.identity.tls.trust.isRevoked(town.connect.identity.tls.credential.serial))
        }
    }

    /// A certificate with a name makes its holder the server of that name.
    @Test(arguments: DatabaseKind.allCases)
    func `Nobody gets a certificate for another's host name`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            func renew(_ program: Town.Program, _ names: [String]) async throws {
                let csr = try program.identity.tls.credential.csrPEM()
                _ = try await program.exchange.call(ExchangeAPI.renewIdentity, body: RenewIdentity(csr: csr, names: names))
            }
            try await renew(town.manage, ["cloud.acme.example", "192.0.2.7", "2001:db8::7", "localhost", "127.0.0.1"])
            try await renew(town.manage, ["CLOUD.acme.example"])
            for name in ["cloud.acme.example", "Cloud.Acme.Example", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8:0:0::7"] {
                let taken = try await problem { try await renew(town.connect, ["own.example", name]) }
                #expect(taken.status == 409 && taken.rule == "enrolment.name-taken", "\(name): \(taken.rule)")
            }
            for program in [town.manage, town.connect] {
                let refused = try await problem { try await renew(program, ["Exchange.Example.org"]) }
                #expect(refused.status == 403 && refused.rule == "enrolment.name-of-exchange")
            }
            // What was refused as a whole took nothing; every machine calls itself localhost.
            try await renew(town.manage, ["own.example"])
            try await renew(town.connect, ["localhost", "127.0.0.1", "::1", "connect.nordlicht.example"])

            let token = try await town.exchange.operator.call(
                ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: town.stranger, role: .manage)
            ).token
            let client = try town.exchange.client(token: nil)
            let request = Enrol(token: token, csr: try CredentialKey().csrPEM(), names: ["cloud.acme.example"])
            #expect(try await problem { try await client.call(ExchangeAPI.enrol, body: request) }.rule == "enrolment.name-taken")
            // Free again once the last certificate with it has ended.
            town.exchange.clock.advance(by: .days(31))
            let fresh = try await town.exchange.operator.call(
                ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: town.stranger, role: .manage)
            ).token
            let again = Enrol(token: fresh, csr: try CredentialKey().csrPEM(), names: ["cloud.acme.example"])
            #expect(try await client.call(ExchangeAPI.enrol, body: again).participant == town.stranger)
        }
    }

    @Test func `The exchange's own names are its host, its public name and its address`() {
        var configuration = ExchangeConfiguration(name: "demo", dataDirectory: "/", databaseURL: "")
        #expect(configuration.ownNames.isEmpty, "loopback is everybody's")
        configuration.host = "192.0.2.1"
        configuration.publicName = "Bourse.Example.org"
        configuration.advertisedPeerAddress = "[2001:db8::1]:7401"
        #expect(configuration.ownNames.map(\.description).sorted() == ["192.0.2.1", "2001:db8::1", "bourse.example.org"])
        configuration.advertisedPeerAddress = "peers.example.org:7401"
        #expect(configuration.ownNames.map(\.description).contains("peers.example.org"))
    }

    @Test func `A connect gets identities for its nodes, and programs renew their own`() async throws {
        try await withTown(.sqlite) { town in
            let host = HostID(bits: 5)
            let key = CredentialKey()
            let node = try await town.connect.exchange.call(ExchangeAPI.signNode, body: SignNode(host: host, csr: try key.csrPEM()))
            #expect(node.role == .node && node.participant == town.seller && node.id == host.description)
            #expect(node.peerAddress == "127.0.0.1:7421")
            #expect(node.peerName == IdentityName.dns(role: .connect, id: town.connect.id, exchange: "demo"))
            let credential = try key.credential(chainPEM: node.chain)
            #expect(credential.identity == .program(exchange: "demo", participant: town.seller, role: .node, id: host.description))

            let before = town.manage.identity.tls.credential
            let renewed = try await town.manage.exchange.call(
                ExchangeAPI.renewIdentity, body: RenewIdentity(csr: try before.csrPEM(), names: ["127.0.0.1"]))
            #expect(renewed.id == town.manage.id && renewed.participant == town.buyer)
            #expect(try before.key.credential(chainPEM: renewed.chain).serial != before.serial)
        }
    }
}
