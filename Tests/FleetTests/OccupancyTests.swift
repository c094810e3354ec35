import Fleet
import Primitives
import Testing

@Suite struct OccupancyTests {
    private static let shapes = [
        Resources(milliCPU: 1_000, memoryMiB: 2_048, diskMiB: 10_000), Resources(milliCPU: 2_000, memoryMiB: 8_192, diskMiB: 20_000),
        Resources(milliCPU: 4_000, memoryMiB: 8_192, diskMiB: 40_000), Resources(milliCPU: 500, memoryMiB: 512, diskMiB: 5_000),
    ]

    private func entry(_ number: UInt64, _ state: Host.State = .up) throws -> Occupancy.HostEntry {
        var host = PlacementHost(
            id: HostID(bits: number), zone: number % 2 == 0 ? "a" : "b", pod: PodID(bits: 1), rack: "r",
            capacity: Resources(milliCPU: 8_000 + Int64(number % 3) * 4_000, memoryMiB: 32_768, diskMiB: 200_000))
        host.state = state
        return Occupancy.HostEntry(host, network: try #require(GuestNetwork("10.77.0.1/26")))
    }

    private func holding(
        _ shape: Resources, on host: HostID, _ address: UInt32?, _ state: InstanceLifecycle.State = .running
    ) -> Occupancy.Holding {
        Occupancy.Holding(
            contract: ContractID(bits: UInt64(shape.milliCPU)), party: ParticipantID(bits: 1), host: host, resources: shape,
            address: address, desired: .running,
            state: state, generation: 1, executed: nil)
    }

    /// Why one host does not take an instance, whatever keeps it off the others.
    @Test func theRuleThatKeepsAnInstanceOffAHostIsNamed() throws {
        var occupancy = Occupancy()
        for number in 1...5 as ClosedRange<UInt64> { occupancy.setHost(try entry(number, number == 5 ? .cordoned : .up)) }
        func put(_ number: UInt64, on host: UInt64, _ party: UInt64, _ shape: Resources, _ tenancy: PlacementTenancy = .shared) {
            var terms = InstanceTerms()
            terms.tenancy = tenancy
            var made = holding(shape, on: HostID(bits: host), UInt32(0x0a4d_0002 + number))
            (made.party, made.terms) = (ParticipantID(bits: party), HeldTerms(terms))
            occupancy.set(InstanceID(bits: number), made)
        }
        let small = Self.shapes[0]
        put(1, on: 1, 1, small)
        put(2, on: 2, 2, small, .exclusiveHost)
        put(3, on: 3, 1, Resources(milliCPU: 1_000, memoryMiB: 32_000, diskMiB: 10))
        func rule(_ host: UInt64) throws -> PlacementRule? {
            try occupancy.obstacle(of: InstanceID(bits: 1), needing: small, to: HostID(bits: host), at: .zero)
        }
        #expect(try rule(2) == .tenancyHost && rule(3) == .memoryMiB && rule(4) == nil && rule(5) == .state)
        #expect(occupancy.tenants(of: HostID(bits: 2)) == [InstanceID(bits: 2)])
        #expect(occupancy.violations() == [])
    }

    /// A host that shrank below what is on it takes nothing, whatever else is said of it, until that fits again.
    @Test func ahostWithTooMuchOnItStaysClosed() throws {
        var occupancy = Occupancy()
        let large = Resources(milliCPU: 6_000, memoryMiB: 8_192, diskMiB: 40_000)
        var one = try entry(1)
        let whole = one.placement.capacity
        occupancy.setHost(one)
        occupancy.set(InstanceID(bits: 1), holding(large, on: one.id, 0x0a4d_000a))
        occupancy.set(InstanceID(bits: 2), holding(Self.shapes[0], on: one.id, 0x0a4d_000b))
        one.placement.capacity.milliCPU = 5_000
        occupancy.setHost(one)
        let small = PlacementRequest(instance: InstanceID(bits: 9), party: ParticipantID(bits: 1), resources: Self.shapes[3])
        #expect((try? occupancy.decide(small, at: .zero)) == nil)
        // As after a start: what is on it is told after what it is.
        var again = Occupancy()
        again.setHost(one)
        for number in [1, 2] as [UInt64] { again.set(InstanceID(bits: number), occupancy[InstanceID(bits: number)]) }
        for state in [Host.State.cordoned, .up] {
            one.state = state
            one.placement.hasTunnel.toggle()
            again.setHost(one)
            #expect((try? again.decide(small, at: .zero)) == nil, "\(state)")
        }
        one.placement.capacity = whole
        again.setHost(one)
        #expect(try again.decide(small, at: .zero).host == one.id && again.violations() == [])
    }

    /// What is off gives nothing when it leaves, and what arrives is no machine of its own.
    @Test func onlyWhatRunsIsAskedToLeave() throws {
        var occupancy = Occupancy()
        occupancy.setHost(try entry(1))
        let all = Resources(milliCPU: 12_000, memoryMiB: 16_384, diskMiB: 120_000)
        var soft = holding(all, on: HostID(bits: 1), 0x0a4d_000a)
        var terms = InstanceTerms()
        terms.interruptible = true
        soft.terms = HeldTerms(terms)
        let firm = PlacementRequest(instance: InstanceID(bits: 9), party: ParticipantID(bits: 1), resources: all)
        occupancy.set(InstanceID(bits: 1), soft)
        #expect(try occupancy.preemption(for: firm, at: .zero)?.victims == [InstanceID(bits: 1)])
        soft.isArriving = true
        occupancy.set(InstanceID(bits: 1), soft)
        #expect(try occupancy.preemption(for: firm, at: .zero) == nil)
        (soft.isArriving, soft.state) = (false, .stopped)
        occupancy.set(InstanceID(bits: 1), soft)
        #expect(try occupancy.preemption(for: firm, at: .zero) == nil)
        var metal = try entry(1)
        metal.placement.kind = .metal
        occupancy.set(InstanceID(bits: 1), nil)
        occupancy.setHost(metal)
        terms.kind = .metal
        soft.terms = HeldTerms(terms)
        occupancy.set(InstanceID(bits: 1), soft)
        #expect(try occupancy.preemption(for: firm, at: .zero)?.victims == [InstanceID(bits: 1)], "off, and the host is its own")
    }

    /// Finds a host exactly when the plain rules over a list of hosts do, and counts as a list of instances does.
    @Test(arguments: 0..<40 as Range<UInt64>) func decidesAndCountsLikeTheNaiveOne(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var occupancy = Occupancy()
        var naive: [InstanceID: Occupancy.Holding] = [:]
        for number in 1...12 as ClosedRange<UInt64> { occupancy.setHost(try entry(number)) }
        for step in 0..<300 as Range<UInt64> {
            let shape = try #require(Self.shapes.randomElement(using: &generator))
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<6:
                let zone = [nil, "a", "b"].randomElement(using: &generator) ?? nil
                let hosts = try (1...12 as ClosedRange<UInt64>).map { number in
                    let entry = try #require(occupancy.host(HostID(bits: number)))
                    let taken = naive.values.filter { $0.host == entry.id }.map(\.allocated).reduce(.zero, +)
                    return Host(id: entry.id, zone: entry.zone, state: entry.state, promised: entry.promised, allocated: taken)
                }
                let fits = hosts.contains { $0.state == .up && shape.fits(in: $0.free) && (zone ?? $0.zone) == $0.zone }
                var request = PlacementRequest(instance: InstanceID(bits: step), party: ParticipantID(bits: 1), resources: shape)
                request.zone = zone
                let found = Result { () throws(Refusal) in try occupancy.place(request, at: .zero) }
                switch (found, fits) {
                case (.success(let host), true):
                    #expect(hosts.contains { $0.id == host && $0.state == .up && shape.fits(in: $0.free) && (zone ?? $0.zone) == $0.zone })
                case (.failure(let refusal), false): #expect(refusal.rule == "placement.capacity")
                default: Issue.record("\(found) where a host fits: \(fits)")
                }
                guard case .success(let host) = found, let address = occupancy.freeAddress(on: host) else { continue }
                let made = holding(shape, on: host, address)
                occupancy.set(InstanceID(bits: step), made)
                naive[InstanceID(bits: step)] = made
            case 6..<8:
                guard let id = naive.keys.sorted().randomElement(using: &generator), var held = naive[id] else { continue }
                held.state = held.state == .running ? .stopped : .running
                if held.state == .running, (try? occupancy.checkRoomToStart(id)) == nil { continue }
                held.generation += 1
                occupancy.set(id, held)
                naive[id] = held
            case 8:
                guard let id = naive.keys.sorted().randomElement(using: &generator) else { continue }
                let before = occupancy.set(id, nil)
                if Bool.random(using: &generator) { occupancy.set(id, before) } else { naive[id] = nil }
            default:
                occupancy.setHost(try entry(UInt64.random(in: 1...12, using: &generator), Bool.random(using: &generator) ? .up : .cordoned))
            }
        }
        #expect(occupancy.violations() == [])
        #expect(occupancy.instanceCount == naive.count)
        for (contract, held) in Dictionary(grouping: naive.values, by: \.contract) {
            #expect(occupancy.usage(of: contract).resources == held.map(\.resources).reduce(.zero, +))
        }
    }

    /// Hardware may shrink below what is there: nothing new goes there until enough has left.
    @Test func aHostThatShrankTakesNothingUntilItFits() throws {
        var occupancy = Occupancy()
        var small = try entry(2)
        occupancy.setHost(small)
        for number in 1...3 as ClosedRange<UInt64> {
            occupancy.set(InstanceID(bits: number), holding(Self.shapes[1], on: small.id, UInt32(number)))
        }
        small.placement.capacity.milliCPU = 5_000
        occupancy.setHost(small)
        let request = PlacementRequest(instance: InstanceID(bits: 9), party: ParticipantID(bits: 1), resources: Self.shapes[3])
        #expect(throws: Refusal.self) { try occupancy.place(request, at: .zero) }
        occupancy.set(InstanceID(bits: 1), nil)
        #expect(try occupancy.place(request, at: .zero) == small.id)
        #expect(occupancy.violations() == [])
    }

    /// A stopped instance keeps its disk; others may have taken its processor and memory meanwhile.
    @Test func aStartNeedsRoomWhereTheDiskIs() throws {
        var occupancy = Occupancy()
        let host = try entry(2)
        occupancy.setHost(host)
        let (stopped, other) = (InstanceID(bits: 1), InstanceID(bits: 2))
        var held = holding(Self.shapes[2], on: host.id, 1, .stopped)
        held.resources.memoryMiB = 20_000
        occupancy.set(stopped, held)
        try occupancy.checkRoomToStart(stopped)
        var running = holding(Self.shapes[2], on: host.id, 2)
        running.resources.memoryMiB = 20_000
        occupancy.set(other, running)
        let full = #expect(throws: Refusal.self) { try occupancy.checkRoomToStart(stopped) }
        #expect(full?.rule == "placement.capacity" && full?.nearest == "the same once 7232 memoryMiB more are free there")
        #expect(full?.facts["component"] == .text("memoryMiB") && full?.facts["free"] == .number(12_768))
        occupancy.set(other, nil)
        try occupancy.checkRoomToStart(stopped)
        occupancy.setHost(try entry(2, .cordoned))
        let closed = #expect(throws: Refusal.self) { try occupancy.checkRoomToStart(stopped) }
        #expect(closed?.facts["state"] == .text("cordoned"))
        #expect(occupancy.violations() == [])
    }

    @Test func aDigestDoesNotKnowOrderButContent() {
        var (a, b) = (SetDigest(), SetDigest())
        a.insert(1, 2, 3)
        a.insert(4, 5, 6)
        b.insert(4, 5, 6)
        b.insert(1, 2, 3)
        #expect(a == b)
        b.remove(1, 2, 3)
        b.insert(1, 3, 2)
        #expect(a != b && a.count == b.count && a.text.utf8.count == 16)
    }
}
