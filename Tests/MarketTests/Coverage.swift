import Market

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
