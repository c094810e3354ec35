import CloudAPI
import Primitives
import ServiceKit
import Store
import Tenancy

/// What an instance's state was before an action, and is now.
struct StateTransition: Sendable {
    var record: InstanceRecord
    var previous: InstanceState
}

extension ManageCore {
    /// Start, stop, reboot or terminate; all of them or, when one cannot, none. The reconciler tells connect.
    ///
    /// - Parameter accounts: instances of other accounts are not found.
    func act(
        _ action: InstanceAction, on instances: [InstanceID], of accounts: Set<AccountID>, force: Bool = false, by user: User,
        remembering: (@Sendable ([StateTransition], any WriteContext) throws -> Void)? = nil
    ) async throws -> [StateTransition] {
        let now = time.now()
        try user.authorize(.operateInstances)
        let transitions = try await database.write { [self] transaction in
            let records = try found(instances, of: accounts, in: transaction)
            var transitions: [StateTransition] = []
            for record in records {
                var changed = record
                try accept(action, force: force, on: &changed, at: now, in: transaction)
                if changed.action != record.action || changed.actionNumber != record.actionNumber || changed.state != record.state {
                    try changed.save(in: transaction, at: now)
                    try transaction.appendAudit(
                        actor: user.id.description, action: "instance.\(action.rawValue)", subject: record.id.description, detail: "{}",
                        at: now)
                }
                transitions.append(StateTransition(record: changed, previous: record.state))
            }
            try remembering?(transitions, transaction)
            return transitions
        }
        FaultPoint.hit("manage.act.accepted")
        return transitions
    }

    /// Instances by identifier, in the order asked for. Refuses with all that are missing.
    func found(_ instances: [InstanceID], of accounts: Set<AccountID>, in context: any ReadContext) throws -> [InstanceRecord] {
        var records: [InstanceRecord] = []
        var missing: [String] = []
        for id in instances {
            if let record = try InstanceRecord.load(id, in: context), accounts.contains(record.account) {
                records.append(record)
            } else {
                missing.append(id.description)
            }
        }
        guard missing.isEmpty else {
            let list = missing.joined(separator: ", ")
            throw Refusal(
                "instance.unknown", .notFound,
                missing.count == 1 ? "The instance ID '\(list)' does not exist" : "The instance IDs '\(list)' do not exist",
                facts: ["instances": .text(list)])
        }
        return records
    }

    private func accept(
        _ action: InstanceAction, force: Bool, on record: inout InstanceRecord, at now: Instant, in context: any ReadContext
    ) throws {
        guard try allows(action, force: force, record) else { return }
        let contract = try record.contract.flatMap { try ContractRecord.load($0, in: context) }
        if let contract, contract.isOver(at: now) {
            guard action == .terminate else { throw Self.contractEnded(record, action) }
            // Nobody can be told any more; the seller takes the disk away by itself.
            return record.terminate(
                StateReason(code: "Client.UserInitiatedShutdown", message: "Client.UserInitiatedShutdown: User initiated shutdown"), at: now
            )
        }
        record.action = action
        record.actionForce = force
        record.actionNumber += 1
        record.attempts = 0
        record.nextAttempt = now
        record.note = nil
        let reason = StateReason(code: "Client.UserInitiatedShutdown", message: "Client.UserInitiatedShutdown: User initiated shutdown")
        switch action {
        case .start: record.enter(.pending, nil, at: now)
        case .stop: record.enter(.stopping, reason, at: now)
        case .reboot: break
        case .terminate: record.enter(.shuttingDown, reason, at: now)
        }
    }

    /// False: it is so already. Refuses what EC2 refuses.
    private func allows(_ action: InstanceAction, force: Bool, _ record: InstanceRecord) throws -> Bool {
        switch (action, record.state) {
        case (.terminate, .terminated), (.terminate, .shuttingDown): return false
        case (.terminate, _): return true
        case (.start, .running), (.start, .pending), (.stop, .stopped): return false
        case (.start, .stopped), (.stop, .running), (.reboot, .running): return true
        case (.stop, .stopping): return force && !record.actionForce
        default: throw Self.wrongState(record, action)
        }
    }

    private static func wrongState(_ record: InstanceRecord, _ action: InstanceAction) -> Refusal {
        let wanted = action == .start ? "stopped" : "running"
        return Refusal(
            "instance.state", .conflict,
            "The instance '\(record.id)' is not in a state from which it can be \(participle(action)): it is \(record.state.rawValue).",
            facts: ["instance": .text(record.id.description), "state": .text(record.state.rawValue)],
            nearest: "The same request once it is \(wanted).")
    }

    private static func contractEnded(_ record: InstanceRecord, _ action: InstanceAction) -> Refusal {
        Refusal(
            "instance.contractEnded", .conflict, "The instance '\(record.id)' cannot be \(participle(action)): its contract has ended.",
            facts: ["instance": .text(record.id.description), "contract": .text(record.contract?.description ?? "")],
            nearest: "Launch a new instance.")
    }

    private static func participle(_ action: InstanceAction) -> String {
        switch action {
        case .start: "started"
        case .stop: "stopped"
        case .reboot: "rebooted"
        case .terminate: "terminated"
        }
    }
}
