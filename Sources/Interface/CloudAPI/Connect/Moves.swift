public import Primitives

// Instances that go from one host to another while they run: what connect and the two nodes tell each other, and what others see of it.

/// A node can take part in live moves.
public struct MoveOffer: Codable, Sendable, Hashable {
    /// Where others dial.
    public var address: String
    /// What two hosts must have in common: hypervisor, its version, and the processor where that is real.
    public var platform: String
    public init(address: String, platform: String) {
        self.address = address
        self.platform = platform
    }
}

public enum MoveCommand: String, Codable, Sendable, CaseIterable {
    // To the host it is on.
    case send
    /// Stop sending, if that is still possible.
    case cancel
    /// The other host never will run it.
    case stay
    // To the host it goes to.
    case receive
    /// Let go of it, unless it runs there.
    case drop
}

/// A host's part in a live move of an instance.
public struct MoveIntent: Codable, Sendable, Hashable {
    public var command: MoveCommand
    /// Tells one attempt from another.
    public var attempt: Int64
    /// The other host.
    public var peer: HostID
    /// `address:port` where the other host waits.
    public var endpoint: String?
    public var bandwidthMiB: Int64
    public var downtimeMilliseconds: Int64
    /// The first and the last port at which a host may wait.
    public var firstPort: Int64
    public var lastPort: Int64
    /// That the instance has now.
    public var volumes: [VolumeIntent]
    public init(
        command: MoveCommand, attempt: Int64, peer: HostID, endpoint: String?, bandwidthMiB: Int64, downtimeMilliseconds: Int64,
        firstPort: Int64, lastPort: Int64, volumes: [VolumeIntent]
    ) {
        self.command = command
        self.attempt = attempt
        self.peer = peer
        self.endpoint = endpoint
        self.bandwidthMiB = bandwidthMiB
        self.downtimeMilliseconds = downtimeMilliseconds
        self.firstPort = firstPort
        self.lastPort = lastPort
        self.volumes = volumes
    }
}

public enum MoveSaid: String, Codable, Sendable, CaseIterable {
    case preparing
    // The host it is on.
    case copying, sent
    /// It runs there and is not sent in this attempt any more.
    case stays
    /// The machine is gone, after it may have been sent.
    case lost
    /// The machine is gone because its guest switched itself off there.
    case off
    // The host it goes to.
    case ready, arrived
    /// It never will run there in this attempt.
    case void
}

/// What a host says of its part.
public struct MoveReport: Codable, Sendable, Hashable {
    public var attempt: Int64
    public var said: MoveSaid
    /// Where it waits.
    public var endpoint: String?
    public var doneMiB: Int64?
    public var leftMiB: Int64?
    /// How long the guest stood still, or is expected to.
    public var downtimeMilliseconds: Int64?
    public var reason: String?
    public init(
        attempt: Int64, said: MoveSaid, endpoint: String? = nil, doneMiB: Int64? = nil, leftMiB: Int64? = nil,
        downtimeMilliseconds: Int64? = nil, reason: String? = nil
    ) {
        self.attempt = attempt
        self.said = said
        self.endpoint = endpoint
        self.doneMiB = doneMiB
        self.leftMiB = leftMiB
        self.downtimeMilliseconds = downtimeMilliseconds
        self.reason = reason
    }
}

public enum MoveMode: String, Codable, Sendable, CaseIterable { case live, cold }

/// The latest move of an instance.
public struct MoveView: Codable, Sendable, Hashable {
    public var instance: InstanceID
    public var mode: MoveMode
    /// `drain` or `rebalancing`
    public var cause: String
    /// `preparing`, `copying`, `cancelling`, `returning`; over: `arrived`, `stayed` where it was, `lost`, `off` (its guest shut itself down).
    /// Cold: `restarting`.
    public var phase: String
    public var source: HostID
    public var target: HostID
    public var sourceName: String?
    public var targetName: String?
    public var began: Instant
    public var ended: Instant?
    /// Given up when it has not come to an end by then.
    public var deadline: Instant?
    public var doneMiB: Int64?
    public var leftMiB: Int64?
    /// How long the guest stood still, or is expected to.
    public var downtimeMilliseconds: Int64?
    /// Why it did not arrive, or why it is cold.
    public var why: String?
    public init(
        instance: InstanceID, mode: MoveMode, cause: String, phase: String, source: HostID, target: HostID, sourceName: String?,
        targetName: String?, began: Instant, ended: Instant?, deadline: Instant?, doneMiB: Int64?, leftMiB: Int64?,
        downtimeMilliseconds: Int64?, why: String?
    ) {
        self.instance = instance
        self.mode = mode
        self.cause = cause
        self.phase = phase
        self.source = source
        self.target = target
        self.sourceName = sourceName
        self.targetName = targetName
        self.began = began
        self.ended = ended
        self.deadline = deadline
        self.doneMiB = doneMiB
        self.leftMiB = leftMiB
        self.downtimeMilliseconds = downtimeMilliseconds
        self.why = why
    }
}

extension ConnectAPI {
    public static let showMove = Endpoint(
        "showMove", .get, "/v1/instances/{instance}/move", "The latest move of an instance from one host to another.", access: [.operator],
        request: Empty.self, response: MoveView.self)
    public static let listMoves = Endpoint(
        "listMoves", .get, "/v1/moves", "The latest moves, those under way first.", access: [.operator], request: Empty.self,
        response: Page<MoveView>.self)
}
