public import Primitives

/// Why one instance cannot be moved, or waits.
public struct BlockedView: Codable, Sendable, Hashable {
    public var instance: InstanceID
    public var rule: String
    public var message: String
    public var nearest: String?
    public init(instance: InstanceID, rule: String, message: String, nearest: String?) {
        self.instance = instance
        self.rule = rule
        self.message = message
        self.nearest = nearest
    }
}

/// How far a drain is.
public struct DrainView: Codable, Sendable, Hashable {
    public var began: Instant
    public var mayRestart: Bool
    public var concurrentMoves: Int64
    /// Moves under way.
    public var underWay: Int64
    /// Starting, stopping or being removed: each moves, or is gone, once it has come to rest.
    public var settling: Int64
    /// Waiting for their turn.
    public var queued: Int64
    /// The first 50 of those that are settling, each with what it waits for.
    public var unsettled: [BlockedView]
    /// How many cannot move; the drain does not end before somebody sees to them.
    public var blockedCount: Int64
    /// The first 50 of them, each with why.
    public var blocked: [BlockedView]
    public var done: Bool
    public init(
        began: Instant, mayRestart: Bool, concurrentMoves: Int64, underWay: Int64, settling: Int64, queued: Int64,
        unsettled: [BlockedView], blockedCount: Int64, blocked: [BlockedView], done: Bool
    ) {
        self.began = began
        self.mayRestart = mayRestart
        self.concurrentMoves = concurrentMoves
        self.underWay = underWay
        self.settling = settling
        self.queued = queued
        self.unsettled = unsettled
        self.blockedCount = blockedCount
        self.blocked = blocked
        self.done = done
    }
}

/// What becomes of a host, and why.
public struct HostLifeView: Codable, Sendable {
    /// `enrolled`, `up`, `suspect`, `fencing`, `fenced`, `evacuated`, `waiting`, `returning`, `retired`
    public var health: String
    /// What operators want of it: `open`, `cordoned`, `draining`, `maintenance`
    public var duty: String
    /// Of its health.
    public var since: Instant
    /// Counts the times it was fenced; its fencing token.
    public var epoch: Int64
    /// Why it is known to run nothing: `power`, `storage-lease`, `operator`; absent: it may run something.
    public var proof: String?
    /// Why it is not fenced, or what went wrong in the last attempt.
    public var trouble: String?
    public var quarantine: String?
    /// Instances of a failed host that wait, each with why.
    public var waiting: [BlockedView]
    public var drain: DrainView?
    public init(
        health: String, duty: String, since: Instant, epoch: Int64, proof: String?, trouble: String?, quarantine: String?,
        waiting: [BlockedView], drain: DrainView?
    ) {
        self.health = health
        self.duty = duty
        self.since = since
        self.epoch = epoch
        self.proof = proof
        self.trouble = trouble
        self.quarantine = quarantine
        self.waiting = waiting
        self.drain = drain
    }
}

public struct DrainHost: Codable, Sendable {
    /// For the people who wonder, 1 to 200 characters.
    public var reason: String
    /// Running instances may be shut down and started again elsewhere; false when absent.
    public var mayRestart: Bool?
    /// Moves at once, 1 to 50; 2 when absent.
    public var concurrentMoves: Int64?
    public init(reason: String, mayRestart: Bool? = nil, concurrentMoves: Int64? = nil) {
        self.reason = reason
        self.mayRestart = mayRestart
        self.concurrentMoves = concurrentMoves
    }
}

public struct FenceHost: Codable, Sendable {
    /// A person has seen that the host is off: no driver is asked. Wrongly said, an instance may run twice and destroy its disk.
    public var vouchedOff: Bool?
    public init(vouchedOff: Bool? = nil) { self.vouchedOff = vouchedOff }
}

extension ConnectAPI {
    public static let drainHost = Endpoint(
        "drainHost", .post, "/v1/hosts/{host}/drain", "Move everything off a host; nothing new goes there until it is uncordoned.",
        access: [.operator], success: 202, request: DrainHost.self, response: HostDetail.self)
    public static let fenceHost = Endpoint(
        "fenceHost", .post, "/v1/hosts/{host}/fence", "Switch a silent host off, or vouch that it is off.", access: [.operator],
        success: 202, request: FenceHost.self, response: HostDetail.self)
}
