public import Primitives

/// A company on the exchange.
public struct Participant: Hashable, Sendable {
    public let id: ParticipantID
    /// Unique in the market.
    public let name: String
    public let buys: Bool
    public let sells: Bool
    /// The one currency its ledger accounts are kept in.
    public let currency: Currency
    public let created: Instant
    /// Why it may not trade now.
    public var suspended: String?

    public init(
        id: ParticipantID, name: String, buys: Bool, sells: Bool, currency: Currency, created: Instant, suspended: String? = nil
    ) {
        self.id = id
        self.name = name
        self.buys = buys
        self.sells = sells
        self.currency = currency
        self.created = created
        self.suspended = suspended
    }
}
