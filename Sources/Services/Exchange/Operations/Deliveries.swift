import CloudAPI
import Foundation
import Market
import PKI
import Primitives
import ServiceKit
import Store

// What both sides report of a contract's stretches, and what comes of it.

extension ExchangeCore {
    /// Takes a side's report of a stretch, when it was signed by the program that sends it.
    func reportDelivery(_ call: Call<ReportDelivery>) async throws -> DeliveryView {
        let id = try call.id("contract", as: ContractID.self)
        let scope = try Scope(call.principal)
        let contract = try await database.read { try $0.contract(id, visibleTo: scope) }
        let holder = try CertificateHolder(call.principal, of: contract)
        let party: ContractParty = holder.side == .buyer ? .buyer : .seller
        let report = DeliveryReport(call.body, signer: try await signer(of: call.body, contract, holder))
        if let known = try await database.read({ try $0.delivery(of: id, from: report.period.start) }), known.state == .settled {
            guard let earlier = known[party], earlier.report.says(theSameAs: report) else { throw Refusal.settledBefore(known) }
            return DeliveryView(known, contract.currency, for: party)
        }
        let request = try DeskRequest(.reportDelivery(id, party, report), for: call, status: 201)
        return try await perform(request, by: scope.participant) { market, changes in
            let delivery = changes.deliveries.last ?? market.openDeliveries(of: id).first { $0.period == report.period }
            guard let delivery else { throw Refusal.unknownContract(id) }
            return DeliveryView(delivery, contract.currency, for: party)
        }
    }

    /// Serial number of the certificate whose key signed a report: the sender's identity, or its side's certificate of the contract.
    private func signer(of body: ReportDelivery, _ contract: Contract, _ holder: CertificateHolder) async throws -> String {
        let side: DeliverySide = holder.side == .buyer ? .buyer : .seller
        let peer: VerifiedPeer
        do {
            peer = try await tls.trust.signer(
                of: body.signedText(contract: contract.id, side: side), signature: body.signature, chainPEM: body.certificate,
                now: time.now())
        } catch {
            throw Refusal.badSignature("\(error)")
        }
        let isSender = peer.identity.participant == holder.program.participant && peer.identity.role == holder.program.role
        let isSide = peer.identity.terms.map { $0.contract == contract.id && $0.side == holder.side } ?? false
        guard isSender || isSide else { throw Refusal.badSignature("the certificate is \(peer.identity)'s") }
        return peer.serial
    }

    func deliveries(_ call: Call<Empty>) async throws -> CloudAPI.Page<DeliveryView> {
        let id = try call.id("contract", as: ContractID.self)
        let scope = try Scope(call.principal)
        return try await database.read { context in
            let contract = try context.contract(id, visibleTo: scope)
            return try context.newest(
                call.query, "SELECT period_start AS number, d.* FROM deliveries d", number: "period_start", where: ["contract = $3"],
                [SQLValue(id)]
            ) { DeliveryView(try Delivery(row: $0), contract.currency, for: scope.party(of: contract)) }
        }
    }

    /// What the calling program has yet to report on, what is due first first. A side reports once it has confirmed.
    func awaitedDeliveries(_ call: Call<Empty>) async throws -> CloudAPI.Page<DeliveryView> {
        let scope = try Scope(call.principal)
        let (party, mine): (ContractParty, [SQLValue]) =
            switch scope {
            case .all: (.buyer, [""])
            case .participant(let id): (.buyer, [SQLValue(id)])
            case .datacenter(let datacenter, _): (.seller, [SQLValue(datacenter)])
            }
        let (side, owner) = party == .buyer ? ("buyer", "buyer") : ("seller", "datacenter")
        let (limit, cursor) = (1_000, try AwaitedCursor(call.query.text("cursor")))
        return try await database.read { context in
            let rows = try context.query(
                """
                SELECT d.*, c.currency FROM deliveries d JOIN contracts c ON c.id = d.contract
                WHERE d.state = 'waiting' AND d.\(side)_report IS NULL AND d.\(owner) = $1 AND c.confirmed_\(side) IS NOT NULL
                  AND d.due >= $2 AND (d.due > $2 OR d.contract > $3 OR (d.contract = $3 AND d.period_start > $4))
                ORDER BY d.due, d.contract, d.period_start LIMIT $5
                """, mine + cursor.arguments + [SQLValue(limit + 1)])
            let shown = try rows.prefix(limit).map { (try Delivery(row: $0), try $0.currency("currency")) }
            return CloudAPI.Page(
                shown.map { DeliveryView($0, $1, for: party) },
                next: rows.count > limit ? shown.last.map { AwaitedCursor(after: $0.0).description } : nil)
        }
    }

    // MARK: Disputes

    func disputes(_ call: Call<Empty>) async throws -> CloudAPI.Page<DisputeView> {
        let scope = try Scope(call.principal)
        let isOpen = call.query.text("open") == "true" ? "AND d.state = 'disputed'" : ""
        let limit = try call.query.limit()
        let (mine, owners) = scope.disputeConditions
        // Each by an index of its own; nobody is both sides of a contract.
        let parts = mine.map {
            "SELECT * FROM (SELECT d.* FROM deliveries d WHERE d.dispute_id > $1 \(isOpen) AND \($0) ORDER BY d.dispute_id LIMIT $2) AS part"
        }
        return try await database.read { context in
            let rows = try context.query(
                "\(parts.joined(separator: " UNION ALL ")) ORDER BY dispute_id LIMIT $2",
                [.text(call.query.text("cursor") ?? ""), SQLValue(limit + 1)] + owners)
            let shown = rows.prefix(limit)
            return CloudAPI.Page(
                try shown.map { try context.view(disputed: try Delivery(row: $0)) },
                next: rows.count > limit ? try shown.last?.text("dispute_id") : nil)
        }
    }

    func showDispute(_ call: Call<Empty>) async throws -> DisputeView {
        let id = try call.id("dispute", as: DisputeID.self)
        let (delivery, contract) = try await disputed(id, visibleTo: try Scope(call.principal))
        guard let dispute = delivery.dispute else { throw Refusal.unknownDispute(id) }
        return DisputeView(dispute, of: delivery, contract)
    }

    func answerDispute(_ call: Call<AnswerDispute>) async throws -> DisputeView {
        let id = try call.id("dispute", as: DisputeID.self)
        let scope = try Scope(call.principal)
        let (_, contract) = try await disputed(id, visibleTo: scope)
        guard let party = scope.party(of: contract) else { throw Refusal.unknownDispute(id) }
        try contract.checkSide(of: call.principal)
        let command = MarketCommand.answerDispute(id, party, toBuyer: call.body.toBuyerMicroUnits, note: call.body.note)
        return try await change(id, contract, command, call)
    }

    func ruleDispute(_ call: Call<AnswerDispute>) async throws -> DisputeView {
        let id = try call.id("dispute", as: DisputeID.self)
        let (_, contract) = try await disputed(id, visibleTo: .all)
        return try await change(id, contract, .ruleDispute(id, toBuyer: call.body.toBuyerMicroUnits, note: call.body.note), call)
    }

    private func change(
        _ id: DisputeID, _ contract: Contract, _ command: MarketCommand, _ call: Call<AnswerDispute>
    ) async throws -> DisputeView {
        do {
            let request = try DeskRequest(command, for: call, status: 200)
            return try await perform(request, by: try Scope(call.principal).participant) { _, changes in
                guard let delivery = changes.deliveries.last, let dispute = delivery.dispute else { throw Refusal.unknownDispute(id) }
                return DisputeView(dispute, of: delivery, contract)
            }
        } catch let refusal as Refusal where refusal.rule == "market.unknown-dispute" {
            let (delivery, _) = try await disputed(id, visibleTo: .all)
            throw Refusal.disputeOver(id, delivery.dispute?.resolution, contract.currency)
        }
    }

    private func disputed(_ id: DisputeID, visibleTo scope: Scope) async throws -> (Delivery, Contract) {
        try await database.read { context in
            guard let delivery = try context.delivery(disputedAs: id) else { throw Refusal.unknownDispute(id) }
            let contract = try context.contract(delivery.contract, visibleTo: .all)
            guard scope.sees(contract) else { throw Refusal.unknownDispute(id) }
            return (delivery, contract)
        }
    }
}

extension ReadContext {
    fileprivate func view(disputed delivery: Delivery) throws -> DisputeView {
        guard let dispute = delivery.dispute else { throw StoreError.corrupted("a delivery of \(delivery.contract) has no dispute") }
        return DisputeView(dispute, of: delivery, try contract(delivery.contract, visibleTo: .all))
    }
}

/// Where a list of awaited stretches goes on.
private struct AwaitedCursor: CustomStringConvertible {
    private let due: Int64
    private let contract: String
    private let start: Int64

    init(after delivery: Delivery) {
        (due, contract, start) = (delivery.due.microseconds, delivery.contract.description, delivery.period.start.microseconds)
    }

    /// Nil: from the beginning.
    init(_ text: String?) throws(Refusal) {
        guard let text else {
            (due, contract, start) = (0, "", 0)
            return
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let due = Int64(parts[0]), let start = Int64(parts[2]) else {
            throw Refusal.cursor(text)
        }
        (self.due, contract, self.start) = (due, String(parts[1]), start)
    }

    var description: String { "\(due).\(contract).\(start)" }
    var arguments: [SQLValue] { [SQLValue(due), .text(contract), SQLValue(start)] }
}

extension Scope {
    /// Whose disputes a caller sees, each a condition that an index answers; arguments from `$3`.
    fileprivate var disputeConditions: (conditions: [String], arguments: [SQLValue]) {
        switch self {
        case .all: (["d.dispute_id IS NOT NULL"], [])
        case .participant(let id): (["d.buyer = $3", "d.seller = $3"], [SQLValue(id)])
        case .datacenter(let datacenter, let id): (["d.seller = $3 AND d.datacenter = $4"], [SQLValue(id), SQLValue(datacenter)])
        }
    }

    /// The caller's side; nil for the operator.
    fileprivate func party(of contract: Contract) -> ContractParty? {
        participant.map { $0 == contract.buyer ? .buyer : .seller }
    }
}

extension Refusal {
    fileprivate static func badSignature(_ why: String) -> Refusal {
        Refusal(
            "delivery.signature", .forbidden, "The report is not signed by its sender: \(why).",
            nearest: "a signature of the report's text with the key of the program's identity")
    }

    fileprivate static func settledBefore(_ delivery: Delivery) -> Refusal {
        Refusal(
            "market.report-late", .conflict,
            "The stretch from \(delivery.period.start) to \(delivery.period.end) was settled: reports were awaited until \(delivery.due).",
            facts: ["end": .text("\(delivery.period.end)"), "due": .text("\(delivery.due)")], nearest: "the next stretch")
    }

    fileprivate static func unknownDispute(_ id: DisputeID) -> Refusal {
        Refusal("market.unknown-dispute", .notFound, "There is no dispute \(id).", facts: ["dispute": .text(id.description)])
    }

    fileprivate static func disputeOver(_ id: DisputeID, _ resolution: Dispute.Resolution?, _ currency: Currency) -> Refusal {
        let how = resolution.map {
            "was \($0.outcome.rawValue) at \($0.at): \(Money(microUnits: $0.toBuyer, currency)) to the buyer. \($0.note)"
        }
        return Refusal(
            "market.dispute-over", .conflict, "The dispute \(id) \(how ?? "is over").", facts: ["dispute": .text(id.description)])
    }
}
