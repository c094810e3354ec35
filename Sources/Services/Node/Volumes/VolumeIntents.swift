import CloudAPI
import Primitives
import Store

// What connect wants of volumes, as the tables keep it.

extension VolumeIntent: HostIntent {
    static var noun: String { "volume" }
    static var table: String { "volumes" }
    var id: VolumeID { volume }
    /// Its file has never been there.
    var beginnings: [(column: String, value: SQLValue)] { [("made", .integer(0))] }
}

extension VolumeBoard.Entry: BoardEntry {
    var isWanted: Bool { intent.desired == .available || intent.desired == .attached }
}

extension VolumeBoard: IntentBoard {}

extension NodeCore {
    func restoreVolumes() async throws {
        for (intent, row) in try await kept(VolumeIntent.self) { volumes.restore(intent, isMade: try row.bool("made")) }
    }

    func take(_ intents: [VolumeIntent]) async throws {
        let fresh = fresh(intents, on: volumes)
        try await keep(fresh)
        if !fresh.isEmpty { volumes.accept(fresh) }
    }
}
