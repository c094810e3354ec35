import Fleet
import Primitives
import Testing

/// The engine beside the naive one, through everything that can happen.
@Suite struct PlacementEngineTests {
    /// One town: both engines, and what is done to them.
    fileprivate struct Town {
        var scene: PlacementScene
        var engine = PlacementEngine()
        var naive = NaivePlacement()
        var now = Instant(seconds: 1_000)
        var placements = 0
        var refusals = 0
        var changesTried = 0

        init(seed: UInt64) throws {
            scene = PlacementScene(seed: seed)
            for number in 1...UInt64(scene.pick([4, 8, 12])) { try add(number) }
            for pod in 1...UInt64(3) { engine.setPolicy(scene.pick([.packing, .spreading, .firstFit]), of: PodID(bits: pod)) }
        }

        mutating func add(_ number: UInt64) throws {
            let host = scene.host(number)
            try engine.add(host)
            naive.hosts.append(host)
        }

        mutating func step() throws {
            switch Int.random(in: 0..<100, using: &scene.generator) {
            case 0..<60: try place(scene.request(), reservedUntil: nil)
            case 60..<66: try place(scene.request(), reservedUntil: now + .seconds(.random(in: 1...20, using: &scene.generator)))
            case 66..<78: release()
            case 78..<82: try expire()
            case 82..<84: try confirm()
            case 84..<88: try move()
            case 88..<92: try resize()
            case 92..<96: try changeState()
            default: try changeHosts()
            }
        }
    }

    @Test(arguments: 0..<60) func theEngineDoesWhatTheRulesSay(_ seed: UInt64) throws {
        var town = try Town(seed: seed)
        for step in 0..<120 {
            try town.step()
            #expect(town.naive.isSound)
            if step % 10 == 0 { #expect(town.engine.violations() == []) }
            for host in town.naive.hosts { #expect(town.engine.free(host.id) == town.naive.free(host)) }
        }
        #expect(town.engine.violations() == [])
        #expect(town.engine.allocationCount == town.naive.placed.count)
        #expect(town.placements > 5)
    }

    /// The chance above does reach what it is to reach.
    @Test func refusalsAndChangesAreMet() throws {
        var (refusals, changes) = (0, 0)
        for seed in UInt64(100)..<106 {
            var town = try Town(seed: seed)
            for _ in 0..<120 { try town.step() }
            refusals += town.refusals
            changes += town.changesTried
        }
        #expect(refusals > 30)
        #expect(changes > 30)
    }

    @Test func theSameCallsGiveTheSameDecisions() throws {
        var (one, two) = (try Town(seed: 5), try Town(seed: 5))
        for _ in 0..<200 {
            try one.step()
            try two.step()
        }
        #expect(one.naive.placed.map(\.host) == two.naive.placed.map(\.host))
    }

    /// An engine made from what another one has says the same about everything.
    @Test(arguments: 200..<210) func rebuiltItIsTheSame(_ seed: UInt64) throws {
        var town = try Town(seed: seed)
        for _ in 0..<150 { try town.step() }
        let allocations = town.naive.placed.map {
            PlacementAllocation(request: $0.request, host: $0.host, gpus: $0.gpus, cell: $0.cell, reservedUntil: $0.reservedUntil)
        }
        let rebuilt = try PlacementEngine(hosts: town.naive.hosts, allocations: allocations)
        #expect(rebuilt.violations() == [])
        for host in town.naive.hosts {
            #expect(rebuilt.free(host.id) == town.engine.free(host.id))
            #expect(rebuilt.instances(on: host.id) == town.engine.instances(on: host.id))
        }
        for _ in 0..<40 {
            let request = town.scene.request()
            let counts = (try? town.engine.explain(request, at: town.now))?.fallen
            #expect((try? rebuilt.explain(request, at: town.now))?.fallen == counts)
        }
    }

    /// A copy is a world of its own.
    @Test func whatIfLeavesTheEngineAlone() throws {
        var town = try Town(seed: 9)
        for _ in 0..<60 { try town.step() }
        let before = town.naive.hosts.map { town.engine.free($0.id) }
        var copy = town.engine
        for _ in 0..<60 { _ = try? copy.place(town.scene.request(), at: town.now) }
        for host in town.naive.hosts { for instance in copy.instances(on: host.id) { copy.release(instance) } }
        #expect(town.naive.hosts.map { town.engine.free($0.id) } == before)
        #expect(town.engine.violations() == [])
        #expect(copy.violations() == [])
        #expect(copy.allocationCount == 0)
    }
}

extension PlacementEngineTests.Town {
    mutating func place(_ request: PlacementRequest, reservedUntil: Instant?) throws {
        let (fits, fallen) = (naive.fits(request), naive.fallen(request))
        let explanation = try engine.explain(request, at: now)
        #expect(Dictionary(uniqueKeysWithValues: explanation.fallen.map { ($0.rule, $0.hosts) }) == fallen, "\(request)")
        #expect(explanation.fitting == naive.hosts.count - fallen.values.reduce(0, +))
        do throws(Refusal) {
            let decision: PlacementDecision
            if let reservedUntil {
                decision = try engine.reserve(request, until: reservedUntil, at: now)
            } else {
                decision = try engine.place(request, at: now)
            }
            #expect(naive.firstBroken(request, naive.host(decision.host)) == nil)
            naive.placed.append(
                .init(request: request, host: decision.host, gpus: decision.gpus, cell: decision.cell, reservedUntil: reservedUntil))
            placements += 1
        } catch {
            let refusal = error
            #expect(!fits, "\(refusal)")
            #expect(refusal.rule == "placement.capacity")
            #expect(refusal.nearest == explanation.changes.first?.description ?? "the same once a host is up that can take it")
            refusals += 1
            for change in explanation.changes { expectTrue(change, request) }
        }
    }

    /// With the change made, the request fits.
    mutating func expectTrue(_ change: PlacementChange, _ request: PlacementRequest) {
        changesTried += 1
        var changed = naive
        if case .preempting(let victims, let host) = change {
            #expect(
                victims.allSatisfy { victim in
                    naive.placed.contains { $0.request.instance == victim && $0.request.interruptible && $0.host == host }
                })
            changed.placed.removeAll { victims.contains($0.request.instance) }
        }
        let request = request.applying(change)
        #expect(changed.fits(request), "\(change) does not make \(request) fit")
    }

    mutating func release() {
        guard let index = naive.placed.indices.randomElement(using: &scene.generator) else { return }
        let (first, second) = (engine.release(naive.placed[index].request.instance), engine.release(naive.placed[index].request.instance))
        #expect(first && !second)
        naive.placed.remove(at: index)
    }

    mutating func expire() throws {
        now = now + .seconds(.random(in: 1...10, using: &scene.generator))
        let due = naive.placed.filter { $0.reservedUntil.map { $0 <= now } ?? false }.map(\.request.instance)
        let gone = engine.expire(at: now)
        #expect(Set(gone) == Set(due))
        naive.placed.removeAll { due.contains($0.request.instance) }
    }

    mutating func confirm() throws {
        guard let index = naive.placed.firstIndex(where: { $0.reservedUntil != nil }) else { return }
        try engine.confirm(naive.placed[index].request.instance)
        naive.placed[index].reservedUntil = nil
        let instance = naive.placed[index].request.instance
        let again = (try? engine.confirm(instance)) != nil
        #expect(!again)
    }

    mutating func move() throws {
        guard let index = naive.placed.indices.randomElement(using: &scene.generator) else { return }
        let old = naive.placed.remove(at: index)
        var request = old.request
        request.host = nil
        var elsewhere = request
        elsewhere.avoiding.append(old.host)
        let fits = naive.fits(elsewhere)
        let decision = try? engine.move(request, at: now)
        #expect((decision != nil) == fits)
        guard let decision else { return naive.placed.append(old) }
        #expect(decision.host != old.host)
        #expect(naive.firstBroken(elsewhere, naive.host(decision.host)) == nil)
        naive.placed.append(
            .init(request: request, host: decision.host, gpus: decision.gpus, cell: decision.cell, reservedUntil: old.reservedUntil))
    }

    mutating func resize() throws {
        guard let index = naive.placed.indices.randomElement(using: &scene.generator) else { return }
        var resized = naive
        var resources = scene.resources()
        resources.milliGPU = naive.placed[index].request.resources.milliGPU
        resized.placed[index].request.resources = resources
        let done = (try? engine.resize(naive.placed[index].request.instance, to: resources)) != nil
        #expect(done == resized.isSound)
        if done { naive = resized }
    }

    mutating func changeState() throws {
        guard let index = naive.hosts.indices.randomElement(using: &scene.generator) else { return }
        naive.hosts[index].state = scene.pick([.up, .up, .suspect, .cordoned])
        try engine.setState(naive.hosts[index].state, of: naive.hosts[index].id)
    }

    mutating func changeHosts() throws {
        let missing = (1...UInt64(14)).filter { number in !naive.hosts.contains { $0.id.bits == number } }
        if scene.chance(50), let number = missing.randomElement(using: &scene.generator) { return try add(number) }
        guard let index = naive.hosts.indices.randomElement(using: &scene.generator) else { return }
        let id = naive.hosts[index].id
        let isEmpty = !naive.placed.contains { $0.host == id }
        if scene.chance(50) {
            let isGone = (try? engine.remove(id)) != nil
            #expect(isGone == isEmpty)
            if isEmpty { naive.hosts.remove(at: index) }
        } else if isEmpty {
            naive.hosts[index] = scene.host(id.bits)
            try engine.update(naive.hosts[index])
        } else {
            naive.hosts[index].capacity.milliCPU += 1_000
            naive.hosts[index].cells = naive.hosts[index].cells
            try engine.update(naive.hosts[index])
        }
    }
}
