public import Primitives

/// One of the two sides of a contract.
public enum ContractParty: String, Codable, Hashable, Sendable, CaseIterable {
    case buyer, seller

    public var other: ContractParty { self == .buyer ? .seller : .buyer }
}

/// How the delivery of a product is confirmed, measured and, when it falls short, compensated: the numbers of its service-level profile.
public struct DeliveryTerms: Codable, Hashable, Sendable {
    /// Below so much availability, so much of the stretch's charge goes back to the buyer.
    public struct Penalty: Codable, Hashable, Sendable {
        /// Thousandths of the contracted lot-time.
        public var below: Int64
        /// Thousandths of the stretch's charge.
        public var credit: Int64

        public init(below: Int64, credit: Int64) {
            self.below = below
            self.credit = credit
        }
    }

    /// From the trade on, until both sides must have pulled a certificate of the contract.
    public var confirmationSeconds: Int64
    /// From the end of a stretch on, until both sides must have reported.
    public var graceSeconds: Int64
    /// From the opening of a dispute on, until it is resolved without an agreement, or waits for the operator.
    public var disputeSeconds: Int64
    /// Reports whose shortfalls differ by at most this much agree: thousandths of the contracted lot-time.
    public var tolerance: Int64
    /// Strictly less availability, strictly more credit.
    public var penalties: [Penalty]

    public init(confirmationSeconds: Int64, graceSeconds: Int64, disputeSeconds: Int64, tolerance: Int64, penalties: [Penalty]) {
        self.confirmationSeconds = confirmationSeconds
        self.graceSeconds = graceSeconds
        self.disputeSeconds = disputeSeconds
        self.tolerance = tolerance
        self.penalties = penalties
    }

    /// What holds for a product that says nothing else. Short spot periods, which are for trying things out, have short terms.
    public static func standard(for spotPeriod: Span) -> DeliveryTerms {
        DeliveryTerms(
            confirmationSeconds: 600, graceSeconds: max(5, min(300, spotPeriod.seconds / 12)),
            disputeSeconds: min(604_800, 168 * spotPeriod.seconds), tolerance: 10,
            penalties: [Penalty(below: 999, credit: 100), Penalty(below: 990, credit: 250), Penalty(below: 950, credit: 1_000)])
    }
}

extension DeliveryTerms {
    var confirmation: Span { .seconds(confirmationSeconds) }
    var grace: Span { .seconds(graceSeconds) }
    var dispute: Span { .seconds(disputeSeconds) }

    /// What of a charge goes back when so much of the contracted lot-time was not available: rounded half-even, once.
    func credit(charge: Int64, shortfall: Int64, contracted: Int64) -> Int64 {
        let share = penalties.last { availability(shortfall: shortfall, contracted: contracted) < $0.below }?.credit ?? 0
        return Int64((Int128(charge) * Int128(share)).dividedHalfEven(by: 1_000))
    }

    /// Thousandths of the contracted lot-time, rounded down.
    func availability(shortfall: Int64, contracted: Int64) -> Int64 {
        contracted == 0 ? 1_000 : Int64(Int128(contracted - shortfall) * 1_000 / Int128(contracted))
    }

    func agree(_ a: Int64, _ b: Int64, contracted: Int64) -> Bool {
        Int128((a - b).magnitude) * 1_000 <= Int128(tolerance) * Int128(contracted)
    }

    func check(spotPeriod: Span) throws(Refusal) {
        try checkRange(confirmationSeconds, 10...86_400, "time to confirm in seconds", rule: "market.confirmation")
        try checkRange(graceSeconds, 1...spotPeriod.seconds, "time to report in seconds", rule: "market.grace")
        try checkRange(disputeSeconds, 60...7_776_000, "length of a dispute in seconds", rule: "market.dispute-length")
        try checkRange(tolerance, 0...1_000, "tolerance in thousandths", rule: "market.tolerance")
        try checkRange(Int64(penalties.count), 0...20, "number of penalties", rule: "market.penalties")
        var before = Penalty(below: 1_001, credit: 0)
        for penalty in penalties {
            guard (1...1_000).contains(penalty.below), (1...1_000).contains(penalty.credit), penalty.below < before.below,
                penalty.credit > before.credit
            else {
                throw Refusal(
                    "market.penalties", .invalid,
                    "A penalty of \(penalty.credit)‰ below \(penalty.below)‰ does not follow on \(before.credit)‰ below \(before.below)‰.",
                    facts: ["below": .number(penalty.below), "credit": .number(penalty.credit)],
                    nearest: "from 1 to 1000, each with less availability and more credit than the one before")
            }
            before = penalty
        }
    }
}
