import EC2
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// CreateTags, DescribeTags, DeleteTags, on instances, volumes and key pairs.
    func addTagActions(to registry: inout ActionRegistry<EC2Caller>) {
        registry.on(CreateTags.self, check: mayOperate) { request, caller in
            try await setTags(request.tags, on: request.resources, by: caller)
            return .init()
        }
        registry.on(DeleteTags.self, check: mayOperate) { request, caller in
            try await deleteTags(request.tags, of: request.resources, by: caller)
            return .init()
        }
        registry.on(DescribeTags.self, check: mayView) { request, caller in
            let records = try await database.read { try TagRecord.all(of: caller.accounts, in: $0) }
            let tags = records.map { TagDescription(resource: $0.resource, resourceType: $0.type, key: $0.tag.key, value: $0.tag.value) }
            let page = request.paging.page(of: tags.filter(request.filter).sorted { $0.position < $1.position }, position: \.position)
            return .init(tags: page.items, nextToken: page.nextToken)
        }
    }

    private func setTags(_ tags: [ResourceTag], on resources: [String], by caller: EC2Caller) async throws {
        let now = time.now()
        try await database.write { [self] transaction in
            for resource in resources {
                let (account, type) = try owner(of: resource, for: caller, in: transaction)
                let keys = Set(try TagRecord.of(resource, in: transaction).map(\.key) + tags.map(\.key))
                guard keys.count <= ResourceTag.largestCount else {
                    throw EC2Error(
                        .tagLimitExceeded, "\(resource) would have \(keys.count) tags; at most \(ResourceTag.largestCount) are allowed.")
                }
                try TagRecord.set(tags, on: resource, type: type, account: account, in: transaction)
                try transaction.appendAudit(
                    actor: caller.user.id.description, action: "tag.set", subject: resource, detail: "{}", at: now)
            }
        }
    }

    private func deleteTags(_ selections: [DeleteTags.Selection], of resources: [String], by caller: EC2Caller) async throws {
        let now = time.now()
        try await database.write { [self] transaction in
            for resource in resources {
                _ = try owner(of: resource, for: caller, in: transaction)
                if selections.isEmpty { try TagRecord.delete(of: resource, in: transaction) }
                for selection in selections {
                    try TagRecord.delete(of: resource, key: selection.key, value: selection.value, in: transaction)
                }
                try transaction.appendAudit(
                    actor: caller.user.id.description, action: "tag.delete", subject: resource, detail: "{}", at: now)
            }
        }
    }

    /// The account a resource belongs to, and what kind of thing it is. Resources of other accounts are not found.
    private func owner(
        of resource: String, for caller: EC2Caller, in context: any ReadContext
    ) throws -> (account: AccountID, type: String) {
        if let id = InstanceID(resource) { return (try found([id], of: caller.accounts, in: context)[0].account, "instance") }
        if let id = KeyPairID(resource), try KeyPairRecord.all(of: caller.user.account, in: context).contains(where: { $0.id == id }) {
            return (caller.user.account, "key-pair")
        }
        if let id = VolumeID(resource), let record = try VolumeRecord.load(id, in: context), caller.accounts.contains(record.account) {
            return (record.account, "volume")
        }
        if resource.hasPrefix("vol-") { throw IdentifierErrors.volume.notFound([resource]) }
        if resource.hasPrefix("i-") { throw IdentifierErrors.instance.notFound([resource]) }
        throw EC2Error(.invalidResource, "The ID '\(resource)' is not valid")
    }
}
