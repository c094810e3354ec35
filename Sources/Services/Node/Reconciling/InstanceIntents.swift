import CloudAPI
import Drivers
import Primitives
import Store

// What connect wants of instances, as the tables keep it.

extension InstanceIntent: HostIntent {
    static var noun: String { "instance" }
    static var table: String { "intents" }
    static var companions: [String] { ["runs"] }
    var id: InstanceID { instance }
    /// It has never run, and whatever reboots were asked for so far are of a time before.
    var beginnings: [(column: String, value: SQLValue)] { [("ran_generation", .integer(0)), ("reboots_done", .integer(reboots))] }
}

extension InstanceBoard.Entry: BoardEntry {
    var isWanted: Bool { intent.desired != .absent }
    var isGone: Bool { observedState(intent, sight, failed: failure != nil) == .absent }
    var isLeaving: Bool { intent.desired == .absent && (removedGeneration != nil || machine.state == .absent) }
}

extension InstanceBoard: IntentBoard {}
