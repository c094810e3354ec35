import Fleet
import Primitives
import Testing

@Suite struct GPUPlacementTests {
    private static let pod = PodID(bits: 7)
    private static let now = Instant(microseconds: 0)

    private static func host(_ number: UInt64, cpu: Int64, gpus: Int, model: String = "T4") -> PlacementHost {
        var host = PlacementHost(
            id: HostID(bits: number), zone: "a", pod: pod, rack: "r",
            capacity: Resources(milliCPU: cpu, memoryMiB: 1_000_000, milliGPU: Int64(gpus) * 1_000))
        host.gpuCount = gpus
        host.gpuModel = model
        return host
    }

    private static func request(_ number: UInt64, cpu: Int64, gpus: Int, each: Int64 = 1_000) -> PlacementRequest {
        var request = PlacementRequest(
            instance: InstanceID(bits: number), party: ParticipantID(bits: 1), resources: Resources(milliCPU: cpu, memoryMiB: 1_000))
        if gpus > 0 { request.gpu = .init(count: gpus, milliEach: each) }
        return request
    }

    /// One host with a GPU and 8 processors, one with two and 16; half of those who come want half a GPU, half a whole one, all with
    /// 4 processors.
    private static func pair() throws -> PlacementEngine {
        var engine = PlacementEngine()
        engine.setPolicy(.gpuFragmentation, of: pod)
        engine.setGPUWorkload(
            GPUWorkload([(GPUShape(milliCPU: 4_000, gpus: 1), 1_000), (GPUShape(milliCPU: 4_000, gpus: 1, milliEach: 500), 1_000)]))
        try engine.add(host(1, cpu: 8_000, gpus: 1))
        try engine.add(host(2, cpu: 16_000, gpus: 2))
        return engine
    }

    @Test func aSmallTraceByHand() throws {
        var engine = try Self.pair()
        // A share on host 1 leaves 1 half of 1 whole and 2 halves: 1 instance and 1 half of the usual are lost. The same on host 2, but
        // that is a step further.
        let first = try engine.place(Self.request(1, cpu: 4_000, gpus: 1, each: 500), at: Self.now)
        #expect(first.host == HostID(bits: 1) && first.gpus == [0] && first.cost == 1_000_000)
        // The other half: half an instance.
        let second = try engine.place(Self.request(2, cpu: 4_000, gpus: 1, each: 500), at: Self.now)
        #expect(second.host == HostID(bits: 1) && second.gpus == [0] && second.cost == 500_000)
        // Host 2 from now on: 2 whole and 4 halves fit, then 1 and 2, of which the processors take one.
        let third = try engine.place(Self.request(3, cpu: 4_000, gpus: 1), at: Self.now)
        #expect(third.host == HostID(bits: 2) && third.gpus == [0] && third.cost == 1_500_000)
        let fourth = try engine.place(Self.request(4, cpu: 11_000, gpus: 1), at: Self.now)
        #expect(fourth.host == HostID(bits: 2) && fourth.gpus == [1])
        let refusal = #expect(throws: Refusal.self) {
            var engine = engine
            _ = try engine.place(Self.request(5, cpu: 1_000, gpus: 1, each: 100), at: Self.now)
        }
        #expect(refusal?.rule == "placement.capacity")
        #expect(engine.free(HostID(bits: 1))?.milliGPU == 0)
        #expect(engine.free(HostID(bits: 2))?.milliGPU == 0)
        // An instance without GPUs takes what no GPU instance can use.
        let last = try engine.place(Self.request(6, cpu: 1_000, gpus: 0), at: Self.now)
        #expect(last.host == HostID(bits: 2))
    }

    @Test func aGPUBegunFurtherOnIsBetterThanAWholeOneNear() throws {
        var engine = try Self.pair()
        var pinned = Self.request(1, cpu: 4_000, gpus: 1, each: 500)
        pinned.host = HostID(bits: 2)
        _ = try engine.place(pinned, at: Self.now)
        let decision = try engine.place(Self.request(2, cpu: 4_000, gpus: 1, each: 500), at: Self.now)
        #expect(decision.host == HostID(bits: 2) && decision.gpus == [0])
    }

    @Test func hostsOfDifferentHardwareAreFilledInTurn() throws {
        var engine = PlacementEngine()
        engine.setPolicy(.gpuFragmentation, of: Self.pod)
        // Joined one kind after the other; two of the first kind to one of the second.
        for number in 1...4 { try engine.add(Self.host(UInt64(number), cpu: 4_000, gpus: 1)) }
        for number in 5...6 { try engine.add(Self.host(UInt64(number), cpu: 4_001, gpus: 1)) }
        engine.setGPUWorkload(GPUWorkload([(GPUShape(milliCPU: 4_000, gpus: 1), 1_000)]))
        let order = try (1...6).map { try engine.place(Self.request($0, cpu: 4_000, gpus: 1), at: Self.now).host.bits }
        #expect(order == [1, 5, 2, 3, 6, 4])
    }

    /// Random instances come and go. What each holds is kept here GPU by GPU: no GPU is given more than once, a place is found whenever
    /// there is one, and what the engine says of a host's fragmentation is what the definition says of what is left.
    @Test(arguments: UInt64(1)...12) func noGPUIsGivenTwice(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let counted = GPUNaive.workload(&random)
        var engine = PlacementEngine()
        engine.setPolicy(.gpuFragmentation, of: Self.pod)
        engine.setGPUWorkload(GPUWorkload(counted))
        var machines: [UInt64: GPUNaive.Machine] = [:]
        for number in UInt64(1)...20 {
            let (cpu, gpus) = (Int.random(in: 8_000...96_000, using: &random), Int.random(in: 1...8, using: &random))
            let model = Bool.random(using: &random) ? "A" : "B"
            try engine.add(Self.host(number, cpu: Int64(cpu), gpus: gpus, model: model))
            machines[number] = GPUNaive.Machine(
                cpu: cpu, memory: 1_000_000, gpus: Array(repeating: 1_000, count: gpus), model: model)
        }
        var held: [UInt64: (host: UInt64, shape: GPUShape, gpus: [Int])] = [:]
        for instance in UInt64(1)...600 {
            if let gone = held.keys.sorted().randomElement(using: &random), Int.random(in: 0..<3, using: &random) == 0 {
                let released = engine.release(InstanceID(bits: gone))
                #expect(released)
                if let was = held.removeValue(forKey: gone) { Self.change(&machines, was, sign: 1) }
            }
            let shape = GPUNaive.shape(&random)
            var request = Self.request(instance, cpu: shape.milliCPU, gpus: shape.gpus, each: shape.milliEach)
            request.resources.memoryMiB = shape.memoryMiB
            request.gpu?.models = shape.models
            guard let decision = try? engine.place(request, at: Self.now) else {
                #expect(!machines.values.contains { $0.room.fits(shape) && shape.accepts(model: $0.model) })
                continue
            }
            let holding = (host: decision.host.bits, shape: shape, gpus: decision.gpus)
            #expect(decision.gpus.count == shape.gpus)
            held[instance] = holding
            Self.change(&machines, holding, sign: -1)
            let machine = try #require(machines[decision.host.bits])
            #expect(machine.gpus.allSatisfy { (0...1_000).contains($0) } && machine.cpu >= 0 && machine.memory >= 0)
        }
        #expect(engine.violations().isEmpty)
        let total = max(1, counted.reduce(0) { $0 + $1.count })
        for (number, machine) in machines {
            #expect(engine.gpuFragmentation(of: HostID(bits: number)) == GPUNaive.fragmentation(machine, counted) / total)
        }
    }

    private static func change(
        _ machines: inout [UInt64: GPUNaive.Machine], _ holding: (host: UInt64, shape: GPUShape, gpus: [Int]), sign: Int
    ) {
        for gpu in holding.gpus { machines[holding.host]?.gpus[gpu] += sign * Int(holding.shape.milliEach) }
        machines[holding.host]?.cpu += sign * Int(holding.shape.milliCPU)
        machines[holding.host]?.memory += sign * Int(holding.shape.memoryMiB)
    }
}
