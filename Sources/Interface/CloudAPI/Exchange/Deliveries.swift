public import Primitives

/// The two sides of a contract.
public enum DeliverySide: String, Codable, Sendable, CaseIterable { case buyer, seller }
/// Why lots were not available. `connection`: nobody could tell.
public enum UnavailabilityCause: String, Codable, Sendable, CaseIterable { case host, instance, network, storage, maintenance, connection }
/// `waiting` for reports; `disputed`: what is not in dispute is paid; `settled`: paid.
public enum DeliveryState: String, Codable, Sendable, CaseIterable { case waiting, disputed, settled }

/// Lots that were not available, times for how long.
public struct UnavailabilityView: Codable, Sendable, Hashable {
    public var cause: UnavailabilityCause
    public var lotMicroseconds: Int64
    public init(cause: UnavailabilityCause, lotMicroseconds: Int64) {
        self.cause = cause
        self.lotMicroseconds = lotMicroseconds
    }
}

/// What one side measured of a stretch of a contract that is over, signed. Volume times time is in lot-microseconds.
public struct ReportDelivery: Codable, Sendable {
    /// Exactly a stretch that waits for reports.
    public var period: Period
    /// What the buyer's machines should have had: at most lots times time.
    public var demandedLotMicroseconds: Int64
    /// What they had.
    public var deliveredLotMicroseconds: Int64
    /// Demanded less delivered, by cause.
    public var unavailable: [UnavailabilityView]
    /// SHA-256 of the readings behind it, lower-case hexadecimal. Keep them: they are what a dispute is about.
    public var evidenceHash: String
    /// PEM: the reporting program's identity, or this side's certificate of the contract, then intermediates.
    public var certificate: String
    /// ECDSA P-256 with SHA-256 over `signedText`, DER in base64.
    public var signature: String

    public init(
        period: Period, demandedLotMicroseconds: Int64, deliveredLotMicroseconds: Int64, unavailable: [UnavailabilityView],
        evidenceHash: String, certificate: String = "", signature: String = ""
    ) {
        self.period = period
        self.demandedLotMicroseconds = demandedLotMicroseconds
        self.deliveredLotMicroseconds = deliveredLotMicroseconds
        self.unavailable = unavailable
        self.evidenceHash = evidenceHash
        self.certificate = certificate
        self.signature = signature
    }

    /// What is signed: one `name: value` per line, UTF-8, each line ended by a line feed; times in microseconds since 1970.
    public func signedText(contract: ContractID, side: DeliverySide) -> String {
        let lines =
            [
                "bourse-delivery: 1", "contract: \(contract)", "side: \(side.rawValue)", "start: \(period.start.microseconds)",
                "end: \(period.end.microseconds)", "demanded: \(demandedLotMicroseconds)", "delivered: \(deliveredLotMicroseconds)",
            ] + unavailable.map { "unavailable: \($0.cause.rawValue) \($0.lotMicroseconds)" } + ["evidence: \(evidenceHash)"]
        return lines.map { $0 + "\n" }.joined()
    }
}

/// A report as the exchange has it.
public struct DeliveryReportView: Codable, Sendable {
    public var received: Instant
    public var demandedLotMicroseconds: Int64
    public var deliveredLotMicroseconds: Int64
    public var unavailable: [UnavailabilityView]
    public var evidenceHash: String
    /// Serial number of the certificate whose key signed it.
    public var signer: String
    public var signature: String
    public init(
        received: Instant, demandedLotMicroseconds: Int64, deliveredLotMicroseconds: Int64, unavailable: [UnavailabilityView],
        evidenceHash: String, signer: String, signature: String
    ) {
        self.received = received
        self.demandedLotMicroseconds = demandedLotMicroseconds
        self.deliveredLotMicroseconds = deliveredLotMicroseconds
        self.unavailable = unavailable
        self.evidenceHash = evidenceHash
        self.signer = signer
        self.signature = signature
    }
}

/// One stretch of a contract that is over: what it costs, what was delivered, and where the money went.
public struct DeliveryView: Codable, Sendable {
    public var contract: ContractID
    public var period: Period
    public var lots: Int64
    public var state: DeliveryState
    /// Until then reports, or the resolution of the dispute, are awaited.
    public var due: Instant?
    public var currency: Currency
    public var chargeMicroUnits: Int64
    /// To the seller.
    public var paidMicroUnits: Int64
    /// Back to the buyer.
    public var creditedMicroUnits: Int64
    /// Still put aside.
    public var heldMicroUnits: Int64
    /// What the payment goes by: `agreed`, `buyers-report`, `sellers-report` (the other side was silent), `contracted` (both were),
    /// `unconfirmed` (the seller never confirmed the contract) or `disputed`.
    public var basis: String?
    /// Of the contracted lot-time, in thousandths.
    public var availabilityThousandths: Int64?
    /// A side sees the other's report once neither can report any more.
    public var buyerReport: DeliveryReportView?
    public var sellerReport: DeliveryReportView?
    public var dispute: DisputeID?

    public init(
        contract: ContractID, period: Period, lots: Int64, state: DeliveryState, due: Instant?, currency: Currency, chargeMicroUnits: Int64,
        paidMicroUnits: Int64, creditedMicroUnits: Int64, heldMicroUnits: Int64, basis: String?, availabilityThousandths: Int64?,
        buyerReport: DeliveryReportView?, sellerReport: DeliveryReportView?, dispute: DisputeID?
    ) {
        self.contract = contract
        self.period = period
        self.lots = lots
        self.state = state
        self.due = due
        self.currency = currency
        self.chargeMicroUnits = chargeMicroUnits
        self.paidMicroUnits = paidMicroUnits
        self.creditedMicroUnits = creditedMicroUnits
        self.heldMicroUnits = heldMicroUnits
        self.basis = basis
        self.availabilityThousandths = availabilityThousandths
        self.buyerReport = buyerReport
        self.sellerReport = sellerReport
        self.dispute = dispute
    }
}

// MARK: - Disputes

public struct DisputeAnswerView: Codable, Sendable {
    public var toBuyerMicroUnits: Int64
    public var note: String
    public var at: Instant
    public init(toBuyerMicroUnits: Int64, note: String, at: Instant) {
        self.toBuyerMicroUnits = toBuyerMicroUnits
        self.note = note
        self.at = at
    }
}

/// Two reports of one stretch that differ too much. The amount is what the two would pay differently; it stays put aside.
public struct DisputeView: Codable, Sendable {
    public var id: DisputeID
    public var contract: ContractID
    public var period: Period
    public var buyer: ParticipantID
    public var seller: ParticipantID
    /// `open`, `agreed`, `ruled`, `expired` or `busted`.
    public var state: String
    public var opened: Instant
    /// Then a side that alone has answered gets what it would settle for; without answers the seller's report stands; two answers that
    /// contradict wait for the operator.
    public var deadline: Instant
    public var amount: Money
    public var buyerReport: DeliveryReportView?
    public var sellerReport: DeliveryReportView?
    public var buyerAnswer: DisputeAnswerView?
    public var sellerAnswer: DisputeAnswerView?
    /// How it was resolved; the rest of the amount went to the seller.
    public var resolution: DisputeAnswerView?

    public init(
        id: DisputeID, contract: ContractID, period: Period, buyer: ParticipantID, seller: ParticipantID, state: String, opened: Instant,
        deadline: Instant, amount: Money, buyerReport: DeliveryReportView?, sellerReport: DeliveryReportView?,
        buyerAnswer: DisputeAnswerView?, sellerAnswer: DisputeAnswerView?, resolution: DisputeAnswerView?
    ) {
        self.id = id
        self.contract = contract
        self.period = period
        self.buyer = buyer
        self.seller = seller
        self.state = state
        self.opened = opened
        self.deadline = deadline
        self.amount = amount
        self.buyerReport = buyerReport
        self.sellerReport = sellerReport
        self.buyerAnswer = buyerAnswer
        self.sellerAnswer = sellerAnswer
        self.resolution = resolution
    }
}

/// What a side would settle for, or what the operator decides.
public struct AnswerDispute: Codable, Sendable {
    /// Of the amount in dispute, micro-units; the rest is the seller's.
    public var toBuyerMicroUnits: Int64
    /// For both sides to read.
    public var note: String
    public init(toBuyerMicroUnits: Int64, note: String) {
        self.toBuyerMicroUnits = toBuyerMicroUnits
        self.note = note
    }
}

extension ExchangeAPI {
    public static let reportDelivery = Endpoint(
        "reportDelivery", .post, "/v1/contracts/{contract}/meters",
        "Report what was delivered in a stretch of a contract that is over; once per side, the same again changes nothing.",
        access: [.manage, .connect], success: 201, request: ReportDelivery.self, response: DeliveryView.self)
    public static let listDeliveries = Endpoint(
        "listDeliveries", .get, "/v1/contracts/{contract}/deliveries", "Stretches of a contract that are over, newest first.",
        access: traders, query: QueryParameter.paging, request: Empty.self, response: Page<DeliveryView>.self)
    public static let awaitedDeliveries = Endpoint(
        "listAwaitedDeliveries", .get, "/v1/deliveries",
        "Stretches that wait for the calling program's report, those due first before others; at most 1000 a page.",
        access: [.manage, .connect],
        query: [QueryParameter("cursor", .string, "The `next` of the page before.")], request: Empty.self, response: Page<DeliveryView>.self
    )
    public static let listDisputes = Endpoint(
        "listDisputes", .get, "/v1/disputes", "Disputes about the caller's deliveries.", access: traders,
        query: QueryParameter.paging + [QueryParameter("open", .boolean, "Only those that are not resolved.")], request: Empty.self,
        response: Page<DisputeView>.self)
    public static let showDispute = Endpoint(
        "showDispute", .get, "/v1/disputes/{dispute}", "One dispute.", access: traders, request: Empty.self, response: DisputeView.self)
    public static let answerDispute = Endpoint(
        "answerDispute", .post, "/v1/disputes/{dispute}/answer",
        "Say what the caller's side would settle for. Resolved at once when the buyer asks no more than the seller offers.",
        access: [.participant, .manage, .connect], request: AnswerDispute.self, response: DisputeView.self)
    public static let ruleDispute = Endpoint(
        "ruleDispute", .post, "/v1/disputes/{dispute}/ruling", "Decide a dispute.", access: [.operator], request: AnswerDispute.self,
        response: DisputeView.self)
}
