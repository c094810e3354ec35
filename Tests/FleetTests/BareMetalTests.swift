import Fleet
import Primitives
import Testing

/// Hosts that are one machine's alone.
@Suite struct BareMetalTests {
    private static let size = Resources(milliCPU: 16_000, memoryMiB: 65_536, diskMiB: 500_000)
    private static let small = Resources(milliCPU: 1_000, memoryMiB: 1_024, diskMiB: 10_000)

    private func host(_ number: UInt64, _ kind: PlacementHost.Kind = .metal) -> PlacementHost {
        var host = PlacementHost(id: HostID(bits: number), zone: "a", pod: PodID(bits: 1), rack: "r", capacity: Self.size)
        host.kind = kind
        return host
    }

    private func request(_ number: UInt64, _ resources: Resources = small, kind: PlacementHost.Kind? = .metal) -> PlacementRequest {
        var request = PlacementRequest(instance: InstanceID(bits: number), party: ParticipantID(bits: 1), resources: resources)
        request.kind = kind
        return request
    }

    @Test func aHostHasOneMachine() throws {
        var engine = try PlacementEngine(hosts: [host(1), host(2), host(3, .virtual)], allocations: [])
        let first = try engine.place(request(1), at: .zero)
        #expect(try engine.place(request(2), at: .zero).host != first.host)
        let full = try engine.explain(request(3), at: .zero)
        #expect(full.fitting == 0 && full.fallen.contains { $0.rule == .occupied && $0.hosts == 2 }, "\(full)")
        #expect(full.changes == [.kind(.virtual)])
        #expect(try engine.place(request(4, kind: nil), at: .zero).host == HostID(bits: 3), "who asks for neither shares no metal")
        #expect(try engine.place(request(5, kind: .virtual), at: .zero).host == HostID(bits: 3))
        engine.release(InstanceID(bits: 1))
        #expect(try engine.reserve(request(6), until: Instant(seconds: 9), at: .zero).host == first.host)
        #expect(throws: Refusal.self) { try engine.place(request(7), at: .zero) }
        #expect(engine.expire(at: Instant(seconds: 9)) == [InstanceID(bits: 6)])
        #expect(try engine.place(request(7), at: .zero).host == first.host && engine.violations() == [])
    }

    @Test func aGangTakesAHostForEachMember() throws {
        var engine = try PlacementEngine(hosts: (1...3).map { host($0) }, allocations: [])
        let refused = #expect(throws: Refusal.self) { try engine.place(gang: (1...4).map { request($0) }, at: .zero) }
        #expect(refused?.nearest == "the first 3 instances of the 4" && refused?.facts["fitting"] == 3, "\(refused as Any)")
        #expect(Set(try engine.place(gang: (1...3).map { request($0) }, at: .zero).map(\.host)).count == 3)
    }

    /// There is room beside it, and it goes all the same.
    @Test func aFirmMachineSendsAnInterruptibleOneAway() throws {
        var engine = try PlacementEngine(hosts: [host(1), host(2)], allocations: [])
        _ = try engine.place(request(1), at: .zero)
        var soft = request(2)
        soft.interruptible = true
        let taken = try engine.place(soft, at: .zero).host
        let firm = request(3, Self.size)
        let proposal = try #require(try engine.preemption(for: firm, at: .zero))
        #expect(proposal.host == taken && proposal.victims == [soft.instance])
        #expect(try engine.explain(firm, at: .zero).changes == [.preempting([soft.instance], on: taken)])
        engine.release(soft.instance)
        #expect(try engine.place(firm, at: .zero).host == taken)
        #expect(try engine.preemption(for: request(4), at: .zero) == nil, "both are firm")
    }

    /// Whoever would leave takes the terms along under which nobody else may be there.
    @Test func anExclusiveMachineIsPreemptedToo() throws {
        var soft = request(1)
        (soft.interruptible, soft.tenancy, soft.party) = (true, .exclusiveHost, ParticipantID(bits: 7))
        let there = PlacementAllocation(request: soft, host: HostID(bits: 1))
        let engine = try PlacementEngine(hosts: [host(1)], allocations: [there])
        #expect(try engine.preemption(for: request(2), at: .zero)?.victims == [soft.instance])
    }

    /// Hardware is by its name, not by its size.
    @Test func aProfileIsNoOther() throws {
        var (seven, nine) = (host(1), host(2))
        (seven.profile, nine.profile) = ("r7", "r9")
        var engine = try PlacementEngine(hosts: [seven, nine], allocations: [])
        var wanted = request(1)
        wanted.profile = "r9"
        #expect(try engine.place(wanted, at: .zero).host == nine.id)
        wanted.instance = InstanceID(bits: 2)
        let full = try engine.explain(wanted, at: .zero)
        #expect(full.fallen.map(\.rule) == [.profile, .occupied] && full.changes == [.profile("r7")])
    }

    /// Two on one host, as when a pod was something else before: both have to go.
    @Test func whatIsThereTogetherLeavesTogether() throws {
        let there = ([1, 2] as [UInt64]).map { number in
            var soft = request(number)
            soft.interruptible = true
            return PlacementAllocation(request: soft, host: HostID(bits: 1))
        }
        let engine = try PlacementEngine(hosts: [host(1)], allocations: there)
        #expect(try engine.preemption(for: request(3), at: .zero)?.victims == there.map(\.request.instance).sorted())
    }

    /// What is sold whole is offered neither smaller nor without its GPUs.
    @Test func nothingSmallerIsOffered() throws {
        var terms = InstanceTerms()
        terms.kind = .metal
        let engine = try PlacementEngine(hosts: [host(1)], allocations: [])
        for tooMuch in [
            Resources(milliCPU: 17_000, memoryMiB: 1), Resources(milliCPU: 1, memoryMiB: 1, milliGPU: 1_000),
            Resources(milliCPU: 17_000, memoryMiB: 99_999),
        ] {
            var request = request(1, tooMuch)
            #expect(try engine.explain(request, at: .zero).changes != [])
            request.fixed = HeldTerms(terms)
            #expect(try engine.explain(request, at: .zero).changes == [])
        }
    }
}
