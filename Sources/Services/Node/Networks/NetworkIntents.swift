import CloudAPI
import Drivers
import Foundation
import Logging
import Primitives
import ServiceKit
import Store

// What connect wants of tenants' networks, as the tables keep it.
extension NodeCore {
    func restoreNetworks() async throws {
        let rows = try await database.read { context in
            try context.query("SELECT body FROM networks").map {
                try WireJSON.decode(NetworkIntent.self, from: Data(try $0.text("body").utf8))
            }
        }
        for intent in rows { networks.restore(intent) }
    }

    /// Stores intents and takes them up. Those older than what is known are refused.
    func take(_ intents: [NetworkIntent]) async throws {
        let fresh = intents.filter { intent in
            guard let known = networks[intent.network]?.intent else { return true }
            return intent.generation >= known.generation && intent != known
        }
        guard !fresh.isEmpty else { return }
        let rows = try fresh.map { [SQLValue($0.network), .integer($0.generation), .text(try WireJSON.text($0))] }
        try await database.write { transaction in
            try transaction.executeMany(
                """
                INSERT INTO networks (network, generation, body) VALUES ($1, $2, $3)
                ON CONFLICT (network) DO UPDATE SET generation = excluded.generation, body = excluded.body
                WHERE excluded.generation >= networks.generation
                """, rows)
        }
        networks.accept(fresh)
    }

    /// Networks here that a full list does not have: what is gone is forgotten; any other is left alone and pointed out, because a control plane
    /// that lost its memory must not cut guests off.
    func compare(withNetworks intents: [NetworkIntent]) async {
        let listed = Set(intents.map(\.network))
        for entry in networks.all where !listed.contains(entry.intent.network) {
            if entry.isGone {
                try? await forget(entry.intent.network)
            } else if entry.intent.desired == .present {
                logger.warning(
                    "connect does not list a network of this host; it is left as it is", metadata: ["network": "\(entry.intent.network)"])
            }
        }
    }

    /// Forgets a network that is gone, once connect has been told.
    func forget(_ network: NetworkID) async throws {
        try await database.write { try $0.execute("DELETE FROM networks WHERE network = $1", [SQLValue(network)]) }
        networks.forget(network)
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
