public import Primitives

/// A trade declared void. The trade stays where it is; this says that it does not count, and why.
public struct Bust: Codable, Hashable, Sendable {
    public let trade: TradeID
    /// The trade's.
    public let number: Int64
    public let series: SeriesID
    public let contract: ContractID
    public let reason: String
    public let at: Instant
    /// Paid back to the buyer by the seller, in micro-units.
    public let paidBack: Int64

    public init(
        trade: TradeID, number: Int64, series: SeriesID, contract: ContractID, reason: String, at: Instant, paidBack: Int64
    ) {
        self.trade = trade
        self.number = number
        self.series = series
        self.contract = contract
        self.reason = reason
        self.at = at
        self.paidBack = paidBack
    }
}
