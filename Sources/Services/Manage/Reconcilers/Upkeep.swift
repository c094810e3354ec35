import CloudAPI
import CloudClient
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

extension ManageCore {
    /// The loops that keep promises over time.
    func upkeep() -> [any Service] {
        [
            Repeating("products", every: .seconds(30), logger: logger) { try await syncProducts() },
            Repeating("datacenters and images", every: .seconds(5), logger: logger) { try await syncSites() },
            Repeating("volumes", every: .milliseconds(500), logger: logger) { try await driveVolumes() },
            Repeating("networks", every: .milliseconds(500), logger: logger) { try await driveNetworks() },
            Repeating("idle contracts", every: .seconds(2), logger: logger) { try await releaseIdle() },
            Repeating("orders of ended launches", every: .seconds(2), logger: logger) { try await settlePurchases() },
            Repeating("contract confirmations", every: .seconds(2), logger: logger) { try await confirmContracts() },
            Repeating("delivery reports", every: .seconds(2), logger: logger) {
                try await identity.reportDeliveries(logger: logger) { try await measure($0) }
            },
            Repeating("old connections", every: .seconds(30), logger: logger) { await connects.closeRetired() },
            Repeating.forgettingAnswers(database, time: time, logger: logger),
        ]
    }

    /// Contracts that were bought here for machines and have neither these nor volumes any more are not rolled on: nobody needs them.
    private func releaseIdle() async throws {
        let now = time.now()
        let before = now - .seconds(configuration.idleContractSeconds)
        let idle = try await database.read { context in
            try context.query(
                """
                SELECT b.contract FROM bought_contracts b JOIN contracts c ON c.id = b.contract
                WHERE c.closed IS NULL AND c.state IN ('created', 'delivering') AND b.bought < $1
                  AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.contract = b.contract AND (i.state <> 'terminated' OR i.state_changed >= $1))
                  AND NOT EXISTS (SELECT 1 FROM volumes v WHERE v.contract = b.contract AND (v.state <> 'deleted' OR v.state_changed >= $1))
                ORDER BY b.contract
                """, [SQLValue(before)]
            ).compactMap { try ContractRecord.load(try $0.id("contract"), in: context) }.filter(\.view.rolls)
        }
        for contract in try await markReleasing(idle, at: now) {
            FaultPoint.hit("manage.contract.releasing")
            let view = try await identity.exchange.call(
                ExchangeAPI.stopContract, path: ["contract": contract.id.description],
                body: StopContract(reason: "The buyer has no machine on it."),
                idempotencyKey: "idle-\(contract.id)", deadline: .seconds(10))
            try await copy(view)
            logger.info("an idle contract is not rolled on", metadata: ["contract": "\(contract.id)"])
        }
    }

    /// From here on nothing new is put on them, whatever the exchange answers and when. Those that got a machine meanwhile stay.
    private func markReleasing(_ contracts: [ContractRecord], at now: Instant) async throws -> [ContractRecord] {
        guard !contracts.isEmpty else { return [] }
        return try await database.write { transaction in
            try contracts.filter { contract in
                if contract.isReleasing { return true }
                let used = try contract.used(in: transaction)
                guard used.instances == 0, used.volumes == 0 else { return false }
                try transaction.execute("UPDATE contracts SET releasing = 1 WHERE id = $1", [SQLValue(contract.id)])
                try transaction.appendAudit(
                    actor: "manage", action: "contract.release", subject: contract.id.description, detail: "{}", at: now)
                return true
            }
        }
    }
}
