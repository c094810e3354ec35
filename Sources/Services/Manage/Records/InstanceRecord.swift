import CloudAPI
import Primitives
import Store

/// What was asked for.
struct LaunchSpecification: Codable, Sendable, Hashable {
    var image: ImageID
    var architecture: String
    var offering: String
    var resources: Resources
    var zone: String?
    var key: SSHKey?
    /// Base64.
    var userData: String?
    var clientToken: String?
    var placement: PlacementTerms?
    var network: NetworkID?
    /// How many instances the request launched; those of old do not say.
    var launchCount: Int64?
}

/// What is still to be done before connect has the instance.
enum LaunchStep: String, Sendable {
    /// Find or buy capacity.
    case source
    /// Pull the contract's certificate and create the instance at the seller's connect.
    case create
}

/// One instance: what was asked, what is being done for it, and what was last seen of it.
struct InstanceRecord: Sendable {
    let id: InstanceID
    let account: AccountID
    let reservation: ReservationID
    let launchIndex: Int64
    let specification: LaunchSpecification
    let accepted: Instant
    /// The contract whose volume it holds a part of.
    var contract: ContractID?
    /// Nil once connect has it.
    var step: LaunchStep?
    /// An action accepted here that connect has not heard of yet.
    var action: InstanceAction?
    var actionForce = false
    /// Counts actions; names the request to connect.
    var actionNumber: Int64 = 0
    /// Of the present step or action.
    var attempts: Int64 = 0
    var nextAttempt: Instant
    /// Why the present step has not succeeded yet, for people.
    var note: String?
    /// Contracts whose sellers had no room.
    var excluded: [ContractID] = []
    var state: InstanceState = .pending
    var reason: StateReason?
    var stateChanged: Instant
    /// What connect last said.
    var seen: InstanceView?

    init(
        id: InstanceID, account: AccountID, reservation: ReservationID, launchIndex: Int64, specification: LaunchSpecification,
        contract: ContractID?, accepted: Instant
    ) {
        self.id = id
        self.account = account
        self.reservation = reservation
        self.launchIndex = launchIndex
        self.specification = specification
        self.accepted = accepted
        self.contract = contract
        self.step = contract == nil ? .source : .create
        self.nextAttempt = accepted
        self.stateChanged = accepted
    }

    /// What connect says of its state. Ignored while something newer is on its way there.
    ///
    /// An answer may be old: a request sent again is answered as it was the first time, and the feed may have told more by then.
    mutating func apply(_ view: InstanceView, at now: Instant) {
        guard state != .terminated else { return }
        if seen.map({ ($0.generation, $0.stateChanged) <= (view.generation, view.stateChanged) }) ?? true { seen = view }
        guard step == nil, action == nil, let seen else { return }
        enter(seen.state, seen.reason, at: now)
    }

    mutating func enter(_ state: InstanceState, _ reason: StateReason?, at now: Instant) {
        if self.state != state { stateChanged = now }
        self.state = state
        self.reason = reason
    }

    /// Ends it here for good: nothing more is done for it, and what it held is free.
    mutating func terminate(_ reason: StateReason, at now: Instant) {
        step = nil
        action = nil
        note = nil
        enter(.terminated, reason, at: now)
    }

    /// Something is still to be done for it.
    var isUnfinished: Bool { state != .terminated && (step != nil || action != nil) }

    /// Where it is or will be, as far as is known.
    func zone(default fallback: String) -> String { seen?.zone ?? specification.zone ?? fallback }
}

// MARK: - Rows

extension InstanceRecord {
    static let columns = """
        id, account, reservation, launch_index, spec, contract, step, action, action_force, action_number, attempts, next_attempt, note, excluded, state,
        reason_code, reason_message, seen, accepted, state_changed
        """

    init(_ row: Row) throws {
        id = try row.id("id")
        account = try row.id("account")
        reservation = try row.id("reservation")
        launchIndex = try row.integer("launch_index")
        specification = try row.json("spec")
        accepted = try row.instant("accepted")
        contract = try row.optionalID("contract")
        step = try row.optionalText("step").flatMap(LaunchStep.init)
        action = try row.optionalText("action").flatMap(InstanceAction.init)
        actionForce = try row.bool("action_force")
        actionNumber = try row.integer("action_number")
        attempts = try row.integer("attempts")
        nextAttempt = try row.instant("next_attempt")
        note = try row.optionalText("note")
        excluded = try row.json("excluded")
        state = try row.value("state")
        reason = try row.optionalText("reason_code").map { StateReason(code: $0, message: try row.optionalText("reason_message") ?? "") }
        seen = try row.optionalText("seen").map { _ in try row.json("seen") }
        stateChanged = try row.instant("state_changed")
    }

    static func load(_ id: InstanceID, in context: any ReadContext) throws -> InstanceRecord? {
        try context.queryOne("SELECT \(columns) FROM instances WHERE id = $1", [SQLValue(id)]).map(InstanceRecord.init)
    }

    static func ofReservation(_ id: ReservationID, in context: any ReadContext) throws -> [InstanceRecord] {
        try context.query("SELECT \(columns) FROM instances WHERE reservation = $1 ORDER BY launch_index", [SQLValue(id)]).map(
            InstanceRecord.init)
    }

    static func ofContract(_ id: ContractID, in context: any ReadContext) throws -> [InstanceRecord] {
        try context.query("SELECT \(columns) FROM instances WHERE contract = $1 AND state <> 'terminated' ORDER BY id", [SQLValue(id)])
            .map(InstanceRecord.init)
    }

    /// Oldest first. Instances that were terminated before `hidden` are forgotten, as in EC2.
    static func ofAccounts(_ accounts: Set<AccountID>, terminatedAfter hidden: Instant, in context: any ReadContext) throws
        -> [InstanceRecord]
    {
        guard !accounts.isEmpty else { return [] }
        let names = accounts.map(\.description).sorted()
        let list = names.indices.map { "$\($0 + 2)" }.joined(separator: ", ")
        return try context.query(
            """
            SELECT \(columns) FROM instances WHERE account IN (\(list)) AND (state <> 'terminated' OR state_changed > $1) ORDER BY accepted, id
            """, [SQLValue(hidden)] + names.map { .text($0) }
        ).map(InstanceRecord.init)
    }

    /// Newest first, for lists; `accounts` nil: of all. The cursor is `<accepted> <id>` of the last one before.
    static func page(
        of accounts: Set<AccountID>?, limit: Int, before cursor: String?, in context: any ReadContext
    ) throws -> (records: [InstanceRecord], next: String?) {
        let parts = cursor?.split(separator: " ").map(String.init) ?? []
        let accepted = parts.count == 2 ? Int64(parts[0]) ?? .max : .max
        let names = accounts.map { $0.map(\.description).sorted() }
        if names?.isEmpty == true { return ([], nil) }
        let condition = names.map { "AND account IN (\($0.indices.map { "$\($0 + 4)" }.joined(separator: ", ")))" } ?? ""
        let rows = try context.query(
            """
            SELECT \(columns) FROM instances WHERE (accepted < $1 OR (accepted = $1 AND id < $2)) \(condition) ORDER BY accepted DESC, id DESC LIMIT $3
            """, [.integer(accepted), .text(parts.count == 2 ? parts[1] : ""), SQLValue(limit + 1)] + (names ?? []).map { .text($0) }
        ).map(InstanceRecord.init)
        let records = Array(rows.prefix(limit))
        return (records, rows.count > limit ? records.last.map { "\($0.accepted.microseconds) \($0.id)" } : nil)
    }

    /// Instances that something is to be done for now.
    static func due(at now: Instant, limit: Int, in context: any ReadContext) throws -> [InstanceRecord] {
        try context.query(
            """
            SELECT \(columns) FROM instances WHERE (step IS NOT NULL OR action IS NOT NULL) AND next_attempt <= $1 ORDER BY next_attempt LIMIT $2
            """, [SQLValue(now), SQLValue(limit)]
        ).map(InstanceRecord.init)
    }

    func insert(in transaction: any WriteContext) throws {
        let resources = specification.resources
        try transaction.execute(
            """
            INSERT INTO instances (id, account, reservation, launch_index, spec, milli_cpu, memory_mib, disk_mib, accepted, excluded, action_force,
              action_number, attempts, next_attempt, state, state_changed)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '[]', 0, 0, 0, $9, 'pending', $9)
            """,
            [
                SQLValue(id), SQLValue(account), SQLValue(reservation), .integer(launchIndex), .text(try WireJSON.text(specification)),
                .integer(resources.milliCPU), .integer(resources.memoryMiB), .integer(resources.diskMiB), SQLValue(accepted),
            ])
        try save(in: transaction, at: accepted)
    }

    /// Stores what can change, and tells who waits for it.
    func save(in transaction: any WriteContext, at now: Instant) throws {
        try transaction.execute(
            """
            UPDATE instances SET contract = $2, step = $3, action = $4, action_force = $5, action_number = $6, attempts = $7, next_attempt = $8,
              note = $9, excluded = $10, state = $11, reason_code = $12, reason_message = $13, seen = $14, state_changed = $15 WHERE id = $1
            """,
            [
                SQLValue(id), SQLValue(contract), SQLValue(step?.rawValue), SQLValue(action?.rawValue), SQLValue(actionForce),
                .integer(actionNumber),
                .integer(attempts), SQLValue(nextAttempt), SQLValue(note), .text(try WireJSON.text(excluded)), SQLValue(state),
                SQLValue(reason?.code), SQLValue(reason?.message), SQLValue(try seen.map { try WireJSON.text($0) }), SQLValue(stateChanged),
            ])
        try RunningSpans.note(self, in: transaction)
        try transaction.appendChange(topic: ManageCore.instanceTopic, subject: id.description, kind: state.rawValue, body: "{}", at: now)
    }
}
