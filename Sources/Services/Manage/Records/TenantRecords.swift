import CloudAPI
import Primitives
import Store
import Tenancy

extension Account {
    init(_ row: Row) throws {
        let code = try row.text("currency")
        guard let currency = Currency(code) else { throw StoreError.other(code: "row", "'\(code)' is not a currency") }
        self.init(
            id: try row.id("id"), name: try row.text("name"), parent: try row.optionalID("parent"), currency: currency,
            priceCap: try row.integer("price_cap"), quotaMilliCPU: try row.optionalInteger("quota_milli_cpu"),
            quotaVolumeMiB: try row.optionalInteger("quota_volume_mib"))
    }

    func insert(at now: Instant, in transaction: any WriteContext) throws {
        try transaction.execute(
            """
            INSERT INTO accounts (id, name, parent, currency, price_cap, quota_milli_cpu, created, quota_volume_mib)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                SQLValue(id), .text(name), SQLValue(parent), .text(currency.code), .integer(priceCap), SQLValue(quotaMilliCPU),
                SQLValue(now), SQLValue(quotaVolumeMiB),
            ])
    }
}

extension AccountTree {
    static func load(in context: any ReadContext) throws -> AccountTree {
        try AccountTree(
            try context.query("SELECT id, name, parent, currency, price_cap, quota_milli_cpu, quota_volume_mib FROM accounts").map(
                Account.init))
    }

    func account(_ id: AccountID) throws(Refusal) -> Account {
        guard let account = self[id] else {
            throw Refusal("tenancy.account", .notFound, "There is no account \(id).", facts: ["account": .text(id.description)])
        }
        return account
    }
}

extension User {
    init(_ row: Row) throws {
        let rights = try row.text("rights").split(separator: ",").compactMap { Right(rawValue: String($0)) }
        self.init(id: try row.id("id"), account: try row.id("account"), name: try row.text("name"), rights: Set(rights))
    }

    static func load(_ id: UserID, in context: any ReadContext) throws -> User? {
        try context.queryOne("SELECT id, account, name, rights FROM users WHERE id = $1", [SQLValue(id)]).map(User.init)
    }

    /// The user an access key belongs to, with the secret to verify signatures with.
    static func load(accessKey: String, in context: any ReadContext) throws -> (user: User, secret: String)? {
        let row = try context.queryOne(
            "SELECT u.id, u.account, u.name, u.rights, k.secret FROM access_keys k JOIN users u ON u.id = k.user_id WHERE k.name = $1",
            [.text(accessKey)])
        return try row.map { (try User($0), try $0.text("secret")) }
    }

    func insert(at now: Instant, in transaction: any WriteContext) throws {
        try transaction.execute(
            "INSERT INTO users (id, account, name, rights, created) VALUES ($1, $2, $3, $4, $5)",
            [
                SQLValue(id), SQLValue(account), .text(name), .text(rights.map(\.rawValue).sorted().joined(separator: ",")), SQLValue(now),
            ])
    }
}

extension AccessKey {
    func insert(at now: Instant, in transaction: any WriteContext) throws {
        try transaction.execute(
            "INSERT INTO access_keys (name, secret, user_id, created) VALUES ($1, $2, $3, $4)",
            [.text(name), .text(secret), SQLValue(user), SQLValue(now)])
    }
}
