public import Primitives

public enum SeriesEventKind: String, Codable, Sendable, CaseIterable {
    /// The whole book; what was known before is to be forgotten.
    case snapshot
    /// What is different since the event before.
    case change
    /// Events are missing that are not kept any more; a snapshot follows.
    case gap
}

/// One event of a series' stream. Its identifier, by which a reader resumes, stands beside it in the stream.
public struct SeriesEvent: Codable, Sendable, Hashable {
    public var kind: SeriesEventKind
    /// Consecutive: a change has the number after that of the event before it.
    public var sequence: Int64
    public var at: Instant
    /// Snapshot: every level, best first. Change: each level that is different now, in the same order; 0 lots: it is gone.
    public var bids: [PriceLevel]
    public var asks: [PriceLevel]
    /// Snapshot: the last trade, if there was one. Change: all trades since, oldest first.
    public var trades: [TradePrint]
    /// Change: trades, told before, that were declared void since.
    public var busted: [TradePrint]
    /// `open`, `halted`, `closed` or `expired`.
    public var state: String
    /// Why it is halted.
    public var reason: String?
    public init(
        kind: SeriesEventKind, sequence: Int64, at: Instant, bids: [PriceLevel] = [], asks: [PriceLevel] = [], trades: [TradePrint] = [],
        busted: [TradePrint] = [], state: String, reason: String? = nil
    ) {
        self.kind = kind
        self.sequence = sequence
        self.at = at
        self.bids = bids
        self.asks = asks
        self.trades = trades
        self.busted = busted
        self.state = state
        self.reason = reason
    }
}

extension ExchangeAPI {
    public static let streamSeries = Endpoint(
        "streamSeries", .get, "/v1/series/{series}/stream",
        "Server-sent events: the book of a series, then what changes in it. A reader that sends `Last-Event-ID` goes on after that event.",
        access: [.anyone],
        query: [QueryParameter("after", .string, "The identifier of the last event seen; the same as the header Last-Event-ID.")],
        answer: .events, request: Empty.self, response: SeriesEvent.self)
}
