public import Primitives

/// Parties + volume + duration + product + price, and the hash of the terms' documents.
///
/// A spot contract covers the rest of the period it was bought in and then rolls: shortly before its end the next period is
/// paid for and the end moves on, until either side stops it or the buyer's cash does not cover the next period.
///
/// A forward contract delivers during the period of its series and does not roll. It is paid ahead stretch by stretch, each as long as
/// a spot period; a buyer who cannot pay the next one ends it early, and loses of the margin what the product's terms say.
public struct Contract: Hashable, Sendable {
    public enum State: String, Sendable, CaseIterable {
        case created, delivering
        /// Over; some of it is not yet paid for, for lack of reports or because they are disputed.
        case ended
        /// Over and paid for: nothing changes any more.
        case settled
    }

    public let id: ContractID
    /// 1, 2, 3, … in the order the market made them.
    public let number: Int64
    public let trade: TradeID
    /// Of a bilateral trade; nil: two orders met.
    public let proposal: ProposalID?
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
    /// The period of its series; nil: spot.
    public let delivery: Period?
    /// Spot: from the trade to the end of the last period that is paid for. A forward: its delivery, cut short when it ends early.
    public var period: Period
    public var state: State
    /// Set once it is certain that the contract ends, and why.
    public var closing: Closing?
    /// Everything before this moment is charged.
    public var settledUntil: Instant
    /// What the last charge left over when it was rounded; see `LotHourCharge`.
    public var remainder: Int64
    /// Paid to the seller so far, in micro-units.
    public var settled: Int64
    /// The buyer's money put aside for the time paid ahead and not yet charged, in micro-units. What is charged and not yet paid is held
    /// by the contract's deliveries.
    public var held: Int64
    /// Everything before this moment is charged or held.
    public var paidUntil: Instant
    /// What buyer and seller of a forward have put up, until it is over. Micro-units.
    public var margin: Int64
    public var bond: Int64
    /// The exchange's, on top for the buyer and from what the seller is paid.
    public var fees: ContractFees
    /// Charged and given back to the buyer so far, in micro-units.
    public var credited: Int64
    public var confirmation: Confirmation
    /// How it ended.
    public var outcome: Outcome?

    public init(
        id: ContractID, number: Int64, trade: TradeID, proposal: ProposalID? = nil, series: SeriesID, product: ProductID,
        buyer: ParticipantID,
        seller: ParticipantID, datacenter: DatacenterID, lots: Int64, price: Int64, currency: Currency, termsHash: String, spotPeriod: Span,
        created: Instant,
        delivery: Period? = nil, period: Period, state: State, closing: Closing?, settledUntil: Instant, remainder: Int64, settled: Int64,
        held: Int64, paidUntil: Instant, margin: Int64 = 0, bond: Int64 = 0, credited: Int64 = 0, fees: ContractFees = .none,
        confirmation: Confirmation, outcome: Outcome? = nil
    ) {
        self.id = id
        self.number = number
        self.trade = trade
        self.proposal = proposal
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
        self.delivery = delivery
        self.period = period
        self.state = state
        self.closing = closing
        self.settledUntil = settledUntil
        self.remainder = remainder
        self.settled = settled
        self.held = held
        self.paidUntil = paidUntil
        self.margin = margin
        self.bond = bond
        self.fees = fees
        self.credited = credited
        self.confirmation = confirmation
        self.outcome = outcome
    }

    /// A side confirms a contract by pulling a certificate of it.
    public struct Confirmation: Codable, Hashable, Sendable {
        /// Until then both must have.
        public var deadline: Instant
        public var buyer: Instant?
        public var seller: Instant?

        public init(deadline: Instant, buyer: Instant? = nil, seller: Instant? = nil) {
            self.deadline = deadline
            self.buyer = buyer
            self.seller = seller
        }

        public var isComplete: Bool { buyer != nil && seller != nil }

        public subscript(party: ContractParty) -> Instant? {
            get { party == .buyer ? buyer : seller }
            set { if party == .buyer { buyer = newValue } else { seller = newValue } }
        }
    }

    public enum Outcome: String, Codable, Sendable, CaseIterable {
        /// To the end of its period.
        case delivered
        case endedEarly = "ended-early"
        /// A side did not confirm it, or the buyer did not pay all of a forward.
        case defaulted
    }

    /// Why a contract ends, for both sides to read.
    public struct Closing: Hashable, Sendable {
        public enum Cause: String, Sendable, CaseIterable {
            case stoppedByBuyer, stoppedBySeller, stoppedByOperator
            /// The buyer's cash did not cover the next period.
            case cashShort
            /// A forward was delivered to its end.
            case periodOver
            /// Ended before its time.
            case endedByOperator
            /// Its trade was declared void: nothing of it is charged.
            case busted
            case notConfirmedByBuyer, notConfirmedBySeller, notConfirmed
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
    public var isForward: Bool { delivery != nil }
    /// True while it will be rolled again.
    public var rolls: Bool { !isForward && closing == nil && isLive }
    public var isLive: Bool { state == .created || state == .delivering }

    /// The end of the stretch that is settled next.
    public var pieceEnd: Instant { min(period.end, stretchEnd(after: settledUntil)) }
    /// The end of the stretch that is paid next.
    var nextPaidUntil: Instant { delivery.map { min($0.end, stretchEnd(after: paidUntil)) } ?? stretchEnd(after: paidUntil) }
    private func stretchEnd(after moment: Instant) -> Instant { moment.floored(to: spotPeriod) + spotPeriod }

    /// When the next stretch is to be paid: spot goes on for ever, a forward to the end of its delivery.
    var payDue: Instant? {
        guard closing == nil, isLive, delivery.map({ paidUntil < $0.end }) ?? true else { return nil }
        return paidUntil - Product.rollLead(of: spotPeriod)
    }

    /// Without both confirmations it ends then. What is over before it begins is not confirmed any more.
    var confirmationDue: Instant? {
        isLive && !confirmation.isComplete && period.start < period.end ? confirmation.deadline : nil
    }

    /// When the clock has something to do with it; nil once it is over.
    var nextDue: Instant? {
        guard isLive else { return nil }
        let next = state == .created ? period.start : pieceEnd
        return min(next, payDue ?? next, confirmationDue ?? next)
    }

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

    /// Moves `settledUntil` to `end` and returns what that stretch costs.
    mutating func settlePiece(until end: Instant) -> Int64? {
        var meter = LotHourCharge(remainder: remainder)
        guard let charge = meter.charge(pricePerLotHour: price, lots: lots, for: end - settledUntil) else { return nil }
        settledUntil = end
        remainder = meter.remainder
        return charge
    }
}
