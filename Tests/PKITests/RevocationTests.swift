import Foundation
import PKI
import Primitives
import Testing
import X509

struct RevocationTests {
    private func list(
        _ laboratory: Laboratory, _ number: Int64, _ serials: [String], at now: Instant = noon, for lifetime: Span = .minutes(5)
    ) throws -> [UInt8] {
        try laboratory.authority.revocationList(
            number: number, revoked: serials.map { (serial: $0, at: now) }, now: now, nextUpdate: now + lifetime)
    }

    private func outcomeOf(_ trust: TrustBundle, _ list: [UInt8], at now: Instant = noon) -> String {
        outcome { _ = try trust.updating(crlDER: list, now: now) }
    }

    @Test(arguments: [0, 1, 2, 500]) func roundTrip(count: Int) throws {
        let laboratory = try Laboratory()
        var generator = SeededGenerator(seed: UInt64(count))
        // One octet to twenty, with and without the top bit, from dates on both sides of 2050.
        let revoked = (0..<count).map { index in
            let octets =
                [UInt8.random(in: 1...255, using: &generator)]
                + (0..<(index % 20)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            return (serial: octets.map { String(format: "%02x", $0) }.joined(), at: noon + .days(Int64(index) * 30))
        }
        let next = Instant("2051-01-01T00:00:00Z")!
        let der = try laboratory.authority.revocationList(number: Int64(count) << 20, revoked: revoked, now: noon, nextUpdate: next)
        let read = try RevocationList(der: der)
        #expect(read.number == Int64(count) << 20)
        #expect(read.thisUpdate == noon)
        #expect(read.nextUpdate == next)
        #expect(read.entries.map(\.serial) == revoked.map(\.serial))
        #expect(read.entries.map(\.at) == revoked.map(\.at))
        #expect(outcomeOf(laboratory.trust, der) == "accepted")
    }

    @Test func revokedIsRefusedAndOthersAreNot() async throws {
        let laboratory = try Laboratory()
        let csr = try CredentialKey().csrPEM()
        let first = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, now: noon)
        let second = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, now: noon)
        // Serial numbers come from people too: upper case and leading zeros are the same number.
        for text in [first.serial, first.serial.uppercased(), "00" + first.serial] {
            let trust = try laboratory.trust.updating(crlDER: list(laboratory, 1, [text]), now: noon)
            #expect(await verification(trust, try chain(first.chainPEM), .client, at: noon) == "revoked")
            #expect(await verification(trust, try chain(second.chainPEM), .client, at: noon) == "accepted")
            #expect(trust.isRevoked(first.serial) && !trust.isRevoked(second.serial))
        }
        #expect(!laboratory.trust.isRevoked(first.serial), "a bundle is a value")
        #expect(outcome { _ = try list(laboratory, 1, ["xyz"]) } == "malformed")
        #expect(outcome { _ = try list(laboratory, 1, [""]) } == "malformed")
    }

    @Test func revokedIntermediateTakesEverythingWithIt() async throws {
        let laboratory = try Laboratory()
        let issued = try laboratory.authority.issueIdentity(csrPEM: CredentialKey().csrPEM(), identity: laboratory.manage, now: noon)
        let serial = laboratory.issuer.serialNumber.bytes.map { String(format: "%02x", $0) }.joined()
        let trust = try laboratory.trust.updating(crlDER: list(laboratory, 1, [serial]), now: noon)
        #expect(await verification(trust, try chain(issued.chainPEM), .client, at: noon) != "accepted")
    }

    /// The rule: a list that went stale stays in force; only a fresh and newer one replaces it.
    @Test func staleListKeepsTheLastKnownSet() async throws {
        let laboratory = try Laboratory()
        let csr = try CredentialKey().csrPEM()
        let bad = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, now: noon)
        let good = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.node, now: noon)
        #expect(laboratory.trust.revocationIsStale(at: noon), "none seen yet")
        let trust = try laboratory.trust.updating(crlDER: list(laboratory, 7, [bad.serial]), now: noon)
        #expect(!trust.revocationIsStale(at: noon + .minutes(4)))
        let later = noon + .hours(3)
        #expect(trust.revocationIsStale(at: later))
        #expect(await verification(trust, try chain(bad.chainPEM), .client, at: later) == "revoked")
        #expect(await verification(trust, try chain(good.chainPEM), .client, at: later) == "accepted")

        #expect(outcomeOf(trust, try list(laboratory, 8, []), at: later) == "stale")
        #expect(outcomeOf(trust, try list(laboratory, 6, [], at: later), at: later) == "older")
        #expect(outcomeOf(trust, try list(laboratory, 8, [], at: later + .minutes(2)), at: later) == "notYetValid")
        #expect(outcomeOf(trust, try list(laboratory, 7, [], at: later), at: later) == "accepted", "the same number again")
        let cleared = try trust.updating(crlDER: list(laboratory, 8, [], at: later), now: later)
        #expect(await verification(cleared, try chain(bad.chainPEM), .client, at: later) == "accepted")

        // From disk an old list is better than none, but even there not an older one.
        let old = try laboratory.trust.updating(crlDER: list(laboratory, 7, [bad.serial]), now: later, allowingStale: true)
        #expect(old.isRevoked(bad.serial) && old.revocationIsStale(at: later))
        #expect(outcome { _ = try old.updating(crlDER: try list(laboratory, 6, []), now: later, allowingStale: true) } == "older")
    }

    @Test func onlyOurAuthoritysSignatureCounts() throws {
        let laboratory = try Laboratory()
        let stranger = try Laboratory()
        let other = try Laboratory(exchange: "other")
        #expect(outcomeOf(laboratory.trust, try list(stranger, 1, [])) == "badSignature")
        #expect(outcomeOf(laboratory.trust, try list(other, 1, [])) == "wrongIssuer")
        #expect(outcomeOf(try TrustBundle(rootPEM: laboratory.authority.rootPEM), try list(laboratory, 1, [])) == "wrongIssuer")
        let good = try list(laboratory, 1, ["0123456789abcdef"])
        for position in good.indices {
            var bad = good
            bad[position] ^= 0x10
            #expect(outcomeOf(laboratory.trust, bad) != "accepted", "byte \(position)")
        }
        for length in 0..<good.count { #expect(outcomeOf(laboratory.trust, Array(good.prefix(length))) == "malformed") }
        #expect(outcomeOf(laboratory.trust, good + [0]) == "malformed")
    }

    @Test func savedAndLoaded() throws {
        let laboratory = try Laboratory()
        let directory = try TemporaryDirectory()
        #expect(try TrustBundle.load(directory: directory.path, now: noon) == nil)
        try laboratory.trust.save(directory: directory.path)
        let bare = try #require(try TrustBundle.load(directory: directory.path, now: noon))
        #expect(bare.exchange == "demo" && bare.revocation == nil && bare.intermediatesPEM == laboratory.authority.intermediatePEM)
        try laboratory.trust.updating(crlDER: list(laboratory, 3, ["aa"]), now: noon).save(directory: directory.path)
        let loaded = try #require(try TrustBundle.load(directory: directory.path, now: noon + .days(1)))
        #expect(loaded.revocation?.number == 3 && loaded.isRevoked("aa"))
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: directory.path + "/revoked.crl"))
        #expect(
            outcome { _ = try TrustBundle.load(directory: directory.path, now: noon) } == "malformed", "never silently without revocation")
    }
}
