import Foundation
import PKI
import Primitives
import Testing

struct CredentialTests {
    private func issued(_ laboratory: Laboratory, _ key: CredentialKey, at now: Instant = noon) throws -> Credential {
        let answer = try laboratory.authority.issueIdentity(csrPEM: key.csrPEM(), identity: laboratory.manage, now: now)
        return try key.credential(chainPEM: answer.chainPEM)
    }

    private func read(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    @Test func keyIsMadeOnceAndKeptForTheOwner() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/inside/identity.key"
        let first = try CredentialKey.loadOrCreate(directory: directory.path + "/inside").csrPEM()
        let bytes = try read(path)
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let second = try CredentialKey.loadOrCreate(directory: directory.path + "/inside").csrPEM()
        #expect(try read(path) == bytes)
        #expect(first != second, "signatures differ, the key does not")
        #expect(try Credential.load(directory: directory.path + "/inside").map { _ in true } == nil, "a key alone is no credential")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        #expect(outcome { _ = try CredentialKey.loadOrCreate(directory: directory.path + "/inside") } == "corrupted")
    }

    @Test func saveAndLoad() throws {
        let laboratory = try Laboratory()
        let directory = try TemporaryDirectory()
        let credential = try issued(laboratory, CredentialKey())
        try credential.save(directory: directory.path, name: "contract")
        let loaded = try #require(try Credential.load(directory: directory.path, name: "contract"))
        #expect(loaded.identity == credential.identity)
        #expect(loaded.chainPEM == credential.chainPEM)
        #expect(loaded.privateKeyPEM == credential.privateKeyPEM)
        #expect(Set(try FileManager.default.contentsOfDirectory(atPath: directory.path)) == ["contract.key", "contract.pem"])
        try Credential.remove(directory: directory.path, name: "contract")
        try Credential.remove(directory: directory.path, name: "contract")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
    }

    /// A save with a new key writes old key, key, chain, in this order; whichever was the last written, a pair is found.
    @Test func newKeyInterruptedAnywhereLeavesAPair() throws {
        let laboratory = try Laboratory()
        let directory = try TemporaryDirectory()
        let (old, new) = (try issued(laboratory, CredentialKey()), try issued(laboratory, CredentialKey()))
        let (key, oldKey, pem) = ("/identity.key", "/identity.old.key", "/identity.pem")
        func put(_ file: String, _ text: String?) throws {
            try? FileManager.default.removeItem(atPath: directory.path + file)
            guard let text else { return }
            try #require(
                FileManager.default.createFile(
                    atPath: directory.path + file, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600]))
        }
        let states: [(String, String?, String, Credential)] = [
            (old.privateKeyPEM, nil, old.chainPEM, old), (old.privateKeyPEM, old.privateKeyPEM, old.chainPEM, old),
            (new.privateKeyPEM, old.privateKeyPEM, old.chainPEM, old), (new.privateKeyPEM, old.privateKeyPEM, new.chainPEM, new),
        ]
        for (keyText, oldText, chainText, expected) in states {
            for again in [old, new] {
                try put(key, keyText)
                try put(oldKey, oldText)
                try put(pem, chainText)
                #expect(try Credential.load(directory: directory.path)?.serial == expected.serial)
                try again.save(directory: directory.path)
                #expect(try Credential.load(directory: directory.path)?.serial == again.serial)
                #expect(!FileManager.default.fileExists(atPath: directory.path + oldKey))
            }
        }
        try put(key, new.privateKeyPEM)
        try put(pem, old.chainPEM)
        #expect(outcome { _ = try Credential.load(directory: directory.path) } == "corrupted")
        try put(key, nil)
        #expect(outcome { _ = try Credential.load(directory: directory.path) } == "corrupted")
    }

    @Test func renewalAtTwoThirdsOfLife() throws {
        let laboratory = try Laboratory()
        let credential = try issued(laboratory, CredentialKey())
        #expect(credential.notAfter == noon + .days(30))
        #expect(!credential.needsRenewal(now: noon + .days(20) - .minutes(2)))
        #expect(credential.needsRenewal(now: noon + .days(20)))
        #expect(credential.needsRenewal(now: noon + .days(40)))
        #expect(credential.isValid(at: noon) && !credential.isValid(at: noon - .minutes(2)))
        #expect(credential.isValid(at: noon + .days(30)) && !credential.isValid(at: noon + .days(30) + .seconds(1)))
    }

    @Test func refusesAChainForAnotherKey() throws {
        let laboratory = try Laboratory()
        let credential = try issued(laboratory, CredentialKey())
        #expect(outcome { _ = try CredentialKey().credential(chainPEM: credential.chainPEM) } == "malformed")
        #expect(outcome { _ = try credential.key.credential(chainPEM: "") } == "malformed")
        #expect(outcome { _ = try credential.key.credential(chainPEM: laboratory.authority.intermediatePEM) } == "malformed")
    }

    @Test func settingsForTLSAreMade() throws {
        let laboratory = try Laboratory()
        let credential = try issued(laboratory, CredentialKey())
        #expect(outcome { _ = try clientTLS(credential: credential, trust: laboratory.trust) } == "accepted")
        #expect(outcome { _ = try clientTLS(credential: nil, trust: laboratory.trust) } == "accepted")
        #expect(outcome { _ = try serverConfiguration(credential: credential, trust: laboratory.trust) } == "accepted")
        #expect(try credential.certificateSources().count == 2, "without the intermediate an ordinary client finds no path")
    }
}
