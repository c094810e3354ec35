public import Primitives

/// Parties + volume + duration + product + price, and the hash of the terms' documents.
///
/// A spot contract covers the rest of the period it was bought in and then rolls: shortly before its end the next period is
/// paid for and the end moves on, until either side stops it or the buyer's cash does not cover the next period.
public struct Contract: Hashable, Sendable {
    public enum State: String, Sendable, CaseIterable {
        case created, delivering
        /// Over, not yet paid for.
        case ended
        /// Over and paid for: nothing changes any more.
        case settled
    }

    public let id: ContractID
    /// 1, 2, 3, … in the order the market made them.
    public let number: Int64
    public let trade: TradeID
    public let series: SeriesID
    public let product: ProductID
    public let buyer: ParticipantID
    public let seller: ParticipantID
    public let datacenter: DatacenterID
    public let lots: Int64
    /// Micro-units per lot-hour.
    public let price: Int64
    public let currency: Currency
    public let termsHash: String
    public let spotPeriod: Span
    public let created: Instant
    /// From the trade to the end of the last period that is paid for.
    public var period: Period
    public var state: State
    /// Set once it is certain that the contract ends, and why.
    public var closing: Closing?
    /// Everything before this moment is paid.
    public var settledUntil: Instant
    /// What the last charge left over when it was rounded; see `LotHourCharge`.
    public var remainder: Int64
    /// Charged to the buyer and paid to the seller so far, in micro-units.
    public var settled: Int64
    /// The buyer's money put aside for the time not yet settled, in micro-units.
    public var held: Int64
    /// The exchange's, on top for the buyer and from what the seller is paid.
    public var fees: ContractFees

    public init(
        id: ContractID, number: Int64, trade: TradeID, series: SeriesID, product: ProductID, buyer: ParticipantID, seller: ParticipantID,
        datacenter: DatacenterID, lots: Int64, price: Int64, currency: Currency, termsHash: String, spotPeriod: Span, created: Instant,
        period: Period, state: State, closing: Closing?, settledUntil: Instant, remainder: Int64, settled: Int64, held: Int64,
        fees: ContractFees = .none
    ) {
        self.id = id
        self.number = number
        self.trade = trade
        self.series = series
        self.product = product
        self.buyer = buyer
        self.seller = seller
        self.datacenter = datacenter
        self.lots = lots
        self.price = price
        self.currency = currency
        self.termsHash = termsHash
        self.spotPeriod = spotPeriod
        self.created = created
        self.period = period
        self.state = state
        self.closing = closing
        self.settledUntil = settledUntil
        self.remainder = remainder
        self.settled = settled
        self.held = held
        self.fees = fees
    }

    /// Why a contract ends, for both sides to read.
    public struct Closing: Hashable, Sendable {
        public enum Cause: String, Sendable, CaseIterable {
            case stoppedByBuyer, stoppedBySeller, stoppedByOperator
            /// The buyer's cash did not cover the next period.
            case cashShort
            /// Ended before its time.
            case endedByOperator
            /// Its trade was declared void: nothing of it is charged.
            case busted
        }
        public var cause: Cause
        /// In words, with the numbers.
        public var detail: String
        public var decided: Instant

        public init(cause: Cause, detail: String, decided: Instant) {
            self.cause = cause
            self.detail = detail
            self.decided = decided
        }
    }
}

extension Contract {
    /// True while it will be rolled again.
    public var rolls: Bool { closing == nil && isLive }
    public var isLive: Bool { state == .created || state == .delivering }

    /// The end of the stretch that is settled next.
    public var pieceEnd: Instant { min(period.end, settledUntil.floored(to: spotPeriod) + spotPeriod) }
    var rollDue: Instant? { rolls ? period.end - Product.rollLead(of: spotPeriod) : nil }

    /// When the clock has something to do with it.
    var nextDue: Instant { rollDue.map { min($0, pieceEnd) } ?? pieceEnd }

    /// The charges of the stretches up to `end`, one after the other as settlement will make them; nil when one does not fit.
    func charges(until end: Instant) -> (total: Int64, remainder: Int64)? {
        var copy = self
        copy.period.end = end
        var total: Int64 = 0
        while copy.settledUntil < end {
            guard let charge = copy.settlePiece(until: copy.pieceEnd) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(charge)
            if overflow { return nil }
            total = sum
        }
        return (total, copy.remainder)
    }

    /// The buyer's fees on these charges.
    func buyerFees(until end: Instant) -> Int64 {
        guard fees.buyer.rate > 0 else { return 0 }
        var copy = self
        copy.period.end = end
        copy.fees.buyer.charged = 0
        while copy.settledUntil < end {
            guard let charge = copy.settlePiece(until: copy.pieceEnd) else { preconditionFailure("limits keep charges small") }
            _ = copy.fees.buyer.take(of: charge)
        }
        return copy.fees.buyer.charged
    }

    /// Moves `settledUntil` to `end` and returns what that stretch costs.
    mutating func settlePiece(until end: Instant) -> Int64? {
        var meter = LotHourCharge(remainder: remainder)
        guard let charge = meter.charge(pricePerLotHour: price, lots: lots, for: end - settledUntil) else { return nil }
        settledUntil = end
        remainder = meter.remainder
        return charge
    }
}
