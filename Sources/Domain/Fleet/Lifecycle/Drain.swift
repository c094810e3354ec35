public import Primitives

/// Emptying a host that works: a few moves at a time, and the reason for everything that cannot be moved.
public struct Drain: Hashable, Sendable {
    /// Moves under way at once.
    public var concurrentMoves: Int
    /// A running instance that cannot move live may be shut down and started again.
    public var mayRestart: Bool

    public init(concurrentMoves: Int = 2, mayRestart: Bool) {
        precondition(concurrentMoves > 0, "a drain moves something")
        self.concurrentMoves = concurrentMoves
        self.mayRestart = mayRestart
    }

    public struct Guest: Hashable, Sendable {
        public enum Condition: Hashable, Sendable {
            case running, stopped
            /// Starting, stopping or being removed: it comes to rest first.
            case changing
            /// A move of it is under way.
            case moving
        }
        public var id: InstanceID
        public var resources: Resources
        public var restartPriority: Int64
        public var condition: Condition
        /// Another host reaches its disk.
        public var sharesStorage: Bool
        /// Its hypervisor and hardware allow a live move.
        public var movesLive: Bool
        /// Why they do not.
        public var whyCold: String?

        public init(
            id: InstanceID, resources: Resources, restartPriority: Int64, condition: Condition, sharesStorage: Bool, movesLive: Bool,
            whyCold: String? = nil
        ) {
            self.id = id
            self.resources = resources
            self.restartPriority = restartPriority
            self.condition = condition
            self.sharesStorage = sharesStorage
            self.movesLive = movesLive
            self.whyCold = whyCold
        }
    }

    public struct Move: Hashable, Sendable {
        public var instance: InstanceID
        public var target: HostID
        public var kind: InstanceMove.Kind
        public init(instance: InstanceID, target: HostID, kind: InstanceMove.Kind) {
            self.instance = instance
            self.target = target
            self.kind = kind
        }
    }

    public struct Blocked: Hashable, Sendable {
        public var instance: InstanceID
        public var why: Refusal
    }

    public struct Step: Hashable, Sendable {
        /// To begin now.
        public var moves: [Move] = []
        /// Cannot move; the drain does not end before somebody sees to them.
        public var blocked: [Blocked] = []
        /// Moves under way.
        public var underWay = 0
        /// Starting, stopping or being removed: each moves, or is gone, once it has come to rest.
        public var settling: [InstanceID] = []
        /// Still to be moved, and waiting for their turn.
        public var queued = 0
        public var isDone: Bool { moves.isEmpty && blocked.isEmpty && underWay == 0 && settling.isEmpty && queued == 0 }
    }

    /// The next step. Those of low priority go first: they try the way for the others. `place` finds a host and takes the room there.
    public func next(_ guests: [Guest], place: (Guest) throws(Refusal) -> HostID) -> Step {
        var step = Step()
        let order = guests.sorted { a, b in
            (a.restartPriority, a.resources.memoryMiB, a.id) < (b.restartPriority, b.resources.memoryMiB, b.id)
        }
        step.underWay = guests.count { $0.condition == .moving }
        step.settling = order.filter { $0.condition == .changing }.map(\.id)
        for guest in order where guest.condition == .running || guest.condition == .stopped {
            do throws(Refusal) {
                let kind = try kind(of: guest)
                guard step.underWay + step.moves.count < concurrentMoves else {
                    step.queued += 1
                    continue
                }
                step.moves.append(Move(instance: guest.id, target: try place(guest), kind: kind))
            } catch {
                step.blocked.append(Blocked(instance: guest.id, why: error))
            }
        }
        return step
    }

    private func kind(of guest: Guest) throws(Refusal) -> InstanceMove.Kind {
        guard guest.sharesStorage else {
            throw Refusal(
                "move.storage", .conflict, "The disk of \(guest.id) is in its host (DAS) and cannot be reached from another.",
                facts: ["instance": .text(guest.id.description)], nearest: "terminate the instance, or let the host stay in service")
        }
        if guest.condition == .stopped { return .cold }
        if guest.movesLive { return .live }
        guard mayRestart else { throw Self.cannotMoveLive(guest.id, guest.whyCold) }
        return .cold
    }

    /// An instance runs and would have to be restarted, which was not allowed.
    public static func cannotMoveLive(_ instance: InstanceID, _ why: String?) -> Refusal {
        Refusal(
            "move.live", .conflict,
            "\(instance) runs and cannot move while it does\(why.map { " (\($0))" } ?? ""); restarting it was not allowed.",
            facts: ["instance": .text(instance.description)], nearest: "the drain with restarts allowed")
    }
}
