/// What a host decides about one volume: the next step towards what is wanted, and what it tells connect. Pure.
///
/// A step is done for a generation. What was done for an earlier one counts for nothing: every step is idempotent and cheap when there
/// is nothing to do.
public struct VolumeDecision: Hashable, Sendable {
    public enum Desired: String, Sendable, CaseIterable {
        /// Its file is there, and no machine uses it.
        case available
        /// A machine has it; one that is off gets it at its next start.
        case attached
        /// Its file is gone.
        case absent
        /// Another host serves it now: this one lets go of it and forgets it, and leaves the file alone.
        case released
    }

    /// One thing to do, each done by idempotent calls on drivers.
    public enum Step: Hashable, Sendable { case provide, plug, remove, release }

    // What is wanted.
    public var desired: Desired
    public var generation: Int64

    // What is so.
    /// The latest generation for which everything was done.
    public var doneGeneration: Int64
    /// A machine that is to have it was started, or ended, since it was plugged in.
    public var isMachineChanged: Bool
    /// Its file was there once and is not any more.
    public var isLost: Bool
    /// The last step failed.
    public var hasFailed: Bool

    public init(desired: Desired, generation: Int64, doneGeneration: Int64, isMachineChanged: Bool, isLost: Bool, hasFailed: Bool) {
        self.desired = desired
        self.generation = generation
        self.doneGeneration = doneGeneration
        self.isMachineChanged = isMachineChanged
        self.isLost = isLost
        self.hasFailed = hasFailed
    }

    public var isDone: Bool { doneGeneration == generation }

    /// The next step; nil when there is nothing to do.
    public var next: Step? {
        switch desired {
        case .available: isDone ? nil : .provide
        case .attached: isDone && !isMachineChanged ? nil : .plug
        case .absent: isDone ? nil : .remove
        case .released: isDone ? nil : .release
        }
    }

    /// What connect is told; nil: nothing yet.
    public var seen: VolumeLifecycle.Seen? {
        switch desired {
        case .available where isLost, .attached where isLost: return .absent
        case .available where isDone: return .present
        case .attached where isDone: return .attached
        case .absent where isDone, .released where isDone: return .absent
        default: return hasFailed ? .failed : nil
        }
    }
}
