import CloudAPI
import Primitives
import Store

/// One volume: what was asked, what connect has not heard of yet, and what was last seen of it.
struct VolumeRecord: Sendable {
    let id: VolumeID
    let account: AccountID
    /// The contract whose volume it holds a part of.
    let contract: ContractID
    let created: Instant
    /// What connect is asked to make; its size is as first asked.
    let request: CreateVolume
    /// As wanted now.
    var sizeMiB: Int64
    var iops: Int64
    /// Connect has it.
    var isMade = false
    /// An action accepted here that connect has not heard of yet.
    var action: ActOnManagedVolume?
    /// Counts actions; names the request to connect.
    var actionNumber: Int64 = 0
    /// Of the present step.
    var attempts: Int64 = 0
    var nextAttempt: Instant
    /// Why the present step has not succeeded yet, for people.
    var note: String?
    var state = VolumeState.creating
    var reason: StateReason?
    var stateChanged: Instant
    /// What connect last said.
    var seen: VolumeView?

    init(_ request: CreateVolume, account: AccountID, contract: ContractID, created: Instant, nextAttempt: Instant) {
        id = request.id
        self.account = account
        self.contract = contract
        self.created = created
        self.request = request
        (sizeMiB, iops) = (request.sizeMiB, request.iops ?? 0)
        self.nextAttempt = nextAttempt
        stateChanged = created
    }

    /// What connect says. An answer may be old: a request sent again is answered as it was the first time.
    mutating func apply(_ view: VolumeView, at now: Instant) {
        guard state != .deleted else { return }
        isMade = true
        if seen.map({ ($0.generation, $0.stateChanged) <= (view.generation, view.stateChanged) }) ?? true { seen = view }
        guard action == nil, let seen else { return }
        (sizeMiB, iops) = (seen.sizeMiB, seen.iops)
        enter(seen.state, seen.reason, at: now)
    }

    mutating func enter(_ state: VolumeState, _ reason: StateReason?, at now: Instant) {
        if self.state != state { stateChanged = now }
        self.state = state
        self.reason = reason
    }

    /// Ends it here for good: nothing more is done for it, and what it held is free.
    mutating func end(_ reason: StateReason?, at now: Instant) {
        action = nil
        note = nil
        enter(.deleted, reason, at: now)
    }

    /// Something is still to be done for it.
    var isUnfinished: Bool { state != .deleted && (!isMade || action != nil) }

    /// The instance that has it or is about to, and where.
    var attachment: (instance: InstanceID, device: String?)? {
        if action?.action == .attach, let instance = action?.instance { return (instance, action?.device) }
        return seen.flatMap { seen in seen.instance.map { ($0, seen.device) } }
    }
}

// MARK: - Rows

extension VolumeRecord {
    private static let columns = """
        id, account, contract, created, request, size_mib, iops, made, action, action_number, attempts, next_attempt, note, state, reason_code,
        reason_message, seen, state_changed
        """

    init(_ row: Row) throws {
        id = try row.id("id")
        account = try row.id("account")
        contract = try row.id("contract")
        created = try row.instant("created")
        request = try row.json("request")
        (sizeMiB, iops) = (try row.integer("size_mib"), try row.integer("iops"))
        isMade = try row.bool("made")
        action = try row.optionalText("action").map { _ in try row.json("action") }
        actionNumber = try row.integer("action_number")
        attempts = try row.integer("attempts")
        nextAttempt = try row.instant("next_attempt")
        note = try row.optionalText("note")
        state = try row.value("state")
        reason = try row.optionalText("reason_code").map { StateReason(code: $0, message: try row.optionalText("reason_message") ?? "") }
        seen = try row.optionalText("seen").map { _ in try row.json("seen") }
        stateChanged = try row.instant("state_changed")
    }

    static func load(_ id: VolumeID, in context: any ReadContext) throws -> VolumeRecord? {
        try context.queryOne("SELECT \(columns) FROM volumes WHERE id = $1", [SQLValue(id)]).map(VolumeRecord.init)
    }

    /// The volume that was made with a client token.
    static func load(_ account: AccountID, clientToken: String, in context: any ReadContext) throws -> VolumeRecord? {
        try context.queryOne(
            "SELECT \(columns) FROM volumes WHERE account = $1 AND client_token = $2", [SQLValue(account), .text(clientToken)]
        ).map(VolumeRecord.init)
    }

    static func ofContract(_ id: ContractID, in context: any ReadContext) throws -> [VolumeRecord] {
        try context.query("SELECT \(columns) FROM volumes WHERE contract = $1 AND state <> 'deleted' ORDER BY id", [SQLValue(id)]).map(
            VolumeRecord.init)
    }

    /// Those not deleted, by identifier; `accounts` nil: of all.
    static func all(
        of accounts: Set<AccountID>?, after cursor: String = "", limit: Int = Int(Int32.max), in context: any ReadContext
    ) throws -> [VolumeRecord] {
        let names = accounts.map { $0.map(\.description).sorted() }
        if names?.isEmpty == true { return [] }
        let condition = names.map { "AND account IN (\($0.indices.map { "$\($0 + 3)" }.joined(separator: ", ")))" } ?? ""
        return try context.query(
            "SELECT \(columns) FROM volumes WHERE state <> 'deleted' AND id > $1 \(condition) ORDER BY id LIMIT $2",
            [.text(cursor), SQLValue(limit)] + (names ?? []).map { .text($0) }
        ).map(VolumeRecord.init)
    }

    /// Volumes that something is to be done for now.
    static func due(at now: Instant, limit: Int, in context: any ReadContext) throws -> [VolumeRecord] {
        try context.query(
            """
            SELECT \(columns) FROM volumes WHERE state <> 'deleted' AND (made = 0 OR action IS NOT NULL) AND next_attempt <= $1
            ORDER BY next_attempt LIMIT $2
            """, [SQLValue(now), SQLValue(limit)]
        ).map(VolumeRecord.init)
    }

    func insert(clientToken: String?, in transaction: any WriteContext) throws {
        try transaction.execute(
            """
            INSERT INTO volumes (id, account, contract, created, request, client_token, size_mib, iops, made, action_number, attempts,
              next_attempt, state, state_changed)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, $9, 'creating', $4)
            """,
            [
                SQLValue(id), SQLValue(account), SQLValue(contract), SQLValue(created), .text(try WireJSON.text(request)),
                SQLValue(clientToken), .integer(sizeMiB), .integer(iops), SQLValue(nextAttempt),
            ])
        try save(in: transaction, at: created)
    }

    /// Stores what can change, and tells who waits for it.
    func save(in transaction: any WriteContext, at now: Instant) throws {
        try transaction.execute(
            """
            UPDATE volumes SET size_mib = $2, iops = $3, made = $4, action = $5, action_number = $6, attempts = $7, next_attempt = $8,
              note = $9, state = $10, reason_code = $11, reason_message = $12, seen = $13, state_changed = $14
            WHERE id = $1
            """,
            [
                SQLValue(id), .integer(sizeMiB), .integer(iops), SQLValue(isMade), SQLValue(try action.map { try WireJSON.text($0) }),
                .integer(actionNumber), .integer(attempts), SQLValue(nextAttempt), SQLValue(note), SQLValue(state),
                SQLValue(reason?.code), SQLValue(reason?.message), SQLValue(try seen.map { try WireJSON.text($0) }),
                SQLValue(stateChanged),
            ])
        try transaction.appendChange(topic: ManageCore.volumeTopic, subject: id.description, kind: state.rawValue, body: "{}", at: now)
    }

    // MARK: Sums

    /// What of a contract's volume is held by disks that are not deleted, also before connect has them.
    static func used(of contract: ContractID, in context: any ReadContext) throws -> (resources: Resources, volumes: Int64) {
        let row = try context.queryOne(
            """
            SELECT CAST(COALESCE(SUM(size_mib), 0) AS BIGINT) AS size_mib, CAST(COALESCE(SUM(iops), 0) AS BIGINT) AS iops, COUNT(*) AS volumes
            FROM volumes WHERE contract = $1 AND state <> 'deleted'
            """, [SQLValue(contract)])
        guard let row else { return (.zero, 0) }
        return (Resources(diskMiB: try row.integer("size_mib"), iops: try row.integer("iops")), try row.integer("volumes"))
    }

    /// MiB in volumes, by account.
    static func usage(in context: any ReadContext) throws -> [AccountID: Int64] {
        let rows = try context.query(
            "SELECT account, CAST(SUM(size_mib) AS BIGINT) AS used FROM volumes WHERE state <> 'deleted' GROUP BY account")
        return Dictionary(try rows.map { (try $0.id("account"), try $0.integer("used")) }, uniquingKeysWith: { first, _ in first })
    }
}
