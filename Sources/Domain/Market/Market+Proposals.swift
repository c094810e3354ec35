import Primitives

// Bilateral trades: one participant proposes, the other accepts, and the trade is made as if the two had met in the book. Only the book,
// its last price and its reference price do not hear of it.

extension Market {
    mutating func propose(_ draft: ProposalDraft, _ step: inout Step) throws(Refusal) {
        let proposer = try known(draft.proposer)
        let counterparty = try known(draft.counterparty)
        guard proposer.id != counterparty.id else {
            throw Refusal(
                "market.self-proposal", .invalid, "\(proposer.name) cannot trade with itself.", nearest: "another participant")
        }
        let ticket = try ticket(for: draft.ofProposer)
        _ = try reach(of: draft.ofProposer, ticket.listing.product.terms)
        try onBehalf(of: counterparty) { () throws(Refusal) in
            try checkStanding(of: counterparty)
            try checkRole(of: counterparty, draft.side.opposite, ticket.listing.product.terms)
        }
        try checkNote(draft.note ?? "", "note")
        let expires = try expiry(of: draft, ticket.listing.series, at: step.at)
        let open = proposals.values.count { $0.draft.proposer == proposer.id }
        guard open < Proposal.mostOpen else {
            throw Refusal(
                "market.proposals-open", .throttled, "\(proposer.name) has \(open) proposals open; \(Proposal.mostOpen) may be.",
                facts: ["open": .number(Int64(open)), "largest": .number(Int64(Proposal.mostOpen))],
                nearest: "the same once one of them is answered or withdrawn")
        }
        var id: ProposalID = step.id()
        while proposals[id] != nil { id = step.id() }
        lastProposal += 1
        let proposal = Proposal(id: id, number: lastProposal, draft: draft, created: step.at, expires: expires)
        insert(proposal)
        step.changes.append(.proposal(proposal))
    }

    private func expiry(of draft: ProposalDraft, _ series: Series, at now: Instant) throws(Refusal) -> Instant {
        func notPast(_ moment: Instant) -> Instant { series.closes.map { min($0, moment) } ?? moment }
        guard let asked = draft.expires else { return notPast(now + Proposal.lifetime) }
        let latest = notPast(now + Proposal.longestLifetime)
        guard asked > now, asked <= latest else {
            throw Refusal(
                "market.proposal-expires", .invalid, "The proposal would expire at \(asked); it may until \(latest), and it is \(now).",
                facts: ["expires": .text("\(asked)"), "latest": .text("\(latest)"), "now": .text("\(now)")], nearest: "\(latest)")
        }
        return asked
    }

    mutating func insert(_ proposal: Proposal) {
        proposals[proposal.id] = proposal
        due.push(DueQueue.Entry(at: proposal.expires, number: proposal.number, subject: .proposal(proposal.id)))
    }

    // MARK: Answering

    /// - Parameter datacenter: the counterparty's, when it sells.
    mutating func accept(
        _ id: ProposalID, by participant: ParticipantID, from datacenter: DatacenterID?, _ step: inout Step
    ) throws(Refusal) {
        var proposal = try proposal(id, askedOf: participant)
        let (own, other) = try tickets(for: proposal, from: datacenter, at: step.at)
        guard let place = own.draft.datacenter ?? other.draft.datacenter else { preconditionFailure("a seller names its datacenter") }
        let listing = own.listing
        let deal = Deal(
            buyer: proposal.buyer, seller: proposal.seller, datacenter: place, price: proposal.draft.price, lots: proposal.draft.lots,
            taker: own.draft.side, origin: .proposal(id))
        bookSale(of: deal.lots, from: place, listing, wasResting: false)
        let contract = contract(of: deal, listing, &step)
        (proposal.trade, proposal.contract, proposal.draft.datacenter) = (contract.trade, contract.id, place)
        close(proposal, .accepted, at: step.at, &step)
        announce(contract, of: deal, &step)
        holdBothSides(of: contract, &step)
        if contract.isForward { keep(contract) } else { begin(contract, &step) }
    }

    mutating func refuse(_ id: ProposalID, by participant: ParticipantID, reason: String, _ step: inout Step) throws(Refusal) {
        var proposal = try proposal(id, askedOf: participant)
        try checkReason(reason)
        proposal.reason = reason
        close(proposal, .refused, at: step.at, &step)
    }

    mutating func withdraw(_ id: ProposalID, by participant: ParticipantID, _ step: inout Step) throws(Refusal) {
        let proposal = try proposal(id, of: participant)
        guard proposal.draft.proposer == participant else {
            throw Refusal(
                "market.proposal-party", .forbidden, "The proposal \(id) was made to you, not by you.", nearest: "refuse it")
        }
        close(proposal, .withdrawn, at: step.at, &step)
    }

    /// A participant that is suspended proposes nothing any more.
    mutating func withdrawProposals(of proposer: ParticipantID, reason: String, _ step: inout Step) {
        let own = proposals.values.filter { $0.draft.proposer == proposer }.sorted { $0.number < $1.number }
        for var proposal in own {
            proposal.reason = reason
            close(proposal, .withdrawn, at: step.at, &step)
        }
    }

    /// It leaves the market.
    mutating func close(_ proposal: Proposal, _ state: Proposal.State, at moment: Instant, _ step: inout Step) {
        var proposal = proposal
        (proposal.state, proposal.decided) = (state, moment)
        proposals[proposal.id] = nil
        step.changes.append(.proposal(proposal))
    }

    private func proposal(_ id: ProposalID, of party: ParticipantID) throws(Refusal) -> Proposal {
        guard let proposal = proposals[id], party == proposal.buyer || party == proposal.seller else { throw .unknown("proposal", id) }
        return proposal
    }

    private func proposal(_ id: ProposalID, askedOf party: ParticipantID) throws(Refusal) -> Proposal {
        let proposal = try proposal(id, of: party)
        guard proposal.draft.counterparty == party else {
            throw Refusal("market.proposal-party", .forbidden, "The proposal \(id) waits for the other side.", nearest: "withdraw it")
        }
        return proposal
    }

    // MARK: Checks

    /// Both sides as if their orders met now: the series open, the price in its limits and its collar, the capacity free, the money there.
    private func tickets(
        for proposal: Proposal, from datacenter: DatacenterID?, at now: Instant
    ) throws(Refusal) -> (own: Ticket, other: Ticket) {
        let draft = proposal.draft
        let own = try ticket(for: draft.ofCounterparty(from: datacenter))
        _ = try reach(of: own.draft, own.listing.product.terms)
        try checkMeans(of: own, at: now, isTaker: true)
        let proposer = try known(draft.proposer)
        let other = try onBehalf(of: proposer) { () throws(Refusal) in
            let ticket = try ticket(for: draft.ofProposer)
            try checkMeans(of: ticket, at: now, isTaker: false)
            return ticket
        }
        return (own, other)
    }

    /// The seller's free capacity and bond, the buyer's money for the rest of the period with the fee, or its margin.
    private func checkMeans(of ticket: Ticket, at now: Instant, isTaker: Bool) throws(Refusal) {
        try checkCapacity(for: ticket)
        let (draft, owner) = (ticket.draft, ticket.participant)
        guard let security = ticket.listing.security(of: draft.side, price: draft.price) else { return }
        var needed = draft.lots * security.perLot
        if ticket.listing.series.delivery == nil {
            let risk = ticket.listing.product.terms.risk
            let charge = Self.charge(price: draft.price, lots: draft.lots, for: ticket.listing.product.spotPeriod(at: now).end - now)
            needed = charge + ContractFees.Share(rate: isTaker ? risk.takerFee : risk.makerFee).due(on: charge)
        }
        guard needed > spendable(by: owner.id) else { return }
        let money = { (amount: Int64) in Money(microUnits: amount, owner.currency) }
        throw .cashShort(
            money(balance(of: owner.id, .cash)), credit: owner.creditLine, needed: money(needed), for: "Its side of \(draft.lots) lots",
            nearest: "a deposit, or a proposal of fewer lots")
    }

    /// What keeps the other side from trading is its own business: the rule is said, not its numbers.
    private func onBehalf<Result>(
        of other: Participant, _ check: () throws(Refusal) -> Result
    ) throws(Refusal) -> Result {
        do {
            return try check()
        } catch {
            throw Refusal(
                "market.counterparty", .conflict, "\(other.name) cannot do its side of this trade now (\(error.rule)).",
                facts: ["participant": .text(other.id.description), "rule": .text(error.rule)],
                nearest: "the same once \(other.name) can, or fewer lots")
        }
    }

    /// What both sides owe for the time ahead, or put up.
    private mutating func holdBothSides(of contract: Contract, _ step: inout Step) {
        let (buyer, seller) = (contract.buyer, contract.seller)
        post(
            .tradeHold,
            [
                .init(account: contract.account(buyer, .cash), amount: -contract.held - contract.fees.held - contract.margin),
                .init(account: contract.account(buyer, .heldForContracts), amount: contract.held),
                .init(account: contract.account(buyer, .fees), amount: contract.fees.held),
                .init(account: contract.account(buyer, .margin), amount: contract.margin),
                .init(account: contract.account(seller, .cash), amount: -contract.bond),
                .init(account: contract.account(seller, .bond), amount: contract.bond),
            ], contract: contract.id, &step)
    }
}
