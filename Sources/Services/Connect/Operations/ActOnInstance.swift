import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Start, stop, reboot or terminate. `contract` nil: the operator, who may act on all.
    func act(_ call: Call<ActOnInstance>, on id: InstanceID, under contract: ContractID?) async throws -> InstanceView {
        let now = time.now()
        let core = self
        return try await write { transaction in
            var record = try core.instance(id, under: contract, in: transaction)
            let old = record.life
            if call.body.action == .start, old.state == .stopped { record.spot = try core.checkRoom(for: record, at: now) }
            try Self.apply(call.body, to: &record.life, byOperator: contract == nil, at: now)
            if record.life != old {
                try record.saveChange(kind: call.body.action.rawValue, since: old, in: transaction, at: now)
                try transaction.appendAudit(
                    actor: call.principal.name, action: "instance.\(call.body.action.rawValue)", subject: id.description, detail: "{}",
                    at: now)
            }
            let view = record.view(hostName: core.memory.hostName(record.host))
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
    }

    private static func apply(_ request: ActOnInstance, to life: inout InstanceLifecycle, byOperator: Bool, at now: Instant) throws {
        let who = byOperator ? "Server" : "Client"
        let by = byOperator ? "operator" : "user"
        let reason = InstanceLifecycle.Reason(
            byOperator ? "Server.OperatorShutdown" : "Client.UserInitiatedShutdown",
            "\(who).UserInitiatedShutdown: \(by) initiated shutdown")
        _ =
            switch request.action {
            case .start: try life.start(at: now)
            case .stop: try life.stop(grace: request.force == true ? 0 : 60, reason: reason, at: now)
            case .reboot: try life.reboot(at: now)
            case .terminate: life.terminate(reason: reason, at: now)
            }
    }

    /// An instance the caller may know of.
    func instance(_ id: InstanceID, under contract: ContractID?, in context: any ReadContext) throws -> InstanceRecord {
        guard let record = try InstanceRecord.load(id, in: context), contract == nil || record.contract == contract else {
            throw Refusal.unknownInstance(id, "under this contract")
        }
        return record
    }

    /// A stopped instance keeps its disk where it is, so it can start only there, and only under a contract in force.
    /// - Returns: what of its host's parts it has then.
    private func checkRoom(for record: InstanceRecord, at now: Instant) throws -> PlacementSpot {
        _ = try activeContract(record.contract, at: now)
        return try memory.reading { try $0.occupancy.checkRoomToStart(record.id) }
    }
}
