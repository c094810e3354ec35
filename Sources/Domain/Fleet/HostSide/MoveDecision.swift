/// What a host knows of a move that it has a part in.
public struct MoveSight: Hashable, Sendable {
    /// How far the hypervisor is with the transfer of memory.
    public enum Transfer: String, Sendable, CaseIterable { case none, waiting, active, completed, failed }
    /// What the host has laid down for good, before acting on it or saying so.
    public enum Ruling: String, Codable, Sendable, CaseIterable {
        /// The source runs it, and does not send it again.
        case stayed
        /// The target runs it.
        case taken
        /// The target never will.
        case void
    }

    /// Which attempt this is about; 0: none.
    public var attempt: Int64
    /// There is a hypervisor process.
    public var isAlive: Bool
    /// There is none any more, because the guest switched itself off here.
    public var isSwitchedOff: Bool
    public var transfer: Transfer
    public var ruling: Ruling?

    public init(attempt: Int64, isAlive: Bool, isSwitchedOff: Bool = false, transfer: Transfer, ruling: Ruling?) {
        self.attempt = attempt
        self.isAlive = isAlive
        self.isSwitchedOff = isSwitchedOff
        self.transfer = transfer
        self.ruling = ruling
    }
}

/// What a host decides about its part in a live move. Pure, so that a node and the simulation decide alike.
///
/// The right to run passes in one direction: the source runs until its hypervisor has sent everything, the target runs from the moment it
/// has laid down that it does, and only a target that has laid down that it never will gives the right back.
public struct MoveDecision: Hashable, Sendable {
    public enum Command: String, Sendable, CaseIterable {
        // To the source.
        case send
        /// Stop sending, if that is still possible.
        case cancel
        /// The target never will run it: run it here.
        case stay
        // To the target.
        case receive
        /// Do not take it, unless that has happened.
        case drop
    }
    public enum Step: String, Sendable, CaseIterable {
        case beginSending, cancelSending, resume
        /// Lay down that it is not sent again.
        case layDownStaying
        case beginReceiving, take
        /// Lay down that it is never taken, and end what was received.
        case layDownVoid
    }
    public enum Said: String, Sendable, CaseIterable {
        case preparing
        // The source.
        case copying, sent
        /// It runs here and is not sent in this attempt any more.
        case stays
        /// The machine is gone, after it may have been sent.
        case lost
        /// The machine is gone because its guest switched itself off here.
        case off
        // The target.
        case ready, arrived, void
    }

    public var command: Command
    public var attempt: Int64
    public var sight: MoveSight

    public init(command: Command, attempt: Int64, sight: MoveSight) {
        self.command = command
        self.attempt = attempt
        self.sight = sight
    }

    private var isBegun: Bool { sight.attempt == attempt }

    /// The next step; nil when there is nothing to do but to wait.
    public var next: Step? {
        switch command {
        case .send, .cancel, .stay:
            guard sight.isAlive else { return nil }
            guard isBegun else { return command == .send ? .beginSending : .layDownStaying }
            guard sight.ruling != .stayed else { return nil }
            switch sight.transfer {
            case .active: return command == .send ? nil : .cancelSending
            case .completed: return command == .stay ? .resume : nil
            case .none, .waiting, .failed: return .layDownStaying
            }
        case .receive, .drop:
            guard isBegun else { return command == .receive ? .beginReceiving : .layDownVoid }
            guard sight.ruling == nil else { return nil }
            guard command == .receive, sight.isAlive else { return .layDownVoid }
            switch sight.transfer {
            case .waiting, .active: return nil
            case .completed: return .take
            case .none, .failed: return .layDownVoid
            }
        }
    }

    /// What connect is told.
    public var said: Said {
        switch command {
        case .send, .cancel, .stay:
            guard sight.isAlive else { return sight.isSwitchedOff ? .off : .lost }
            guard isBegun else { return .preparing }
            if sight.ruling == .stayed { return .stays }
            switch sight.transfer {
            case .active: return .copying
            case .completed: return .sent
            case .none, .waiting, .failed: return .preparing
            }
        case .receive, .drop:
            guard isBegun else { return .preparing }
            switch sight.ruling {
            case .taken: return .arrived
            case .void: return .void
            case .stayed, nil: break
            }
            return sight.isAlive && (sight.transfer == .waiting || sight.transfer == .active) ? .ready : .preparing
        }
    }
}
