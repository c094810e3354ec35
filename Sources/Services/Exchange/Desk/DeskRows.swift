import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

/// The rows of one or more batches: the market's tables, change feed, audit trail and remembered answers, all in one transaction.
struct DeskRows: Sendable {
    let batches: [[DeskStep]]
    /// After the last of them.
    let counters: DeskBatch.Counters
    /// The batch of the journal the tables are at, and the one they will be at.
    let from: Int64
    let to: Int64

    private var steps: FlattenSequence<[[DeskStep]]> { batches.joined() }

    /// Throws `TablesMoved` when the tables are not where this process left them.
    func write(in transaction: any WriteContext) throws {
        let moved = try transaction.execute(
            """
            UPDATE market_state SET clock = $1, last_priority = $2, last_contract = $3, last_posting = $4, resumed = $7, journal = $6
            WHERE id = 1 AND journal = $5
            """,
            [
                SQLValue(counters.clock), SQLValue(counters.priority), SQLValue(counters.contract), SQLValue(counters.posting),
                SQLValue(from), SQLValue(to), SQLValue(counters.resumed),
            ])
        guard moved == 1 else { throw TablesMoved() }
        var tables = MarketTables()
        for step in steps { tables.add(step.changes) }
        try tables.write(in: transaction)
        try revokeCertificatesOfEndedContracts(in: transaction)
        let feed = steps.flatMap { MarketFeed.changes(of: $0.changes, at: $0.at) }
        if !feed.isEmpty { try transaction.appendChanges(feed) }
        try transaction.appendAudit(
            steps.filter { !$0.changes.isEmpty || $0.request.actor != DeskRequest.tick.actor }.map { step in
                NewAuditEntry(
                    actor: step.request.actor, action: step.request.command.name, subject: step.changes.first?.subject ?? "",
                    detail: step.request.detail, at: step.at)
            })
        for step in steps {
            guard let request = step.request.idempotency, let answer = step.answer else { continue }
            try transaction.rememberAnswerOnce(
                scope: request.scope, key: request.key, requestHash: answer.requestHash, status: answer.status, body: answer.body,
                at: step.at)
        }
    }

    /// A contract that ends before its certificates do takes them along.
    private func revokeCertificatesOfEndedContracts(in transaction: any WriteContext) throws {
        for step in steps {
            for case .contract(let contract, .ended) in step.changes {
                try Certificates.revoke(
                    contract: contract.id, reason: contract.reasonText ?? "contract ended", in: transaction, at: step.at)
            }
        }
    }
}

extension MarketChange {
    /// The identifier of what changed.
    var subject: String {
        switch self {
        case .participant(let participant): participant.id.description
        case .product(let product): product.id.description
        case .series(let series): series.id.description
        case .datacenter(let datacenter): datacenter.id.description
        case .offering(let offering): offering.datacenter.description
        case .order(let order): order.id.description
        case .trade(let trade): trade.id.description
        case .contract(let contract, _): contract.id.description
        case .delivery(let delivery): delivery.contract.description
        case .posting(let posting): posting.id.description
        case .creditLine(let line): line.participant.description
        case .bust(let bust): bust.trade.description
        case .proposal(let proposal): proposal.id.description
        }
    }
}

/// The change feed. Whoever may see a change has a topic of their own: `market` for everybody, a participant's identifier for its
/// own. What has two parties is written once for each; the second is marked as a copy, which the operator's view leaves out.
enum MarketFeed {
    static let everybody = "market"
    /// A trade outside the book: its parties' alone.
    static let bilateral = "trade.bilateral"
    static let copy = #"{"copy":true}"#

    static func changes(of changes: [MarketChange], at: Instant) -> [NewChange] {
        changes.flatMap { change -> [NewChange] in
            switch change {
            case .participant(let participant):
                new([participant.id], change, participant.suspended == nil ? "participant.created" : "participant.suspended", at)
            case .product(let product): [new(change, product.closed == nil ? "product.created" : "product.closed", at)]
            case .series(let series): [new(change, "series.\(series.state.rawValue)", at)]
            case .datacenter: [new(change, "datacenter.changed", at)]
            case .trade(let trade):
                trade.proposal == nil ? [new(change, "trade.created", at)] : new(parties(trade.contract, changes), change, bilateral, at)
            case .order(let order): new([order.draft.participant], change, "order.\(order.state.rawValue)", at)
            case .contract(let contract, let event): new([contract.buyer, contract.seller], change, "contract.\(event.rawValue)", at)
            case .creditLine(let line): new([line.participant], change, "participant.credit", at)
            case .bust(let bust):
                changes.contracts.contains { $0.id == bust.contract && $0.proposal != nil }
                    ? new(parties(bust.contract, changes), change, "trade.busted", at) : [new(change, "trade.busted", at)]
            case .proposal(let proposal):
                new([proposal.draft.proposer, proposal.draft.counterparty], change, "proposal.\(proposal.state.rawValue)", at)
            case .offering, .posting, .delivery: []
            }
        }
    }

    /// Of a contract among the changes of a command.
    private static func parties(_ contract: ContractID, _ changes: [MarketChange]) -> [ParticipantID] {
        changes.contracts.first { $0.id == contract }.map { [$0.buyer, $0.seller] } ?? []
    }

    private static func new(_ change: MarketChange, _ kind: String, _ at: Instant) -> NewChange {
        NewChange(topic: everybody, subject: change.subject, kind: kind, body: "{}", at: at)
    }

    private static func new(_ parties: [ParticipantID], _ change: MarketChange, _ kind: String, _ at: Instant) -> [NewChange] {
        parties.enumerated().map { index, party in
            NewChange(topic: party.description, subject: change.subject, kind: kind, body: index == 0 ? "{}" : copy, at: at)
        }
    }
}
