import Market
import Primitives

/// What must be true of proposals, from the commands and what they changed: who may answer, once, and what comes of a yes.
struct ProposalAuditor {
    private var open: [ProposalID: Proposal] = [:]
    private var last: Int64 = 0
    private var series: [SeriesID: Series] = [:]
    private var suspended: Set<ParticipantID> = []
    private var found: [String] = []
    private(set) var ended: [Proposal.State: Int] = [:]

    /// - Parameter risk: as it was before the command.
    mutating func see(_ command: MarketCommand, _ changes: [MarketChange], _ risk: NaiveRisk, at: Instant) {
        let bilateral = changes.trades.filter { $0.proposal != nil }
        if case .acceptProposal(let id, let party, let datacenter) = command {
            checkTrade(of: id, by: party, from: datacenter, changes, risk, at: at)
        } else if !bilateral.isEmpty {
            found.append("\(bilateral.map(\.id)) without a yes")
        }
        for change in changes {
            switch change {
            case .series(let one): series[one.id] = one
            case .participant(let participant):
                if participant.suspended == nil { suspended.remove(participant.id) } else { suspended.insert(participant.id) }
            case .proposal(let proposal): see(proposal, command, at: at)
            default: break
            }
        }
    }

    private mutating func see(_ proposal: Proposal, _ command: MarketCommand, at: Instant) {
        let (id, draft) = (proposal.id, proposal.draft)
        guard let before = open[id] else {
            guard case .propose(let asked) = command, asked == draft, proposal.state == .open else {
                return found.append("\(id) comes from nowhere")
            }
            last += 1
            if proposal.number != last { found.append("\(id) has the number \(proposal.number), not \(last)") }
            let latest = draft.expires ?? at + .minutes(60)
            if proposal.expires > latest || proposal.expires <= at || (draft.expires != nil && proposal.expires != latest) {
                found.append("\(id) of \(at) expires at \(proposal.expires)")
            }
            if let delivery = series[draft.series]?.delivery, proposal.expires >= delivery.start {
                found.append("\(id) outlives its series")
            }
            open[id] = proposal
            return
        }
        open[id] = nil
        ended[proposal.state, default: 0] += 1
        var same = before
        (same.state, same.decided, same.reason, same.trade, same.contract) = (
            proposal.state, proposal.decided, proposal.reason, proposal.trade, proposal.contract
        )
        if before.draft.side == .buy { same.draft.datacenter = draft.datacenter }
        if same != proposal { found.append("\(id) was \(before) and is \(proposal)") }
        if !isRight(proposal, after: command) { found.append("\(id) is \(proposal.state) by \(command)") }
        if proposal.state == .expired ? proposal.decided != before.expires : proposal.decided != at || at >= before.expires {
            found.append("\(id) is \(proposal.state) at \(at)")
        }
    }

    private func isRight(_ proposal: Proposal, after command: MarketCommand) -> Bool {
        let draft = proposal.draft
        return switch (proposal.state, command) {
        case (.accepted, .acceptProposal(proposal.id, draft.counterparty, _)): proposal.trade != nil
        case (.refused, .refuseProposal(proposal.id, draft.counterparty, let reason)): proposal.reason == reason
        case (.withdrawn, .withdrawProposal(proposal.id, draft.proposer)): proposal.reason == nil
        case (.withdrawn, .suspend(draft.proposer, _)): proposal.reason != nil
        case (.expired, .tick): true
        default: false
        }
    }

    /// One trade and one contract, as agreed, of two who may, and no order moves.
    private mutating func checkTrade(
        of id: ProposalID, by party: ParticipantID, from datacenter: DatacenterID?, _ changes: [MarketChange], _ risk: NaiveRisk,
        at: Instant
    ) {
        guard let proposal = open[id], let trade = changes.trades.first, let contract = changes.contracts(.created).first else {
            return found.append("a yes to \(id) made nothing")
        }
        let draft = proposal.draft
        let (buyer, seller) = draft.side == .buy ? (draft.proposer, draft.counterparty) : (draft.counterparty, draft.proposer)
        let place = draft.side == .buy ? datacenter : draft.datacenter
        let isAgreed =
            trade.proposal == id && trade.price == draft.price && trade.lots == draft.lots && trade.series == draft.series
            && trade.taker != draft.side && contract.trade == trade.id && contract.proposal == id && contract.price == draft.price
            && contract.lots == draft.lots && contract.series == draft.series && contract.buyer == buyer && contract.seller == seller
            && contract.datacenter == place
        if !isAgreed || changes.trades.count != 1 || !changes.orders.isEmpty { found.append("\(id) became \(changes)") }
        if !suspended.isDisjoint(with: [buyer, seller]) { found.append("\(id) was agreed by who may not trade") }
        if let one = series[draft.series], one.halted != nil || one.stage != .trading { found.append("\(id) traded in \(one.state)") }
        let order = OrderDraft(
            participant: party, series: draft.series, side: draft.side, lifetime: .limit, price: draft.price, lots: draft.lots)
        if risk.limit(of: order) == nil { found.append("\(id) at \(draft.price) lies outside the collar") }
    }

    func problems(with market: Market) -> [String] {
        let theirs = market.snapshot().proposals
        let late = open.values.filter { $0.expires <= market.clock }.map { "\($0.id) is open after \($0.expires)" }
        return found + late + (theirs == open.values.sorted { $0.number < $1.number } ? [] : ["open are \(theirs)"])
    }
}
