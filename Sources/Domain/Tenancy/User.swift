public import Primitives

/// What a user may do. Running machines and spending money are apart on purpose: who has one right need not have the other.
public enum Right: String, Hashable, Sendable, CaseIterable {
    /// Launch, see and act on instances, keys and tags.
    case technical
    /// See prices, contracts and charges; set price caps.
    case commercial
    /// Open accounts, add users, make keys and tokens for others.
    case administration
}

/// Someone (or some program) who acts for an account and everything below it.
public struct User: Hashable, Sendable {
    public var id: UserID
    public var account: AccountID
    public var name: String
    public var rights: Set<Right>

    public init(id: UserID, account: AccountID, name: String, rights: Set<Right>) {
        self.id = id
        self.account = account
        self.name = name
        self.rights = rights
    }

    public func validate() throws(Refusal) {
        guard (1...Account.longestName).contains(name.unicodeScalars.count), !name.unicodeScalars.contains(where: { $0.value < 32 }) else {
            throw Refusal("tenancy.name", .invalid, "A user name has 1 to \(Account.longestName) printable characters.")
        }
        guard !rights.isEmpty else {
            throw Refusal(
                "tenancy.rights", .invalid, "User '\(name)' would have no right at all.",
                nearest: "Give at least one of " + Right.allCases.map(\.rawValue).joined(separator: ", ") + ".")
        }
    }
}

/// What users do, by the right it takes.
public enum Activity: String, Sendable, CaseIterable {
    case viewInstances, launchInstances, operateInstances, manageKeys
    case viewPrices, viewContracts, viewCharges, setPriceCap
    case manageAccounts, manageUsers

    public var right: Right {
        switch self {
        case .viewInstances, .launchInstances, .operateInstances, .manageKeys: .technical
        case .viewPrices, .viewContracts, .viewCharges, .setPriceCap: .commercial
        case .manageAccounts, .manageUsers: .administration
        }
    }
}

extension AccountTree {
    /// Refuses unless the user has the right for `activity`, and `account` is the user's own or below it.
    ///
    /// Accounts elsewhere in the tree are *not found*: a department does not learn of another.
    public func authorize(_ user: User, _ activity: Activity, on account: AccountID) throws(Refusal) {
        guard path(to: account).contains(where: { $0.id == user.account }) else {
            throw Refusal("tenancy.account", .notFound, "There is no account \(account).")
        }
        try user.authorize(activity)
    }
}

extension User {
    /// Refuses unless the user has the right for `activity`, on whatever account.
    public func authorize(_ activity: Activity) throws(Refusal) {
        guard !rights.contains(activity.right) else { return }
        let held = Right.allCases.filter(rights.contains).map(\.rawValue).joined(separator: ", ")
        throw Refusal(
            "tenancy.right", .forbidden,
            "User '\(name)' has no \(activity.right.rawValue) right, which '\(activity.rawValue)' takes; it has: \(held.isEmpty ? "none" : held).",
            facts: ["right": .text(activity.right.rawValue), "activity": .text(activity.rawValue)],
            nearest: "Ask an administrator for the \(activity.right.rawValue) right.")
    }
}
