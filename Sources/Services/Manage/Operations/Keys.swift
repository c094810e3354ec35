import CloudAPI
import EC2
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// Registers a public key under a name that is free in the user's account.
    func importKey(
        _ name: String, _ key: SSHPublicKey, tags: [ResourceTag] = [], by user: User, remembering idempotency: IdempotentRequest? = nil
    ) async throws -> KeyPairRecord {
        try user.authorize(.manageKeys)
        let now = time.now()
        let record = KeyPairRecord(id: ids.next(), account: user.account, name: name, key: key, created: now)
        try await database.write { transaction in
            guard try KeyPairRecord.named(name, of: user.account, in: transaction) == nil else {
                throw Refusal(
                    "key.exists", .conflict, "The keypair '\(name)' already exists.", facts: ["keyName": .text(name)],
                    nearest: "Another name.")
            }
            try record.insert(in: transaction)
            try TagRecord.set(tags, on: record.id.description, type: "key-pair", account: user.account, in: transaction)
            try transaction.appendAudit(
                actor: user.id.description, action: "key.import", subject: record.id.description, detail: "{}", at: now)
            try transaction.remember(record.view, status: 201, for: idempotency, at: now)
        }
        return record
    }

    func importKey(_ call: Call<ImportKey>) async throws -> KeyView {
        let name = call.body.name
        guard (1...255).contains(name.unicodeScalars.count), name.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }) else {
            throw Refusal("key.name", .invalid, "A key name has 1 to 255 printable characters.")
        }
        guard let key = SSHPublicKey(call.body.publicKey) else {
            throw Refusal(
                "key.format", .invalid, "This is not an OpenSSH public key of type ed25519 or rsa.",
                nearest: "The content of ~/.ssh/id_ed25519.pub.")
        }
        return try await importKey(name, key, by: try await user(call.principal), remembering: call.idempotency).view
    }

    func keys(_ principal: Principal) async throws -> [KeyView] {
        let user = try await user(principal)
        try user.authorize(.manageKeys)
        return try await database.read { try KeyPairRecord.all(of: user.account, in: $0).map(\.view) }
    }

    /// Deleting what is not there succeeds, as in EC2. Machines keep the keys they were launched with.
    func deleteKey(name: String?, identifier: String?, by user: User) async throws -> KeyPairID? {
        let now = time.now()
        return try await database.write { transaction in
            let keys = try KeyPairRecord.all(of: user.account, in: transaction)
            guard let key = keys.first(where: { $0.name == name || $0.id.description == identifier }) else { return nil }
            try key.delete(in: transaction)
            try transaction.appendAudit(
                actor: user.id.description, action: "key.delete", subject: key.id.description, detail: "{}", at: now)
            return key.id
        }
    }
}
