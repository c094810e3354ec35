import CloudAPI
import Drivers
import Primitives
import Store

// What connect wants of tenants' networks, as the tables keep it.

extension NetworkIntent: HostIntent {
    static var noun: String { "network" }
    static var table: String { "networks" }
    var id: NetworkID { network }
}

extension NetworkBoard.Entry: BoardEntry {
    var isWanted: Bool { intent.desired == .present }
}

extension NetworkBoard: IntentBoard {}

extension NodeCore {
    func restoreNetworks() async throws {
        for (intent, _) in try await kept(NetworkIntent.self) { networks.restore(intent) }
    }

    func take(_ intents: [NetworkIntent]) async throws {
        let fresh = fresh(intents, on: networks)
        try await keep(fresh)
        if !fresh.isEmpty { networks.accept(fresh) }
    }

    /// Instances that were there before their owner was known, or whose owner is another now, are let among their like.
    func followOwners(_ intents: [InstanceIntent]) async throws {
        for intent in intents {
            guard let known = board[intent.instance], known.intent.owner != intent.owner, known.sight.isAlive, intent.network == nil,
                intent.desired == .running
            else { continue }
            try await drivers.network.permit(try port(of: intent))
        }
    }
}
