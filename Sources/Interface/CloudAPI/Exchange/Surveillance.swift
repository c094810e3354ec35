public import Primitives

/// What became of a participant's orders in a series on one day.
public struct ConductView: Codable, Sendable, Hashable {
    /// Midnight UTC.
    public var day: Instant
    public var participant: ParticipantID
    public var participantName: String
    public var series: SeriesID
    /// Orders that are over.
    public var orders: Int64
    /// Of these, taken back by their owner before anything of them was filled.
    public var withdrawn: Int64
    /// Of these, within a second of being placed.
    public var fleeting: Int64
    /// Of those withdrawn, more than 10 % behind the best price of their side at the time.
    public var farFromTouch: Int64
    /// In the book.
    public var trades: Int64
    /// Outside the book.
    public var bilateralTrades: Int64
    /// Thousandths of the orders that were fleeting.
    public var fleetingShare: Int64
    /// Orders for each trade, in thousandths; absent when there was no trade.
    public var ordersPerTrade: Int64?
    public init(
        day: Instant, participant: ParticipantID, participantName: String, series: SeriesID, orders: Int64, withdrawn: Int64,
        fleeting: Int64, farFromTouch: Int64, trades: Int64, bilateralTrades: Int64, fleetingShare: Int64, ordersPerTrade: Int64?
    ) {
        self.day = day
        self.participant = participant
        self.participantName = participantName
        self.series = series
        self.orders = orders
        self.withdrawn = withdrawn
        self.fleeting = fleeting
        self.farFromTouch = farFromTouch
        self.trades = trades
        self.bilateralTrades = bilateralTrades
        self.fleetingShare = fleetingShare
        self.ordersPerTrade = ordersPerTrade
    }
}

public enum SelfMatchOutcome: String, Codable, Sendable, CaseIterable {
    /// The order was refused.
    case refused
    /// An order was cancelled so that the two did not trade.
    case prevented
}

/// Two orders of one participant met, or would have.
public struct SelfMatchView: Codable, Sendable, Hashable {
    public var at: Instant
    public var participant: ParticipantID
    public var series: SeriesID
    public var side: OrderSide
    /// Micro-units per lot-hour.
    public var price: Int64
    public var lots: Int64
    /// The order that was cancelled, or that was in the way of the one refused.
    public var order: String
    public var outcome: SelfMatchOutcome
    /// How often within a minute: refusals on one side of a series are one line, with the first one's numbers.
    public var times: Int64
    public init(
        at: Instant, participant: ParticipantID, series: SeriesID, side: OrderSide, price: Int64, lots: Int64, order: String,
        outcome: SelfMatchOutcome, times: Int64
    ) {
        self.at = at
        self.participant = participant
        self.series = series
        self.side = side
        self.price = price
        self.lots = lots
        self.order = order
        self.outcome = outcome
        self.times = times
    }
}

/// One line of the audit trail.
public struct AuditEntryView: Codable, Sendable, Hashable {
    /// 1, 2, 3, … without gaps.
    public var sequence: Int64
    public var at: Instant
    public var actor: String
    public var action: String
    public var subject: String
    /// JSON.
    public var detail: String
    public var previousHash: String
    /// SHA-256 over all of the above, in hexadecimal.
    public var hash: String
    public init(
        sequence: Int64, at: Instant, actor: String, action: String, subject: String, detail: String, previousHash: String, hash: String
    ) {
        self.sequence = sequence
        self.at = at
        self.actor = actor
        self.action = action
        self.subject = subject
        self.detail = detail
        self.previousHash = previousHash
        self.hash = hash
    }
}

/// What a check of the audit trail found.
public struct AuditVerification: Codable, Sendable, Hashable {
    public var intact: Bool
    /// How many entries were looked at, the first broken one included.
    public var checked: Int64
    /// Number and hash of the newest entry. Keep a copy elsewhere: a trail rewritten as a whole has another.
    public var headSequence: Int64
    public var headHash: String
    /// The number of the first entry that is altered or missing.
    public var firstBroken: Int64?
    /// What is wrong, as a sentence.
    public var problem: String?
    public init(intact: Bool, checked: Int64, headSequence: Int64, headHash: String, firstBroken: Int64?, problem: String?) {
        self.intact = intact
        self.checked = checked
        self.headSequence = headSequence
        self.headHash = headHash
        self.firstBroken = firstBroken
        self.problem = problem
    }
}

/// What doing the journal again gave.
public struct JournalReplayView: Codable, Sendable, Hashable {
    /// Every batch is as it was written, and every command was accepted again.
    public var intact: Bool
    public var batches: Int64
    public var commands: Int64
    /// When the last batch was taken.
    public var at: Instant?
    /// Digest of the market after the last batch, 16 hexadecimal digits.
    public var stateHash: String
    /// Digest of the market that runs. The same when the whole journal was done: what is taken meanwhile is done, too.
    public var runningStateHash: String
    /// The first thing that does not fit, as a sentence.
    public var problem: String?
    public init(
        intact: Bool, batches: Int64, commands: Int64, at: Instant?, stateHash: String, runningStateHash: String, problem: String?
    ) {
        self.intact = intact
        self.batches = batches
        self.commands = commands
        self.at = at
        self.stateHash = stateHash
        self.runningStateHash = runningStateHash
        self.problem = problem
    }

    /// Whether everything is as it should be. Only the whole journal gives the market that runs.
    public func isGood(wasWhole: Bool) -> Bool { intact && (!wasWhole || stateHash == runningStateHash) }
}

extension ExchangeAPI {
    public static let replayJournal = Endpoint(
        "replayJournal", .get, "/v1/journal/replay",
        "Do every command of the market's journal again on an empty market, up to a batch, and compare.", access: [.operator],
        query: [QueryParameter("upTo", .integer, "The last batch to do; all when absent.", range: 1...Int64.max)], request: Empty.self,
        response: JournalReplayView.self)
    public static let listConduct = Endpoint(
        "listConduct", .get, "/v1/surveillance/orders",
        "What became of orders, by participant, series and day, the most fleeting first: orders never meant to trade stand out.",
        access: [.operator],
        query: [
            QueryParameter("day", .string, "The day it is about (RFC 3339, any moment of it); today when absent."),
            QueryParameter("participant", .string, "Only of this participant."),
        ], request: Empty.self, response: Page<ConductView>.self)
    public static let listSelfMatches = Endpoint(
        "listSelfMatches", .get, "/v1/surveillance/self-matches", "Orders that met others of the same participant, newest first.",
        access: [.operator],
        query: QueryParameter.paging + [QueryParameter("participant", .string, "Only of this participant.")], request: Empty.self,
        response: Page<SelfMatchView>.self)
    public static let listAudit = Endpoint(
        "listAudit", .get, "/v1/audit", "The audit trail, oldest first.", access: [.operator], query: QueryParameter.paging,
        request: Empty.self, response: Page<AuditEntryView>.self)
    public static let verifyAudit = Endpoint(
        "verifyAudit", .get, "/v1/audit/verification",
        "Compute the chain of hashes of the audit trail anew; says the first entry that is wrong.",
        access: [.operator],
        query: [
            QueryParameter("sequence", .integer, "Begin after this entry, seen before.", range: 0...Int64.max),
            QueryParameter("hash", .string, "The hash that entry had; the trail must still contain it."),
        ], request: Empty.self, response: AuditVerification.self)
}
