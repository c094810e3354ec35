import Fleet
import Primitives
import Testing

@Suite struct RebalancingTests {
    /// The rules, written a second time: sums and pairs, no index.
    struct Auditor {
        let fleet: RebalancingFleet
        var places: [Int: Set<Int>]

        init(_ fleet: RebalancingFleet) {
            self.fleet = fleet
            places = Dictionary(uniqueKeysWithValues: fleet.guests.indices.map { ($0, [fleet.guests[$0].site]) })
        }

        private func domain(_ site: Int, _ scope: RebalancingFleet.Scope) -> Int {
            switch scope {
            case .host: site
            case .rack: Int(fleet.sites[site].rack)
            case .zone: Int(fleet.sites[site].zone)
            }
        }

        /// What is wrong now, an instance on its way counting wherever it is.
        func violations() -> [String] {
            var wrong: [String] = []
            for (index, site) in fleet.sites.enumerated() {
                let here = fleet.guests.indices.filter { places[$0]?.contains(index) ?? false }
                let used = here.map { fleet.guests[$0].resources }.reduce(site.reserved, +)
                if !used.fits(in: site.promised) { wrong.append("site \(index) is overfull") }
                for guest in here {
                    if fleet.guests[guest].barred.contains(index) { wrong.append("\(guest) may not be on \(index)") }
                    let tenant = fleet.guests[guest].tenant
                    let isAllowed = site.others.allSatisfy { Self.allows($0, tenant) && Self.allows(tenant, $0) }
                    if !isAllowed { wrong.append("\(guest) shares \(index) with others") }
                }
            }
            for a in fleet.guests.indices {
                for b in fleet.guests.indices where b > a { wrong += violations(a, b) }
            }
            return wrong
        }

        private static func allows(_ one: RebalancingFleet.Tenant, _ other: RebalancingFleet.Tenant) -> Bool {
            if one.party == other.party || one.sharing == .shared { return true }
            if case .group(let friends) = one.sharing { return friends.contains(other.party) }
            return false
        }

        private func domains(_ guest: Int, _ scope: RebalancingFleet.Scope) -> Set<Int> {
            Set((places[guest] ?? []).map { domain($0, scope) })
        }

        private func violations(_ a: Int, _ b: Int) -> [String] {
            var wrong: [String] = []
            let (one, other) = (fleet.guests[a].tenant, fleet.guests[b].tenant)
            let isTogether = !(places[a] ?? []).isDisjoint(with: places[b] ?? [])
            if isTogether, !Self.allows(one, other) || !Self.allows(other, one) { wrong.append("\(a) and \(b) share a host") }
            for group in fleet.guests[a].apart where fleet.guests[b].apart.contains(group) {
                let shared = domains(a, group.scope).intersection(domains(b, group.scope))
                if !shared.isEmpty { wrong.append("\(a) and \(b) are not apart") }
            }
            if let group = fleet.guests[a].together, group == fleet.guests[b].together {
                let all = domains(a, group.scope).union(domains(b, group.scope))
                if all.count > 1 { wrong.append("\(a) and \(b) are not together") }
            }
            return wrong
        }
    }

    /// A random fleet that keeps its own rules.
    private func fleet(_ generator: inout SeededGenerator) -> RebalancingFleet {
        var sites: [RebalancingFleet.Site] = []
        for number in 0..<Int.random(in: 3...10, using: &generator) {
            let reserved = Resources(memoryMiB: Int64.random(in: 0...4_096, using: &generator))
            let isOpen: Bool = Int.random(in: 0..<8, using: &generator) > 0
            let others = Int.random(in: 0..<10, using: &generator) == 0 ? [tenant(&generator)] : []
            sites.append(
                RebalancingFleet.Site(
                    id: HostID(bits: UInt64(number + 1)), rack: Int32(number / 2), zone: Int32(number / 4),
                    promised: Resources(milliCPU: 16_000, memoryMiB: 32_768, diskMiB: 100_000), reserved: reserved,
                    hardwareMilliCPU: 8_000, isOpen: isOpen))
            sites[number].others = others
        }
        var fleet = RebalancingFleet(sites: sites, guests: [])
        for number in 0..<Int.random(in: 5...40, using: &generator) {
            let size = Int64.random(in: 1...6, using: &generator)
            let mobilities: [RebalancingFleet.Mobility] = [.live, .live, .cold, .pinned]
            let mobility = mobilities.randomElement(using: &generator) ?? .live
            var guest = RebalancingFleet.Guest(
                id: InstanceID(bits: UInt64(number + 1)), site: .random(in: sites.indices, using: &generator),
                resources: Resources(milliCPU: size * 1_000, memoryMiB: size * 2_048, diskMiB: 1_000),
                load: .random(in: 0...size * 900, using: &generator),
                mobility: mobility,
                dirtyMbps: .random(in: 0...12_000, using: &generator))
            let scope = RebalancingFleet.Scope.allCases.randomElement(using: &generator) ?? .host
            let group = RebalancingFleet.Group(number: .random(in: 0..<3, using: &generator), scope: scope)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0:
                guest.apart = [group]
                if Bool.random(using: &generator) { guest.apart.append(.init(number: 7, scope: .host)) }
            case 1: guest.together = group
            default: break
            }
            guest.tenant = tenant(&generator)
            if Int.random(in: 0..<5, using: &generator) == 0 { guest.barred = [.random(in: sites.indices, using: &generator)] }
            let grown = RebalancingFleet(sites: sites, guests: fleet.guests + [guest])
            if Auditor(grown).violations().isEmpty { fleet = grown }
        }
        return fleet
    }

    /// Most share with all.
    private func tenant(_ generator: inout SeededGenerator) -> RebalancingFleet.Tenant {
        let parties = (1...3).map { ParticipantID(bits: UInt64($0)) }
        let party = parties.randomElement(using: &generator) ?? parties[0]
        switch Int.random(in: 0..<24, using: &generator) {
        case 0: return .init(party, .exclusive)
        case 1: return .init(party, .group([parties[0], parties[1]]))
        default: return .init(party)
        }
    }

    private func goal(_ generator: inout SeededGenerator) -> RebalancingGoal {
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: .consolidate
        case 1: .relieve(perMille: .random(in: 300...900, using: &generator))
        default:
            .makeRoom(
                for: Resources(milliCPU: 8_000, memoryMiB: .random(in: 8_192...30_000, using: &generator), diskMiB: 1_000),
                zone: Bool.random(using: &generator) ? 0 : nil)
        }
    }

    /// The goal's measure, written a second time.
    private func measure(_ goal: RebalancingGoal, _ fleet: RebalancingFleet, _ site: [Int]) -> Int64 {
        let open = fleet.sites.indices.filter { fleet.sites[$0].isOpen }
        switch goal {
        case .consolidate: return Int64(open.count { site.contains($0) })
        case .relieve(let perMille):
            return open.map { index in
                let load = fleet.guests.indices.filter { site[$0] == index }.map { fleet.guests[$0].load }.reduce(0, +)
                return max(0, load - fleet.sites[index].hardwareMilliCPU * perMille / 1_000)
            }.reduce(0, +)
        case .makeRoom(let request, let zone):
            return open.filter { zone == nil || fleet.sites[$0].zone == zone }.contains { index in
                let here = fleet.guests.indices.filter { site[$0] == index }
                let used = here.map { fleet.guests[$0].resources }.reduce(fleet.sites[index].reserved, +)
                return request.fits(in: fleet.sites[index].promised - used)
            } ? 0 : 1
        }
    }

    @Test func noRuleIsViolatedMidwayAndThePlanKeepsItsWord() {
        var generator = SeededGenerator(seed: 2_026)
        var useful: [String: Int] = [:]
        for round in 0..<900 {
            let fleet = fleet(&generator)
            let goal = goal(&generator)
            let limits = MigrationLimits(
                mostMoves: .random(in: 0...20, using: &generator), perHost: .random(in: 1...3, using: &generator),
                mostMemoryMiB: .random(in: 0...100_000, using: &generator), allowsRestart: Bool.random(using: &generator))
            let plan = fleet.plan(goal, limits)
            #expect(plan == fleet.plan(goal, limits), "the same fleet, the same plan")
            check(plan, fleet, goal, limits, round)
            if !plan.moves.isEmpty { useful["\(goal)".prefix(5).description, default: 0] += 1 }
        }
        for name in ["conso", "relie", "makeR"] { #expect(useful[name] ?? 0 > 15, "\(name) hardly ever finds anything: \(useful)") }
    }

    private func check(_ plan: MigrationPlan, _ fleet: RebalancingFleet, _ goal: RebalancingGoal, _ limits: MigrationLimits, _ round: Int) {
        #expect(plan.moves.count <= limits.mostMoves && plan.memoryMiB <= limits.mostMemoryMiB)
        #expect(limits.allowsRestart || plan.restarts == 0)
        var auditor = Auditor(fleet)
        var site = fleet.guests.map(\.site)
        #expect(Set(plan.moves.map(\.instance)).count == plan.moves.count, "no instance moves twice")
        for number in 0..<plan.rounds {
            var busy: [HostID: Int] = [:]
            let moves = plan.moves.filter { $0.round == number }
            for move in moves {
                guard let guest = fleet.guests.firstIndex(where: { $0.id == move.instance }),
                    let target = fleet.sites.firstIndex(where: { $0.id == move.target })
                else {
                    Issue.record("a move of nothing")
                    return
                }
                #expect(fleet.sites[site[guest]].id == move.source && fleet.sites[site[guest]].isOpen && fleet.sites[target].isOpen)
                #expect(fleet.guests[guest].mobility != .pinned)
                auditor.places[guest]?.insert(target)
                site[guest] = target
                for host in [move.source, move.target] { busy[host, default: 0] += 1 }
            }
            // All of a round are on their way at once.
            #expect(auditor.violations().isEmpty, "round \(round), \(goal): \(auditor.violations())")
            #expect(busy.values.allSatisfy { $0 <= limits.perHost })
            for guest in site.indices { auditor.places[guest] = [site[guest]] }
            #expect(auditor.violations().isEmpty)
        }
        #expect(plan.moves.isEmpty ? plan.after == plan.before : plan.after < plan.before)
        let (before, after) = (measure(goal, fleet, fleet.guests.map(\.site)), measure(goal, fleet, site))
        if case .makeRoom = goal {
            #expect((plan.before == 0) == (before == 0) && (plan.after == 0) == (after == 0))
            #expect(plan.moves.isEmpty || plan.after == 0, "half a gap helps nobody")
        } else {
            #expect(plan.before == before && plan.after == after)
        }
    }

    // MARK: By hand

    private func site(_ number: UInt64, memory: Int64 = 16_384) -> RebalancingFleet.Site {
        RebalancingFleet.Site(
            id: HostID(bits: number), rack: Int32(number), zone: 0,
            promised: Resources(milliCPU: 8_000, memoryMiB: memory, diskMiB: 10_000),
            hardwareMilliCPU: 4_000, isOpen: true)
    }

    private func guest(_ number: UInt64, on site: Int, gib: Int64, load: Int64 = 0) -> RebalancingFleet.Guest {
        RebalancingFleet.Guest(
            id: InstanceID(bits: number), site: site, resources: Resources(milliCPU: 1_000, memoryMiB: gib * 1_024, diskMiB: 10),
            load: load,
            mobility: .live)
    }

    @Test func theEmptiestHostIsEmptied() {
        let fleet = RebalancingFleet(
            sites: [site(1), site(2), site(3)], guests: [guest(1, on: 0, gib: 8), guest(2, on: 1, gib: 2), guest(3, on: 2, gib: 10)])
        let plan = fleet.plan(.consolidate, MigrationLimits(mostMoves: 1))
        #expect(plan.moves.map(\.instance.bits) == [2] && plan.moves.first?.target == HostID(bits: 3))
        #expect(plan.before == 3 && plan.after == 2)
        #expect(plan.moves.first?.takes == .milliseconds(1_718), "2 GiB at 10 Gbit/s")
        #expect(fleet.plan(.consolidate, MigrationLimits(mostMoves: 0)).moves.isEmpty)
    }

    @Test func roomIsMadeWithTheLeastMemory() {
        let fleet = RebalancingFleet(
            sites: [site(1), site(2), site(3)],
            guests: [guest(1, on: 0, gib: 6), guest(2, on: 0, gib: 1), guest(3, on: 1, gib: 7), guest(4, on: 2, gib: 12)])
        let plan = fleet.plan(.makeRoom(for: Resources(milliCPU: 1_000, memoryMiB: 10_240), zone: nil), MigrationLimits(mostMoves: 5))
        #expect(plan.moves.map(\.instance.bits) == [2] && plan.after == 0)
    }

    /// A host that somebody has alone takes nobody else's, and who wants to be alone goes nowhere where others are.
    @Test func whoSharesWithNobodyIsLeftAlone() {
        let (mine, theirs) = (ParticipantID(bits: 1), ParticipantID(bits: 2))
        var (alone, small, other) = (guest(1, on: 0, gib: 8), guest(2, on: 1, gib: 1), guest(3, on: 2, gib: 2))
        alone.tenant = .init(theirs, .exclusive)
        (small.tenant, other.tenant) = (.init(mine), .init(mine))
        let sites = [site(1), site(2), site(3)]
        let plan = RebalancingFleet(sites: sites, guests: [alone, small, other]).plan(.consolidate, MigrationLimits(mostMoves: 9))
        #expect(plan.before == 3 && plan.after == 2)
        #expect(plan.moves.map(\.instance.bits) == [2] && plan.moves.first?.target == HostID(bits: 3), "not to the fullest")
        other.tenant = .init(theirs)
        let shared = RebalancingFleet(sites: sites, guests: [alone, small, other]).plan(.consolidate, MigrationLimits(mostMoves: 1))
        #expect(shared.moves.map(\.instance.bits) == [2], "two who share with all")
        small.tenant = .init(mine, .group([theirs]))
        let group = RebalancingFleet(sites: sites, guests: [small, other]).plan(.consolidate, MigrationLimits(mostMoves: 9))
        #expect(group.moves.count == 1 && group.after == 1, "a group takes its own")
        var held = sites
        held[2].others = [.init(ParticipantID(bits: 3))]
        let third = RebalancingFleet(
            sites: Array(held[1...]),
            guests: [
                guest(9, on: 1, gib: 4)
            ])
        #expect(third.plan(.consolidate, MigrationLimits(mostMoves: 9)).moves.isEmpty)
    }

    @Test func hostsThatAreBarredTakeNothing() {
        var (one, other) = (guest(1, on: 0, gib: 2), guest(2, on: 1, gib: 4))
        one.barred = [1]
        other.barred = [0]
        let fleet = RebalancingFleet(sites: [site(1), site(2)], guests: [one, other])
        #expect(fleet.plan(.consolidate, MigrationLimits(mostMoves: 5)).moves.isEmpty)
    }

    /// Where no host is large enough nothing helps, and the largest is known.
    @Test func theLargestHostIsKnown() {
        var large = site(3, memory: 32_768)
        large.isOpen = false
        let fleet = RebalancingFleet(sites: [site(1), site(2, memory: 20_480), large], guests: [guest(1, on: 1, gib: 15)])
        let most = fleet.largest(for: Resources(milliCPU: 2_000_000, memoryMiB: 1))
        #expect(most?.host == HostID(bits: 1) && most?.missing == Resources(milliCPU: 1_992_000))
        let memory = fleet.largest(for: Resources(milliCPU: 1_000, memoryMiB: 24_576))
        #expect(memory?.host == HostID(bits: 2) && memory?.missing == Resources(memoryMiB: 4_096))
        #expect(fleet.largest(for: Resources(milliCPU: 1_000, memoryMiB: 20_000))?.missing == .zero)
        let free = fleet.freest(for: Resources(milliCPU: 1_000, memoryMiB: 20_000))
        #expect(free?.host == HostID(bits: 2) && free?.missing == Resources(memoryMiB: 20_000 - 5 * 1_024))
        #expect(RebalancingFleet(sites: [large], guests: []).largest(for: Resources(milliCPU: 1)) == nil)
    }

    @Test func noTwoHaveOneAddress() {
        var (one, other) = (guest(1, on: 0, gib: 2), guest(2, on: 1, gib: 4))
        (one.address, other.address) = (9, 9)
        let fleet = RebalancingFleet(sites: [site(1), site(2)], guests: [one, other])
        #expect(fleet.plan(.consolidate, MigrationLimits(mostMoves: 5)).moves.isEmpty)
        (one.mobility, other.mobility) = (.cold, .cold)
        let restarted = RebalancingFleet(sites: [site(1), site(2)], guests: [one, other])
        let plan = restarted.plan(.consolidate, MigrationLimits(mostMoves: 5, allowsRestart: true))
        #expect(plan.moves.count == 1, "a machine that is restarted gets another")
    }

    /// What runs goes where it can go on running; with restarts allowed elsewhere too, if there is no such host.
    @Test func whatRunsGoesWhereItCanGoOn() throws {
        let own = try #require(GuestNetwork("10.1.0.1/16")), other = try #require(GuestNetwork("10.2.0.1/16"))
        var sites = [site(1), site(2), site(3)]
        for index in sites.indices { sites[index].network = index == 1 ? other : own }
        var busy = guest(1, on: 0, gib: 1, load: 1_800), beside = guest(2, on: 0, gib: 1, load: 1_800)
        busy.address = GuestNetwork.address("10.1.0.10")
        beside.mobility = .pinned
        let there = guest(3, on: 2, gib: 1, load: 100)
        let relief = RebalancingGoal.relieve(perMille: 800), gentle = MigrationLimits(mostMoves: 5)
        let rough = MigrationLimits(mostMoves: 5, allowsRestart: true)
        let plan = { (sites: [RebalancingFleet.Site], limits: MigrationLimits) in
            RebalancingFleet(sites: sites, guests: [busy, beside, there]).plan(relief, limits).moves.map { ($0.target.bits, $0.downtime) }
        }
        for limits in [gentle, rough] {
            #expect(plan(sites, limits).elementsEqual([(3, .blink)], by: ==), "the coolest has no such address")
        }
        for platform in [nil, 7] as [Int32?] {
            sites[2].platform = platform
            #expect(plan(sites, gentle).isEmpty)
            #expect(plan(sites, rough).elementsEqual([(2, .restart)], by: ==))
        }
        busy.isOff = true
        #expect(plan(sites, gentle).elementsEqual([(2, .blink)], by: ==), "what is off goes anywhere")
    }

    /// What a host does itself counts, and goes nowhere.
    @Test func aHostsOwnLoadStays() {
        var (busy, calm) = (site(1), site(2))
        (busy.ownLoad, calm.ownLoad) = (2_000, 500)
        let fleet = RebalancingFleet(
            sites: [busy, calm], guests: [guest(1, on: 0, gib: 1, load: 1_500), guest(2, on: 1, gib: 1, load: 500)])
        let plan = fleet.plan(.relieve(perMille: 700), MigrationLimits(mostMoves: 5))
        #expect(plan.before == 700 && plan.after == 0 && plan.moves.map(\.instance.bits) == [1])
        #expect(fleet.plan(.relieve(perMille: 400), MigrationLimits(mostMoves: 5)).after >= 400, "more than it may be by itself")
    }

    @Test func loadGoesToTheCoolest() {
        let fleet = RebalancingFleet(
            sites: [site(1), site(2), site(3)],
            guests: [
                guest(1, on: 0, gib: 8, load: 2_500), guest(2, on: 0, gib: 1, load: 1_500), guest(3, on: 1, gib: 1, load: 2_000),
                guest(4, on: 2, gib: 1, load: 500),
            ])
        let plan = fleet.plan(.relieve(perMille: 700), MigrationLimits(mostMoves: 5))
        #expect(plan.moves.map(\.instance.bits) == [2] && plan.moves.first?.target == HostID(bits: 3))
        #expect(plan.before == 1_200 && plan.after == 0)
    }
}
