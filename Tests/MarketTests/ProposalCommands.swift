import Market
import Primitives

extension MarketFixture {
    /// At random: proposals that are sensible mostly, and answers by those asked mostly.
    func aboutProposals(
        using random: inout SeededGenerator, buyers: [ParticipantID], places: [(id: DatacenterID, owner: ParticipantID)], series: SeriesID
    ) -> MarketCommand {
        func pick<T>(_ items: [T]) -> T { items[Int.random(in: 0..<items.count, using: &random)] }
        func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
        let open = market.snapshot().proposals
        let place = pick(places)
        guard !open.isEmpty, chance(65) else {
            let side = chance(50) ? Side.buy : .sell
            let buyer = pick(buyers)
            return .propose(
                ProposalDraft(
                    proposer: side == .buy ? buyer : place.owner, counterparty: side == .buy ? place.owner : buyer, series: series,
                    side: side,
                    price: 100_000 + Int64.random(in: -5...5, using: &random) * 7_777, lots: Int64.random(in: 1...8, using: &random),
                    datacenter: (side == .sell) == chance(97) ? place.id : nil, note: chance(30) ? "as discussed" : nil,
                    expires: chance(60) ? nil : now + .seconds(Int64.random(in: -5...7_200, using: &random))))
        }
        let proposal = pick(open)
        let draft = proposal.draft
        let asked = chance(95) ? draft.counterparty : draft.proposer
        switch Int.random(in: 0..<10, using: &random) {
        case 0: return .refuseProposal(proposal.id, by: asked, reason: "too dear")
        case 1: return .withdrawProposal(proposal.id, by: chance(90) ? draft.proposer : draft.counterparty)
        default:
            let own = places.filter { $0.owner == draft.counterparty }
            let from = draft.side == .sell || own.isEmpty ? nil : pick(own).id
            return .acceptProposal(proposal.id, by: asked, from: chance(95) ? from : place.id)
        }
    }

    // MARK: One by one

    /// The buyer to the seller, or the other way round.
    func proposal(_ side: Side, _ lots: Int64, at price: Int64, in series: Series? = nil) -> ProposalDraft {
        ProposalDraft(
            proposer: side == .buy ? buyer : seller, counterparty: side == .buy ? seller : buyer, series: (series ?? self.series).id,
            side: side, price: price, lots: lots, datacenter: side == .sell ? datacenter : nil)
    }

    mutating func propose(_ draft: ProposalDraft) throws(Refusal) -> Proposal {
        try apply(.propose(draft)).proposals[0]
    }

    @discardableResult
    mutating func accept(_ proposal: Proposal, from place: DatacenterID? = nil) throws(Refusal) -> [MarketChange] {
        let draft = proposal.draft
        return try apply(
            .acceptProposal(proposal.id, by: draft.counterparty, from: draft.side == .buy ? place ?? datacenter : place))
    }
}

extension [MarketChange] {
    var proposals: [Proposal] { compactMap { if case .proposal(let value) = $0 { value } else { nil } } }
}
