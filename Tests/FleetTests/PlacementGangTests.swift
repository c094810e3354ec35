import Fleet
import Primitives
import Testing

private func host(_ number: UInt64, rack: String = "r1", cpu: Int64 = 4_000, memory: Int64 = 8_192) -> PlacementHost {
    PlacementHost(
        id: HostID(bits: number), zone: "a", pod: PodID(bits: 1), rack: rack,
        capacity: Resources(milliCPU: cpu, memoryMiB: memory, diskMiB: 100_000))
}

private func request(_ number: UInt64, cpu: Int64 = 1_000, memory: Int64 = 1_024, party: UInt64 = 1) -> PlacementRequest {
    PlacementRequest(
        instance: InstanceID(bits: number), party: ParticipantID(bits: party), resources: Resources(milliCPU: cpu, memoryMiB: memory))
}

@Suite struct PlacementGangTests {
    /// Members of one size that are to be together: all have a place when some domain has enough of it, and none when not.
    @Test(arguments: 0..<40) func aGangIsPlacedWholeOrNotAtAll(_ seed: UInt64) throws {
        var scene = PlacementScene(seed: seed)
        let hosts = (1...UInt64(9)).map { host($0, rack: "r\($0 % 3)", cpu: scene.pick([1_000, 2_000, 4_000])) }
        var engine = try PlacementEngine(hosts: hosts, allocations: [])
        var free = Dictionary(uniqueKeysWithValues: hosts.map { ($0.id, $0.capacity.milliCPU) })
        for gang in 0..<UInt64(8) {
            let size = UInt64.random(in: 1...5, using: &scene.generator)
            let together = PlacementGroup(id: gang, .together(.rack))
            let members = (0..<size).map { index in
                var member = request(gang * 10 + index)
                member.groups = [together]
                return member
            }
            let racks = Dictionary(grouping: hosts, by: \.rack).mapValues { $0.reduce(0) { $0 + free[$1.id, default: 0] / 1_000 } }
            let before = hosts.map { engine.free($0.id) }
            let decisions = try? engine.place(gang: members, at: .zero)
            #expect((decisions != nil) == racks.values.contains { $0 >= Int64(size) })
            if let decisions {
                #expect(decisions.map(\.instance) == members.map(\.instance))
                #expect(Set(decisions.compactMap { engine.host($0.host)?.rack }).count == 1)
                for decision in decisions { free[decision.host, default: 0] -= 1_000 }
            } else {
                #expect(hosts.map { engine.free($0.id) } == before)
            }
            #expect(engine.violations() == [])
            #expect(hosts.allSatisfy { engine.free($0.id)?.milliCPU == free[$0.id] })
        }
    }

    @Test func theRefusalOfAGangNamesTheMember() throws {
        var engine = try PlacementEngine(hosts: [host(1), host(2)], allocations: [])
        let apart = PlacementGroup(id: 1, .apart(.host))
        let members = (1...UInt64(3)).map { number in
            var member = request(number)
            member.groups = [apart]
            return member
        }
        do throws(Refusal) {
            _ = try engine.place(gang: members, at: .zero)
            Issue.record("three do not go on two hosts apart")
        } catch {
            #expect(error.rule == "placement.capacity")
            #expect(error.message == "Member 3 of 3 has no place beside 2 others: None of 2 hosts can take it: 2 by apart.")
            #expect(error.nearest == "without group 1")
        }
        #expect(engine.allocationCount == 0)
        #expect(engine.violations() == [])
        let held = try engine.reserve(gang: Array(members.prefix(2)), until: Instant(seconds: 60), at: .zero)
        #expect(Set(held.map(\.host)).count == 2)
        let gone = engine.expire(at: Instant(seconds: 60))
        #expect(Set(gone) == Set(members.prefix(2).map(\.instance)))
        #expect(engine.allocationCount == 0)
    }

    /// A gang with a member that is wrong in itself is refused as that, and nothing stays.
    @Test func aGangWithABadMemberLeavesNothing() throws {
        var engine = try PlacementEngine(hosts: [host(1)], allocations: [])
        let refused = (try? engine.place(gang: [request(1), request(1)], at: .zero)) == nil
        #expect(refused)
        let negative = (try? engine.place(gang: [request(1), request(2, cpu: -1)], at: .zero)) == nil
        #expect(negative)
        #expect(engine.allocationCount == 0)
    }
}

@Suite struct PlacementPreemptionTests {
    /// Against all subsets: as few leave as can, of as few the lowest priorities; each is needed.
    @Test(arguments: 0..<60) func fewestAndCheapestLeave(_ seed: UInt64) throws {
        var scene = PlacementScene(seed: seed)
        let hosts = (1...UInt64(3)).map { host($0, cpu: 8_000, memory: 16_384) }
        var engine = try PlacementEngine(hosts: hosts, allocations: [])
        var placed: [(request: PlacementRequest, host: HostID)] = []
        for number in 1...UInt64(24) {
            var next = request(number, cpu: scene.pick([500, 1_000, 2_000, 3_000]), memory: scene.pick([512, 2_048, 6_000]))
            next.interruptible = scene.chance(60)
            next.priority = Int16.random(in: 0...3, using: &scene.generator)
            if let decision = try? engine.place(next, at: .zero) { placed.append((next, decision.host)) }
        }
        let firm = request(100, cpu: scene.pick([2_000, 4_000, 6_000]), memory: scene.pick([2_048, 8_192]))
        guard (try? engine.find(firm, at: .zero)) == nil else { return }
        let best = hosts.compactMap { cheapest(firm, on: $0, placed) }.min { $0 < $1 }
        let proposal = try engine.preemption(for: firm, at: Instant(seconds: 10))
        #expect((proposal == nil) == (best == nil))
        guard let proposal, let best else { return }
        #expect(proposal.until == Instant(seconds: 130))
        if best.count <= 2 {
            #expect(proposal.victims.count == best.count)
            let priority = placed.filter { proposal.victims.contains($0.request.instance) }.reduce(0) { $0 + Int($1.request.priority) }
            #expect(priority == best.priority)
        }
        for spared in proposal.victims {
            var copy = engine
            for victim in proposal.victims where victim != spared { copy.release(victim) }
            var there = firm
            there.host = proposal.host
            let fits = (try? copy.find(there, at: .zero)) != nil
            #expect(!fits)
            copy.release(spared)
            #expect(try copy.find(there, at: .zero) == proposal.host)
        }
    }

    private struct Cost {
        var count: Int
        var priority: Int
        static func < (a: Cost, b: Cost) -> Bool { (a.count, a.priority) < (b.count, b.priority) }
    }

    private func cheapest(_ firm: PlacementRequest, on host: PlacementHost, _ placed: [(request: PlacementRequest, host: HostID)]) -> Cost?
    {
        let here = placed.filter { $0.host == host.id }.map(\.request)
        let candidates = here.filter(\.interruptible)
        let free = here.reduce(host.capacity) { $0 - $1.resources }
        return (1..<(1 << candidates.count)).compactMap { bits -> Cost? in
            let leaving = candidates.indices.filter { bits >> $0 & 1 == 1 }.map { candidates[$0] }
            let room = leaving.reduce(free) { $0 + $1.resources }
            guard firm.resources.fits(in: room) else { return nil }
            return Cost(count: leaving.count, priority: leaving.reduce(0) { $0 + Int($1.priority) })
        }.min { $0 < $1 }
    }

    @Test func onlyFirmOnesPreempt() throws {
        let engine = try PlacementEngine(hosts: [host(1)], allocations: [])
        var soft = request(1)
        soft.interruptible = true
        let refused = (try? engine.preemption(for: soft, at: .zero)) == nil
        #expect(refused)
    }
}

/// What people read, and limits.
@Suite struct PlacementWordingTests {
    private func refusal(_ engine: PlacementEngine, _ request: PlacementRequest) -> Refusal? {
        var engine = engine
        do throws(Refusal) {
            _ = try engine.place(request, at: .zero)
            return nil
        } catch { return error }
    }

    @Test func theNearestChangeIsSaid() throws {
        var other = host(3, cpu: 8_000)
        other.zone = "b"
        let engine = try PlacementEngine(hosts: [host(1), host(2), other], allocations: [])
        var pinned = request(1, cpu: 8_000)
        pinned.zone = "a"
        #expect(refusal(engine, pinned)?.nearest == "zone b")
        #expect(refusal(engine, pinned)?.facts["milliCPU"] == .number(2))
        #expect(refusal(engine, request(1, cpu: 10_000))?.nearest == "2 fewer vCPU (8 instead of 10)")
        #expect(
            refusal(engine, request(1, cpu: 9_000, memory: 9_000))?.nearest
                == "1 fewer vCPU (8 instead of 9) and 808 fewer memoryMiB (8192 instead of 9000)")
        var gpu = request(1)
        gpu.gpu = .init(count: 1)
        #expect(refusal(engine, gpu)?.facts["milliGPU"] == .number(3))
    }

    @Test func tenancyBindsBothWays() throws {
        var engine = try PlacementEngine(hosts: [host(1)], allocations: [])
        var alone = request(1)
        alone.tenancy = .exclusiveHost
        _ = try engine.place(alone, at: .zero)
        #expect(refusal(engine, request(2, party: 2))?.facts["tenancy.host"] == .number(1))
        #expect(refusal(engine, request(2)) == nil)
        engine.release(alone.instance)
        _ = try engine.place(request(3, party: 2), at: .zero)
        #expect(refusal(engine, alone)?.nearest == "shared instead of other terms of tenancy at the host")
    }

    @Test func whatIsNoRequest() throws {
        let engine = try PlacementEngine(hosts: [host(1)], allocations: [])
        #expect(refusal(engine, request(1, cpu: -1))?.rule == "placement.resources")
        #expect(refusal(engine, request(1, cpu: 1 << 40))?.rule == "placement.resources")
        var gpu = request(1)
        gpu.gpu = .init(count: 2, milliEach: 500)
        #expect(refusal(engine, gpu)?.rule == "placement.gpu")
        var groups = request(1)
        groups.groups = [PlacementGroup(id: 1, .spread(.rack, maxSkew: 0))]
        #expect(refusal(engine, groups)?.rule == "placement.groups")
        #expect(refusal(PlacementEngine(), request(1))?.rule == "placement.hosts")
    }

    @Test func whatIsOnAHostMustFitIt() throws {
        let overfull = PlacementAllocation(request: request(1, cpu: 5_000), host: HostID(bits: 1))
        let isRefused = (try? PlacementEngine(hosts: [host(1)], allocations: [overfull])) == nil
        #expect(isRefused)
        var engine = try PlacementEngine(hosts: [host(1)], allocations: [PlacementAllocation(request: request(1), host: HostID(bits: 1))])
        let shrunk = (try? engine.update(host(1, cpu: 500))) == nil
        let moved = (try? engine.update(host(1, rack: "r2"))) == nil
        let removed = (try? engine.remove(HostID(bits: 1))) == nil
        #expect(shrunk && moved && removed)
        #expect(engine.violations() == [])
    }
}

/// More hosts than a word, and a summary word, have bits.
@Suite struct PlacementScaleTests {
    @Test(arguments: [PlacementPolicy.packing, .spreading, .firstFit]) func theLastHostIsFound(_ policy: PlacementPolicy) throws {
        let hosts = (1...UInt64(4_500)).map { number in
            host(number, rack: "r\(number / 40)", cpu: number == 4_450 ? 4_000 : 1_000)
        }
        var engine = try PlacementEngine(hosts: hosts, allocations: [])
        engine.setPolicy(policy, of: PodID(bits: 1))
        #expect(try engine.place(request(1, cpu: 3_000), at: .zero).host == HostID(bits: 4_450))
        for number in 2...UInt64(4_501) { _ = try engine.place(request(number), at: .zero) }
        let isFull = (try? engine.place(request(5_000), at: .zero)) == nil
        #expect(isFull)
        #expect(engine.violations() == [])
    }

    /// Terms hold in each of many pods, the last as the first.
    @Test(arguments: [UInt64(3), 64, 65, 100]) func termsHoldInManyPods(_ number: UInt64) throws {
        let hosts = (1...UInt64(100)).map { number in
            var host = host(number)
            host.pod = PodID(bits: number)
            return host
        }
        var engine = try PlacementEngine(hosts: hosts, allocations: [])
        func pinned(_ instance: UInt64, party: UInt64, _ tenancy: PlacementTenancy = .shared) -> PlacementRequest {
            var request = request(instance, party: party)
            request.pod = PodID(bits: number)
            request.tenancy = tenancy
            return request
        }
        let alone = pinned(2, party: 2, PlacementTenancy(pod: .exclusive))
        _ = try engine.place(pinned(1, party: 1), at: .zero)
        let beside = try engine.explain(alone, at: .zero)
        #expect(beside.fallen.contains { $0.rule == .tenancyPod && $0.hosts == 1 })
        #expect(beside.changes.contains(.sharing(.tenancyPod)))
        engine.release(InstanceID(bits: 1))
        #expect(try engine.place(alone, at: .zero).host == HostID(bits: number))
        let isRefused = (try? engine.place(pinned(1, party: 1), at: .zero)) == nil
        #expect(isRefused)
        #expect(try engine.place(pinned(3, party: 2), at: .zero).host == HostID(bits: number))
        engine.release(InstanceID(bits: 2))
        #expect(try engine.place(pinned(1, party: 1), at: .zero).host == HostID(bits: number))
        #expect(engine.violations() == [])
    }

    /// Full hosts first, so that others stay empty; empty ones first when a pod spreads.
    @Test func policiesPreferWhatTheySay() throws {
        let hosts = (1...UInt64(20)).map { host($0, rack: "r\($0 / 5)") }
        for (policy, used) in [(PlacementPolicy.packing, 5), (.firstFit, 5), (.spreading, 20)] {
            var engine = try PlacementEngine(hosts: hosts, allocations: [])
            engine.setPolicy(policy, of: PodID(bits: 1))
            for number in 1...UInt64(20) { _ = try engine.place(request(number), at: .zero) }
            #expect(hosts.count { !engine.instances(on: $0.id).isEmpty } == used)
        }
    }
}
