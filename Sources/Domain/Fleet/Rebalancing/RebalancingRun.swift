public import Primitives

/// A plan of migrations being carried out: round by round, each move only while it is still what the plan thought it was.
public struct RebalancingRun: Hashable, Sendable {
    public enum Progress: Hashable, Sendable {
        case planned, moving, moved
        /// Not made, or not to the end; the sentence says why.
        case givenUp(String)

        public var isOver: Bool {
            switch self {
            case .planned, .moving: false
            case .moved, .givenUp: true
            }
        }

        fileprivate static let gone = Progress.givenUp("It is gone.")
        fileprivate static let elsewhere = Progress.givenUp("It is not where it was when this was planned.")
        fileprivate static let cancelled = Progress.givenUp("Cancelled.")
    }

    public struct Entry: Hashable, Sendable {
        public var move: Migration
        public var progress: Progress
        public init(_ move: Migration, _ progress: Progress = .planned) {
            self.move = move
            self.progress = progress
        }

        /// It was given up, and its instance is still where it was.
        fileprivate var stays: Bool {
            if case .givenUp = progress { progress != .gone && progress != .elsewhere } else { false }
        }
    }

    /// What is so of an instance now.
    public enum Situation: Hashable, Sendable {
        /// Runs or is stopped on a host.
        case atRest(HostID)
        /// On its way from one host to another.
        case moving
        /// Starts, stops or is being removed.
        case changing
        case gone
    }

    public private(set) var entries: [Entry]

    public init(_ plan: MigrationPlan) { entries = plan.moves.map { Entry($0) } }

    /// As it was kept, in the plan's order.
    public init(entries: [Entry]) { self.entries = entries }

    public var isOver: Bool { entries.allSatisfy(\.progress.isOver) }

    /// Takes note of how far the moves are.
    /// - Returns: the indices of those to begin now: of the first round that is not over, and of no other.
    public mutating func advance(_ situation: (InstanceID) -> Situation) -> [Int] {
        guard let round = entries.first(where: { !$0.progress.isOver })?.move.round else { return [] }
        var due: [Int] = []
        for index in entries.indices where entries[index].move.round == round {
            let move = entries[index].move
            switch (entries[index].progress, situation(move.instance)) {
            case (.planned, .atRest(move.source)): due.append(index)
            case (.planned, .atRest): entries[index].progress = .elsewhere
            case (.planned, .gone): entries[index].progress = .gone
            case (.planned, .moving), (.planned, .changing), (.moving, .moving), (.moving, .changing): break
            case (.moving, .atRest(let host)):
                if host == move.source { give(up: index, "Its move was given up.") } else { entries[index].progress = .moved }
            case (.moving, .gone): entries[index].progress = .gone
            case (.moved, _), (.givenUp, _): break
            }
        }
        return due
    }

    public mutating func begin(_ index: Int) { entries[index].progress = .moving }
    public mutating func give(up index: Int, _ why: String) { entries[index].progress = .givenUp(why) }

    /// Nothing more is begun; what is on its way arrives.
    public mutating func cancel() {
        for index in entries.indices where entries[index].progress == .planned { entries[index].progress = .cancelled }
    }

    /// Moves that were planned are not made any more.
    public var isCancelled: Bool { entries.contains { $0.progress == .cancelled } }

    // MARK: What comes of it

    /// What is still reached of a plan once moves were given up, in the goal's own measure.
    /// - Parameters:
    ///   - measure: of the plan's goal.
    ///   - before: as it was when it was planned.
    ///   - after: as it would be with all moves made.
    public func reached(_ measure: RebalancingMeasure, before: Int64, after: Int64) -> Int64 {
        let staying = entries.filter(\.stays)
        guard !staying.isEmpty else { return after }
        switch measure {
        // All that leave a host leave it empty; one that stays keeps it.
        case .hosts: return min(before, after + Int64(Set(staying.map(\.move.source)).count))
        // Half a gap helps nobody.
        case .room: return before
        // How much load it has by now nobody knows: with none moved it is as it was.
        case .load: return staying.count == entries.count ? before : after
        }
    }
}
