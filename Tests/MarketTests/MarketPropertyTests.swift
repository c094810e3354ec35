import Market
import Primitives
import Testing

/// Long random runs. The fixture checks after each command: refusals change nothing, the auditor finds nothing wrong.
@Suite struct MarketPropertyTests {
    /// A crowd that does everything at random, sensible and not.
    struct Crowd {
        var fixture: MarketFixture
        var random: SeededGenerator
        var listings: [(product: Product, series: Series)]
        var participants: [ParticipantID]
        var datacenters: [(id: DatacenterID, owner: ParticipantID)]
        var orders: [OrderID] = []
        var contracts: [ContractID] = []
        var refused: [String: Int] = [:]

        init(seed: UInt64) throws {
            random = SeededGenerator(seed: seed)
            fixture = try MarketFixture(cash: 3_000_000, capacity: 40, spotPeriod: .minutes(1))
            fixture.seeds = SeededGenerator(seed: seed &* 31)
            listings = [(fixture.product, fixture.series)]
            listings.append(try fixture.add(MarketFixture.terms("hourly", zone: nil)))
            listings.append(try fixture.add(MarketFixture.terms("guarded", spotPeriod: .minutes(1), risk: Self.risk)))
            participants = [fixture.seller, fixture.buyer, fixture.otherBuyer, try fixture.participant("Fourth", buys: true, sells: true)]
            datacenters = [(fixture.datacenter, fixture.seller)]
            for (number, owner) in participants[2...].enumerated() {
                let id = DatacenterID(bits: 0xE0 + UInt64(number))
                try fixture.apply(.registerDatacenter(fixture.place(id, of: owner)))
                datacenters.append((id, owner))
            }
        }

        static let risk = RiskTerms(
            collar: 300, band: 100, haltSeconds: 20, reference: .init(trades: 6, minimumLots: 4), takerFee: 3_333, makerFee: 1_111)

        mutating func pick<T>(_ items: [T]) -> T { items[Int.random(in: 0..<items.count, using: &random)] }
        mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

        mutating func command() -> MarketCommand {
            if chance(30), let command = fixture.aboutDelivery(using: &random) { return command }
            let listing = pick(listings)
            if chance(8) {
                return fixture.aboutProposals(using: &random, buyers: participants, places: datacenters, series: listing.series.id)
            }
            let anyone = pick(participants)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<50: return .placeOrder(draft(listing.series.id))
            case 50..<56: return replacement(by: anyone)
            case 56..<58:
                return .cancelOrders(of: anyone, series: chance(50) ? listing.series.id : nil, side: chance(50) ? .buy : nil)
            case 58: return chance(15) ? .suspend(anyone, reason: "too wild") : .resume(anyone)
            case 59: return chance(15) ? .halt(listing.series.id, reason: "too wild") : .reopen(listing.series.id)
            case 60..<70: return .cancelOrder(orders.isEmpty ? OrderID(bits: 1) : pick(orders), by: chance(70) ? nil : anyone)
            case 70..<76:
                return .stopContract(
                    contracts.isEmpty ? ContractID(bits: 1) : pick(contracts), by: chance(40) ? nil : anyone, detail: "stop")
            case 76..<79: return .endContract(contracts.isEmpty ? ContractID(bits: 1) : pick(contracts), detail: "end")
            case 79..<87:
                let place = pick(datacenters)
                return .declareCapacity(
                    place.id, listing.product.id, lots: Int64.random(in: 0...60, using: &random), by: chance(90) ? place.owner : anyone)
            case 87..<92: return .deposit(anyone, Money(microUnits: Int64.random(in: -5...900_000, using: &random), .eur), reference: "r")
            case 92..<97: return .withdraw(anyone, Money(microUnits: Int64.random(in: 1...900_000, using: &random), .eur), reference: "r")
            case 97: return .grantCredit(anyone, Money(microUnits: chance(40) ? 0 : 400_000, .eur), reason: "treasury")
            case 98:
                let live = fixture.market.snapshot().contracts
                return .bustTrade(live.isEmpty ? TradeID(bits: 1) : pick(live).trade, reason: "a slip")
            default:
                return chance(50)
                    ? .tick : .setReference(listing.series.id, price: Int64.random(in: 90_000...110_000, using: &random), reason: "fixing")
            }
        }

        private mutating func draft(_ series: SeriesID) -> OrderDraft {
            let side = chance(50) ? Side.buy : .sell
            let place = pick(datacenters)
            let lifetime = chance(60) ? .limit : pick(Order.Lifetime.allCases)
            return OrderDraft(
                participant: side == .sell ? place.owner : pick(participants), series: series, side: side, lifetime: lifetime,
                price: 100_000 + Int64.random(in: -5...5, using: &random) * 7_777,
                lots: Int64.random(in: chance(3) ? -2...500 : 1...8, using: &random), datacenter: side == .sell ? place.id : nil,
                conditions: conditions(lifetime))
        }

        /// Sensible ones mostly.
        private mutating func conditions(_ lifetime: Order.Lifetime) -> OrderConditions {
            var conditions = OrderConditions()
            if lifetime == .goodTillDate || chance(1) {
                conditions.expires = fixture.now + .seconds(Int64.random(in: -5...90, using: &random))
            }
            if chance(20) { conditions.display = Int64.random(in: 1...3, using: &random) }
            if chance(8) { conditions.allOrNone = true }
            if chance(8) { conditions.postOnly = true }
            if chance(6) { conditions.minimumLots = Int64.random(in: 1...4, using: &random) }
            if chance(50) { conditions.selfMatch = pick(OrderConditions.SelfMatch.allCases) }
            return conditions
        }

        private mutating func replacement(by anyone: ParticipantID) -> MarketCommand {
            let resting = fixture.market.snapshot().orders
            guard !resting.isEmpty else { return .tick }
            let order = pick(resting)
            return .replaceOrder(
                order.id, price: chance(40) ? nil : 100_000 + Int64.random(in: -5...5, using: &random) * 7_777,
                lots: chance(40) ? nil : Int64.random(in: 1...8, using: &random), by: chance(90) ? order.draft.participant : anyone)
        }

        /// One random command at a random later moment.
        mutating func step() throws {
            if chance(40) {
                fixture.now = fixture.now + Span(microseconds: Int64.random(in: 1...(chance(5) ? 900_000_000 : 6_000_000), using: &random))
                while let due = fixture.market.nextDue, due <= fixture.now { try fixture.apply(.tick) }
            }
            do {
                let changes = try fixture.apply(command())
                orders += changes.orders.map(\.id)
                contracts += changes.contracts(.created).map(\.id)
                if orders.count > 60 { orders.removeFirst(orders.count - 60) }
                if contracts.count > 30 { contracts.removeFirst(contracts.count - 30) }
            } catch {
                refused[error.rule, default: 0] += 1
            }
        }
    }

    /// Each run must trade to mean anything; what happens seldom must happen in some of them.
    @Test(arguments: [1...8, 9...16] as [ClosedRange<UInt64>])
    func nothingIsEverLostOrDoubled(seeds: ClosedRange<UInt64>) throws {
        var seldom = Coverage(without: ["penalty"])
        for seed in seeds {
            var crowd = try Crowd(seed: seed)
            for _ in 0..<2_500 { try crowd.step() }
            let auditor = crowd.fixture.auditor
            #expect(auditor.tradedVolume > 100 && auditor.settledContracts > 10 && crowd.refused.count >= 4, "\(crowd.refused)")
            #expect(auditor.deliveredBy.count >= 5, "paid by \(auditor.deliveredBy)")
            seldom.see(auditor)
            try crowd.fixture.goHome()
        }
        #expect(seldom.missing == [])
    }

    /// A market put together again from what its changes left behind is the same market, and stays the same.
    @Test(arguments: [21, 22, 23] as [UInt64])
    func restoredMarketIsTheSame(seed: UInt64) throws {
        var crowd = try Crowd(seed: seed)
        for round in 0..<20 {
            for _ in 0..<15 { try crowd.step() }
            var snapshot = crowd.fixture.market.snapshot()
            snapshot.orders.shuffle(using: &crowd.random)
            snapshot.contracts.shuffle(using: &crowd.random)
            snapshot.proposals.shuffle(using: &crowd.random)
            snapshot.participants.shuffle(using: &crowd.random)
            let restored = try Market(restoring: snapshot, clock: crowd.fixture.market.clock)
            #expect(restored.stateHash == crowd.fixture.market.stateHash)
            #expect(restored.snapshot() == crowd.fixture.market.snapshot())
            #expect(restored.violations() == [])
            #expect(restored.nextDue == crowd.fixture.market.nextDue)
            if round % 2 == 1 { crowd.fixture.market = restored }
        }
    }

    @Test func sameCommandsSameChanges() throws {
        var first = try Crowd(seed: 5)
        var second = try Crowd(seed: 5)
        for _ in 0..<200 {
            try first.step()
            try second.step()
        }
        #expect(first.fixture.market.stateHash == second.fixture.market.stateHash)
        var other = try Crowd(seed: 6)
        for _ in 0..<200 { try other.step() }
        #expect(other.fixture.market.stateHash != first.fixture.market.stateHash)
    }

    private static func change(_ snapshot: inout MarketSnapshot, _ change: (inout RiskTerms) -> Void) {
        let product = snapshot.products[0]
        var terms = product.terms
        change(&terms.risk)
        snapshot.products[0] = Product(id: product.id, terms: terms, termsHash: product.termsHash, created: product.created)
    }

    @Test func hashSeesEveryPartOfTheState() throws {
        var crowd = try Crowd(seed: 9)
        func isComplete(_ snapshot: MarketSnapshot) -> Bool {
            !snapshot.contracts.isEmpty && !snapshot.orders.isEmpty && !snapshot.deliveries.isEmpty && !snapshot.proposals.isEmpty
        }
        while !isComplete(crowd.fixture.market.snapshot()) { try crowd.step() }
        let snapshot = crowd.fixture.market.snapshot()
        let report = DeliveryReport(
            period: snapshot.deliveries[0].period, demanded: 1, delivered: 1, unavailable: [], evidenceHash: "", signer: "", signature: "")
        var hashes: Set<UInt64> = [snapshot.stateHash]
        let changes: [(inout MarketSnapshot) -> Void] = [
            { $0.participants.removeLast() }, { $0.products.removeLast() }, { $0.products[0].closed = "x" }, { $0.series.removeLast() },
            { $0.datacenters[0].peerAddress = "b:1" },
            { $0.datacenters[0].zones = [] }, { $0.offerings.removeLast() }, { $0.orders[0].filled += 1 },
            { $0.orders[0].state = .cancelled }, { $0.orders[0].shown = 77 }, { $0.orders[0].draft.conditions.display = 78 },
            { $0.orders[0].draft.conditions.minimumLots = 79 }, { $0.orders[0].draft.conditions.allOrNone.toggle() },
            { $0.orders[0].draft.conditions.postOnly.toggle() },
            { $0.orders[0].draft.conditions.selfMatch = $0.orders[0].draft.conditions.selfMatch == .cancelBoth ? .refuse : .cancelBoth },
            { $0.orders[0].draft.conditions.expires = Instant(seconds: 1) }, { $0.participants[0].suspended = "x" },
            { $0.series[0].halted = "x" }, { $0.series[0].haltedUntil = .zero },
            { $0.series[0].reference = .init(price: 5, afterTrade: 6) }, { $0.series[0].reference = .init(price: 5, afterTrade: 7) },
            { $0.participants[0].creditLine += 1 }, { $0.participants[0].creditChanges += 1 }, { $0.references[0].entries[0].lots += 1 },
            { $0.references.removeLast() }, { $0.contracts[0].fees.held += 1 }, { $0.contracts[0].fees.buyer.charged += 1 },
            { $0.contracts[0].fees.seller.remainder += 1 }, { Self.change(&$0) { $0.band = 77 } },
            { Self.change(&$0) { $0.takerFee = 77 } }, { Self.change(&$0) { $0.reference.trades = 77 } },
            { $0.contracts[0].held += 1 }, { $0.contracts[0].remainder += 1 }, { $0.contracts[0].settled += 1 },
            { $0.contracts[0].state = $0.contracts[0].state == .ended ? .created : .ended }, { $0.contracts[0].credited += 1 },
            { $0.contracts[0].outcome = $0.contracts[0].outcome == .defaulted ? nil : .defaulted },
            { $0.contracts[0].confirmation.deadline = .zero },
            { $0.contracts[0].confirmation.buyer = Instant(seconds: 1) }, { $0.contracts[0].confirmation.seller = Instant(seconds: 1) },
            { $0.deliveries.removeLast() }, { $0.deliveries[0].due = .zero }, { $0.deliveries[0].state = .settled },
            { $0.deliveries[0].paid += 7 }, { $0.deliveries[0].credited += 7 }, { $0.deliveries[0].availability = 7 },
            { $0.deliveries[0].basis = .unconfirmed }, { $0.deliveries[0].buyer = .init(report: report, at: .zero) },
            { $0.deliveries[0].seller = .init(report: report, at: .zero) },
            { $0.deliveries[0].dispute = Dispute(id: DisputeID(bits: 1), amount: 1, opened: .zero, deadline: .zero) },
            { $0.contracts[0].period.end = $0.contracts[0].period.end + Span(microseconds: 1) },
            { $0.contracts[0].settledUntil = $0.contracts[0].settledUntil + Span(microseconds: 1) },
            { $0.contracts[0].closing = Contract.Closing(cause: .cashShort, detail: "x", decided: .zero) },
            { $0.balances[0].amount += 1 }, { $0.lastPriority += 1 }, { $0.lastContract += 1 }, { $0.lastPosting += 1 },
            { $0.lastProposal += 1 }, { $0.proposals.removeLast() }, { $0.proposals[0].state = .expired },
            { $0.proposals[0].decided = .zero },
            { $0.proposals[0].reason = "x" }, { $0.proposals[0].trade = TradeID(bits: 1) },
            { $0.proposals[0].contract = ContractID(bits: 1) }, { $0.proposals[0].draft.lots += 1 }, { $0.proposals[0].draft.price += 1 },
            { $0.proposals[0].draft.note = "xyz" }, { $0.proposals[0].draft.expires = .zero },
            { $0.proposals[0].draft.side = $0.proposals[0].draft.side.opposite },
            { $0.proposals[0].draft.datacenter = DatacenterID(bits: 77) }, { $0.proposals[0].draft.series = SeriesID(bits: 77) },
            { $0.proposals[0].draft.counterparty = ParticipantID(bits: 77) },
        ]
        for change in changes {
            var copy = snapshot
            change(&copy)
            #expect(hashes.insert(copy.stateHash).inserted)
        }
    }
}
