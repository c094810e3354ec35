import Market
import Primitives
import Testing

@Suite struct DeliveryTests {
    /// A one-minute contract of 2 lots that cost 0.12 for their minute, which is over.
    private func overMinute(confirmed: [ContractParty] = ContractParty.allCases) throws -> (MarketFixture, Contract, Delivery) {
        var fixture = try MarketFixture(spotPeriod: .minutes(1))
        try fixture.sell(2, at: 3_600_000)
        let contract = try #require(try fixture.buy(2, at: 3_600_000).contracts.first)
        for party in confirmed { try fixture.apply(.confirmContract(contract.id, party)) }
        try fixture.apply(.stopContract(contract.id, by: nil, detail: "enough"))
        let delivery = try #require(try fixture.wait(.seconds(60)).deliveries.first)
        #expect(delivery.charge == 120_000 && delivery.state == .waiting && delivery.due == fixture.now + .seconds(5))
        return (fixture, contract, delivery)
    }

    @Test(arguments: [(0, 0, 0), (1, 1, 0), (2, 2, 12_000), (16, 20, 30_000), (60, 60, 120_000)] as [(Int64, Int64, Int64)])
    func agreementPaysAtOnceByThePenaltyTable(buyer: Int64, seller: Int64, credit: Int64) throws {
        var (fixture, contract, delivery) = try overMinute()
        #expect(try fixture.report(delivery, .seller, missing: seller).events == [])
        let changes = try fixture.report(delivery, .buyer, missing: buyer)
        #expect(changes.events == [.paid, .settled])
        delivery = try #require(changes.deliveries.last)
        #expect(delivery.basis == .agreed && delivery.credited == credit && delivery.paid == 120_000 - credit)
        #expect(delivery.availability == 1_000 - (buyer + seller) / 2)
        #expect(fixture.cash(fixture.seller) == 120_000 - credit)
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000 - 120_000 + credit)
        contract = try #require(changes.contracts(.settled).first)
        #expect(contract.settled == 120_000 - credit && contract.credited == credit && contract.outcome == .delivered)
        #expect(fixture.market.nextDue == nil)
    }

    @Test(arguments: ContractParty.allCases)
    func whoeverIsSilentLeavesItToTheOther(party: ContractParty) throws {
        var (fixture, _, delivery) = try overMinute()
        try fixture.report(delivery, party, missing: 20)
        #expect(try fixture.wait(.seconds(4)).isEmpty)
        delivery = try #require(try fixture.wait(.seconds(1)).deliveries.last)
        #expect(delivery.basis == (party == .buyer ? .buyersReport : .sellersReport))
        #expect(delivery.credited == 30_000 && delivery.availability == 980)
    }

    @Test func differencesThatCostNothingAreNotDisputed() throws {
        // 96 % and 98 % both give a quarter back.
        var (fixture, _, delivery) = try overMinute()
        try fixture.report(delivery, .seller, missing: 20)
        delivery = try #require(try fixture.report(delivery, .buyer, missing: 40).deliveries.last)
        #expect(delivery.state == .settled && delivery.basis == .disputed && delivery.dispute == nil && delivery.credited == 30_000)
    }

    /// All was delivered, says the seller; nothing, says the buyer.
    private func disputed() throws -> (MarketFixture, Delivery, Dispute) {
        var (fixture, contract, delivery) = try overMinute()
        try fixture.report(delivery, .seller, missing: 20)
        let changes = try fixture.report(delivery, .buyer, missing: 1_000)
        #expect(changes.events == [.paid])
        delivery = try #require(changes.deliveries.last)
        let dispute = try #require(delivery.dispute)
        #expect(delivery.paid == 0 && delivery.credited == 30_000 && dispute.amount == 90_000)
        #expect(dispute.deadline == fixture.now + .minutes(168))
        #expect(fixture.heldForContracts(fixture.buyer) == 90_000)
        #expect(fixture.market.contract(contract.id)?.state == .ended)
        return (fixture, delivery, dispute)
    }

    @Test func bothAgree() throws {
        var (fixture, _, dispute) = try disputed()
        try fixture.apply(.answerDispute(dispute.id, .seller, toBuyer: 20_000, note: "one host"))
        #expect(fixture.cash(fixture.seller) == 0)
        try fixture.apply(.answerDispute(dispute.id, .buyer, toBuyer: 70_000, note: "more"))
        let changes = try fixture.apply(.answerDispute(dispute.id, .buyer, toBuyer: 15_000, note: "fine"))
        #expect(changes.events == [.paid, .settled])
        let resolution = try #require(changes.deliveries.last?.dispute?.resolution)
        #expect(resolution.outcome == .agreed && resolution.toBuyer == 20_000, "what the seller had offered")
        #expect(fixture.cash(fixture.seller) == 70_000 && fixture.heldForContracts(fixture.buyer) == 0)
        #expect(
            try refusal { try fixture.apply(.ruleDispute(dispute.id, toBuyer: 0, note: "")) }.rule == "market.unknown-dispute")
    }

    @Test func theOperatorRules() throws {
        var (fixture, _, dispute) = try disputed()
        let refused = try refusal { try fixture.apply(.ruleDispute(dispute.id, toBuyer: 90_001, note: "")) }
        #expect(refused.rule == "market.dispute-amount" && refused.nearest == "90000")
        let changes = try fixture.apply(.ruleDispute(dispute.id, toBuyer: 60_000, note: "evidence of the host"))
        #expect(changes.deliveries.last?.dispute?.resolution?.outcome == .ruled)
        #expect(fixture.cash(fixture.seller) == 30_000)
    }

    @Test(
        arguments: [([], 0), ([ContractParty.buyer], 80_000), ([.seller], 10_000)] as [([ContractParty], Int64)])
    func leftAloneItExpires(answers: [ContractParty], toBuyer: Int64) throws {
        var (fixture, _, dispute) = try disputed()
        for party in answers {
            try fixture.apply(.answerDispute(dispute.id, party, toBuyer: party == .buyer ? 80_000 : 10_000, note: "mine"))
        }
        #expect(try fixture.wait(.minutes(167)).isEmpty)
        let resolution = try #require(try fixture.wait(.minutes(1)).deliveries.last?.dispute?.resolution)
        #expect(resolution.outcome == .expired && resolution.toBuyer == toBuyer)
        #expect(fixture.cash(fixture.seller) == 90_000 - toBuyer)
        #expect(fixture.market.nextDue == nil)
    }

    @Test func answersThatContradictWaitForTheOperator() throws {
        var (fixture, _, dispute) = try disputed()
        for (party, toBuyer) in [(ContractParty.buyer, 80_000), (.seller, 10_000)] as [(ContractParty, Int64)] {
            try fixture.apply(.answerDispute(dispute.id, party, toBuyer: toBuyer, note: "mine"))
        }
        #expect(try fixture.wait(.minutes(168)).deliveries.map(\.state) == [.disputed], "nobody guesses")
        try fixture.wait(.minutes(1_000))
        #expect(fixture.heldForContracts(fixture.buyer) == 90_000 && fixture.cash(fixture.seller) == 0)
        let changes = try fixture.apply(.ruleDispute(dispute.id, toBuyer: 90_000, note: "the host's log"))
        #expect(changes.events == [.paid, .settled] && fixture.cash(fixture.seller) == 0)
        #expect(fixture.market.nextDue == nil)
    }

    /// 2 ‰ and 0 ‰ missing are within the tolerance, and 999 ‰ is a step of the penalties: passed over, each such claim would pay.
    @Test func aSmallDifferenceThatCostsIsDisputed() throws {
        var (fixture, _, delivery) = try overMinute()
        try fixture.report(delivery, .seller, missing: 0)
        delivery = try #require(try fixture.report(delivery, .buyer, missing: 3).deliveries.last)
        #expect(delivery.state == .disputed && delivery.paid == 108_000 && delivery.dispute?.amount == 12_000)
    }

    // MARK: The exchange was away

    @Test func whatNobodyCouldReportIsReportedLater() throws {
        var (fixture, contract, delivery) = try overMinute()
        let outage = Period(start: fixture.now, end: fixture.now + .hours(2))
        fixture.now = outage.end
        let changes = try fixture.apply(.resumeAfter(outage))
        #expect(changes.deliveries.map(\.due) == [delivery.due + .hours(2)])
        try fixture.wait(.zero)
        delivery = try #require(fixture.market.openDeliveries(of: contract.id).first)
        #expect(delivery.state == .waiting)
        try fixture.report(delivery, .seller, missing: 0)
        delivery = try #require(try fixture.report(delivery, .buyer, missing: 0).deliveries.last)
        #expect(delivery.basis == .agreed)
        let early = Period(start: fixture.now - .hours(1), end: fixture.now)
        #expect(try refusal { try fixture.apply(.resumeAfter(early)) }.rule == "market.outage")
    }

    @Test func whatNobodyCouldConfirmIsConfirmedLater() throws {
        var fixture = try MarketFixture()
        try fixture.sell(2, at: 100_000)
        let contract = try #require(try fixture.buy(2, at: 100_000).contracts.first)
        let outage = Period(start: fixture.now, end: fixture.now + .minutes(30))
        fixture.now = outage.end
        #expect(try fixture.apply(.resumeAfter(outage)).events == [.postponed])
        try fixture.wait(.minutes(9))
        try fixture.confirm(contract)
        try fixture.wait(.hours(1))
        #expect(fixture.market.contract(contract.id)?.isLive == true)
    }

    /// Stretches that ended meanwhile are reported from when the exchange is back.
    @Test func whatEndedMeanwhileWaitsForReportsToo() throws {
        var fixture = try MarketFixture(spotPeriod: .minutes(1))
        try fixture.sell(2, at: 3_600_000)
        let contract = try #require(try fixture.buy(2, at: 3_600_000).contracts.first)
        try fixture.confirm(contract)
        let outage = Period(start: fixture.now, end: fixture.now + .minutes(5))
        fixture.now = outage.end
        try fixture.apply(.resumeAfter(outage))
        try fixture.wait(.zero)
        let open = fixture.market.openDeliveries(of: contract.id)
        #expect(open.count == 5 && open.allSatisfy { $0.state == .waiting && $0.due == outage.end + .seconds(5) })
    }

    @Test func wrongReportsAreRefusedWithTheNumbers() throws {
        var (fixture, contract, delivery) = try overMinute(confirmed: [.seller])
        #expect(try refusal { try fixture.report(delivery, .buyer) }.rule == "market.report-unconfirmed")
        let inflated = try refusal { try fixture.report(delivery, .seller, demanded: 120_000_001) }
        #expect(inflated.rule == "market.report-inflated" && inflated.nearest == "0 ≤ delivered ≤ demanded ≤ 120000000")
        var report = DeliveryReport(
            period: Period(start: delivery.period.start, end: delivery.period.end - .seconds(1)), demanded: 5, delivered: 4,
            unavailable: [],
            evidenceHash: String(repeating: "0", count: 64), signer: "1", signature: "1")
        let stretch = try refusal { try fixture.apply(.reportDelivery(contract.id, .seller, report)) }
        #expect(stretch.rule == "market.report-stretch" && stretch.nearest == "\(delivery.period.start) to \(delivery.period.end)")
        report.period = delivery.period
        #expect(try refusal { try fixture.apply(.reportDelivery(contract.id, .seller, report)) }.rule == "market.report-sum")
        report.unavailable = [.init(cause: .host, lotMicroseconds: 2), .init(cause: .network, lotMicroseconds: -1)]
        #expect(try refusal { try fixture.apply(.reportDelivery(contract.id, .seller, report)) }.rule == "market.report-causes")
        (report.delivered, report.unavailable, report.evidenceHash) = (5, [], "0x")
        #expect(try refusal { try fixture.apply(.reportDelivery(contract.id, .seller, report)) }.rule == "market.report-evidence")
        try fixture.report(delivery, .seller, missing: 1)
        #expect(try fixture.report(delivery, .seller, missing: 1).isEmpty, "the same again changes nothing")
        #expect(try refusal { try fixture.report(delivery, .seller, missing: 2) }.rule == "market.report-again")
        try fixture.wait(.seconds(5))
        #expect(try refusal { try fixture.report(delivery, .seller, missing: 1) }.rule == "market.unknown-contract")
    }

    // MARK: Confirmation

    @Test func aSellerThatNeverConfirmsIsPaidNothing() throws {
        var fixture = try MarketFixture(spotPeriod: .minutes(1))
        try fixture.sell(2, at: 3_600_000)
        let contract = try #require(try fixture.buy(2, at: 3_600_000).contracts.first)
        #expect(contract.confirmation.deadline == fixture.now + .minutes(10))
        try fixture.apply(.confirmContract(contract.id, .buyer))
        #expect(try fixture.apply(.confirmContract(contract.id, .buyer)).isEmpty)
        try fixture.wait(.seconds(599))
        #expect(fixture.cash(fixture.seller) == 0, "nothing is paid before it confirms")
        let changes = try fixture.wait(.seconds(1))
        let ended = try #require(changes.contracts(.settled).first)
        #expect(ended.outcome == .defaulted && ended.closing?.cause == .notConfirmedBySeller)
        #expect(ended.closing?.detail.hasSuffix("1.20 EUR go back to the buyer.") == true, "\(ended.closing?.detail ?? "")")
        #expect(ended.credited == 1_200_000 && ended.settled == 0)
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000)
        #expect(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.sold == 0)
        #expect(fixture.market.nextDue == nil)
    }

    @Test func aBuyerThatNeverConfirmsPaysForTheTime() throws {
        var fixture = try MarketFixture()
        try fixture.sell(2, at: 3_600_000)
        let contract = try #require(try fixture.buy(2, at: 3_600_000).contracts.first)
        try fixture.apply(.confirmContract(contract.id, .seller))
        #expect(try fixture.wait(.minutes(10)).events == [.ended])
        #expect(fixture.heldForContracts(fixture.buyer) == 1_200_000, "ten minutes of 7.20 an hour")
        let ended = try #require(try fixture.wait(.minutes(5)).contracts(.settled).first)
        #expect(ended.outcome == .defaulted && ended.closing?.cause == .notConfirmedByBuyer)
        #expect(fixture.cash(fixture.seller) == 1_200_000)
    }

    @Test func stoppedBeforeTheSellerConfirmsItGoesBackToo() throws {
        var fixture = try MarketFixture(spotPeriod: .minutes(1))
        try fixture.sell(1, at: 3_600_000)
        let contract = try #require(try fixture.buy(1, at: 3_600_000).contracts.first)
        try fixture.apply(.stopContract(contract.id, by: fixture.buyer, detail: ""))
        #expect(try fixture.wait(.seconds(60)).events == [.ended])
        let delivery = try #require(try fixture.wait(.seconds(540)).deliveries.last)
        #expect(delivery.basis == .unconfirmed && fixture.cash(fixture.buyer) == 1_000_000_000)
    }

    @Test func termsOfItsOwn() throws {
        var fixture = try MarketFixture()
        var terms = MarketFixture.terms("strict", spotPeriod: .minutes(1))
        terms.delivery = DeliveryTerms(
            confirmationSeconds: 30, graceSeconds: 20, disputeSeconds: 60, tolerance: 0, penalties: [.init(below: 1_000, credit: 1_000)])
        _ = try fixture.add(terms)
        terms.name = "wrong"
        terms.delivery?.penalties.append(.init(below: 1_000, credit: 1_000))
        #expect(try refusal { _ = try fixture.add(terms) }.rule == "market.penalties")
        terms.delivery?.penalties = []
        terms.delivery?.graceSeconds = 61
        #expect(try refusal { _ = try fixture.add(terms) }.rule == "market.grace")
    }
}
