import Market
import Primitives
import Testing

/// What happens seldom in random runs: each must have happened in one of them.
struct Coverage {
    private(set) var missing: Set<String> = [
        "trade", "settlement", "penalty", "dispute", "credit line used", "halt", "bust", "fee", "bilateral trade", "proposal expired",
        "proposal withdrawn", "proposal refused",
    ]

    init(without absent: Set<String> = []) { missing.subtract(absent) }

    mutating func see(_ auditor: Auditor) {
        if auditor.tradedVolume > 0 { missing.remove("trade") }
        if auditor.settledContracts > 0 { missing.remove("settlement") }
        if !auditor.penalties.isEmpty { missing.remove("penalty") }
        if !auditor.disputesEnded.isEmpty { missing.remove("dispute") }
        if auditor.creditUsed { missing.remove("credit line used") }
        if auditor.halts > 0 { missing.remove("halt") }
        if auditor.busts > 0 { missing.remove("bust") }
        if auditor.feesTaken > 0 { missing.remove("fee") }
        for (state, name) in [
            (.accepted, "bilateral trade"), (.expired, "proposal expired"), (.withdrawn, "proposal withdrawn"),
            (.refused, "proposal refused"),
        ] as [(Proposal.State, String)] where auditor.proposalsEnded[state, default: 0] > 0 { missing.remove(name) }
    }
}

extension MarketFixture {
    /// All orders are cancelled, all contracts end and are settled: nothing is held, and the money that came in is all there.
    mutating func goHome() throws {
        try wait(.zero)
        for order in market.snapshot().orders { try apply(.cancelOrder(order.id, by: nil)) }
        for contract in market.snapshot().contracts where contract.isLive { try apply(.endContract(contract.id, detail: "end")) }
        try wait(.days(1))
        for dispute in market.snapshot().deliveries.compactMap(\.dispute) {
            try apply(.ruleDispute(dispute.id, toBuyer: dispute.amount / 3, note: "end"))
        }
        try wait(.days(8))
        let snapshot = market.snapshot()
        #expect(snapshot.contracts.isEmpty && snapshot.orders.isEmpty && snapshot.proposals.isEmpty)
        #expect(
            snapshot.balances.allSatisfy {
                $0.account.kind == .cash || $0.account.kind == .external || ($0.account.kind == .fees && $0.account.owner == nil)
            })
        #expect(snapshot.offerings.allSatisfy { $0.free == $0.declared })
        #expect(auditor.problems(with: market) == [])
    }
}
