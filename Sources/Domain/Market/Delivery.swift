public import Primitives

/// What one side measured of one stretch of a contract. Times volume is in lot-microseconds: so many lots for so many microseconds.
public struct DeliveryReport: Codable, Hashable, Sendable {
    public enum Cause: String, Codable, Hashable, Sendable, CaseIterable {
        case host, instance, network, storage, maintenance, connection
    }
    public struct Unavailability: Codable, Hashable, Sendable {
        public var cause: Cause
        public var lotMicroseconds: Int64

        public init(cause: Cause, lotMicroseconds: Int64) {
            self.cause = cause
            self.lotMicroseconds = lotMicroseconds
        }
    }

    public var period: Period
    /// What the buyer's machines should have had.
    public var demanded: Int64
    /// What they had.
    public var delivered: Int64
    /// What they had not, by cause: `demanded` less `delivered`.
    public var unavailable: [Unavailability]
    /// SHA-256 of the readings behind it, lower-case hexadecimal.
    public var evidenceHash: String
    /// Serial number of the certificate whose key signed it, and the signature.
    public var signer: String
    public var signature: String

    public init(
        period: Period, demanded: Int64, delivered: Int64, unavailable: [Unavailability], evidenceHash: String, signer: String,
        signature: String
    ) {
        self.period = period
        self.demanded = demanded
        self.delivered = delivered
        self.unavailable = unavailable
        self.evidenceHash = evidenceHash
        self.signer = signer
        self.signature = signature
    }

    /// The numbers alone: what was reported, however it was signed.
    public func says(theSameAs other: DeliveryReport) -> Bool {
        var copy = other
        (copy.signer, copy.signature) = (signer, signature)
        return copy == self
    }

    /// Adds up: `check` has seen to it that this fits.
    var shortfall: Int64 { demanded - delivered }
}

/// One stretch of a contract that is over: what it costs, what both sides say was delivered, and where the money goes.
public struct Delivery: Hashable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        /// For reports.
        case waiting
        /// What is not in dispute is paid.
        case disputed
        case settled
    }
    /// What the payment goes by.
    public enum Basis: String, Codable, Sendable, CaseIterable {
        case agreed
        /// The other side was silent.
        case buyersReport = "buyers-report"
        case sellersReport = "sellers-report"
        /// Both were silent: as contracted.
        case contracted
        /// The seller never confirmed the contract: nothing was delivered.
        case unconfirmed
        case disputed
        /// The trade was declared void.
        case busted
    }
    public struct Received: Codable, Hashable, Sendable {
        public var report: DeliveryReport
        public var at: Instant

        public init(report: DeliveryReport, at: Instant) {
            self.report = report
            self.at = at
        }
    }

    public let contract: ContractID
    public let period: Period
    public let lots: Int64
    /// Micro-units; paid + credited + held.
    public let charge: Int64
    /// When the clock has something to do with it: until then reports, or the resolution of its dispute, are awaited.
    public var due: Instant
    public var state: State
    public var buyer: Received?
    public var seller: Received?
    public var basis: Basis?
    /// Thousandths of the contracted lot-time, where it was found out.
    public var availability: Int64?
    /// To the seller, in micro-units.
    public var paid: Int64
    /// Back to the buyer, in micro-units.
    public var credited: Int64
    public var dispute: Dispute?

    public init(
        contract: ContractID, period: Period, lots: Int64, charge: Int64, due: Instant, state: State = .waiting, buyer: Received? = nil,
        seller: Received? = nil, basis: Basis? = nil, availability: Int64? = nil, paid: Int64 = 0, credited: Int64 = 0,
        dispute: Dispute? = nil
    ) {
        self.contract = contract
        self.period = period
        self.lots = lots
        self.charge = charge
        self.due = due
        self.state = state
        self.buyer = buyer
        self.seller = seller
        self.basis = basis
        self.availability = availability
        self.paid = paid
        self.credited = credited
        self.dispute = dispute
    }

    /// The buyer's money still put aside for it.
    public var held: Int64 { charge - paid - credited }
    /// Lot-microseconds. Fits 64 bits by the bounds of `OrderLimits` and of spot periods.
    public var contracted: Int64 { lots * period.length.microseconds }

    public subscript(party: ContractParty) -> Received? {
        get { party == .buyer ? buyer : seller }
        set { if party == .buyer { buyer = newValue } else { seller = newValue } }
    }
}

/// A difference between two reports that is too large to pass over. The money in dispute is what the two would pay differently.
public struct Dispute: Codable, Hashable, Sendable {
    /// What a side would settle for.
    public struct Answer: Codable, Hashable, Sendable {
        /// Micro-units of the amount in dispute; the rest is the seller's.
        public var toBuyer: Int64
        public var note: String
        public var at: Instant

        public init(toBuyer: Int64, note: String, at: Instant) {
            self.toBuyer = toBuyer
            self.note = note
            self.at = at
        }
    }
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        case agreed, ruled
        /// Its deadline passed.
        case expired
        /// The trade was declared void.
        case busted
    }
    public struct Resolution: Codable, Hashable, Sendable {
        public var outcome: Outcome
        public var toBuyer: Int64
        public var note: String
        public var at: Instant

        public init(outcome: Outcome, toBuyer: Int64, note: String, at: Instant) {
            self.outcome = outcome
            self.toBuyer = toBuyer
            self.note = note
            self.at = at
        }
    }

    public let id: DisputeID
    /// Micro-units.
    public let amount: Int64
    public let opened: Instant
    public let deadline: Instant
    public var buyer: Answer?
    public var seller: Answer?
    public var resolution: Resolution?

    public init(
        id: DisputeID, amount: Int64, opened: Instant, deadline: Instant, buyer: Answer? = nil, seller: Answer? = nil,
        resolution: Resolution? = nil
    ) {
        self.id = id
        self.amount = amount
        self.opened = opened
        self.deadline = deadline
        self.buyer = buyer
        self.seller = seller
        self.resolution = resolution
    }

    public subscript(party: ContractParty) -> Answer? {
        get { party == .buyer ? buyer : seller }
        set { if party == .buyer { buyer = newValue } else { seller = newValue } }
    }
}

extension Delivery {
    struct Key: Hashable, Sendable {
        let contract: ContractID
        let start: Instant
    }
    var key: Key { Key(contract: contract, start: period.start) }
}
