import CloudAPI
import Primitives
import Store
import Tenancy

/// Accounts and users as the database keeps them.
enum AccountRecord {
    static func tree(in context: any ReadContext) throws -> AccountTree {
        let rows = try context.query("SELECT id, name, parent, currency, price_cap, quota FROM accounts", [])
        return try AccountTree(try rows.map(account))
    }

    static func account(_ row: Row) throws -> Account {
        Account(
            id: try row.id("id"), name: try row.text("name"), parent: try row.optionalID("parent"),
            currency: Currency(try row.text("currency")) ?? .eur, priceCap: try row.integer("price_cap"),
            quotaMilliCPU: try row.optionalInteger("quota"))
    }

    static func user(_ id: UserID, in context: any ReadContext) throws -> User? {
        try context.queryOne("SELECT id, account, name, rights FROM users WHERE id = $1", [SQLValue(id)]).map(user)
    }

    static func user(_ row: Row) throws -> User {
        let rights = try row.text("rights").split(separator: ",").compactMap { Right(rawValue: String($0)) }
        return User(id: try row.id("id"), account: try row.id("account"), name: try row.text("name"), rights: Set(rights))
    }

    /// The user and secret behind an access key, or nil.
    static func accessKey(_ name: String, in context: any ReadContext) throws -> (secret: String, user: User)? {
        let row = try context.queryOne(
            "SELECT k.secret, u.id, u.account, u.name, u.rights FROM access_keys k JOIN users u ON u.id = k.user_id WHERE k.name = $1", [.text(name)])
        guard let row else { return nil }
        return (try row.text("secret"), try user(row))
    }

    /// Processor time held by each account's machines, thousandths of a vCPU.
    static func usage(in context: any ReadContext) throws -> [AccountID: Int64] {
        let rows = try context.query("SELECT account, SUM(milli_cpu) AS used FROM instances WHERE state <> 'terminated' GROUP BY account", [])
        return Dictionary(uniqueKeysWithValues: try rows.map { (try $0.id("account"), try $0.integer("used")) })
    }
}
