import CloudAPI
import Market
import PKI
import Primitives
import ServiceKit
import Store

// Bilateral trades: proposed by one participant, accepted by another. Who may is as for orders of the same side.

extension ExchangeCore {
    func propose(_ call: Call<CreateProposal>) async throws -> ProposalView {
        let body = call.body
        let order = try draft(
            of: PlaceOrder(
                series: body.series, side: body.side, type: .limit, price: body.price, lots: body.lots, datacenter: body.datacenter),
            by: call.principal)
        try await checkCertified(order)
        let counterparty = try await database.read { try $0.participant(called: body.counterparty) }
        let draft = ProposalDraft(
            proposer: order.participant, counterparty: counterparty, series: order.series, side: order.side, price: order.price,
            lots: order.lots, datacenter: order.datacenter, note: body.note, expires: body.expires)
        return try await trade(try DeskRequest(.propose(draft), for: call, status: 201), for: order.participant) { market, changes in
            ProposalView(changes.proposal, in: market)
        }
    }

    func acceptProposal(_ call: Call<AcceptProposal>) async throws -> ProposalView {
        let proposal = try await proposal(call)
        let asked = proposal.draft
        let order = try draft(
            of: PlaceOrder(
                series: asked.series, side: asked.side == .buy ? .sell : .buy, type: .limit, price: asked.price, lots: asked.lots,
                datacenter: call.body.datacenter), by: call.principal)
        try await checkCertified(order)
        if let datacenter = asked.datacenter, asked.side == .sell { try await checkCertified(datacenter, forSeries: asked.series) }
        return try await answer(proposal, .acceptProposal(proposal.id, by: order.participant, from: order.datacenter), call)
    }

    func refuseProposal(_ call: Call<RefuseProposal>) async throws -> ProposalView {
        let proposal = try await proposal(call)
        let party = try party(to: proposal, call.principal)
        return try await answer(proposal, .refuseProposal(proposal.id, by: party, reason: call.body.reason), call)
    }

    func withdrawProposal(_ call: Call<Empty>) async throws -> ProposalView {
        let proposal = try await proposal(call)
        return try await answer(proposal, .withdrawProposal(proposal.id, by: try party(to: proposal, call.principal)), call)
    }

    func showProposal(_ call: Call<Empty>) async throws -> ProposalView {
        let proposal = try await proposal(call)
        return try await view(of: proposal.id)
    }

    func proposals(_ call: Call<Empty>) async throws -> CloudAPI.Page<ProposalView> {
        var (conditions, arguments) = try Scope(call.principal).proposalCondition(first: 3)
        if let state = try call.query.value("state", of: ProposalState.self) {
            arguments.append(.text(state.rawValue))
            conditions.append("p.state = $\(arguments.count + 2)")
        }
        return try await database.read { [conditions, arguments] context in
            try context.newest(call.query, ProposalView.select, number: "p.number", where: conditions, arguments) {
                try ProposalView(row: $0)
            }
        }
    }

    /// One that is answered already is refused with what became of it.
    private func answer<Body>(_ proposal: Proposal, _ command: MarketCommand, _ call: Call<Body>) async throws -> ProposalView {
        guard let participant = try Scope(call.principal).participant else {
            throw Refusal("http.forbidden", .forbidden, "The operator does not trade.")
        }
        do {
            return try await trade(try DeskRequest(command, for: call, status: 200), for: participant) { market, changes in
                ProposalView(changes.proposal, in: market)
            }
        } catch let refusal as Refusal where refusal.rule == "market.unknown-proposal" {
            let now = try await view(of: proposal.id)
            throw Refusal(
                "market.proposal-over", .conflict,
                "The proposal \(proposal.id) was \(now.state.rawValue) at \(now.decided.map(\.description) ?? ""); it cannot be answered any more.",
                facts: ["proposal": .text(proposal.id.description), "state": .text(now.state.rawValue)], nearest: "a new proposal")
        }
    }

    /// The caller's company. A manage answers for the buyer only.
    private func party(to proposal: Proposal, _ principal: Principal) throws -> ParticipantID {
        guard let party = try Scope(principal).participant else {
            throw Refusal("http.forbidden", .forbidden, "The operator does not trade.")
        }
        if case .program(_, .manage, _) = principal, party != proposal.buyer { throw Refusal.otherSide(nearest: "a proposal to buy from") }
        return party
    }

    private func proposal<Body>(_ call: Call<Body>) async throws -> Proposal {
        let id = try call.id("proposal", as: ProposalID.self)
        let (conditions, arguments) = try Scope(call.principal).proposalCondition(first: 2)
        let sql = "SELECT * FROM proposals p WHERE \((["p.id = $1"] + conditions).joined(separator: " AND "))"
        guard let row = try await database.read({ try $0.queryOne(sql, [SQLValue(id)] + arguments) }) else {
            throw Refusal(
                "market.unknown-proposal", .notFound, "There is no proposal \(id).", facts: ["proposal": .text(id.description)])
        }
        return try Proposal(row: row)
    }

    private func view(of id: ProposalID) async throws -> ProposalView {
        try await database.read { context in
            guard let row = try context.queryOne("\(ProposalView.select) WHERE p.id = $1", [SQLValue(id)]) else {
                throw StoreError.corrupted("the proposal \(id) is gone")
            }
            return try ProposalView(row: row)
        }
    }
}

extension Scope {
    /// Both sides see a proposal; a connect sees those its company sells by, from its own datacenter or from none yet.
    fileprivate func proposalCondition(first: Int) -> (conditions: [String], arguments: [SQLValue]) {
        switch self {
        case .all: ([], [])
        case .participant(let id): (["(p.proposer = $\(first) OR p.counterparty = $\(first))"], [SQLValue(id)])
        case .datacenter(let datacenter, let id):
            (
                [
                    "((p.side = 'sell' AND p.proposer = $\(first)) OR (p.side = 'buy' AND p.counterparty = $\(first)))",
                    "(p.datacenter IS NULL OR p.datacenter = $\(first + 1))",
                ], [SQLValue(id), SQLValue(datacenter)]
            )
        }
    }
}

extension ReadContext {
    /// By identifier or by name.
    fileprivate func participant(called text: String) throws -> ParticipantID {
        if let id = ParticipantID(text) { return id }
        guard let row = try queryOne("SELECT id FROM participants WHERE name = $1", [.text(text)]) else {
            throw Refusal(
                "market.unknown-participant", .notFound, "There is no participant '\(text.prefix(100))'.",
                facts: ["participant": .text(String(text.prefix(100)))])
        }
        return try row.id("id")
    }
}

extension [MarketChange] {
    fileprivate var proposal: Proposal { first { if case .proposal(let proposal) = $0 { proposal } else { nil } } }
}

extension ProposalView {
    fileprivate static let select = """
        SELECT p.*, a.name AS proposer_name, b.name AS counterparty_name
        FROM proposals p JOIN participants a ON a.id = p.proposer JOIN participants b ON b.id = p.counterparty
        """

    fileprivate init(row: Row) throws {
        self.init(
            try Proposal(row: row), proposerName: try row.text("proposer_name"), counterpartyName: try row.text("counterparty_name"))
    }

    fileprivate init(_ proposal: Proposal, in market: Market) {
        guard let proposer = market.participant(proposal.draft.proposer), let other = market.participant(proposal.draft.counterparty) else {
            preconditionFailure("a proposal is between participants")
        }
        self.init(proposal, proposerName: proposer.name, counterpartyName: other.name)
    }

    private init(_ proposal: Proposal, proposerName: String, counterpartyName: String) {
        let draft = proposal.draft
        self.init(
            id: proposal.id, state: ProposalState(proposal.state), proposer: draft.proposer, proposerName: proposerName,
            counterparty: draft.counterparty, counterpartyName: counterpartyName, series: draft.series,
            side: draft.side == .buy ? .buy : .sell, price: draft.price, lots: draft.lots, datacenter: draft.datacenter, note: draft.note,
            created: proposal.created, expires: proposal.expires, decided: proposal.decided, reason: proposal.reason, trade: proposal.trade,
            contract: proposal.contract)
    }
}

extension ProposalState {
    fileprivate init(_ state: Proposal.State) {
        switch state {
        case .open: self = .open
        case .accepted: self = .accepted
        case .refused: self = .refused
        case .withdrawn: self = .withdrawn
        case .expired: self = .expired
        }
    }
}
