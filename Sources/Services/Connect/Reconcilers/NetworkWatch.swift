import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// What happens to networks over time without anybody's asking.
extension ConnectCore {
    /// Networks of buyers that have had no contract here for long are deleted once no instance is on them; what waits for a host that is
    /// proven to run nothing, or is retired, waits no longer.
    func watchNetworks() async throws {
        let before = time.now() - .seconds(configuration.networkRetentionSeconds)
        let (left, waiting) = memory.reading { state in (state.abandoned(since: before), state.leaving) }
        if !left.isEmpty { try await deleteAbandoned(since: before) }
        let gone = waiting ? try await database.read { try Self.membersThatAreGone(in: $0) } : []
        guard !gone.isEmpty else { return }
        let now = time.now()
        try await write { transaction in
            // Still so: a host may have come back meanwhile.
            let ids = Set(gone.map(\.network))
            for member in try Self.membersThatAreGone(in: transaction) { try member.delete(in: transaction) }
            for id in ids.sorted() {
                guard var record = transaction.reading({ $0.networks[id] }) else { continue }
                try record.settleDeletion(in: transaction, at: now)
            }
        }
    }

    private func deleteAbandoned(since before: Instant) async throws {
        let now = time.now()
        try await write { transaction in
            for var record in transaction.reading({ $0.abandoned(since: before) }) {
                try record.delete(in: transaction, at: now)
                try transaction.appendAudit(
                    actor: "connect", action: "network.contracts-ended", subject: record.id.description, detail: "{}", at: now)
            }
        }
    }

    /// Nothing of a network outlives the power of its host.
    private static func membersThatAreGone(in context: any ReadContext) throws -> [NetworkHost] {
        try context.query(
            """
            SELECT n.network, n.host, n.desired, n.generation, n.observed, n.reason_code, n.reason_message FROM network_hosts n
            JOIN hosts h ON h.id = n.host WHERE n.desired = 'absent' AND h.state IN ('fenced', 'evacuated', 'retired') ORDER BY n.network
            """
        ).map(NetworkHost.init)
    }
}

extension FleetState {
    /// Networks without instances whose buyer's last contract ended before a moment.
    fileprivate func abandoned(since before: Instant) -> [NetworkRecord] {
        var latest: [ParticipantID: Instant] = [:]
        for contract in contracts.values where !networks.isEmpty {
            latest[contract.view.buyer] = max(latest[contract.view.buyer] ?? .zero, contract.enforced ?? Instant(microseconds: .max))
        }
        return networks.values.filter { network in
            network.state == .available && latest[network.buyer] ?? .zero < before
                && occupancy.network(network.id)?.instances ?? 0 == 0
        }.sorted { $0.id < $1.id }
    }

    /// Whether there may be hosts that are to let go of a network: there are networks, and hosts that are not simply up.
    fileprivate var leaving: Bool {
        !networks.isEmpty
            && occupancy.hostIDs.contains { id in [.fenced, .evacuated, .retired].contains(occupancy.host(id)?.state ?? .up) }
    }
}
