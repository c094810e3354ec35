import Market
import Primitives
import Testing

@Suite struct ContractTests {
    /// A one-minute spot contract of 2 lots at 3.60 an hour, bought 15 s into the minute.
    private func oneMinute(cash: Int64 = 1_000_000_000) throws -> (MarketFixture, Contract) {
        var fixture = try MarketFixture(cash: cash, spotPeriod: .minutes(1))
        fixture.now = fixture.now + .seconds(15)
        try fixture.sell(2, at: 3_600_000)
        let contract = try #require(try fixture.buy(2, at: 3_600_000).contracts.first)
        try fixture.confirm(contract)
        return (fixture, contract)
    }

    @Test func coversTheRestOfItsPeriod() throws {
        let (fixture, contract) = try oneMinute()
        #expect(contract.period == Period(start: MarketFixture.start + .seconds(15), end: MarketFixture.start + .minutes(1)))
        #expect(contract.state == .delivering)
        #expect(contract.held == 90_000, "2 lots × 0.001 a second × 45 s")
        #expect(contract.termsHash == "3f")
        #expect(fixture.market.nextDue == MarketFixture.start + .seconds(50), "rolled a sixth of the period before its end")
    }

    @Test func rollsUntilStoppedAndPaysTheSeller() throws {
        var (fixture, contract) = try oneMinute()
        #expect(try fixture.wait(.seconds(34)).isEmpty)
        #expect(try fixture.wait(.seconds(1)).events == [.rolled])
        #expect(fixture.market.contract(contract.id)?.period.end == MarketFixture.start + .minutes(2))
        #expect(fixture.heldForContracts(fixture.buyer) == 210_000)
        #expect(try fixture.wait(.seconds(10)).events == [.charged])
        #expect(fixture.cash(fixture.seller) == 0 && fixture.heldForContracts(fixture.buyer) == 210_000, "reports are awaited")
        #expect(try fixture.wait(.seconds(5)).events == [.paid])
        #expect(fixture.cash(fixture.seller) == 90_000, "nobody reported: as contracted")
        try fixture.apply(.stopContract(contract.id, by: fixture.seller, detail: "maintenance"))
        #expect(try fixture.apply(.stopContract(contract.id, by: fixture.buyer, detail: "again")).isEmpty)
        #expect(fixture.market.contract(contract.id)?.closing?.cause == .stoppedBySeller)
        #expect(try fixture.wait(.seconds(54)).isEmpty)
        #expect(try fixture.wait(.seconds(1)).events == [.ended])
        #expect(fixture.market.offering(of: fixture.product.id, at: fixture.datacenter)?.sold == 0, "the capacity is back")
        let changes = try fixture.wait(.seconds(5))
        #expect(changes.events == [.paid, .settled])
        contract = try #require(changes.contracts(.settled).first)
        #expect(contract.state == .settled)
        #expect(contract.closing?.detail == "maintenance")
        #expect(contract.settled == 210_000)
        #expect(fixture.cash(fixture.seller) == 210_000)
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000 - 210_000)
        #expect(fixture.heldForContracts(fixture.buyer) == 0)
        #expect(fixture.market.contract(contract.id) == nil)
        #expect(fixture.market.nextDue == nil)
    }

    @Test func endsWhenCashDoesNotCoverTheNextPeriod() throws {
        var (fixture, contract) = try oneMinute(cash: 209_999)
        let changes = try fixture.wait(.seconds(35))
        #expect(changes.events == [.closing])
        contract = try #require(changes.contracts(.closing).first)
        #expect(contract.closing?.cause == .cashShort)
        #expect(contract.closing?.detail == "The next period costs 0.12 EUR, more than the buyer's free cash and credit.")
        #expect(try fixture.wait(.seconds(15)).events == [.ended, .paid, .settled])
        #expect(fixture.cash(fixture.buyer) == 119_999)
        #expect(fixture.cash(fixture.seller) == 90_000)
    }

    @Test func cashThatJustCoversTheNextPeriodIsEnough() throws {
        var (fixture, contract) = try oneMinute(cash: 210_000)
        #expect(try fixture.wait(.seconds(35)).events == [.rolled])
        #expect(fixture.cash(fixture.buyer) == 0)
        #expect(try fixture.wait(.seconds(60)).events == [.charged, .paid, .closing])
        contract = try #require(fixture.market.contract(contract.id))
        #expect(contract.closing?.cause == .cashShort)
        try fixture.wait(.seconds(60))
        #expect(fixture.cash(fixture.seller) == 210_000)
    }

    @Test func endedEarlyIsChargedToTheMicrosecond() throws {
        var (fixture, contract) = try oneMinute()
        try fixture.wait(.seconds(40))
        fixture.now = fixture.now + Span(microseconds: 1_234_567)
        let end = fixture.now
        #expect(try fixture.apply(.endContract(contract.id, detail: "breach")).events == [.ended])
        contract = try #require(try fixture.wait(.seconds(5)).contracts(.settled).first)
        #expect(contract.settled == 82_469, "41.234567 s × 0.002, half-even")
        #expect(contract.period.end == end && contract.outcome == .endedEarly)
        #expect(contract.closing?.cause == .endedByOperator)
        #expect(fixture.heldForContracts(fixture.buyer) == 0)
        #expect(fixture.cash(fixture.buyer) == 1_000_000_000 - 82_469)
        #expect(fixture.market.nextDue == nil)
        #expect(try refusal { try fixture.apply(.endContract(contract.id, detail: "")) }.rule == "market.unknown-contract")
    }

    @Test func manySmallChargesAddUpToOneLarge() throws {
        // 1 lot at 0.000007 an hour, minute by minute: each minute is 0.1167 micro-units.
        var fixture = try MarketFixture(spotPeriod: .minutes(1))
        try fixture.sell(1, at: 7)
        let contract = try #require(try fixture.buy(1, at: 7).contracts.first)
        try fixture.confirm(contract)
        for _ in 0..<600 { try fixture.wait(.seconds(60)) }
        try fixture.wait(.seconds(5))
        #expect(fixture.cash(fixture.seller) == 70)
        #expect(fixture.market.contract(contract.id)?.settled == 70)
    }

    /// However often the clock is looked at, the same happens.
    @Test(arguments: [1, 7, 60, 3_000] as [Int64])
    func lateClockDoesTheSame(step: Int64) throws {
        func run(step: Int64) throws -> MarketFixture {
            var (fixture, contract) = try oneMinute(cash: 5_000_000)
            let end = fixture.now + .seconds(2_000)
            while fixture.now < end { try fixture.wait(.seconds(min(step, (end - fixture.now).seconds))) }
            if fixture.market.contract(contract.id) != nil { try fixture.apply(.stopContract(contract.id, by: nil, detail: "done")) }
            try fixture.wait(.seconds(3_600))
            return fixture
        }
        let reference = try run(step: 5)
        let other = try run(step: step)
        for participant in [reference.seller, reference.buyer] { #expect(reference.cash(participant) == other.cash(participant)) }
        #expect(reference.cash(reference.seller) > 3_800_000)
        #expect(other.market.nextDue == nil)
    }

    @Test func aContractOnlyItsPartiesCanStop() throws {
        var (fixture, contract) = try oneMinute()
        #expect(try refusal { try fixture.apply(.stopContract(contract.id, by: fixture.otherBuyer, detail: "")) }.category == .notFound)
        try fixture.apply(.stopContract(contract.id, by: fixture.buyer, detail: "enough"))
        #expect(fixture.market.contract(contract.id)?.rolls == false)
        #expect(fixture.market.nextDue == MarketFixture.start + .minutes(1))
    }

    @Test func boughtInTheLastMomentsItRollsAtOnce() throws {
        var fixture = try MarketFixture(spotPeriod: .minutes(1))
        fixture.now = fixture.now + .seconds(58)
        try fixture.sell(1, at: 3_600_000)
        let contract = try #require(try fixture.buy(1, at: 3_600_000).contracts.first)
        #expect(try refusal { try fixture.sell(1, at: 1) }.rule == "market.clock-behind")
        #expect(try fixture.wait(.zero).events == [.rolled])
        #expect(fixture.market.contract(contract.id)?.period.end == MarketFixture.start + .minutes(2))
    }
}
