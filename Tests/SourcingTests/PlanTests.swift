import Primitives
import Sourcing
import Testing

@Suite struct PlanTests {
    private static let lot = Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480)
    private static let now = Instant(seconds: 1_000_000)

    private static func terms(
        _ product: UInt64 = 1, lot: Resources = lot, region: String = "demo-1", zone: String? = "demo-1a", jurisdiction: String = "DE",
        currency: Currency = .eur, oversubscription: Int64 = 4_000
    ) -> Terms {
        Terms(
            product: ProductID(bits: product), name: "p\(product)", lot: lot, region: region, zone: zone, jurisdiction: jurisdiction,
            tenancy: "shared",
            storage: "das", isFirm: true, largestOversubscription: oversubscription, currency: currency)
    }

    private static func offer(_ series: UInt64, _ asks: [(Int64, Int64)], terms: Terms? = nil) -> Offer {
        Offer(series: SeriesID(bits: series), terms: terms ?? self.terms(series), asks: asks.map { Offer.Ask(price: $0.0, lots: $0.1) })
    }

    private static func demand(
        milliCPU: Int64 = 1_000, count: ClosedRange<Int> = 1...1, cap: Int64 = 50_000, zone: String? = nil, rules: Rules = Rules()
    ) -> Demand {
        Demand(
            resources: Resources(milliCPU: milliCPU, memoryMiB: 1_024, diskMiB: 8_192), minimumCount: count.lowerBound,
            maximumCount: count.upperBound,
            region: "demo-1", zone: zone, currency: .eur, priceCap: cap, rules: rules, until: now)
    }

    private static func contract(
        _ number: UInt64, price: Int64 = 30_000, free: Resources = lot, end: Instant = now + .hours(1), rolls: Bool = true
    ) -> HeldContract {
        HeldContract(
            id: ContractID(bits: number), terms: terms(), zone: "demo-1a", lots: 4, price: price, free: free, end: end, rolls: rolls)
    }

    private func refusal(_ demand: Demand, _ contracts: [HeldContract], _ offers: [Offer]) -> Refusal? {
        do throws(Refusal) {
            _ = try demand.plan(contracts: contracts, offers: offers)
            return nil
        } catch {
            return error
        }
    }

    @Test func usesWhatIsContractedBeforeBuying() throws {
        let plan = try Self.demand(count: 3...3).plan(
            contracts: [Self.contract(1), Self.contract(2, price: 20_000)], offers: [Self.offer(1, [(10_000, 5)])])
        #expect(
            plan.sources == [
                .contract(ContractID(bits: 2)), .contract(ContractID(bits: 1)), .purchase(SeriesID(bits: 1), lots: 1, limit: 10_000),
            ])
        #expect(plan.addedHourly == 10_000)
    }

    @Test func contractsOutOfReachAreLeftAlone() {
        let ending = Self.contract(1, end: Self.now - .seconds(1), rolls: false)
        let dear = Self.contract(2, price: 50_001)
        let full = Self.contract(3, free: Resources(milliCPU: 999, memoryMiB: 4_096, diskMiB: 20_480))
        #expect(refusal(Self.demand(), [ending, dear, full], [])?.category == .capacity)
    }

    @Test func buysWhereTheMachineIsCheapestNotTheLot() throws {
        let large = Resources(milliCPU: 2_000, memoryMiB: 8_192, diskMiB: 40_960)
        let plan = try Self.demand(milliCPU: 2_000).plan(
            contracts: [], offers: [Self.offer(1, [(20_000, 9)]), Self.offer(2, [(30_000, 9)], terms: Self.terms(2, lot: large))])
        #expect(plan.sources == [.purchase(SeriesID(bits: 2), lots: 1, limit: 30_000)])
    }

    @Test func walksDownTheBook() throws {
        let plan = try Self.demand(milliCPU: 2_000, count: 1...5).plan(
            contracts: [], offers: [Self.offer(1, [(10_000, 1), (20_000, 4), (60_000, 9)])])
        #expect(
            plan.sources == [.purchase(SeriesID(bits: 1), lots: 2, limit: 20_000), .purchase(SeriesID(bits: 1), lots: 2, limit: 20_000)])
        #expect(plan.addedHourly == 70_000)
    }

    @Test func namesPriceAndCap() throws {
        let no = try #require(refusal(Self.demand(cap: 30_000), [], [Self.offer(1, [(50_000, 9)])]))
        #expect(no.rule == "sourcing.priceCap")
        #expect(no.message == "The cheapest ask is 0.05 EUR per lot-hour, the price cap 0.03.")
        #expect(no.nearest == "A price cap of 0.05 EUR per lot-hour would buy.")
        #expect(no.facts == ["cheapestAsk": 50_000, "priceCap": 30_000])
    }

    @Test func namesWhatIsMissing() throws {
        let some = try #require(refusal(Self.demand(count: 5...5), [], [Self.offer(1, [(10_000, 3), (60_000, 9)])]))
        #expect(some.rule == "sourcing.capacity")
        #expect(some.facts["possibleMachines"] == 3)
        #expect(some.nearest == "3 machine(s) can be had now; more is on offer from 0.06 EUR per lot-hour.")
        #expect(refusal(Self.demand(), [], [Self.offer(1, [])])?.rule == "sourcing.noAsk")
        #expect(refusal(Self.demand(), [], [])?.rule == "sourcing.noProduct")
        let zone = try #require(refusal(Self.demand(zone: "demo-1b"), [], [Self.offer(1, [(1, 1)])]))
        #expect(zone.facts == ["zone": 1])
        #expect(zone.nearest == "Leave the zone out.")
    }

    @Test(arguments: [
        (Rules(jurisdictions: ["FR"]), "jurisdiction"), (Rules(storage: ["san"]), "storage"), (Rules(tenancies: ["exclusive"]), "tenancy"),
        (Rules(largestOversubscription: 2_000), "oversubscription"),
    ])
    func rulesAreKept(_ rules: Rules, _ name: String) {
        #expect(refusal(Self.demand(rules: rules), [], [Self.offer(1, [(1, 9)])])?.facts == [name: 1])
    }

    /// A cheap whole host is not for a small machine, and nothing else is one.
    @Test func wholeHostsAreForThoseWhoAskForThem() throws {
        let host = Resources(milliCPU: 32_000, memoryMiB: 131_072, diskMiB: 960_000)
        var metal = Self.terms(2, lot: host)
        metal.metal = "metal-r7"
        let offers = [Self.offer(1, [(20_000, 9)]), Self.offer(2, [(10_000, 9)], terms: metal)]
        #expect(try Self.demand().plan(contracts: [], offers: offers).sources == [.purchase(SeriesID(bits: 1), lots: 1, limit: 20_000)])
        #expect(refusal(Self.demand(), [], [offers[1]])?.facts == ["kind": 1])
        var whole = Self.demand(count: 2...2)
        (whole.metal, whole.resources) = ("metal-r7", host)
        let bought = try whole.plan(contracts: [], offers: offers)
        #expect(bought.sources == Array(repeating: .purchase(SeriesID(bits: 2), lots: 1, limit: 10_000), count: 2))
        var held = Self.contract(1, free: host)
        held.terms = metal
        #expect(try whole.plan(contracts: [held], offers: offers).sources.first == .contract(held.id))
        #expect(try Self.demand().plan(contracts: [held], offers: offers).sources.first != .contract(held.id))
        whole.resources.memoryMiB -= 1
        #expect(refusal(whole, [held], offers)?.facts == ["kind": 1, "size": 1])
        whole.metal = "metal-r9"
        let other = try #require(refusal(whole, [held], offers))
        #expect(other.facts == ["kind": 2] && other.nearest == "An instance type of bare metal on offer.", "of the same size, but not it")
    }

    /// Over random markets: a plan never passes the cap, the book or the contracts; when it refuses for the price, the price it
    /// names is enough for one machine; when it says how many can be had, exactly those can.
    @Test func plansAreSoundAndExplanationsTrue() throws {
        var random = SeededGenerator(seed: 21)
        for _ in 0..<3_000 {
            let market = Self.randomMarket(&random)
            do throws(Refusal) {
                let plan = try market.demand.plan(contracts: market.contracts, offers: market.offers)
                Self.audit(plan, market)
            } catch  where error.rule == "sourcing.priceCap" {
                guard case .number(let price)? = error.facts["cheapestAsk"] else {
                    Issue.record("no price is named")
                    continue
                }
                var raised = market.demand
                raised.priceCap = price
                #expect(refusal(raised, market.contracts, market.offers)?.rule != "sourcing.priceCap")
            } catch  where error.rule == "sourcing.capacity" {
                guard case .number(let possible)? = error.facts["possibleMachines"] else {
                    Issue.record("no number is named")
                    continue
                }
                #expect(possible < Int64(market.demand.minimumCount))
                guard possible > 0 else { continue }
                var smaller = market.demand
                smaller.minimumCount = Int(possible)
                smaller.maximumCount = Int(possible)
                #expect(refusal(smaller, market.contracts, market.offers) == nil)
            } catch {}
        }
    }

    private struct Market {
        var demand: Demand
        var contracts: [HeldContract]
        var offers: [Offer]
    }

    private static func randomMarket(_ random: inout SeededGenerator) -> Market {
        let offers = (0..<Int.random(in: 0...3, using: &random)).map { index in
            let asks = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                (Int64.random(in: 1...9, using: &random) * 10_000, Int64.random(in: 1...4, using: &random))
            }
            return offer(UInt64(index + 1), asks.sorted { $0.0 < $1.0 })
        }
        let contracts = (0..<Int.random(in: 0...2, using: &random)).map { index in
            contract(
                UInt64(index + 1), price: Int64.random(in: 1...9, using: &random) * 10_000,
                free: lot * Int64.random(in: 0...3, using: &random))
        }
        let minimum = Int.random(in: 1...4, using: &random)
        let demand = demand(
            milliCPU: Int64.random(in: 1...3, using: &random) * 1_000, count: minimum...(minimum + Int.random(in: 0...2, using: &random)),
            cap: Int64.random(in: 0...9, using: &random) * 10_000)
        return Market(demand: demand, contracts: contracts, offers: offers)
    }

    private static func audit(_ plan: Plan, _ market: Market) {
        #expect((market.demand.minimumCount...market.demand.maximumCount).contains(plan.sources.count))
        var free = Dictionary(uniqueKeysWithValues: market.contracts.map { ($0.id, $0.free) })
        var lots = Dictionary(uniqueKeysWithValues: market.offers.map { ($0.series, $0.asks) })
        var hourly: Int64 = 0
        for source in plan.sources {
            switch source {
            case .contract(let id):
                free[id]? -= market.demand.resources
                #expect(free[id]?.isNonNegative == true)
            case .purchase(let series, let count, let limit):
                #expect(limit <= market.demand.priceCap)
                for _ in 0..<count {
                    guard let best = lots[series]?.first else {
                        Issue.record("more was bought than is on offer")
                        return
                    }
                    #expect(best.price <= limit)
                    hourly += best.price
                    lots[series]?[0].lots -= 1
                    if best.lots == 1 { lots[series]?.removeFirst() }
                }
            }
        }
        #expect(plan.addedHourly == hourly)
    }
}
