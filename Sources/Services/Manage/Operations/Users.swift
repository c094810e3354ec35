import CloudAPI
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    func createUser(_ call: Call<CreateUser>) async throws -> UserView {
        let account = try call.id("account", as: AccountID.self)
        let now = time.now()
        let user = User(
            id: ids.next(), account: account, name: call.body.name,
            rights: Set(call.body.rights.compactMap { Right(rawValue: $0.rawValue) }))
        try user.validate()
        return try await database.write { transaction in
            guard try AccountTree.load(in: transaction)[account] != nil else { throw Self.noAccount(account) }
            try user.insert(at: now, in: transaction)
            try transaction.appendAudit(
                actor: call.principal.name, action: "user.create", subject: user.id.description, detail: try WireJSON.text(call.body),
                at: now)
            let view = UserView(user, created: now)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    func users(of account: AccountID, for principal: Principal) async throws -> [UserView] {
        guard try await visibleAccounts(principal)?.contains(account) ?? true else { throw Self.noAccount(account) }
        return try await database.read { context in
            guard try AccountTree.load(in: context)[account] != nil else { throw Self.noAccount(account) }
            return try context.query(
                "SELECT id, account, name, rights, created FROM users WHERE account = $1 ORDER BY id", [SQLValue(account)]
            )
            .map { UserView(try User($0), created: try $0.instant("created")) }
        }
    }

    /// The user behind a token.
    func user(_ principal: Principal) async throws -> User {
        guard case .user(let id) = principal, let user = try await database.read({ try User.load(id, in: $0) }) else {
            throw Refusal("http.forbidden", .forbidden, "This needs a user's token.")
        }
        return user
    }

    // MARK: Secrets. They are shown once and not kept as answers, so asking again under the same key makes another one.

    func createAccessKey(_ call: Call<Empty>) async throws -> AccessKeyView {
        let id = try call.id("user", as: UserID.self)
        try await checkMayCredential(id, call.principal)
        let now = time.now()
        let key = AccessKey(user: id, nameBytes: randomBytes(10), secretBytes: randomBytes(40))
        return try await database.write { transaction in
            try key.insert(at: now, in: transaction)
            try transaction.appendAudit(actor: call.principal.name, action: "access-key.create", subject: key.name, detail: "{}", at: now)
            return AccessKeyView(accessKey: key.name, secretKey: key.secret)
        }
    }

    func createUserToken(_ call: Call<CreateToken>) async throws -> CreatedToken {
        let user = try call.id("user", as: UserID.self)
        try await checkMayCredential(user, call.principal)
        let now = time.now()
        let (id, secret) = (ids.next(TokenID.self), (ids.nextBits(), ids.nextBits(), ids.nextBits()))
        return try await database.write { transaction in
            let token = try Tokens.create(
                for: .user(user), description: call.body.description, id: id, secretBits: secret, in: transaction, at: now)
            try transaction.appendAudit(actor: call.principal.name, action: "token.create", subject: id.description, detail: "{}", at: now)
            return CreatedToken(id: id, token: token)
        }
    }

    /// The operator makes credentials for anyone, a user for itself, an administrator for users of its accounts.
    private func checkMayCredential(_ id: UserID, _ principal: Principal) async throws {
        let unknown = Refusal("user.unknown", .notFound, "There is no user \(id).", facts: ["user": .text(id.description)])
        guard let target = try await database.read({ try User.load(id, in: $0) }) else { throw unknown }
        if principal == .operator || principal == .user(id) { return }
        let caller = try await user(principal)
        guard try await visibleAccounts(principal)?.contains(target.account) ?? false else { throw unknown }
        try caller.authorize(.manageUsers)
        // Whoever could make keys for a user with more rights would have those rights.
        guard target.rights.isSubset(of: caller.rights) else {
            throw Refusal(
                "tenancy.right", .forbidden, "User '\(target.name)' has rights that '\(caller.name)' has not.", nearest: "Ask the operator."
            )
        }
    }
}

extension UserView {
    fileprivate init(_ user: User, created: Instant) {
        self.init(
            id: user.id, account: user.account, name: user.name,
            rights: UserRight.allCases.filter { right in user.rights.contains { $0.rawValue == right.rawValue } }, created: created)
    }
}
