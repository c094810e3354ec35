import Dispatch
import Foundation
import PKI
import Primitives
import Synchronization
import Testing

struct AuthorityTests {
    private let files = ["root.key", "root.pem", "intermediate.key", "intermediate.pem"]

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test func filesAreForTheOwnerOnlyAndNothingElseIsLeft() throws {
        let laboratory = try Laboratory()
        let found = try FileManager.default.contentsOfDirectory(atPath: laboratory.directory.path)
        #expect(Set(found) == Set(files))
        for file in files { #expect(try mode("\(laboratory.directory.path)/\(file)") == 0o600) }
        let fresh = laboratory.directory.path + "/a/b/authority"
        _ = try CertificateAuthority.open(directory: fresh, exchange: "demo", now: noon)
        #expect(try mode(fresh) == 0o700)
    }

    @Test func openAgainIsTheSameAuthority() throws {
        let laboratory = try Laboratory()
        let again = try CertificateAuthority.open(directory: laboratory.directory.path, exchange: "demo", now: noon + .days(3))
        #expect(again.rootPEM == laboratory.authority.rootPEM)
        #expect(again.intermediatePEM == laboratory.authority.intermediatePEM)
        #expect(again.exchange == "demo")
        #expect(again.notAfter == noon + .days(365))
    }

    /// Creation makes its files in a fixed order; stopping after any of them must not lose what is there.
    @Test(arguments: 0...4) func creationInterruptedAfterAnyFileIsCompleted(made: Int) throws {
        let laboratory = try Laboratory()
        let path = laboratory.directory.path
        for file in files.dropFirst(made) { try FileManager.default.removeItem(atPath: "\(path)/\(file)") }
        try Data("half a file".utf8).write(to: URL(fileURLWithPath: "\(path)/root.pem.99.x.tmp"))
        var kept: [String: Data] = [:]
        for file in files.prefix(made) { kept[file] = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(file)")) }
        let authority = try CertificateAuthority.open(directory: path, exchange: "demo", now: noon + .minutes(1))
        for (file, content) in kept { #expect(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(file)")) == content, "\(file)") }
        _ = try authority.issueIdentity(csrPEM: CredentialKey().csrPEM(), identity: laboratory.manage, now: noon + .minutes(1))
    }

    /// On threads of their own, let go at the same moment, often enough that the race is really run.
    @Test func manyStartsAtOnceMakeOneAuthority() throws {
        for _ in 0..<30 {
            let directory = try TemporaryDirectory()
            let found = Mutex<Set<String>>([])
            let (gate, done) = (DispatchSemaphore(value: 0), DispatchGroup())
            for _ in 0..<6 {
                done.enter()
                Thread.detachNewThread {
                    gate.wait()
                    let answer = Result { try CertificateAuthority.open(directory: directory.path, exchange: "demo", now: noon) }
                    found.withLock { _ = $0.insert((try? answer.get().intermediatePEM) ?? "\(answer)") }
                    done.leave()
                }
            }
            for _ in 0..<6 { gate.signal() }
            done.wait()
            let file = try String(contentsOfFile: directory.path + "/intermediate.pem", encoding: .utf8)
            #expect(found.withLock { $0 } == [file])
        }
    }

    @Test func worksWithoutTheRootKeyButMakesNoIntermediateWithoutIt() throws {
        let laboratory = try Laboratory()
        let path = laboratory.directory.path
        try FileManager.default.moveItem(atPath: path + "/root.key", toPath: path + "/away")
        let authority = try CertificateAuthority.open(directory: path, exchange: "demo", now: noon)
        _ = try authority.issueIdentity(csrPEM: CredentialKey().csrPEM(), identity: laboratory.manage, now: noon)
        #expect(outcome { _ = try CertificateAuthority.renewIntermediate(directory: path, now: noon) } == "corrupted")
        try FileManager.default.removeItem(atPath: path + "/intermediate.pem")
        #expect(outcome { _ = try CertificateAuthority.open(directory: path, exchange: "demo", now: noon) } == "corrupted")
        #expect(!FileManager.default.fileExists(atPath: path + "/root.key"))
    }

    @Test(arguments: ["root.pem", "intermediate.key"]) func whatCannotBeMadeAgainIsNotMadeAgain(lost: String) throws {
        let laboratory = try Laboratory()
        let path = laboratory.directory.path
        try FileManager.default.removeItem(atPath: "\(path)/\(lost)")
        #expect(outcome { _ = try CertificateAuthority.open(directory: path, exchange: "demo", now: noon) } == "corrupted")
        #expect(!FileManager.default.fileExists(atPath: "\(path)/\(lost)"))
    }

    @Test func refusesDirectoriesThatAreNotRight() throws {
        let laboratory = try Laboratory()
        let path = laboratory.directory.path
        #expect(outcome { _ = try CertificateAuthority.open(directory: path, exchange: "other", now: noon) } == "corrupted")
        let stranger = try Laboratory()
        let theirs = try Data(contentsOf: URL(fileURLWithPath: stranger.directory.path + "/intermediate.key"))
        let ours = try Data(contentsOf: URL(fileURLWithPath: path + "/intermediate.key"))
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path + "/intermediate.key")
        #expect(outcome { _ = try CertificateAuthority.load(directory: path) } == "corrupted", "readable by others")
        try theirs.write(to: URL(fileURLWithPath: path + "/intermediate.key"))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path + "/intermediate.key")
        #expect(outcome { _ = try CertificateAuthority.load(directory: path) } == "corrupted", "another authority's key")
        try ours.write(to: URL(fileURLWithPath: path + "/intermediate.key"))
        #expect(outcome { _ = try CertificateAuthority.load(directory: path) } == "accepted")
        try Data(stranger.authority.rootPEM.utf8).write(to: URL(fileURLWithPath: path + "/root.pem"))
        #expect(outcome { _ = try CertificateAuthority.load(directory: path) } == "corrupted", "another authority's root")
    }

    @Test(arguments: ["", "-a", "a-", "A", "a.b", "a b", "ä", String(repeating: "a", count: 33)])
    func refusesNamesThatCannotNameAnExchange(name: String) throws {
        let directory = try TemporaryDirectory()
        #expect(outcome { _ = try CertificateAuthority.open(directory: directory.path, exchange: name, now: noon) } == "pki.exchange.name")
    }

    @Test func renewedIntermediateKeepsWhatWasIssuedAndRevoked() async throws {
        let laboratory = try Laboratory()
        let csr = try CredentialKey().csrPEM()
        let before = try laboratory.authority.issueIdentity(
            csrPEM: csr, identity: laboratory.manage, lifetime: .days(90), now: noon + .days(300))
        let renewed = try CertificateAuthority.renewIntermediate(directory: laboratory.directory.path, now: noon + .days(301))
        #expect(renewed.notAfter == noon + .days(666))
        let after = try renewed.issueIdentity(csrPEM: csr, identity: laboratory.manage, lifetime: .days(90), now: noon + .days(301))
        #expect(before.notAfter == noon + .days(365), "cut off at the end of the old intermediate")
        #expect(after.notAfter == noon + .days(391))
        let later = noon + .days(302)
        for trust in [laboratory.trust, try renewed.trustBundle()] {
            for issued in [before, after] {
                #expect(await verification(trust, try chain(issued.chainPEM), .client, at: later) == "accepted")
            }
            let list = try renewed.revocationList(number: 1, revoked: [(before.serial, later)], now: later, nextUpdate: later + .hours(1))
            let updated = try trust.updating(crlDER: list, now: later)
            #expect(await verification(updated, try chain(before.chainPEM), .client, at: later) == "revoked")
        }
    }

    @Test func issuesNothingBeyondItsOwnEnd() throws {
        let laboratory = try Laboratory()
        let end = laboratory.authority.notAfter
        let csr = try CredentialKey().csrPEM()
        #expect(
            outcome { _ = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, now: end) }
                == "pki.authority.expired")
        #expect(
            outcome { _ = try laboratory.authority.issueContract(csrPEM: csr, terms: laboratory.terms(.buyer, from: end), now: end) }
                == "pki.authority.expired")
        let ahead = laboratory.terms(.buyer, from: end + .days(1))
        #expect(outcome { _ = try laboratory.authority.issueContract(csrPEM: csr, terms: ahead, now: noon) } == "pki.authority.expires")
        let last = try laboratory.authority.issueIdentity(csrPEM: csr, identity: laboratory.manage, now: end - .hours(1))
        #expect(last.notAfter == end)
    }
}
