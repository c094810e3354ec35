import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

extension ExchangeCore {
    /// Books a deposit, or a withdrawal when the amount is below zero.
    func transfer(_ call: Call<Transfer>) async throws -> PostingView {
        let participant = try call.id("participant", as: ParticipantID.self)
        let amount = call.body.amount
        let command: MarketCommand
        if amount.microUnits < 0 {
            // Not of the smallest integer, whose opposite does not exist.
            let out = Money(microUnits: amount.microUnits == .min ? .max : -amount.microUnits, amount.currency)
            command = .withdraw(participant, out, reference: call.body.reference)
        } else {
            command = .deposit(participant, amount, reference: call.body.reference)
        }
        return try await desk.perform(try DeskRequest(command, for: call, status: 201)) { _, changes in
            PostingView(changes.first { if case .posting(let posting) = $0 { posting } else { nil } })
        }
    }

    func balances(_ call: Call<Empty>) async throws -> CloudAPI.Page<BalanceView> {
        let owner = try Scope(call.principal).participant
        return CloudAPI.Page(try await database.read { try $0.balances(of: owner) })
    }

    func trialBalance() async throws -> TrialBalance {
        let (balances, entries) = try await database.read { (try $0.balances(of: nil), try $0.sumsOfEntries()) }
        let proof = Dictionary(grouping: balances, by: \.amount.currency).map { currency, accounts in
            TrialProof(currency, accounts, entries: entries.filter { $0.key.currency == currency }.map(\.value))
        }.sorted { $0.currency.code < $1.currency.code }
        let unequal = balances.filter { balance in
            entries[AccountName(owner: balance.participant, account: balance.account, currency: balance.amount.currency)] ?? 0
                != balance.amount.microUnits
        }
        return TrialBalance(
            balances: balances, totals: proof.map { Money(microUnits: $0.totalMicroUnits, $0.currency) }, proof: proof, unequal: unequal)
    }

    func postings(_ call: Call<Empty>) async throws -> CloudAPI.Page<PostingView> {
        let owner = try Scope(call.principal).participant
        let contract = try call.query.id("contract", as: ContractID.self)
        return try await database.read { context in
            let row = { (row: Row) in
                PostingView(try Posting(row: row, entries: try context.entries(of: try row.integer("number"))))
            }
            if let owner, contract == nil {
                return try context.newest(
                    call.query, "SELECT p.id AS number, p.* FROM (\(Self.newestPostings)) AS own JOIN postings p ON p.id = own.posting",
                    number: "own.posting", where: [], [SQLValue(owner)], row)
            }
            let (conditions, arguments) = Self.conditions(owner, contract)
            return try context.newest(
                call.query, "SELECT p.id AS number, p.* FROM postings p", number: "p.id", where: conditions, arguments, row)
        }
    }

    /// Of a contract, where there are few, or of the operator.
    private static func conditions(_ owner: ParticipantID?, _ contract: ContractID?) -> ([String], [SQLValue]) {
        var (conditions, arguments): ([String], [SQLValue]) = ([], [])
        if let contract {
            arguments.append(SQLValue(contract))
            conditions.append("contract = $3")
        }
        if let owner {
            arguments.append(SQLValue(owner))
            conditions.append("EXISTS (SELECT 1 FROM entries e WHERE e.posting = p.id AND e.owner = $\(arguments.count + 2))")
        }
        return (conditions, arguments)
    }

    /// A page of the postings with an entry of an owner (`$3`): the newest of each account, by its index.
    private static let newestPostings = LedgerAccount.Kind.allCases.map { kind in
        """
        SELECT posting FROM (SELECT DISTINCT posting FROM entries WHERE owner = $3 AND kind = '\(kind.rawValue)' AND posting < $1
          ORDER BY posting DESC LIMIT $2) AS newest
        """
    }.joined(separator: " UNION ")
}

extension ReadContext {
    /// Nil: of everybody.
    fileprivate func balances(of owner: ParticipantID?) throws -> [BalanceView] {
        let rows = try query(
            """
            SELECT b.owner, b.kind, b.currency, b.amount, p.credit_line FROM balances b LEFT JOIN participants p ON p.id = b.owner
            WHERE $1 = '' OR b.owner = $1 ORDER BY b.owner, b.kind, b.currency
            """, [.text(owner?.description ?? "")])
        return try rows.map { row in
            let account = try LedgerAccount(row: row)
            var view = BalanceView(account, try row.integer("amount"))
            let line = try row.optionalInteger("credit_line") ?? 0
            if account.kind == .cash, line > 0 { view.creditLineMicroUnits = line }
            return view
        }
    }

    fileprivate func sumsOfEntries() throws -> [AccountName: Int64] {
        let rows = try query(
            "SELECT owner, kind, currency, CAST(SUM(amount) AS BIGINT) AS amount FROM entries GROUP BY owner, kind, currency")
        return try rows.reduce(into: [:]) { sums, row in
            let account = try LedgerAccount(row: row)
            let name = AccountName(owner: account.owner, account: account.kind.rawValue, currency: account.currency)
            sums[name] = try row.integer("amount")
        }
    }

    fileprivate func entries(of posting: Int64) throws -> [Posting.Entry] {
        try query("SELECT * FROM entries WHERE posting = $1 ORDER BY line", [SQLValue(posting)]).map { row in
            Posting.Entry(account: try LedgerAccount(row: row), amount: try row.integer("amount"), balance: try row.integer("balance"))
        }
    }
}

private struct AccountName: Hashable {
    let owner: ParticipantID?
    let account: String
    let currency: Currency
}

extension TrialProof {
    fileprivate init(_ currency: Currency, _ accounts: [BalanceView], entries: [Int64]) {
        let amounts = accounts.map { Int128($0.amount.microUnits) }
        let (credit, debit) = (amounts.filter { $0 > 0 }.reduce(0, +), amounts.filter { $0 < 0 }.reduce(0, +))
        self.init(
            currency: currency, creditMicroUnits: Int64(clamping: credit), debitMicroUnits: Int64(clamping: debit),
            totalMicroUnits: Int64(clamping: credit + debit),
            entriesMicroUnits: Int64(clamping: entries.map { Int128($0) }.reduce(0, +)))
    }
}

extension Posting {
    fileprivate init(row: Row, entries: [Entry]) throws {
        self.init(
            id: PostingID(bits: UInt64(bitPattern: try row.integer("number"))), at: try row.instant("at"), reason: try row.value("reason"),
            order: try row.optionalID("order_id"), contract: try row.optionalID("contract"), reference: try row.optionalText("reference"),
            entries: entries)
    }
}

extension QueryValues {
    /// A query parameter that is an identifier, nil when absent.
    func id<Kind>(_ name: String, as kind: ID<Kind>.Type = ID<Kind>.self) throws -> ID<Kind>? {
        guard let text = text(name) else { return nil }
        guard let id = ID<Kind>(text) else {
            throw Refusal(
                "request.query", .invalid, "The query parameter '\(name)' is '\(text)', which is not of the form \(Kind.prefix)-0123….",
                facts: ["parameter": .text(name)])
        }
        return id
    }
}
