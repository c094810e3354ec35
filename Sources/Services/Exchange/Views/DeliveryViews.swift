import CloudAPI
import Market
import Primitives

// Deliveries and disputes as the wire shows them.

extension DeliveryDefinition {
    init(_ terms: DeliveryTerms) {
        self.init(
            confirmationSeconds: terms.confirmationSeconds, graceSeconds: terms.graceSeconds, disputeSeconds: terms.disputeSeconds,
            toleranceThousandths: terms.tolerance, penalties: terms.penalties.map { PenaltyDefinition(below: $0.below, credit: $0.credit) })
    }
}

extension DeliveryTerms {
    init(_ definition: DeliveryDefinition) {
        self.init(
            confirmationSeconds: definition.confirmationSeconds, graceSeconds: definition.graceSeconds,
            disputeSeconds: definition.disputeSeconds, tolerance: definition.toleranceThousandths,
            penalties: definition.penalties.map { Penalty(below: $0.below, credit: $0.credit) })
    }
}

extension DeliveryReport {
    init(_ body: ReportDelivery, signer: String) {
        self.init(
            period: body.period, demanded: body.demandedLotMicroseconds, delivered: body.deliveredLotMicroseconds,
            unavailable: body.unavailable.map { Unavailability(cause: Cause($0.cause), lotMicroseconds: $0.lotMicroseconds) },
            evidenceHash: body.evidenceHash, signer: signer, signature: body.signature)
    }
}

extension DeliveryReport.Cause {
    fileprivate init(_ cause: UnavailabilityCause) {
        switch cause {
        case .host: self = .host
        case .instance: self = .instance
        case .network: self = .network
        case .storage: self = .storage
        case .maintenance: self = .maintenance
        case .connection: self = .connection
        }
    }
}

extension UnavailabilityCause {
    fileprivate init(_ cause: DeliveryReport.Cause) {
        switch cause {
        case .host: self = .host
        case .instance: self = .instance
        case .network: self = .network
        case .storage: self = .storage
        case .maintenance: self = .maintenance
        case .connection: self = .connection
        }
    }
}

extension DeliveryReportView {
    init(_ received: Delivery.Received) {
        let report = received.report
        self.init(
            received: received.at, demandedLotMicroseconds: report.demanded, deliveredLotMicroseconds: report.delivered,
            unavailable: report.unavailable.map {
                UnavailabilityView(cause: UnavailabilityCause($0.cause), lotMicroseconds: $0.lotMicroseconds)
            }, evidenceHash: report.evidenceHash, signer: report.signer, signature: report.signature)
    }
}

extension DeliveryView {
    /// - Parameter party: who looks; nil: the operator. While reports are awaited a side does not see what the other says.
    init(_ delivery: Delivery, _ currency: Currency, for party: ContractParty?) {
        func report(_ side: ContractParty) -> DeliveryReportView? {
            guard delivery.state != .waiting || party == nil || party == side else { return nil }
            return delivery[side].map(DeliveryReportView.init)
        }
        self.init(
            contract: delivery.contract, period: delivery.period, lots: delivery.lots, state: DeliveryState(delivery.state),
            due: delivery.state == .settled ? nil : delivery.due, currency: currency, chargeMicroUnits: delivery.charge,
            paidMicroUnits: delivery.paid, creditedMicroUnits: delivery.credited, heldMicroUnits: delivery.held,
            basis: delivery.basis?.rawValue, availabilityThousandths: delivery.availability, buyerReport: report(.buyer),
            sellerReport: report(.seller), dispute: delivery.dispute?.id)
    }
}

extension DeliveryState {
    fileprivate init(_ state: Delivery.State) {
        switch state {
        case .waiting: self = .waiting
        case .disputed: self = .disputed
        case .settled: self = .settled
        }
    }
}

extension DisputeView {
    init(_ dispute: Dispute, of delivery: Delivery, _ contract: Contract) {
        self.init(
            id: dispute.id, contract: delivery.contract, period: delivery.period, buyer: contract.buyer, seller: contract.seller,
            state: dispute.resolution?.outcome.rawValue ?? "open", opened: dispute.opened, deadline: dispute.deadline,
            amount: Money(microUnits: dispute.amount, contract.currency), buyerReport: delivery.buyer.map(DeliveryReportView.init),
            sellerReport: delivery.seller.map(DeliveryReportView.init), buyerAnswer: dispute.buyer.map(DisputeAnswerView.init),
            sellerAnswer: dispute.seller.map(DisputeAnswerView.init),
            resolution: dispute.resolution.map { DisputeAnswerView(toBuyerMicroUnits: $0.toBuyer, note: $0.note, at: $0.at) })
    }
}

extension DisputeAnswerView {
    fileprivate init(_ answer: Dispute.Answer) { self.init(toBuyerMicroUnits: answer.toBuyer, note: answer.note, at: answer.at) }
}

extension Contract {
    /// What becomes of it next.
    func next(_ deliveries: [Delivery]) -> ContractStepView? {
        guard isLive else {
            return deliveries.max { $0.due < $1.due }.map {
                ContractStepView(kind: $0.state == .disputed ? .dispute : .reports, at: $0.due)
            }
        }
        let end =
            if rolls {
                ContractStepView(kind: .roll, at: period.end - Product.rollLead(of: spotPeriod))
            } else if state == .created {
                ContractStepView(kind: .delivery, at: period.start)
            } else {
                ContractStepView(kind: .end, at: period.end)
            }
        guard !confirmation.isComplete, confirmation.deadline <= end.at else { return end }
        return ContractStepView(kind: .confirmation, at: confirmation.deadline)
    }
}

extension [MarketChange] {
    var deliveries: [Delivery] { compactMap { if case .delivery(let delivery) = $0 { delivery } else { nil } } }
}
