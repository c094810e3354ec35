import Primitives

/// How a product's market is kept in order, and what trading it costs. Part of its terms.
public struct RiskTerms: Codable, Hashable, Sendable {
    /// Price collar: how far from the reference price orders may be priced, in thousandths of it. Nil: anywhere.
    public var collar: Int64?
    /// Volatility band: how far from the reference price orders may trade before the series halts by itself, in thousandths. Nil: anywhere.
    public var band: Int64?
    /// How long a series halts by itself: 1 to 86,400.
    public var haltSeconds: Int64
    public var reference: ReferencePrice.Rule
    /// In millionths of each charge, from the side that took and from the side that rested.
    public var takerFee: Int64
    public var makerFee: Int64

    public init(
        collar: Int64? = nil, band: Int64? = nil, haltSeconds: Int64 = 300, reference: ReferencePrice.Rule = .standard,
        takerFee: Int64 = 0, makerFee: Int64 = 0
    ) {
        self.collar = collar
        self.band = band
        self.haltSeconds = haltSeconds
        self.reference = reference
        self.takerFee = takerFee
        self.makerFee = makerFee
    }

    /// No collar, no band, no fees.
    public static let none = RiskTerms()

    /// Millionths of a charge.
    func fee(of side: Side, taker: Side) -> Int64 { side == taker ? takerFee : makerFee }
}

extension RiskTerms {
    private static let thousandths: ClosedRange<Int64> = 1...100_000
    private static let haltRange: ClosedRange<Int64> = 1...86_400
    /// A tenth.
    private static let fees: ClosedRange<Int64> = 0...100_000

    func check() throws(Refusal) {
        if let collar { try checkRange(collar, Self.thousandths, "price collar in thousandths", rule: "market.risk") }
        if let band { try checkRange(band, Self.thousandths, "volatility band in thousandths", rule: "market.risk") }
        try checkRange(haltSeconds, Self.haltRange, "halt in seconds", rule: "market.risk")
        try checkRange(reference.trades, 1...1_000, "number of trades the reference price is made of", rule: "market.risk")
        try checkRange(
            reference.minimumLots, 1...OrderLimits.standard.largestLots, "smallest volume of the reference price in lots",
            rule: "market.risk")
        try checkRange(takerFee, Self.fees, "taker's fee in millionths", rule: "market.risk")
        try checkRange(makerFee, Self.fees, "maker's fee in millionths", rule: "market.risk")
    }
}
