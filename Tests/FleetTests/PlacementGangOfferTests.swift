import Fleet
import Primitives
import Testing

/// What a gang that has no room is told, and that looking for room takes no longer than it must.
@Suite struct PlacementGangOfferTests {
    private func host(_ number: UInt64, rack: String = "r1", cpu: Int64) -> PlacementHost {
        PlacementHost(
            id: HostID(bits: number), zone: "a", pod: PodID(bits: 1), rack: rack,
            capacity: Resources(milliCPU: cpu, memoryMiB: 1 << 20, diskMiB: 100_000))
    }

    private func gang(_ count: UInt64, cpu: Int64, _ rule: PlacementGroup.Rule?) -> [PlacementRequest] {
        (1...count).map { number in
            var member = PlacementRequest(
                instance: InstanceID(bits: number), party: ParticipantID(bits: 1), resources: Resources(milliCPU: cpu, memoryMiB: 256))
            if let rule { member.groups = [PlacementGroup(id: 5, rule)] }
            return member
        }
    }

    /// The refusal; the engine is as it was.
    private func refusal(_ engine: PlacementEngine, _ members: [PlacementRequest]) throws -> Refusal {
        var engine = engine
        let count = engine.allocationCount
        let refusal = #expect(throws: Refusal.self) { _ = try engine.place(gang: members, at: .zero) }
        #expect(engine.allocationCount == count && engine.violations() == [])
        return try #require(refusal)
    }

    private func fits(_ engine: PlacementEngine, _ members: some Sequence<PlacementRequest>) -> Bool {
        var engine = engine
        return (try? engine.place(gang: Array(members), at: .zero)) != nil
    }

    @Test func asManyAsFitAreOffered() throws {
        let hosts = (1...UInt64(12)).map { host($0, cpu: $0 == 9 ? 1_022_000 : 40_000) }
        let engine = try PlacementEngine(hosts: hosts, allocations: [])
        let members = gang(200, cpu: 8_000, .together(.host))
        let refused = try refusal(engine, members)
        #expect(refused.message.hasPrefix("Member 128 of 200 has no place beside 127 others: "))
        #expect(refused.nearest == "the first 127 instances of the 200")
        #expect(refused.facts["placed"] == .number(127) && refused.facts["fitting"] == .number(127))
        #expect(fits(engine, members.prefix(127)))
        #expect(!fits(engine, members.prefix(128)))
        let smaller = try refusal(engine, gang(150, cpu: 8_000, .together(.host)))
        #expect(smaller.nearest == "for each of them 2 fewer vCPU (6 instead of 8)")
        #expect(fits(engine, gang(150, cpu: 6_000, .together(.host))))
        #expect(try refusal(engine, gang(175, cpu: 8_000, .together(.host))).nearest == "without group 5")
        #expect(fits(engine, gang(175, cpu: 8_000, nil)))
    }

    @Test func aChangeIsMadeToAllOfThem() throws {
        let engine = try PlacementEngine(hosts: (1...UInt64(3)).map { host($0, cpu: 6_000) }, allocations: [])
        let members = gang(3, cpu: 8_000, .apart(.host))
        #expect(try refusal(engine, members).nearest == "for each of them 2 fewer vCPU (6 instead of 8)")
        #expect(fits(engine, gang(3, cpu: 6_000, .apart(.host))))
        var uneven = members
        uneven[1].resources.milliCPU = 4_000
        #expect(try refusal(engine, uneven).nearest == "the same once hosts are up that can take all of them")
        uneven.swapAt(0, 1)
        #expect(try refusal(engine, uneven).nearest == "the first 1 instance of the 3")
    }

    /// Members of any size under any terms: as many as are offered do fit, and a yes is as the rules have it.
    @Test(arguments: 0..<40 as Range<UInt64>) func whatIsOfferedFits(_ seed: UInt64) throws {
        var scene = PlacementScene(seed: seed)
        var (engine, naive) = (PlacementEngine(), NaivePlacement())
        for number in 1...UInt64(10) {
            naive.hosts.append(scene.host(number))
            try engine.add(naive.hosts[Int(number) - 1])
        }
        for round in 0..<12 as Range<UInt64> {
            var first = scene.request()
            let rule = scene.pick([PlacementGroup.Rule.together(.host), .together(.rack), .together(.pod), .apart(.host), .apart(.rack)])
            first.groups = [PlacementGroup(id: 1_000 + round, rule)]
            let alike = scene.chance(50)
            let members = (0..<scene.pick([2, 4, 7])).map { _ in
                var member = first
                let other = scene.request()
                member.instance = other.instance
                if !alike { member.resources = other.resources }
                return member
            }
            do throws(Refusal) {
                let decisions = try engine.place(gang: members, at: .zero)
                for (member, decision) in zip(members, decisions) {
                    #expect(naive.firstBroken(member, naive.host(decision.host)) == nil)
                    naive.placed.append(.init(request: member, host: decision.host, gpus: decision.gpus, cell: decision.cell))
                }
            } catch {
                guard case .number(let count)? = error.facts["fitting"], count > 0 else { continue }
                #expect(count < members.count && fits(engine, members.prefix(Int(count))), "\(error)")
            }
            #expect(naive.isSound && engine.violations() == [])
        }
    }

    enum Country: CaseIterable {
        case oneHostTakesAll, eachHostIsTooSmall
        /// By their sums racks would do, as would their hosts for the smallest.
        case eachRackJustFails
    }

    /// Ten thousand hosts, and a large gang.
    @Test(arguments: Country.allCases) func aLargeGangIsDecidedSoon(_ country: Country) throws {
        let count = UInt64(10_000)
        var hosts = (1...count).map { host($0, rack: "r\($0 / 250)", cpu: country == .eachRackJustFails ? 3_500 : 123_500) }
        var members = gang(256, cpu: 1_000, .together(.host))
        switch country {
        case .oneHostTakesAll: hosts[9_000].capacity.milliCPU = 256_000
        case .eachHostIsTooSmall: break
        case .eachRackJustFails:
            members = gang(256, cpu: 3_000, .together(.rack))
            for index in 100..<255 { members[index].resources.milliCPU = 2_000 }
            members[255].resources.milliCPU = 500
        }
        var engine = try PlacementEngine(hosts: hosts, allocations: [])
        var (decisions, refused): ([PlacementDecision], Refusal?) = ([], nil)
        let took = ContinuousClock().measure {
            do throws(Refusal) { decisions = try engine.place(gang: members, at: .zero) } catch { refused = error }
        }
        #expect(took < .seconds(1))
        switch country {
        case .oneHostTakesAll: #expect(Set(decisions.map(\.host)) == [hosts[9_000].id])
        case .eachHostIsTooSmall: #expect(refused?.facts["placed"] == .number(123) && refused?.facts["fitting"] == .number(123))
        case .eachRackJustFails: #expect(refused?.facts["placed"] == .number(250))
        }
        if case .number(let most)? = refused?.facts["fitting"] { #expect(fits(engine, members.prefix(Int(most)))) }
    }
}
