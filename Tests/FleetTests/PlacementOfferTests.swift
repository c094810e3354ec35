import Fleet
import Primitives
import Testing

/// What a no offers: it fits when it is done, and it is within what the product fixes.
@Suite struct PlacementOfferTests {
    private func host(_ number: UInt64, zone: String = "a", cpu: Int64 = 4_000, memory: Int64 = 8_192, iops: Int64 = 0) -> PlacementHost {
        PlacementHost(
            id: HostID(bits: number), zone: zone, pod: PodID(bits: zone == "a" ? 1 : 2), rack: "r1",
            capacity: Resources(milliCPU: cpu, memoryMiB: memory, diskMiB: 100_000, iops: iops))
    }

    private func request(_ number: UInt64, cpu: Int64 = 1_000, memory: Int64 = 1_024, disk: Int64 = 0) -> PlacementRequest {
        PlacementRequest(
            instance: InstanceID(bits: number), party: ParticipantID(bits: 1),
            resources: Resources(milliCPU: cpu, memoryMiB: memory, diskMiB: disk))
    }

    /// The refusal, after its changes were each tried.
    private func refusal(_ engine: PlacementEngine, _ request: PlacementRequest) throws -> Refusal {
        var engine = engine
        for change in try engine.explain(request, at: .zero).changes {
            if case .preempting = change { continue }
            let fits = (try? engine.find(request.applying(change), at: .zero)) != nil
            #expect(fits, "\(change)")
        }
        return try #require(throws: Refusal.self) { _ = try engine.find(request, at: .zero) }
    }

    private func fixed(_ change: (inout InstanceTerms) -> Void) -> HeldTerms {
        var terms = InstanceTerms()
        change(&terms)
        return HeldTerms(terms)
    }

    // MARK: What the product fixes

    @Test func aZoneThatTheProductFixesIsNotGivenUp() throws {
        let engine = try PlacementEngine(hosts: [host(1), host(2, zone: "b")], allocations: [])
        var pinned = request(1)
        (pinned.zone, pinned.fixed) = ("a", fixed { $0.zone = "a" })
        pinned.pod = PodID(bits: 2)
        #expect(try refusal(engine, pinned).nearest == "pod \(PodID(bits: 1))")
        (pinned.pod, pinned.host) = (nil, HostID(bits: 2))
        #expect(try refusal(engine, pinned).nearest == "host \(HostID(bits: 1))")
        (pinned.host, pinned.avoiding) = (nil, [HostID(bits: 1)])
        #expect(try refusal(engine, pinned).nearest == "one of the hosts to avoid")
        (pinned.avoiding, pinned.resources.milliCPU) = ([], 5_000)
        #expect(try refusal(engine, pinned).nearest == "1 fewer vCPU (4 instead of 5)")
        pinned.fixed = .none
        pinned.resources.milliCPU = 1_000
        pinned.avoiding = [HostID(bits: 1)]
        #expect(try refusal(engine, pinned).nearest == "zone b", "the buyer's own zone may go")
    }

    @Test func tenancyThatTheProductFixesIsNotGivenUp() throws {
        var engine = try PlacementEngine(hosts: [host(1), host(2, zone: "b")], allocations: [])
        try engine.setState(.cordoned, of: HostID(bits: 1))
        var alone = request(1)
        (alone.zone, alone.tenancy) = ("a", .exclusiveHost)
        alone.fixed = fixed { ($0.zone, $0.tenancy) = ("a", .exclusiveHost) }
        #expect(try refusal(engine, alone).nearest == "the same once a host is up that can take it")
        try engine.setState(.up, of: HostID(bits: 1))
        var other = request(2)
        (other.party, other.host) = (ParticipantID(bits: 2), HostID(bits: 1))
        _ = try engine.place(other, at: .zero)
        #expect(try refusal(engine, alone).nearest == "the same once a host is up that can take it")
        alone.fixed = fixed { $0.zone = "a" }
        #expect(try refusal(engine, alone).nearest == "shared instead of other terms of tenancy at the host")
    }

    @Test func aStricterWishThanTheProductsMayBeDropped() throws {
        var hosts = [host(1), host(2)]
        for index in hosts.indices { hosts[index].ratios = Oversubscription(cpu: 4_000, memory: 1_500, disk: 2_000) }
        let engine = try PlacementEngine(hosts: hosts, allocations: [])
        var strict = request(1)
        strict.largestOversubscription = Oversubscription(cpu: 1_000, memory: 1_000, disk: 1_000)
        strict.fixed = fixed { $0.largestOversubscription = Oversubscription(cpu: 100_000, memory: 1_000_000, disk: 1_000_000) }
        #expect(
            try refusal(engine, strict).nearest
                == "an oversubscription of up to 4000 milli of processor, 1500 of memory and 2000 of disk")
        strict.fixed = fixed { $0.largestOversubscription = Oversubscription(cpu: 1_000, memory: 1_000_000, disk: 1_000_000) }
        #expect(try refusal(engine, strict).nearest == "the same once a host is up that can take it", "the product promises the processor")
    }

    /// Whatever is offered, alone or together, leaves what the product fixes as it is.
    @Test(arguments: 0..<30 as Range<UInt64>) func noOfferLeavesTheProduct(_ seed: UInt64) throws {
        var scene = PlacementScene(seed: seed)
        var engine = try PlacementEngine(hosts: (1...UInt64(8)).map { scene.host($0) }, allocations: [])
        var offers = 0
        for _ in 0..<150 {
            var request = scene.request()
            request.fixed = fixed {
                if scene.chance(50) { $0.zone = request.zone }
                if scene.chance(50) { $0.kind = request.kind }
                if scene.chance(50) { $0.profile = request.profile }
                if scene.chance(50) { $0.storage = request.storage }
                if scene.chance(50) { $0.jurisdiction = request.jurisdiction }
                if scene.chance(50) { $0.largestOversubscription = request.largestOversubscription }
                if scene.chance(50) { $0.tenancy = request.tenancy }
                if scene.chance(50) { $0.gpu = request.gpu }
            }
            let terms = request.fixed.value
            for change in try engine.explain(request, at: .zero).changes {
                let changed = request.applying(change)
                offers += 1
                #expect(terms.zone == nil || changed.zone == terms.zone, "\(change)")
                #expect(terms.kind == nil || changed.kind == terms.kind, "\(change)")
                #expect(terms.profile == nil || changed.profile == terms.profile, "\(change)")
                #expect(terms.storage == nil || changed.storage == terms.storage, "\(change)")
                #expect(terms.jurisdiction == nil || changed.jurisdiction == terms.jurisdiction, "\(change)")
                if let most = terms.largestOversubscription { #expect(changed.largestOversubscription == most, "\(change)") }
                if terms.tenancy != .shared { #expect(changed.tenancy == terms.tenancy, "\(change)") }
                if let gpu = terms.gpu, !gpu.models.isEmpty { #expect(changed.gpu?.models ?? gpu.models == gpu.models, "\(change)") }
            }
            _ = try? engine.place(request, at: .zero)
        }
        #expect(offers > 5)
    }

    @Test func theTermsOfAPoolThatIsAHostAreThePools() throws {
        var engine = try PlacementEngine(hosts: [host(1)], allocations: [])
        var other = request(1)
        other.party = ParticipantID(bits: 2)
        _ = try engine.place(other, at: .zero)
        var alone = request(2)
        (alone.tenancy, alone.poolIsHost) = (.exclusiveHost, true)
        #expect(try refusal(engine, alone).nearest == "shared instead of other terms of tenancy at the pool")
    }

    // MARK: Smaller

    /// A host that lacks least of all but has nothing of one component is not the only one that is looked at.
    @Test func lessOfSeveralIsFoundOnAnyHost() throws {
        var engine = try PlacementEngine(
            hosts: [host(1, cpu: 200_000, memory: 60_000), host(2, cpu: 100_000, memory: 30_000), host(3, cpu: 64_000, memory: 9_000)],
            allocations: [])
        var full = request(9, cpu: 200_000, memory: 1)
        full.host = HostID(bits: 1)
        _ = try engine.place(full, at: .zero)
        #expect(
            try refusal(engine, request(1, cpu: 256_000, memory: 65_536, disk: 99_000)).nearest
                == "156 fewer vCPU (100 instead of 256) and 35536 fewer memoryMiB (30000 instead of 65536)")
    }

    @Test func whatNoHostHasIsLeftOut() throws {
        let engine = try PlacementEngine(hosts: [host(1), host(2)], allocations: [])
        var wanting = request(1)
        wanting.resources.iops = 500
        #expect(try refusal(engine, wanting).nearest == "500 fewer iops (0 instead of 500)")
        let some = try PlacementEngine(hosts: [host(1), host(2, iops: 100)], allocations: [])
        #expect(try refusal(some, wanting).nearest == "400 fewer iops (100 instead of 500)")
        wanting.resources.milliCPU = 9_000
        #expect(try refusal(some, wanting).nearest == "5 fewer vCPU (4 instead of 9) and 400 fewer iops (100 instead of 500)")
    }

    @Test func lessOfSeveralFitsIntoOneCell() throws {
        var celled = host(1, cpu: 8_000)
        celled.cells = [PlacementHost.Cell(milliCPU: 2_000, memoryMiB: 4_096), PlacementHost.Cell(milliCPU: 6_000, memoryMiB: 4_096)]
        let engine = try PlacementEngine(hosts: [celled], allocations: [])
        var bound = request(1, cpu: 10_000, memory: 10_000)
        bound.numa = true
        #expect(
            try refusal(engine, bound).nearest == "4 fewer vCPU (6 instead of 10) and 5904 fewer memoryMiB (4096 instead of 10000)")
    }

    @Test func amountsThatNoHostCanHaveAreCutToWhatFits() throws {
        let engine = try PlacementEngine(hosts: [host(1), host(2, zone: "b", cpu: 8_000)], allocations: [])
        let huge = request(0, disk: 10_000_000_000)
        let refused = #expect(throws: Refusal.self) { try engine.explain(huge, at: .zero) }
        #expect(refused?.rule == "placement.resources")
        #expect(refused?.nearest == "9999900000 fewer diskMiB (100000 instead of 10000000000)")
        #expect(refused?.message == "Each amount must be from 0 to 2147483646; diskMiB is 10000000000.")
        let negative = #expect(throws: Refusal.self) { try engine.explain(request(1, cpu: -1), at: .zero) }
        #expect(negative?.nearest == "amounts from 0 to 2147483646")
        var occupancy = Occupancy()
        let network = try #require(GuestNetwork("10.77.0.1/26"))
        occupancy.setHost(Occupancy.HostEntry(host(1), network: network))
        let free = Resources(milliCPU: 4_000, memoryMiB: 8_192, diskMiB: 20_000_000_000)
        #expect(occupancy.largest(huge, within: free, at: .zero)?.diskMiB == 100_000)
    }

    // MARK: Names

    /// Looking for a place takes no name, so that none can be in the way.
    @Test func noInstanceIsInTheWayOfALook() throws {
        var occupancy = Occupancy()
        for number in UInt64(1)...2 {
            let network = try #require(GuestNetwork("10.77.0.1/26"))
            occupancy.setHost(Occupancy.HostEntry(host(number), network: network))
        }
        var terms = InstanceTerms()
        terms.numa = true
        for number in UInt64(0)...1 {
            occupancy.set(
                InstanceID(bits: number),
                Occupancy.Holding(
                    contract: ContractID(bits: 1), party: ParticipantID(bits: 1), host: HostID(bits: 1),
                    resources: Resources(milliCPU: 1_000, memoryMiB: 1_024), address: nil, desired: .running, state: .running,
                    generation: 1, executed: nil, terms: HeldTerms(terms), spot: PlacementSpot(gpus: [], cell: 0)))
        }
        for number in UInt64(0)...1 {
            let needs = Resources(milliCPU: 1_000, memoryMiB: 1_024)
            let found = try occupancy.target(of: InstanceID(bits: number), needing: needs, preferring: nil, at: .zero)
            #expect(found.host == HostID(bits: 2) && found.cell == 0)
            var bound = request(number)
            bound.numa = true
            #expect(try occupancy.decide(bound, at: .zero).cell == 0)
        }
        #expect(occupancy.violations() == [])
    }
}
