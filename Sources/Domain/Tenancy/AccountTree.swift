public import Primitives

/// All accounts of a buyer, and what follows from who stands above whom.
public struct AccountTree: Sendable {
    /// Deep enough for any company, shallow enough that walking up is cheap.
    public static let deepest = 16

    private var accounts: [AccountID: Account] = [:]

    public init() {}

    /// Accounts in any order. Refuses what `add` and `replace` would refuse.
    public init(_ accounts: [Account]) throws(Refusal) {
        var waiting = accounts
        while !waiting.isEmpty {
            var left: [Account] = []
            for account in waiting {
                if let parent = account.parent, self.accounts[parent] == nil { left.append(account) } else { try add(account) }
            }
            guard left.count < waiting.count else { throw Self.noParent(left[0]) }
            waiting = left
        }
    }

    public subscript(id: AccountID) -> Account? { accounts[id] }

    public mutating func add(_ account: Account) throws(Refusal) {
        try account.validate()
        guard accounts[account.id] == nil else {
            throw Refusal("tenancy.duplicate", .conflict, "There is an account \(account.id) already.")
        }
        if let parent = account.parent {
            guard let above = accounts[parent] else { throw Self.noParent(account) }
            try Self.check(account, under: above, depth: path(to: parent).count + 1)
        }
        if let twin = accounts.values.first(where: { $0.parent == account.parent && $0.name == account.name }) {
            throw Refusal(
                "tenancy.name", .conflict, "There is an account '\(account.name)' at this place already: \(twin.id).",
                facts: ["account": .text(twin.id.description)])
        }
        accounts[account.id] = account
    }

    private static func check(_ account: Account, under above: Account, depth: Int) throws(Refusal) {
        guard above.currency == account.currency else {
            throw Refusal(
                "tenancy.currency", .invalid,
                "Account '\(account.name)' is kept in \(account.currency), the account above it in \(above.currency).",
                nearest: "Keep it in \(above.currency).")
        }
        guard depth <= deepest else {
            throw Refusal(
                "tenancy.depth", .invalid, "Accounts are nested at most \(deepest) deep; this would be level \(depth).",
                facts: ["depth": .number(Int64(depth))], nearest: "Put it one level higher.")
        }
    }

    private static func noParent(_ account: Account) -> Refusal {
        Refusal(
            "tenancy.parent", .notFound, "There is no account \(account.parent.map(\.description) ?? "?") to put '\(account.name)' under.")
    }

    /// The account, what stands above it, and so on to the company; empty when there is no such account.
    public func path(to account: AccountID) -> [Account] {
        var path: [Account] = []
        var next: AccountID? = account
        while let id = next, let account = accounts[id] {
            path.append(account)
            next = account.parent
        }
        return path
    }

    /// The account and everything below it.
    public func subtree(of account: AccountID) -> Set<AccountID> {
        Set(accounts.keys.filter { id in path(to: id).contains { $0.id == account } })
    }

    /// The highest price the account may pay: its own cap, or a lower one above it.
    public func priceCap(of account: AccountID) -> Int64? { path(to: account).map(\.priceCap).min() }
}

// MARK: - Quotas

extension AccountTree {
    /// Refuses when `milliCPU` more would pass the quota of the account or of one above it.
    /// `usage`: thousandths of a vCPU that the instances of each account itself have now.
    public func checkQuota(of account: AccountID, adding milliCPU: Int64, usage: [AccountID: Int64]) throws(Refusal) {
        for level in path(to: account) {
            guard let quota = level.quotaMilliCPU else { continue }
            let used = subtree(of: level.id).reduce(0) { $0 + (usage[$1] ?? 0) }
            guard used + milliCPU > quota else { continue }
            let free = max(0, quota - used)
            throw Refusal(
                "tenancy.quota", .funds,
                "Account '\(level.name)' may use \(vCPU(quota)) vCPU, uses \(vCPU(used)), and this asks for \(vCPU(milliCPU)) more.",
                facts: ["quotaMilliCPU": .number(quota), "usedMilliCPU": .number(used), "askedMilliCPU": .number(milliCPU)],
                nearest: free > 0 ? "\(vCPU(free)) vCPU are free." : "End instances or raise the quota.")
        }
    }

    /// Refuses when volumes of so many MiB more would pass the quota of the account or of one above it.
    /// `usage`: MiB that the volumes of each account itself have now.
    public func checkVolumeQuota(of account: AccountID, adding size: Int64, usage: [AccountID: Int64]) throws(Refusal) {
        for level in path(to: account) {
            guard let quota = level.quotaVolumeMiB else { continue }
            let used = subtree(of: level.id).reduce(0) { $0 + (usage[$1] ?? 0) }
            guard used + size > quota else { continue }
            let free = max(0, quota - used)
            throw Refusal(
                "tenancy.volume-quota", .funds,
                "Account '\(level.name)' may have \(quota) MiB in volumes, has \(used), and this asks for \(size) more.",
                facts: ["quotaVolumeMiB": .number(quota), "usedMiB": .number(used), "askedMiB": .number(size)],
                nearest: free > 0 ? "\(free) MiB are free." : "Delete volumes or raise the quota.")
        }
    }
}

/// Thousandths as a number for people: 1500 → `1.5`.
private func vCPU(_ milli: Int64) -> String {
    var text = decimalText(microUnits: milli * 1_000)
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
}
