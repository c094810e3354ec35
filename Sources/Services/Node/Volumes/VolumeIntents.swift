import CloudAPI
import Foundation
import Logging
import Primitives
import ServiceKit
import Store

// What connect wants of volumes, as the tables keep it.
extension NodeCore {
    func restoreVolumes() async throws {
        let rows = try await database.read { context in
            try context.query("SELECT body, made FROM volumes").map { row in
                (try WireJSON.decode(VolumeIntent.self, from: Data(try row.text("body").utf8)), try row.bool("made"))
            }
        }
        for (intent, isMade) in rows { volumes.restore(intent, isMade: isMade) }
    }

    /// Stores intents and takes them up. Those older than what is known are refused.
    func take(_ intents: [VolumeIntent]) async throws {
        let fresh = intents.filter { intent in
            guard let known = volumes[intent.volume]?.intent else { return true }
            return intent.generation >= known.generation && intent != known
        }
        guard !fresh.isEmpty else { return }
        let rows = try fresh.map { [SQLValue($0.volume), .integer($0.generation), .text(try WireJSON.text($0))] }
        try await database.write { transaction in
            try transaction.executeMany(
                """
                INSERT INTO volumes (volume, generation, body, made) VALUES ($1, $2, $3, 0)
                ON CONFLICT (volume) DO UPDATE SET generation = excluded.generation, body = excluded.body
                WHERE excluded.generation >= volumes.generation
                """, rows)
        }
        volumes.accept(fresh)
    }

    /// Volumes here that a full list does not have: what is gone is forgotten; the file of any other is left alone and pointed out,
    /// because a control plane that lost its memory must not cost data.
    func compare(withVolumes intents: [VolumeIntent]) async {
        let listed = Set(intents.map(\.volume))
        for entry in volumes.all where !listed.contains(entry.intent.volume) {
            if entry.isGone {
                try? await forget(entry.intent.volume)
            } else if entry.intent.desired == .available || entry.intent.desired == .attached {
                logger.warning(
                    "connect does not list a volume of this host; it is left as it is", metadata: ["volume": "\(entry.intent.volume)"])
            }
        }
    }

    /// Forgets a volume that is gone, once connect has been told.
    func forget(_ volume: VolumeID) async throws {
        try await database.write { try $0.execute("DELETE FROM volumes WHERE volume = $1", [SQLValue(volume)]) }
        volumes.forget(volume)
    }
}
