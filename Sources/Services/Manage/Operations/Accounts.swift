import CloudAPI
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    func createAccount(_ call: Call<CreateAccount>) async throws -> AccountView {
        let now = time.now()
        let body = call.body
        let account = Account(
            id: ids.next(), name: body.name, parent: body.parent, currency: body.currency, priceCap: body.priceCap,
            quotaMilliCPU: body.quotaMilliCPU, quotaVolumeMiB: body.quotaVolumeMiB)
        return try await database.write { transaction in
            var tree = try AccountTree.load(in: transaction)
            try tree.add(account)
            try account.insert(at: now, in: transaction)
            try transaction.appendAudit(
                actor: call.principal.name, action: "account.create", subject: account.id.description, detail: try WireJSON.text(body),
                at: now)
            let view = AccountView(account, created: now)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    func updateAccount(_ call: Call<UpdateAccount>) async throws -> AccountView {
        let id = try call.id("account", as: AccountID.self)
        let now = time.now()
        return try await database.write { transaction in
            let row = try transaction.queryOne(
                "SELECT id, name, parent, currency, price_cap, quota_milli_cpu, quota_volume_mib, created FROM accounts WHERE id = $1",
                [SQLValue(id)])
            guard let row else { throw Self.noAccount(id) }
            var account = try Account(row)
            account.priceCap = call.body.priceCap ?? account.priceCap
            account.quotaMilliCPU = call.body.quotaMilliCPU ?? account.quotaMilliCPU
            account.quotaVolumeMiB = call.body.quotaVolumeMiB ?? account.quotaVolumeMiB
            try account.validate()
            try transaction.execute(
                "UPDATE accounts SET price_cap = $2, quota_milli_cpu = $3, quota_volume_mib = $4 WHERE id = $1",
                [SQLValue(id), .integer(account.priceCap), SQLValue(account.quotaMilliCPU), SQLValue(account.quotaVolumeMiB)])
            try transaction.appendAudit(
                actor: call.principal.name, action: "account.update", subject: id.description, detail: try WireJSON.text(call.body), at: now
            )
            let view = AccountView(account, created: try row.instant("created"))
            try transaction.remember(view, status: 200, for: call.idempotency, at: now)
            return view
        }
    }

    func accounts(_ principal: Principal) async throws -> [AccountView] {
        let visible = try await visibleAccounts(principal)
        return try await database.read { context in
            try context.query(
                "SELECT id, name, parent, currency, price_cap, quota_milli_cpu, quota_volume_mib, created FROM accounts ORDER BY id"
            ).map {
                AccountView(try Account($0), created: try $0.instant("created"))
            }.filter { visible?.contains($0.id) ?? true }
        }
    }

    /// The accounts a caller may see: a user's own and those below it. Nil: all.
    func visibleAccounts(_ principal: Principal) async throws -> Set<AccountID>? {
        if principal == .operator { return nil }
        let user = try await user(principal)
        return try await database.read { try AccountTree.load(in: $0).subtree(of: user.account) }
    }

    static func noAccount(_ id: AccountID) -> Refusal {
        Refusal("tenancy.account", .notFound, "There is no account \(id).", facts: ["account": .text(id.description)])
    }
}

extension AccountView {
    fileprivate init(_ account: Account, created: Instant) {
        self.init(
            id: account.id, name: account.name, parent: account.parent, currency: account.currency, priceCap: account.priceCap,
            quotaMilliCPU: account.quotaMilliCPU, quotaVolumeMiB: account.quotaVolumeMiB, created: created)
    }
}
