public import Primitives

/// How a product's market is kept in order and what trading it costs. What is absent is not limited, and costs nothing.
public struct ProductRisk: Codable, Sendable, Hashable {
    /// Price collar: orders are priced at most so many thousandths of the reference price away from it. 1 to 100000.
    public var collarThousandths: Int64?
    /// Volatility band: a series halts by itself before a trade farther than so many thousandths from the reference price. 1 to 100000.
    public var bandThousandths: Int64?
    /// How long it halts by itself, 1 to 86400; 300 when absent.
    public var haltSeconds: Int64?
    /// Of how many of the last trades the reference price is the volume-weighted average, 1 to 1000; 20 when absent.
    public var referenceTrades: Int64?
    /// How many lots these trades must have together to count; 1 when absent.
    public var referenceMinimumLots: Int64?
    /// Millionths of each charge, from the side whose order took; at most 100000.
    public var takerFeeMillionths: Int64?
    /// Millionths of each charge, from the side whose order rested; at most 100000.
    public var makerFeeMillionths: Int64?

    public init(
        collarThousandths: Int64? = nil, bandThousandths: Int64? = nil, haltSeconds: Int64? = nil, referenceTrades: Int64? = nil,
        referenceMinimumLots: Int64? = nil, takerFeeMillionths: Int64? = nil, makerFeeMillionths: Int64? = nil
    ) {
        self.collarThousandths = collarThousandths
        self.bandThousandths = bandThousandths
        self.haltSeconds = haltSeconds
        self.referenceTrades = referenceTrades
        self.referenceMinimumLots = referenceMinimumLots
        self.takerFeeMillionths = takerFeeMillionths
        self.makerFeeMillionths = makerFeeMillionths
    }
}

/// Prices from the lowest to the highest, in micro-units per lot-hour.
public struct PriceRange: Codable, Sendable, Hashable {
    public var lowest: Int64
    public var highest: Int64
    public init(lowest: Int64, highest: Int64) {
        self.lowest = lowest
        self.highest = highest
    }
}

/// What a series is worth until enough trades after this say otherwise.
public struct SetReferencePrice: Codable, Sendable {
    /// Micro-units per lot-hour.
    public var price: Int64
    /// For the audit trail.
    public var reason: String
    public init(price: Int64, reason: String) {
        self.price = price
        self.reason = reason
    }
}

/// How far below zero a participant's cash may go.
public struct GrantCreditLine: Codable, Sendable {
    /// In the participant's currency; zero takes the line away.
    public var amount: Money
    public var reason: String
    public init(amount: Money, reason: String) {
        self.amount = amount
        self.reason = reason
    }
}

/// A credit line, what of it is used, and how it came to be.
public struct CreditLineView: Codable, Sendable {
    public var participant: ParticipantID
    public var amount: Money
    /// The part of it the participant's cash is below zero by.
    public var used: Money
    /// What is left for orders and contracts; withdrawals never use it.
    public var available: Money
    /// The last hundred, newest first.
    public var changes: [CreditLineChange]
    public init(participant: ParticipantID, amount: Money, used: Money, available: Money, changes: [CreditLineChange]) {
        self.participant = participant
        self.amount = amount
        self.used = used
        self.available = available
        self.changes = changes
    }
}

public struct CreditLineChange: Codable, Sendable {
    /// 1, 2, 3, …
    public var number: Int64
    public var amount: Money
    public var previous: Money
    public var reason: String
    public var at: Instant
    public init(number: Int64, amount: Money, previous: Money, reason: String, at: Instant) {
        self.number = number
        self.amount = amount
        self.previous = previous
        self.reason = reason
        self.at = at
    }
}

/// Why a trade is declared void, for both sides to read.
public struct BustTrade: Codable, Sendable {
    public var reason: String
    public init(reason: String) { self.reason = reason }
}

/// A trade that does not count any more.
public struct BustView: Codable, Sendable {
    public var reason: String
    public var at: Instant
    /// What the seller paid back to the buyer, in micro-units; shown to both sides and to the operator.
    public var paidBackMicroUnits: Int64?
    public init(reason: String, at: Instant, paidBackMicroUnits: Int64?) {
        self.reason = reason
        self.at = at
        self.paidBackMicroUnits = paidBackMicroUnits
    }
}

extension ExchangeAPI {
    public static let setReferencePrice = Endpoint(
        "setReferencePrice", .put, "/v1/series/{series}/reference",
        "Set what a series is worth, until enough trades after it say otherwise.", access: [.operator], request: SetReferencePrice.self,
        response: SeriesView.self)
    public static let grantCreditLine = Endpoint(
        "grantCreditLine", .put, "/v1/participants/{participant}/credit-line",
        "Set how far below zero a participant's cash may go for orders and contracts.", access: [.operator],
        request: GrantCreditLine.self, response: CreditLineView.self)
    public static let showCreditLine = Endpoint(
        "showCreditLine", .get, "/v1/participants/{participant}/credit-line", "A participant's credit line and how it came to be.",
        access: traders, request: Empty.self, response: CreditLineView.self)
    public static let bustTrade = Endpoint(
        "bustTrade", .post, "/v1/trades/{trade}/bust",
        "Declare a trade void: its contract ends now, and everything paid and put aside for it goes back.", access: [.operator],
        request: BustTrade.self, response: TradeView.self)
}
