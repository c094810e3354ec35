import Market
import Primitives
import Testing

/// Long random runs in forwards and spot together, with confirmations, reports and disputes, also with collars, halts and fees. The
/// fixture checks after each command: refusals change nothing, the market finds no violation, and the auditors, who know capacity at every moment and every margin, find nothing wrong.
@Suite struct ForwardPropertyTests {
    struct Crowd {
        var fixture: MarketFixture
        var random: SeededGenerator
        var buyers: [ParticipantID]
        var places: [(id: DatacenterID, owner: ParticipantID)]
        var contracts: [ContractID] = []
        var events: [ContractEvent: Int] = [:]
        var reasons: [Order.CancelReason: Int] = [:]
        var causes: [Contract.Closing.Cause: Int] = [:]
        var refused: [String: Int] = [:]

        /// A narrow band, and rates that leave remainders.
        static let guarded = RiskTerms(
            collar: 300, band: 120, haltSeconds: 400, reference: .init(trades: 6, minimumLots: 4), takerFee: 3_333, makerFee: 1_111)

        init(seed: UInt64, spotPeriod: Span = .hours(1), risk: RiskTerms = .none) throws {
            random = SeededGenerator(seed: seed)
            let forwards = ForwardTerms(kinds: [.hour, .day, .week], initialMargin: 150, performanceBond: 70, penalty: 200)
            var delivery = DeliveryTerms.standard(for: spotPeriod)
            delivery.graceSeconds = spotPeriod.seconds / 2
            fixture = try MarketFixture(
                cash: 30_000_000, capacity: 30, spotPeriod: spotPeriod, forwards: forwards, risk: risk, delivery: delivery,
                start: ForwardSeriesTests.start)
            fixture.seeds = SeededGenerator(seed: seed &* 37)
            buyers = [fixture.buyer, fixture.otherBuyer]
            places = [(fixture.datacenter, fixture.seller), (DatacenterID(bits: 0xE0), fixture.otherBuyer)]
            try fixture.apply(.registerDatacenter(fixture.place(places[1].id, of: fixture.otherBuyer)))
            try fixture.apply(.declareCapacity(places[1].id, fixture.product.id, lots: 20, by: fixture.otherBuyer))
            try fixture.apply(.deposit(fixture.seller, Money(microUnits: 20_000_000, .eur), reference: "bank"))
        }

        mutating func pick<T>(_ items: [T]) -> T { items[Int.random(in: 0..<items.count, using: &random)] }
        mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

        /// Few series, so that orders meet.
        private mutating func series() -> SeriesID {
            let kind = pick([.spot, .hour, .hour, .day, .day, .week] as [Series.Kind])
            let listed = fixture.listed(kind)
            return listed.isEmpty ? fixture.series.id : pick(Array(listed.prefix(4))).id
        }

        private mutating func draft() -> OrderDraft {
            let (side, place) = (chance(50) ? Side.buy : .sell, pick(places))
            return OrderDraft(
                participant: side == .sell ? place.owner : pick(buyers), series: series(), side: side,
                lifetime: chance(80) ? .limit : pick([.immediateOrCancel, .fillOrKill]),
                price: 100_000 + Int64.random(in: -4...4, using: &random) * 7_777, lots: Int64.random(in: 1...8, using: &random),
                datacenter: side == .sell ? place.id : nil,
                conditions: OrderConditions(
                    display: nil, allOrNone: chance(5), selfMatch: pick(OrderConditions.SelfMatch.allCases)))
        }

        mutating func command() -> MarketCommand {
            if chance(40), let command = fixture.aboutDelivery(using: &random) { return command }
            if chance(8) { return fixture.aboutProposals(using: &random, buyers: buyers, places: places, series: series()) }
            let resting = fixture.market.snapshot().orders
            let anyone = pick(buyers + [fixture.seller])
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<56: return .placeOrder(draft())
            case 56: return .grantCredit(anyone, Money(microUnits: chance(40) ? 0 : 3_000_000, .eur), reason: "treasury")
            case 57..<59:
                let live = fixture.market.snapshot().contracts
                return .bustTrade(live.isEmpty ? TradeID(bits: 1) : pick(live).trade, reason: "a slip")
            case 59: return .setReference(series(), price: Int64.random(in: 90_000...110_000, using: &random), reason: "fixing")
            case 60..<66:
                guard !resting.isEmpty else { return .tick }
                let order = pick(resting)
                return .replaceOrder(
                    order.id, price: chance(50) ? nil : 100_000 + Int64.random(in: -4...4, using: &random) * 7_777,
                    lots: chance(40) ? nil : Int64.random(in: 1...9, using: &random), by: order.draft.participant)
            case 66..<72: return resting.isEmpty ? .tick : .cancelOrder(pick(resting).id, by: nil)
            case 72..<76: return .stopContract(contracts.isEmpty ? ContractID(bits: 1) : pick(contracts), by: nil, detail: "stop")
            case 76..<79: return .endContract(contracts.isEmpty ? ContractID(bits: 1) : pick(contracts), detail: "end")
            case 79..<84:
                let place = pick(places)
                return .declareCapacity(place.id, fixture.product.id, lots: Int64.random(in: 5...40, using: &random), by: place.owner)
            case 84..<91: return .deposit(anyone, Money(microUnits: Int64.random(in: 1...12_000_000, using: &random), .eur), reference: "r")
            case 91..<96:
                return .withdraw(anyone, Money(microUnits: Int64.random(in: 1...9_000_000, using: &random), .eur), reference: "r")
            case 96: return .halt(series(), reason: "in doubt")
            case 97..<99: return .reopen(series())
            default: return .suspend(anyone, reason: "wild")
            }
        }

        mutating func step() throws {
            if chance(35) {
                let longest: Int64 = chance(10) ? 100_000_000_000 : 3_000_000_000
                try passTime(Span(microseconds: Int64.random(in: 1...longest, using: &random)))
            }
            do {
                let changes = try fixture.apply(command())
                note(changes)
                for contract in changes.contracts(.created) where chance(70) { try fixture.confirm(contract) }
            } catch {
                refused[error.rule, default: 0] += 1
            }
            for id in buyers + [fixture.seller] where fixture.market.participant(id)?.suspended != nil { try fixture.apply(.resume(id)) }
        }

        mutating func passTime(_ span: Span) throws {
            fixture.now = fixture.now + span
            while let due = fixture.market.nextDue, due <= fixture.now { note(try fixture.apply(.tick)) }
        }

        private mutating func note(_ changes: [MarketChange]) {
            contracts += changes.contracts(.created).map(\.id)
            if contracts.count > 30 { contracts.removeFirst(contracts.count - 30) }
            for event in changes.events { events[event, default: 0] += 1 }
            for reason in changes.orders.compactMap(\.cancelReason) { reasons[reason, default: 0] += 1 }
            for cause in changes.contracts(.settled).compactMap(\.closing?.cause) { causes[cause, default: 0] += 1 }
        }
    }

    /// Seeds and lengths of the spot period.
    private static let runs: [(UInt64, Int64)] = [(1, 3_600), (2, 3_600), (3, 600), (4, 1_260), (5, 86_400), (6, 3_600)]

    @Test func nothingIsOvercommittedOrLost() throws {
        var seldom = Coverage(without: ["halt", "bust", "fee"])
        var causes: [Contract.Closing.Cause: Int] = [:]
        for (seed, spotSeconds) in Self.runs {
            var crowd = try Crowd(seed: seed, spotPeriod: .seconds(spotSeconds))
            for _ in 0..<2_000 { try crowd.step() }
            #expect(crowd.events[.funded, default: 0] > 10 && crowd.reasons[.seriesClosed, default: 0] > 10, "\(crowd.events)")
            #expect(crowd.causes[.periodOver, default: 0] > 5 && crowd.refused["market.capacity", default: 0] > 5, "\(crowd.refused)")
            causes.merge(crowd.causes) { $0 + $1 }
            seldom.see(crowd.fixture.auditor)
            try crowd.fixture.goHome()
        }
        for cause in [.cashShort, .notConfirmedByBuyer, .notConfirmedBySeller] as [Contract.Closing.Cause] {
            #expect(causes[cause, default: 0] > 0, "\(causes)")
        }
        #expect(seldom.missing == [])
    }

    @Test func nothingIsLostBetweenForwardsAndRisk() throws {
        var seldom = Coverage()
        var causes: [Contract.Closing.Cause: Int] = [:]
        var halted = 0
        for (seed, spotSeconds) in Self.runs {
            var crowd = try Crowd(seed: seed + 10, spotPeriod: .seconds(spotSeconds), risk: Crowd.guarded)
            for _ in 0..<2_500 { try crowd.step() }
            #expect(crowd.events[.funded, default: 0] > 10 && crowd.events[.busted, default: 0] > 5, "\(crowd.events)")
            #expect(crowd.reasons[.seriesClosed, default: 0] > 5, "\(crowd.reasons)")
            halted += crowd.reasons[.volatility, default: 0]
            #expect(crowd.refused["market.collar", default: 0] > 0 && crowd.refused["market.halted", default: 0] > 0, "\(crowd.refused)")
            causes.merge(crowd.causes) { $0 + $1 }
            seldom.see(crowd.fixture.auditor)
            try crowd.fixture.goHome()
        }
        #expect(halted > 10)
        #expect(causes[.periodOver, default: 0] > 10 && causes[.cashShort, default: 0] > 0, "\(causes)")
        #expect(seldom.missing == [])
    }

    @Test(arguments: [31, 32, 33, 34] as [UInt64])
    func restoredMarketIsTheSame(seed: UInt64) throws {
        var crowd = try Crowd(seed: seed, risk: seed > 32 ? Crowd.guarded : .none)
        for round in 0..<25 {
            for _ in 0..<15 { try crowd.step() }
            var snapshot = crowd.fixture.market.snapshot()
            snapshot.series.shuffle(using: &crowd.random)
            snapshot.contracts.shuffle(using: &crowd.random)
            snapshot.orders.shuffle(using: &crowd.random)
            snapshot.proposals.shuffle(using: &crowd.random)
            let restored = try Market(restoring: snapshot, clock: crowd.fixture.market.clock)
            #expect(restored.stateHash == crowd.fixture.market.stateHash)
            #expect(restored.snapshot() == crowd.fixture.market.snapshot())
            #expect(restored.violations() == [])
            #expect(restored.nextDue == crowd.fixture.market.nextDue)
            if round % 2 == 1 { crowd.fixture.market = restored }
        }
    }

    @Test func hashSeesEveryPartOfForwards() throws {
        var crowd = try Crowd(seed: 8)
        while !crowd.fixture.market.snapshot().contracts.contains(where: \.isForward) { try crowd.step() }
        let snapshot = crowd.fixture.market.snapshot()
        let forward = snapshot.contracts.firstIndex { $0.isForward }
        let contract = try #require(forward)
        var hashes: Set<UInt64> = [snapshot.stateHash]
        let changes: [(inout MarketSnapshot) -> Void] = [
            { $0.series[0].stage = .expired }, { $0.contracts[contract].margin += 1 }, { $0.contracts[contract].bond += 1 },
            { $0.contracts[contract].paidUntil = $0.contracts[contract].paidUntil + Span(microseconds: 1) },
            { snapshot in
                let old = snapshot.series[0]
                snapshot.series[0] = Series(
                    id: old.id, product: old.product, kind: .day, delivery: Period(start: .zero, end: .zero + .days(1)), stage: old.stage)
            },
        ]
        for change in changes {
            var copy = snapshot
            change(&copy)
            #expect(hashes.insert(copy.stateHash).inserted)
        }
    }
}
