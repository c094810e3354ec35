import EC2
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// CreateKeyPair, ImportKeyPair, DescribeKeyPairs, DeleteKeyPair.
    func addKeyActions(to registry: inout ActionRegistry<EC2Caller>) {
        registry.on(CreateKeyPair.self, check: mayManageKeys) { request, caller in
            // The private key is made here because EC2's clients expect it; it leaves once and is not kept.
            let pair = SSHKeyPair(comment: request.name)
            let record = try await importKey(request.name, pair.publicKey, tags: request.tags, by: caller.user)
            return .init(pair: KeyPairDescription(record, tags: request.tags, showingKey: false), material: pair.privateKey)
        }
        registry.on(ImportKeyPair.self, check: mayManageKeys) { request, caller in
            let record = try await importKey(request.name, request.publicKey, tags: request.tags, by: caller.user)
            return .init(pair: KeyPairDescription(record, tags: request.tags, showingKey: false))
        }
        registry.on(DescribeKeyPairs.self, check: mayManageKeys) { request, caller in
            .init(pairs: try await describe(request, of: caller.user.account).filter(request.filter))
        }
        registry.on(DeleteKeyPair.self, check: mayManageKeys) { request, caller in
            .init(deleted: try await deleteKey(name: request.name, identifier: request.identifier, by: caller.user))
        }
    }

    private func mayManageKeys(_ request: some ActionRequest, _ caller: EC2Caller) throws { try caller.user.authorize(.manageKeys) }

    private func describe(_ request: DescribeKeyPairs, of account: AccountID) async throws -> [KeyPairDescription] {
        let (records, tags) = try await database.read { context in
            (try KeyPairRecord.all(of: account, in: context), try TagRecord.grouped(of: [account], in: context))
        }
        for name in request.names where !records.contains(where: { $0.name == name }) {
            throw EC2Error(.invalidKeyPairNotFound, "The key pair '\(name)' does not exist")
        }
        for id in request.identifiers where !records.contains(where: { $0.id.description == id }) {
            throw EC2Error(.invalidKeyPairNotFound, "The key pair '\(id)' does not exist")
        }
        return records.filter { record in
            (request.names.isEmpty || request.names.contains(record.name))
                && (request.identifiers.isEmpty || request.identifiers.contains(record.id.description))
        }.map { KeyPairDescription($0, tags: tags[$0.id.description] ?? [], showingKey: request.includePublicKey) }
    }
}

extension KeyPairDescription {
    init(_ record: KeyPairRecord, tags: [ResourceTag], showingKey: Bool) {
        self.init(
            id: record.id, name: record.name, fingerprint: record.fingerprint, type: record.kind,
            publicKey: showingKey ? record.publicKey : nil,
            created: record.created, tags: tags)
    }
}
