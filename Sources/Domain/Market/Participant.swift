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
    /// How far below zero its cash may go, in micro-units.
    public var creditLine: Int64
    /// How many times that was set.
    public var creditChanges: Int64

    public init(
        id: ParticipantID, name: String, buys: Bool, sells: Bool, currency: Currency, created: Instant, suspended: String? = nil,
        creditLine: Int64 = 0, creditChanges: Int64 = 0
    ) {
        self.id = id
        self.name = name
        self.buys = buys
        self.sells = sells
        self.currency = currency
        self.created = created
        self.suspended = suspended
        self.creditLine = creditLine
        self.creditChanges = creditChanges
    }
}
