import Primitives
import Tenancy
import Testing

@Suite struct AccountTreeTests {
    private static func account(
        _ number: UInt64, _ name: String, under parent: UInt64? = nil, cap: Int64 = 100, quota: Int64? = nil, currency: Currency = .eur
    ) -> Account {
        Account(
            id: AccountID(bits: number), name: name, parent: parent.map(AccountID.init(bits:)), currency: currency, priceCap: cap,
            quotaMilliCPU: quota)
    }

    private let tree = try? AccountTree([
        account(3, "research", under: 2, cap: 500, quota: 4_000), account(1, "company", cap: 300, quota: 10_000),
        account(2, "lab", under: 1, cap: 400),
        account(4, "sales", under: 1, cap: 50),
    ])

    @Test func whatIsSetAboveHoldsBelow() throws {
        let tree = try #require(tree)
        #expect(tree.path(to: AccountID(bits: 3)).map(\.name) == ["research", "lab", "company"])
        #expect(tree.priceCap(of: AccountID(bits: 3)) == 300)
        #expect(tree.priceCap(of: AccountID(bits: 4)) == 50)
        #expect(tree.priceCap(of: AccountID(bits: 9)) == nil)
        #expect(tree.subtree(of: AccountID(bits: 2)) == [AccountID(bits: 2), AccountID(bits: 3)])
    }

    @Test func quotasCountTheWholeSubtree() throws {
        let tree = try #require(tree)
        let usage: [AccountID: Int64] = [AccountID(bits: 3): 3_000, AccountID(bits: 4): 5_500]
        try tree.checkQuota(of: AccountID(bits: 3), adding: 1_000, usage: usage)
        #expect(throws: Refusal.self) { try tree.checkQuota(of: AccountID(bits: 3), adding: 1_001, usage: usage) }
        do throws(Refusal) {
            try tree.checkQuota(of: AccountID(bits: 2), adding: 2_000, usage: usage)
            Issue.record("the company's quota was passed")
        } catch {
            #expect(error.rule == "tenancy.quota")
            #expect(error.message == "Account 'company' may use 10 vCPU, uses 8.5, and this asks for 2 more.")
            #expect(error.nearest == "1.5 vCPU are free.")
        }
    }

    /// The nearest thing a quota names is really allowed, and one more is not.
    @Test func explanationsOfQuotasAreTrue() throws {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<2_000 {
            let quota = Int64.random(in: 0...50, using: &random) * 1_000
            let used = Int64.random(in: 0...60, using: &random) * 1_000
            let tree = try AccountTree([Self.account(1, "a", quota: quota)])
            let free = max(0, quota - used)
            let usage = [AccountID(bits: 1): used]
            if used <= quota { try tree.checkQuota(of: AccountID(bits: 1), adding: free, usage: usage) }
            #expect(throws: Refusal.self) { try tree.checkQuota(of: AccountID(bits: 1), adding: free + 1, usage: usage) }
        }
    }

    @Test(arguments: [
        (account(1, "again"), "tenancy.duplicate"), (account(5, "company"), "tenancy.name"), (account(5, "x", under: 9), "tenancy.parent"),
        (account(5, "x", under: 1, currency: .usd), "tenancy.currency"), (account(5, ""), "tenancy.name"),
        (account(5, "x", cap: -1), "tenancy.priceCap"),
        (account(5, "x", quota: -1), "tenancy.quota"),
    ])
    func refusals(_ account: Account, _ rule: String) throws {
        var tree = try #require(tree)
        do throws(Refusal) {
            try tree.add(account)
            Issue.record("\(account.name) was accepted")
        } catch {
            #expect(error.rule == rule)
        }
    }

    @Test func volumesCountAgainstEachQuotaAbove() throws {
        var (company, team, other) = (Self.account(1, "co"), Self.account(2, "team", under: 1), Self.account(3, "other", under: 1))
        (company.quotaVolumeMiB, team.quotaVolumeMiB) = (1_000, 600)
        let tree = try AccountTree([company, team, other])
        let usage = [AccountID(bits: 1): Int64(100), AccountID(bits: 2): 500, AccountID(bits: 3): 300]
        func refusal(_ account: UInt64, _ size: Int64) -> Refusal? {
            do throws(Refusal) {
                try tree.checkVolumeQuota(of: AccountID(bits: account), adding: size, usage: usage)
                return nil
            } catch { return error }
        }
        #expect(refusal(2, 100) == nil && refusal(3, 100) == nil)
        #expect(refusal(3, 101)?.nearest == "100 MiB are free.", "the company's, which all count against")
        #expect(refusal(2, 101)?.facts["quotaVolumeMiB"] == .number(600))
        other.quotaVolumeMiB = -1
        #expect(throws: Refusal.self) { try AccountTree([company, other]) }
    }

    @Test func loopsAndDepthsAreRefused() {
        #expect(throws: Refusal.self) { try AccountTree([Self.account(1, "a", under: 2), Self.account(2, "b", under: 1)]) }
        let chain = (1...17).map { Self.account(UInt64($0), "n\($0)", under: $0 == 1 ? nil : UInt64($0 - 1)) }
        #expect(throws: Refusal.self) { try AccountTree(chain) }
        #expect(throws: Never.self) { try AccountTree(Array(chain.prefix(16))) }
    }
}

@Suite struct UserTests {
    private func user(_ rights: Set<Right>, account: UInt64 = 2) -> User {
        User(id: UserID(bits: 1), account: AccountID(bits: account), name: "ada", rights: rights)
    }

    private func rule(_ body: () throws(Refusal) -> Void) -> Refusal? {
        do throws(Refusal) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: Activity.allCases, Right.allCases) func eachActivityTakesOneRight(_ activity: Activity, _ right: Right) {
        #expect((rule { () throws(Refusal) in try user([right]).authorize(activity) } == nil) == (activity.right == right))
    }

    @Test func usersActForTheirAccountAndBelow() throws {
        let tree = try AccountTree(
            [1, 2, 3].map { number in
                Account(
                    id: AccountID(bits: number), name: "a\(number)", parent: number == 1 ? nil : AccountID(bits: number - 1),
                    currency: .eur, priceCap: 1,
                    quotaMilliCPU: nil)
            })
        let user = user([.technical])
        try tree.authorize(user, .launchInstances, on: AccountID(bits: 2))
        try tree.authorize(user, .launchInstances, on: AccountID(bits: 3))
        #expect(rule { () throws(Refusal) in try tree.authorize(user, .launchInstances, on: AccountID(bits: 1)) }?.category == .notFound)
        #expect(rule { () throws(Refusal) in try tree.authorize(user, .viewCharges, on: AccountID(bits: 2)) }?.category == .forbidden)
        #expect(rule { () throws(Refusal) in try user.validate() } == nil)
        #expect(rule { () throws(Refusal) in try self.user([]).validate() }?.rule == "tenancy.rights")
    }

    @Test func accessKeysHaveTheFormClientsExpect() {
        let key = AccessKey(user: UserID(bits: 1), nameBytes: Array(0..<10), secretBytes: Array(0..<40))
        #expect(key.name == "AKBOAAAQEAYEAUDAOCAJ")
        #expect(key.name.utf8.count == 20)
        #expect(key.secret == "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn")
    }
}
