import CloudAPI
import CloudClient
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

@Suite struct PeerTests {
    @Test func aBuyerIsKnownByItsContract() async throws {
        try await Laboratory.run { lab in
            let client = try lab.peerClient(try lab.contractCredential(5, .buyer))
            let page = try await lab.call(client) { try await $0.call(NoteAPI.list) }
            #expect(page.items.first?.text == "\(ContractID(bits: 5))/buyer")
        }
    }

    @Test func theServerShowsTheContractItIsAskedFor() async throws {
        try await Laboratory.run { lab in
            lab.tls.setContract(ContractID(bits: 5), credential: try lab.contractCredential(5, .seller))
            let buyer = try lab.contractCredential(5, .buyer)
            let name = IdentityName.dns(contract: ContractID(bits: 5), exchange: Laboratory.exchange)
            _ = try await lab.call(try lab.peerClient(buyer, name: name)) { try await $0.call(NoteAPI.list) }
            // Another contract's name: the certificate shown does not bear it.
            let other = IdentityName.dns(contract: ContractID(bits: 6), exchange: Laboratory.exchange)
            await #expect(throws: ClientError.self) {
                _ = try await lab.call(try lab.peerClient(buyer, name: other)) { try await $0.call(NoteAPI.list) }
            }
        }
    }

    @Test func handshakesThatAreRefused() async throws {
        try await Laboratory.run { lab in
            let stranger = try CertificateAuthority.open(
                directory: lab.folder.file("stranger"), exchange: Laboratory.exchange, now: lab.time.now())
            let refused: [(String, Credential?)] = [
                ("no certificate", nil), ("a seller's contract certificate", try lab.contractCredential(5, .seller)),
                ("another authority", try lab.contractCredential(5, .buyer, authority: stranger)),
            ]
            for (what, credential) in refused {
                await #expect(throws: ClientError.self, "\(what)") {
                    _ = try await lab.call(try lab.peerClient(credential)) { try await $0.call(NoteAPI.list, deadline: .seconds(5)) }
                }
            }
        }
    }

    @Test func aCertificateIsLookedAtAgainAtEachRequest() async throws {
        try await Laboratory.run { lab in
            let client = try lab.peerClient(try lab.contractCredential(5, .buyer, for: .minutes(30)))
            try await lab.call(client) { client in
                _ = try await client.call(NoteAPI.list)
                lab.time.advance(by: .minutes(31))
                let problem = try await lab.refusal { _ = try await client.call(NoteAPI.list) }
                #expect(problem?.rule == "certificate.ended")
            }
        }
    }

    @Test func revocationEndsAnOpenConnection() async throws {
        try await Laboratory.run { lab in
            let credential = try lab.contractCredential(5, .buyer)
            try await lab.call(try lab.peerClient(credential)) { client in
                _ = try await client.call(NoteAPI.list)
                let now = lab.time.now()
                let list = try lab.authority.revocationList(
                    number: 1, revoked: [(credential.serial, now)], now: now, nextUpdate: now + .hours(1))
                lab.tls.replace(trust: try lab.tls.trust.updating(crlDER: list, now: now))
                let problem = try await lab.refusal { _ = try await client.call(NoteAPI.list) }
                #expect(problem?.rule == "certificate.revoked")
            }
            await #expect(throws: ClientError.self) {
                _ = try await lab.call(try lab.peerClient(credential)) { try await $0.call(NoteAPI.list) }
            }
        }
    }

    @Test func theWrongRoleIsForbidden() async throws {
        try await Laboratory.run { lab in
            let node = PeerIdentity.program(
                exchange: Laboratory.exchange, participant: ParticipantID(bits: 7), role: .node, id: HostID(bits: 3).description)
            let client = try lab.peerClient(try Laboratory.credential(lab.authority, node, at: lab.time.now()))
            try await lab.call(client) { client in
                let problem = try await lab.refusal { _ = try await client.call(NoteAPI.list) }
                #expect(problem?.status == 403)
            }
        }
    }

    @Test func tokensAreNoUseOnThePeerListener() async throws {
        try await Laboratory.run { lab in
            let client = try CloudClient(base: "http://127.0.0.1:\(lab.peerPort)", authentication: .bearer(Laboratory.token))
            await #expect(throws: ClientError.self) {
                _ = try await lab.call(client) { try await $0.call(NoteAPI.list, deadline: .seconds(5)) }
            }
        }
    }
}
