import CloudAPI
import Fleet
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

extension ConnectCore {
    /// The loops that keep promises over time: certificates renewed, ended contracts enforced, silent hosts noticed, late
    /// launches given up.
    func upkeep() -> [any Service] {
        [
            Repeating("contract certificates", every: .seconds(2), logger: logger) { try await renewCertificates() },
            Repeating("contract ends", every: .milliseconds(500), logger: logger) { try await enforceEnds() },
            Repeating("delivery reports", every: .seconds(2), logger: logger) {
                try await identity.reportDeliveries(logger: logger) { try await measure($0) }
            },
            Repeating("capacity", every: .seconds(1), logger: logger) { try await reconcileCapacity() },
            Repeating("maintenance windows", every: .seconds(1), logger: logger) { try await keepWindows() },
            Repeating("instance reservations", every: .seconds(1), logger: logger) { try await expireReservations() },
            Repeating("lifetimes", every: .seconds(5), logger: logger) { try await keepLifetimes() },
            Repeating("products", every: .seconds(5), logger: logger) { try await learnProducts() },
            Repeating("volumes", every: .seconds(2), logger: logger) { try await watchVolumes() },
            Repeating("networks", every: .seconds(2), logger: logger) { try await watchNetworks() },
            Repeating("presence of hosts", every: .seconds(2 * configuration.heartbeatSeconds), logger: logger) {
                try await writePresence()
            },
            Repeating("launches", every: .seconds(2), logger: logger) { try await giveUpLateLaunches() },
            Repeating("hosts", every: .seconds(1), logger: logger) { try await watchHosts() },
            Repeating("fencing", every: .seconds(1), logger: logger) { try await fenceHosts() },
            Repeating("leases", every: .seconds(1), logger: logger) { try await watchLeases() },
            Repeating("rebalancing", every: .seconds(1), logger: logger) { try await keepRebalancing() },
            Repeating("live moves", every: .seconds(1), logger: logger) { try await keepMoves() },
            Repeating("interruptions", every: .seconds(1), logger: logger) { try await interruptDue() },
            Repeating.forgettingAnswers(database, time: time, logger: logger),
        ]
    }

    private var unfinishedContracts: [ContractRecord] {
        memory.reading { $0.contracts.values.filter { $0.enforced == nil }.sorted { $0.id < $1.id } }
    }

    private func renewCertificates() async throws {
        let near = time.now() + Self.certificateLead
        let contracts = unfinishedContracts
        for contract in contracts where contract.view.period.start <= near {
            do {
                try await ensureCertificate(of: contract.view)
            } catch {
                logger.warning("certificate of \(contract.id) not renewed yet", metadata: ["error": "\(error)"])
            }
        }
    }

    /// A contract that is over stops its instances, with notice; after the retention their disks go too.
    private func enforceEnds() async throws {
        let now = time.now()
        let contracts = unfinishedContracts
        for contract in contracts where isOver(contract, at: now) { try await stopInstances(of: contract, at: now) }
        try await removeRetained(at: now)
    }

    /// Over when the exchange says so, or when its end has passed and no roll has reached us. The exchange rolls contracts well
    /// before their end, so a roll that is still on its way is not late by more than a feed interruption; the guest gets that time.
    private func isOver(_ contract: ContractRecord, at now: Instant) -> Bool {
        switch contract.view.state {
        case .ended, .settled: true
        case .created, .delivering: contract.view.period.end + (contract.view.rolls ? .seconds(60) : .zero) <= now
        }
    }

    private func stopInstances(of contract: ContractRecord, at now: Instant) async throws {
        let grace = configuration.contractGraceSeconds
        let cause = contract.view.reason.map { " (\($0))" } ?? ""
        let reason = InstanceLifecycle.Reason(
            "Server.ContractEnded",
            "Contract \(contract.id) ended at \(contract.view.period.end)\(cause). The disk is kept for \(configuration.retentionSeconds / 3_600) h."
        )
        try await write { transaction in
            let rows = try transaction.query(
                "SELECT \(InstanceRecord.columns) FROM instances WHERE contract = $1 AND state <> 'terminated'", [SQLValue(contract.id)])
            for var record in try rows.map(InstanceRecord.init) {
                let old = record.life
                if record.life.state == .pending {
                    _ = record.life.terminate(reason: reason, at: now)
                } else if record.life.desired == .running {
                    _ = try record.life.stop(grace: grace, reason: reason, at: now)
                }
                if record.life != old { try record.saveChange(kind: "contract-ended", since: old, in: transaction, at: now) }
            }
            try contract.enforce(in: transaction, at: now)
            try transaction.appendAudit(
                actor: "connect", action: "contract.enforce-end", subject: contract.id.description, detail: "{}", at: now)
        }
        identity.tls.setContract(contract.id, credential: nil)
        logger.info("contract ended", metadata: ["contract": "\(contract.id)", "reason": "\(contract.view.reason ?? "period over")"])
    }

    private func removeRetained(at now: Instant) async throws {
        let before = now - .seconds(configuration.retentionSeconds)
        let due = try await database.read { context in
            try context.query(
                """
                SELECT id FROM instances WHERE contract IN (SELECT id FROM contracts WHERE enforced < $1) AND desired <> 'absent'
                """, [SQLValue(before)]
            ).map { try $0.id("id", as: InstanceID.self) }
        }
        guard !due.isEmpty else { return }
        try await write { transaction in
            for id in due {
                guard var record = try InstanceRecord.load(id, in: transaction) else { continue }
                let old = record.life
                guard
                    record.life.terminate(reason: .init("Server.ContractEnded", "The retention after the contract's end is over."), at: now)
                else { continue }
                try record.saveChange(kind: "retention-over", since: old, in: transaction, at: now)
            }
        }
    }

    /// Launches that no host has started in time end. Nobody is late whose launch was accepted within the limit, so that most that are
    /// pending need not be read.
    private func giveUpLateLaunches() async throws {
        let now = time.now()
        let accepted = now - InstanceLifecycle.launchLimit
        let late = try await database.read { context in
            try context.query(
                "SELECT \(InstanceRecord.columns) FROM instances WHERE state = 'pending' AND accepted < $1", [SQLValue(accepted)]
            ).map(InstanceRecord.init)
        }.filter { record in
            var life = record.life
            return life.giveUpIfLate(at: now)
        }
        guard !late.isEmpty else { return }
        try await write { transaction in
            for id in late.map(\.id) {
                guard var record = try InstanceRecord.load(id, in: transaction) else { continue }
                let old = record.life
                if record.life.giveUpIfLate(at: now) { try record.saveChange(kind: "launch-late", since: old, in: transaction, at: now) }
            }
        }
    }

    /// Brings the table up to date with when hosts were heard: many in one transaction, from time to time.
    func writePresence() async throws {
        let heard = presence.takeUnwritten()
        guard !heard.isEmpty else { return }
        try await database.write { transaction in
            try transaction.executeMany(
                "UPDATE hosts SET last_seen = $2 WHERE id = $1 AND last_seen < $2", heard.map { [SQLValue($0.host), SQLValue($0.at)] })
        }
    }

    /// Seconds between heartbeats of one node: so many that all nodes together send no more than `heartbeatsPerSecond`.
    var heartbeatSeconds: Int64 {
        let hosts = Int64(memory.reading { $0.occupancy.hostCount })
        return max(configuration.heartbeatSeconds, (hosts + Self.heartbeatsPerSecond - 1) / Self.heartbeatsPerSecond)
    }

    private static let heartbeatsPerSecond: Int64 = 500
}
