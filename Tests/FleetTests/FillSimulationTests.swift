import Fleet
import Primitives
import Testing

@Suite struct FillSimulationTests {
    private func world(_ sizes: [Resources]) throws -> PlacementEngine {
        var engine = PlacementEngine()
        for (number, size) in sizes.enumerated() {
            try engine.add(
                PlacementHost(id: HostID(bits: UInt64(number) + 1), zone: "a", pod: PodID(bits: 1), rack: "r", capacity: size))
        }
        return engine
    }

    private func shape(_ name: String, _ resources: Resources, _ share: Int64) -> FillSimulation.Shape {
        .init(
            name: name, request: PlacementRequest(instance: InstanceID(bits: 0), party: ParticipantID(bits: 1), resources: resources),
            share: share)
    }

    /// One shape fits as often as whole lots of it fit the hosts; the world it was asked of stays as it was.
    @Test(arguments: 0..<10 as Range<UInt64>) func oneShapeFitsAsOftenAsCounted(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let sizes = (0..<20).map { _ in
            Resources(
                milliCPU: Int64.random(in: 1...64, using: &generator) * 1_000,
                memoryMiB: Int64.random(in: 1...256, using: &generator) * 1_024,
                diskMiB: Int64.random(in: 1...2_000, using: &generator) * 1_024)
        }
        let lot = Resources(
            milliCPU: Int64.random(in: 1...8, using: &generator) * 500, memoryMiB: Int64.random(in: 1...16, using: &generator) * 512,
            diskMiB: 20_480)
        let engine = try world(sizes)
        var simulation = try FillSimulation(of: engine, shapes: [shape("lot", lot, 1)], at: .zero)
        while try simulation.run(7) {}
        #expect(simulation.total == sizes.map { $0.wholeLots(of: lot) }.reduce(0, +))
        #expect(engine.allocationCount == 0)
        let end = try #require(simulation.end)
        let binding = try #require(end.binding)
        #expect(end.components.allSatisfy { $0.short <= (end.components.first { $0.name == binding }?.short ?? 0) })
        let left = sizes.map { $0 - lot * $0.wholeLots(of: lot) }
        for component in end.components {
            let free = left.map { host in host.components.first { $0.name == component.name }?.amount ?? 0 }
            #expect(component.free == free.reduce(0, +) && component.short == free.count { $0 < component.needed })
        }
    }

    @Test func sharesAreKept() throws {
        let small = Resources(milliCPU: 1_000, memoryMiB: 1_024, diskMiB: 1_024)
        let engine = try world([small * 100, small * 100])
        var simulation = try FillSimulation(of: engine, shapes: [shape("one", small, 5), shape("two", small * 2, 2)], at: .zero)
        _ = try simulation.run(70)
        #expect(simulation.placed == [50, 20])
        #expect(throws: Refusal.self) { try FillSimulation(of: engine, shapes: [shape("none", small, 0)], at: .zero) }
    }

    /// What was learned from the lives as they went on, and from their records afterwards, is the same but for when it was worked out.
    @Test(arguments: 1...6 as ClosedRange<UInt64>) func aHistoryTeachesWhatWasSeen(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var seen = LifetimePredictor()
        var lives: [LifetimeRecord] = []
        for step in 0..<400 as Range<Int64> {
            let now = Instant(seconds: step * 300)
            _ = seen.advance(to: now)
            let batch = Int.random(in: 0..<4, using: &generator)
            for _ in 0..<batch {
                let life = LifetimeRecord(
                    instance: InstanceID(bits: UInt64(lives.count)),
                    resources: Resources(milliCPU: 1_000 << Int64.random(in: 0..<4, using: &generator), memoryMiB: 4_096),
                    batch: batch, began: now, ended: nil)
                _ = seen.start(life.instance, life.resources, batch: batch)
                lives.append(life)
            }
            for index in lives.indices where lives[index].ended == nil && lives[index].began < now {
                guard Int.random(in: 0..<20, using: &generator) == 0 else { continue }
                lives[index].ended = now
                seen.end(lives[index].instance)
            }
        }
        let last = Instant(seconds: 400 * 300)
        var learned = LifetimePredictor(history: lives.reversed(), at: last)
        // Both fit at the next whole hour.
        let hour = Instant(seconds: 36 * 3_600)
        #expect(Set(seen.advance(to: hour)) == Set(learned.advance(to: hour)))
        #expect(seen.living == learned.living)
        for batch in [1, 2, 6] {
            let size = Resources(milliCPU: 2_000, memoryMiB: 4_096)
            #expect(seen.outlook(size, batch: batch) == learned.outlook(size, batch: batch))
        }
    }
}
