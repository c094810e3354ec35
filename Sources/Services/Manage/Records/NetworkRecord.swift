import CloudAPI
import Primitives
import Store

/// A network of an account: where it is, and whether its connect has heard what is wanted.
struct NetworkRecord: Sendable {
    let request: CreateNetwork
    let datacenter: DatacenterID
    let seller: String
    let created: Instant
    var state: NetworkState
    var attempts: Int64 = 0
    var nextAttempt: Instant
    /// Why connect has not heard yet.
    var note: String?

    var id: NetworkID { request.id }
    var account: AccountID { request.account }
    /// Connect is still to be told.
    var isUnfinished: Bool { state == .creating || state == .deleting }

    init(_ request: CreateNetwork, under contract: ContractView, at now: Instant, nextAttempt: Instant) {
        (self.request, datacenter, seller) = (request, contract.datacenter, contract.sellerName)
        (created, state) = (now, .creating)
        self.nextAttempt = nextAttempt
    }

    private static let columns = "datacenter, seller, request, created, state, attempts, next_attempt, note"

    private init(_ row: Row) throws {
        request = try row.json("request")
        (datacenter, seller) = (try row.id("datacenter"), try row.text("seller"))
        (created, nextAttempt) = (try row.instant("created"), try row.instant("next_attempt"))
        state = try row.value("state")
        (attempts, note) = (try row.integer("attempts"), try row.optionalText("note"))
    }

    static func load(_ id: NetworkID, in context: any ReadContext) throws -> NetworkRecord? {
        try context.queryOne("SELECT \(columns) FROM networks WHERE id = $1", [SQLValue(id)]).map(NetworkRecord.init)
    }

    /// Those not deleted, by identifier; `accounts` nil: of all.
    static func all(
        of accounts: Set<AccountID>?, after cursor: String, limit: Int, in context: any ReadContext
    ) throws -> [NetworkRecord] {
        let names = accounts.map { $0.map(\.description).sorted() }
        if names?.isEmpty == true { return [] }
        let condition = names.map { "AND account IN (\($0.indices.map { "$\($0 + 3)" }.joined(separator: ", ")))" } ?? ""
        return try context.query(
            "SELECT \(columns) FROM networks WHERE state <> 'deleted' AND id > $1 \(condition) ORDER BY id LIMIT $2",
            [.text(cursor), SQLValue(limit)] + (names ?? []).map { .text($0) }
        ).map(NetworkRecord.init)
    }

    static func due(at now: Instant, in context: any ReadContext) throws -> [NetworkRecord] {
        try context.query(
            """
            SELECT \(columns) FROM networks WHERE state IN ('creating', 'deleting') AND next_attempt <= $1 ORDER BY next_attempt LIMIT 100
            """, [SQLValue(now)]
        ).map(NetworkRecord.init)
    }

    func insert(in transaction: any WriteContext) throws {
        try transaction.execute(
            """
            INSERT INTO networks (id, account, datacenter, seller, request, created, state, attempts, next_attempt)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)
            """,
            [
                SQLValue(id), SQLValue(account), SQLValue(datacenter), .text(seller), .text(try WireJSON.text(request)), SQLValue(created),
                SQLValue(state), SQLValue(nextAttempt),
            ])
    }

    func save(in transaction: any WriteContext) throws {
        try transaction.execute(
            "UPDATE networks SET state = $2, attempts = $3, next_attempt = $4, note = $5 WHERE id = $1",
            [SQLValue(id), SQLValue(state), .integer(attempts), SQLValue(nextAttempt), SQLValue(note)])
    }

    func view(seen: NetworkView? = nil) -> ManagedNetworkView {
        ManagedNetworkView(
            id: id, name: request.name, account: account, state: state, step: isUnfinished ? note : nil, cidr: request.cidr,
            zone: request.zone, internet: request.internet ?? true, datacenter: datacenter, seller: seller, created: created, seen: seen)
    }
}
