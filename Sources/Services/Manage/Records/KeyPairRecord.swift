import CloudAPI
import EC2
import Primitives
import Store

/// An ssh key users put on machines. Only the public half is here.
struct KeyPairRecord: Sendable {
    var id: KeyPairID
    var account: AccountID
    var name: String
    var kind: String
    var fingerprint: String
    var publicKey: String
    var created: Instant

    init(id: KeyPairID, account: AccountID, name: String, key: SSHPublicKey, created: Instant) {
        self.id = id
        self.account = account
        self.name = name
        self.kind = key.kind.rawValue
        self.fingerprint = key.fingerprint
        self.publicKey = key.line
        self.created = created
    }

    init(_ row: Row) throws {
        id = try row.id("id")
        account = try row.id("account")
        name = try row.text("name")
        kind = try row.text("kind")
        fingerprint = try row.text("fingerprint")
        publicKey = try row.text("public_key")
        created = try row.instant("created")
    }

    private static let columns = "id, account, name, kind, fingerprint, public_key, created"

    static func all(of account: AccountID, in context: any ReadContext) throws -> [KeyPairRecord] {
        try context.query("SELECT \(columns) FROM key_pairs WHERE account = $1 ORDER BY name", [SQLValue(account)]).map(KeyPairRecord.init)
    }

    static func named(_ name: String, of account: AccountID, in context: any ReadContext) throws -> KeyPairRecord? {
        try context.queryOne("SELECT \(columns) FROM key_pairs WHERE account = $1 AND name = $2", [SQLValue(account), .text(name)])
            .map(KeyPairRecord.init)
    }

    func insert(in transaction: any WriteContext) throws {
        try transaction.execute(
            "INSERT INTO key_pairs (\(Self.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                SQLValue(id), SQLValue(account), .text(name), .text(kind), .text(fingerprint), .text(publicKey), SQLValue(created),
            ])
    }

    func delete(in transaction: any WriteContext) throws {
        try transaction.execute("DELETE FROM key_pairs WHERE id = $1", [SQLValue(id)])
        try TagRecord.delete(of: id.description, in: transaction)
    }

    var view: KeyView { KeyView(id: id, name: name, fingerprint: fingerprint) }
}
