import EC2
import Primitives
import Store

/// A tag on an instance or a key pair.
struct TagRecord: Sendable {
    var resource: String
    var type: String
    var tag: ResourceTag

    static func all(of accounts: Set<AccountID>, in context: any ReadContext) throws -> [TagRecord] {
        guard !accounts.isEmpty else { return [] }
        let names = accounts.map(\.description).sorted()
        let list = names.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        return try context.query(
            "SELECT resource, resource_type, tag_key, tag_value FROM tags WHERE account IN (\(list)) ORDER BY resource, tag_key",
            names.map { .text($0) }
        ).map { row in
            TagRecord(
                resource: try row.text("resource"), type: try row.text("resource_type"),
                tag: ResourceTag(key: try row.text("tag_key"), value: try row.text("tag_value")))
        }
    }

    /// The tags of many resources at once, by resource.
    static func grouped(of accounts: Set<AccountID>, in context: any ReadContext) throws -> [String: [ResourceTag]] {
        Dictionary(grouping: try all(of: accounts, in: context), by: \.resource).mapValues { $0.map(\.tag) }
    }

    static func of(_ resource: String, in context: any ReadContext) throws -> [ResourceTag] {
        try context.query("SELECT tag_key, tag_value FROM tags WHERE resource = $1 ORDER BY tag_key", [.text(resource)]).map {
            ResourceTag(key: try $0.text("tag_key"), value: try $0.text("tag_value"))
        }
    }

    /// Sets tags; one with the same key gets the new value.
    static func set(
        _ tags: [ResourceTag], on resource: String, type: String, account: AccountID, in transaction: any WriteContext
    ) throws {
        try transaction.executeMany(
            """
            INSERT INTO tags (resource, tag_key, tag_value, account, resource_type) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (resource, tag_key) DO UPDATE SET tag_value = excluded.tag_value
            """, tags.map { [.text(resource), .text($0.key), .text($0.value), SQLValue(account), .text(type)] })
    }

    /// `key` nil: all. With a value, only a tag that has it.
    static func delete(of resource: String, key: String? = nil, value: String? = nil, in transaction: any WriteContext) throws {
        try transaction.execute(
            "DELETE FROM tags WHERE resource = $1 AND ($2 = 0 OR tag_key = $3) AND ($4 = 0 OR tag_value = $5)",
            [.text(resource), SQLValue(key != nil), .text(key ?? ""), SQLValue(value != nil), .text(value ?? "")])
    }
}
