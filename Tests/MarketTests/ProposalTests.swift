import Market
import Primitives
import Testing

/// Bilateral trades. The fixture's auditors check every step.
@Suite struct ProposalTests {
    private static let risk = RiskTerms(collar: 100, takerFee: 20_000, makerFee: 10_000)

    @Test func anAcceptedProposalIsAContractLikeAnyOther() throws {
        var fixture = try MarketFixture(risk: Self.risk)
        try fixture.sell(3, at: 1_100_000)
        let before = fixture.market.snapshot()
        let proposal = try fixture.propose(fixture.proposal(.buy, 2, at: 1_000_000))
        #expect(proposal.state == .open && proposal.number == 1 && proposal.expires == fixture.now + .hours(1))
        #expect(fixture.market.snapshot().balances == before.balances && fixture.market.snapshot().offerings == before.offerings)
        let changes = try fixture.accept(proposal)
        let contract = try #require(changes.contracts(.delivering).first)
        #expect(contract.buyer == fixture.buyer && contract.seller == fixture.seller && contract.datacenter == fixture.datacenter)
        #expect(contract.lots == 2 && contract.price == 1_000_000 && contract.held == 2_000_000 && contract.proposal == proposal.id)
        #expect(contract.fees.buyer.rate == 10_000 && contract.fees.seller.rate == 20_000, "who accepts takes")
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000 - 2_020_000)
        let accepted = try #require(changes.proposals.first)
        #expect(accepted.state == .accepted && accepted.contract == contract.id && accepted.draft.datacenter == fixture.datacenter)
        #expect(
            fixture.market.proposal(proposal.id) == nil
                && fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.sold == 2)
        #expect(fixture.market.referencePrice(of: fixture.series.id) == nil, "the book has not heard of it")
        #expect(fixture.market.snapshot().orders == before.orders)
        try fixture.confirm(contract)
        try fixture.apply(.stopContract(contract.id, by: fixture.buyer, detail: "enough"))
        try fixture.wait(.hours(2))
        #expect(fixture.market.contract(contract.id) == nil)
        #expect(fixture.cash(fixture.seller) == 2_000_000 - 40_000)
    }

    @Test func forwardsAreSecuredByBothSides() throws {
        let forwards = ForwardTerms(kinds: [.hour], initialMargin: 150, performanceBond: 70, penalty: 200)
        var fixture = try MarketFixture(forwards: forwards)
        try fixture.apply(.deposit(fixture.seller, Money(microUnits: 1_000_000, .eur), reference: "bank"))
        let series = fixture.listed(.hour)[3]
        let proposal = try fixture.propose(fixture.proposal(.sell, 4, at: 1_000_000, in: series))
        let contract = try #require(try fixture.accept(proposal).contracts(.created).first)
        #expect(contract.margin == 600_000 && contract.bond == 280_000 && contract.state == .created)
        #expect(fixture.market.balance(of: fixture.buyer, .margin) == 600_000)
        #expect(fixture.cash(fixture.seller) == 720_000)
        let last = fixture.listed(.hour)[2]
        let close = try #require(last.closes)
        var late = fixture.proposal(.sell, 1, at: 1_000_000, in: last)
        late.expires = close + .seconds(1)
        #expect(try refusal { try fixture.propose(late) }.rule == "market.proposal-expires")
        late.expires = nil
        fixture.now = close - .minutes(5)
        try fixture.apply(.tick)
        let short = try fixture.propose(late)
        #expect(short.expires == close)
        #expect(try fixture.wait(.minutes(5)).proposals.map(\.state) == [.expired])
        #expect(try refusal { try fixture.propose(late) }.rule == "market.closed")
    }

    @Test func whatIsProposedIsCheckedAtOnce() throws {
        var fixture = try MarketFixture(risk: Self.risk)
        try fixture.apply(.setReference(fixture.series.id, price: 1_000_000, reason: "fixing"))
        let onlyBuys = try fixture.participant("Only buys", buys: true, sells: false)
        let (draft, now) = (fixture.proposal(.buy, 2, at: 1_000_000), fixture.now)
        let changes: [(String, (inout ProposalDraft) -> Void)] = [
            ("market.self-proposal", { $0.counterparty = $0.proposer }),
            ("market.unknown-participant", { $0.counterparty = .init(bits: 9) }),
            ("market.unknown-participant", { $0.proposer = .init(bits: 9) }), ("market.unknown-series", { $0.series = .init(bits: 9) }),
            ("market.lots", { $0.lots = 0 }), ("market.price", { $0.price = 0 }), ("market.collar", { $0.price = 1_200_000 }),
            ("market.datacenter", { $0.datacenter = .init(bits: 9) }), ("market.role", { $0.side = .sell }),
            ("market.counterparty", { $0.counterparty = onlyBuys }),
            ("market.note", { $0.note = String(repeating: "x", count: 501) }),
            ("market.proposal-expires", { $0.expires = now }),
            ("market.proposal-expires", { $0.expires = now + .days(7) + .seconds(1) }),
        ]
        for (rule, change) in changes {
            var asked = draft
            change(&asked)
            #expect(try refusal { try fixture.propose(asked) }.rule == rule)
        }
        var week = draft
        week.expires = fixture.now + .days(7)
        #expect(try fixture.propose(week).expires == week.expires)
    }

    @Test func anAnswerIsTheCounterpartysAndOnlyOne() throws {
        var fixture = try MarketFixture()
        let proposal = try fixture.propose(fixture.proposal(.buy, 2, at: 1_000_000))
        for party in [fixture.otherBuyer, ParticipantID(bits: 3)] {
            #expect(
                try refusal { try fixture.apply(.acceptProposal(proposal.id, by: party, from: fixture.datacenter)) }.rule
                    == "market.unknown-proposal")
        }
        #expect(
            try refusal { try fixture.apply(.acceptProposal(proposal.id, by: fixture.buyer, from: nil)) }.rule == "market.proposal-party")
        #expect(
            try refusal { try fixture.apply(.refuseProposal(proposal.id, by: fixture.buyer, reason: "x")) }.rule == "market.proposal-party")
        #expect(try refusal { try fixture.apply(.withdrawProposal(proposal.id, by: fixture.seller)) }.rule == "market.proposal-party")
        #expect(try refusal { try fixture.apply(.refuseProposal(proposal.id, by: fixture.seller, reason: "")) }.rule == "market.reason")
        #expect(try refusal { try fixture.apply(.acceptProposal(proposal.id, by: fixture.seller, from: nil)) }.rule == "market.datacenter")
        let refused = try fixture.apply(.refuseProposal(proposal.id, by: fixture.seller, reason: "too cheap")).proposals
        #expect(refused.map(\.state) == [.refused] && refused[0].reason == "too cheap" && refused[0].decided == fixture.now)
        #expect(try refusal { try fixture.accept(proposal) }.rule == "market.unknown-proposal")
        let second = try fixture.propose(fixture.proposal(.sell, 2, at: 1_000_000))
        #expect(second.number == 2)
        #expect(try fixture.apply(.withdrawProposal(second.id, by: fixture.seller)).proposals.map(\.state) == [.withdrawn])
        let third = try fixture.propose(fixture.proposal(.sell, 2, at: 1_000_000))
        #expect(fixture.market.nextDue == third.expires)
        #expect(try fixture.wait(.hours(1)).proposals.map(\.state) == [.expired])
    }

    @Test func everythingIsCheckedWhenItIsAccepted() throws {
        var fixture = try MarketFixture(cash: 5_000_000, capacity: 4, risk: Self.risk)
        let (series, seller, buyer) = (fixture.series.id, fixture.seller, fixture.buyer)
        let toBuy = try fixture.propose(fixture.proposal(.buy, 4, at: 1_000_000))
        let toSell = try fixture.propose(fixture.proposal(.sell, 4, at: 1_000_000))
        func rule(_ proposal: Proposal) throws -> [String] {
            let no = try refusal { try fixture.accept(proposal) }
            guard case .text(let other)? = no.facts["rule"] else { return [no.rule] }
            #expect(no.facts["cash"] == nil && no.facts["declared"] == nil, "the other side's numbers are its own")
            return [no.rule, other]
        }
        try fixture.apply(.halt(series, reason: "in doubt"))
        #expect(try rule(toBuy) == ["market.halted"])
        try fixture.apply(.reopen(series))
        try fixture.apply(.setReference(series, price: 2_000_000, reason: "fixing"))
        #expect(try rule(toBuy) == ["market.collar"])
        try fixture.apply(.setReference(series, price: 1_000_000, reason: "fixing"))
        try fixture.apply(.declareCapacity(fixture.datacenter, fixture.product.id, lots: 3, by: seller))
        #expect(try rule(toBuy) == ["market.capacity"])
        #expect(try rule(toSell) == ["market.counterparty", "market.capacity"])
        try fixture.apply(.declareCapacity(fixture.datacenter, fixture.product.id, lots: 4, by: seller))
        try fixture.apply(.withdraw(buyer, Money(microUnits: 961_000, .eur), reference: "r"))
        #expect(fixture.cash(buyer) == 4_039_000)
        #expect(try rule(toBuy) == ["market.counterparty", "market.cash"], "4.04 with the maker's fee")
        #expect(try rule(toSell) == ["market.cash"])
        try fixture.apply(.deposit(buyer, Money(microUnits: 1_000, .eur), reference: "r"))
        #expect(try rule(toSell) == ["market.cash"], "4.08 with the taker's fee")
        try fixture.apply(.suspend(seller, reason: "audit"))
        #expect(try rule(toBuy) == ["market.suspended"])
        #expect(fixture.market.proposal(toSell.id) == nil, "the suspended propose nothing")
        try fixture.apply(.resume(seller))
        try fixture.accept(toBuy)
        #expect(fixture.cash(buyer) == 0)
    }

    @Test func theSuspendedSideIsNotTradedWith() throws {
        var fixture = try MarketFixture()
        let proposal = try fixture.propose(fixture.proposal(.sell, 1, at: 1_000_000))
        #expect(try fixture.apply(.suspend(fixture.seller, reason: "audit")).proposals.map(\.state) == [.withdrawn])
        #expect(try refusal { try fixture.accept(proposal) }.rule == "market.unknown-proposal")
        let no = try refusal { try fixture.propose(fixture.proposal(.buy, 1, at: 1_000_000)) }
        #expect(no.rule == "market.counterparty" && !no.message.contains("audit"))
    }

    @Test func aBilateralTradeIsBustedLikeAnyOther() throws {
        var fixture = try MarketFixture(risk: RiskTerms(takerFee: 20_000, makerFee: 10_000))
        try fixture.sell(1, at: 1_000_000)
        try fixture.buy(1, at: 1_000_000)
        let proposal = try fixture.propose(fixture.proposal(.buy, 2, at: 1_500_000))
        let contract = try #require(try fixture.accept(proposal).contracts(.created).first)
        try fixture.confirm(contract)
        #expect(fixture.market.referencePrice(of: fixture.series.id) == 1_000_000)
        try fixture.apply(.bustTrade(contract.trade, reason: "a slip"))
        #expect(fixture.market.contract(contract.id) == nil && fixture.market.referencePrice(of: fixture.series.id) == 1_000_000)
    }
}
