import CloudAPI
import Primitives
import Rating
import Store

/// What an account is charged for one instance under one contract, and what it takes to go on charging.
struct MeterRecord: Sendable {
    var charge: ChargeID
    var account: AccountID
    var currency: Currency
    var started: Instant
    var meter: Meter

    private static let columns = "instance, contract, charge, account, currency, started, charged, time, rated_until, remainder, latest"

    init(charge: ChargeID, account: AccountID, currency: Currency, started: Instant, meter: Meter) {
        self.charge = charge
        self.account = account
        self.currency = currency
        self.started = started
        self.meter = meter
    }

    private init(_ row: Row) throws {
        charge = try row.id("charge")
        account = try row.id("account")
        let code = try row.text("currency")
        guard let currency = Currency(code) else { throw StoreError.other(code: "row", "'\(code)' is not a currency") }
        self.currency = currency
        started = try row.instant("started")
        meter = Meter(
            instance: try row.id("instance"), contract: try row.id("contract"), charged: try row.integer("charged"),
            time: try row.span("time"),
            ratedUntil: try row.optionalInstant("rated_until"), remainder: try row.integer("remainder"), latest: try row.json("latest"))
    }

    static func load(_ instance: InstanceID, _ contract: ContractID, in context: any ReadContext) throws -> MeterRecord? {
        try context.queryOne(
            "SELECT \(columns) FROM meters WHERE instance = $1 AND contract = $2", [SQLValue(instance), SQLValue(contract)]
        )
        .map(MeterRecord.init)
    }

    /// Newest first; `cursor` is `<started> <charge>` of the last one before.
    static func page(
        of accounts: Set<AccountID>?, limit: Int, before cursor: String?, in context: any ReadContext
    ) throws -> (records: [MeterRecord], next: String?) {
        let parts = cursor?.split(separator: " ").map(String.init) ?? []
        let started = parts.count == 2 ? Int64(parts[0]) ?? .max : .max
        let names = accounts.map { $0.map(\.description).sorted() }
        if names?.isEmpty == true { return ([], nil) }
        let condition = names.map { "AND account IN (\($0.indices.map { "$\($0 + 4)" }.joined(separator: ", ")))" } ?? ""
        let rows = try context.query(
            """
            SELECT \(columns) FROM meters WHERE (started < $1 OR (started = $1 AND charge < $2)) \(condition) ORDER BY started DESC, charge DESC LIMIT $3
            """, [.integer(started), .text(parts.count == 2 ? parts[1] : ""), SQLValue(limit + 1)] + (names ?? []).map { .text($0) }
        ).map(MeterRecord.init)
        let records = Array(rows.prefix(limit))
        return (records, rows.count > limit ? records.last.map { "\($0.started.microseconds) \($0.charge)" } : nil)
    }

    /// What each of an account's instances was charged in all, micro-units.
    static func charged(_ instance: InstanceID, in context: any ReadContext) throws -> Int64 {
        try context.queryOne(
            "SELECT CAST(COALESCE(SUM(charged), 0) AS BIGINT) AS charged FROM meters WHERE instance = $1", [SQLValue(instance)])?.integer(
                "charged") ?? 0
    }

    func save(in transaction: any WriteContext) throws {
        try transaction.execute(
            """
            INSERT INTO meters (\(Self.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (instance, contract) DO UPDATE SET charged = excluded.charged, time = excluded.time, rated_until = excluded.rated_until,
              remainder = excluded.remainder, latest = excluded.latest
            """,
            [
                SQLValue(meter.instance), SQLValue(meter.contract), SQLValue(charge), SQLValue(account), .text(currency.code),
                SQLValue(started),
                .integer(meter.charged), SQLValue(meter.time), SQLValue(meter.ratedUntil), .integer(meter.remainder),
                .text(try WireJSON.text(meter.latest)),
            ])
    }

    var view: ChargeView {
        ChargeView(
            id: charge, account: account, instance: meter.instance, contract: meter.contract,
            period: Period(start: started, end: max(started, meter.ratedUntil ?? started)),
            amount: Money(microUnits: meter.charged, currency))
    }
}
