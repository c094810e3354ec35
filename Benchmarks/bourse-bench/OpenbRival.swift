import Fleet
import Foundation
import Primitives
import Traces

/// The policies that the FGD paper compares, after the simulator published with it, to see that its figures come out of this
/// protocol: random 87.47 %, best fit 93.08 %, FGD 95.39 % on *default*, means over seeds 42–51.
struct OpenbRival {
    enum Rule { case random, bestFit, fgd }

    private let rule: Rule
    private let trace: OpenbTrace
    private let workload: GPUWorkload
    private var generator: SeededGenerator
    /// Ties go to the first.
    private var rooms: [GPURoom]
    private let access: [UInt64]
    private let models: [String]
    /// Fragmentation of each room as it is.
    private var fragmentation: [Int64]
    /// Scores of FGD by shape, and the state of the room they were worked out for.
    private var scores: [GPUShape: [(version: Int, score: Int, gpus: UInt16)]] = [:]
    private var versions: [Int]

    init(_ rule: Rule, _ trace: OpenbTrace, nodes: [Int], _ generator: SeededGenerator) {
        self.rule = rule
        self.trace = trace
        self.generator = generator
        // The paper's shapes are processor and GPUs; memory is no part of them.
        let workload = GPUWorkload(typicalOf: trace.pods.map { Self.withoutMemory($0.shape) })
        let rooms = nodes.map { trace.nodes[$0].room }
        let access = nodes.map { workload.access(to: trace.nodes[$0].model) }
        (self.workload, self.rooms, self.access) = (workload, rooms, access)
        models = nodes.map { trace.nodes[$0].model }
        fragmentation = zip(rooms, access).map { workload.fragmentation(of: $0, access: $1) }
        versions = Array(repeating: 0, count: rooms.count)
    }

    mutating func run(_ pods: [Int]) -> OpenbReplay.Outcome {
        var outcome = OpenbReplay.Outcome()
        for pod in pods {
            let shape = trace.pods[pod].shape
            outcome.arrivals += 1
            guard let (host, gpus) = choose(shape) else {
                outcome.refused += 1
                continue
            }
            rooms[host].take(shape, gpus: gpus)
            fragmentation[host] = workload.fragmentation(of: rooms[host], access: access[host])
            versions[host] += 1
            outcome.take(shape)
        }
        return outcome
    }

    private mutating func choose(_ shape: GPUShape) -> (host: Int, gpus: UInt16)? {
        let fitting = rooms.indices.filter { rooms[$0].fits(shape) && shape.accepts(model: models[$0]) }
        guard !fitting.isEmpty else { return nil }
        switch rule {
        case .random:
            let host = fitting[Int.random(in: fitting.indices, using: &generator)]
            return (host, randomGPUs(shape, rooms[host]))
        case .bestFit:
            let host = bestFit(shape, fitting)
            return (host, fullestGPU(shape, rooms[host]))
        case .fgd: return steepest(shape, fitting)
        }
    }

    private mutating func randomGPUs(_ shape: GPUShape, _ room: GPURoom) -> UInt16 {
        guard shape.isShare else { return room.wholeGPUBits(shape.gpus) }
        let able = (0..<GPURoom.mostGPUs).filter { Int64(room.gpus[$0]) >= shape.milliEach }
        return 1 << UInt16(able[Int.random(in: able.indices, using: &generator)])
    }

    // MARK: Best fit

    /// What is left of processor and GPUs, half and half, as shares of the largest host's 128 processors and 8 GPUs; scores are whole
    /// numbers up to 100, stretched to that range.
    private func bestFit(_ shape: GPUShape, _ fitting: [Int]) -> Int {
        let scores = fitting.map { host in
            let cpu = Double(rooms[host].milliCPU - shape.milliCPU) / 128_000
            let gpu = Double(rooms[host].milliGPU - shape.milliGPU) / 8_000
            return Int((1 - cpu / 2 - gpu / 2) * 100)
        }
        let (lowest, highest) = (scores.min() ?? 0, scores.max() ?? 0)
        let stretched = scores.map { highest == lowest ? 0 : ($0 - lowest) * 100 / (highest - lowest) }
        return fitting[stretched.firstIndex(of: stretched.max() ?? 0) ?? 0]
    }

    private func fullestGPU(_ shape: GPUShape, _ room: GPURoom) -> UInt16 {
        guard shape.isShare else { return room.wholeGPUBits(shape.gpus) }
        let able = (0..<GPURoom.mostGPUs).filter { Int64(room.gpus[$0]) >= shape.milliEach }
        return 1 << UInt16(able.min { room.gpus[$0] < room.gpus[$1] } ?? 0)
    }

    // MARK: Fragmentation gradient descent

    private mutating func steepest(_ shape: GPUShape, _ fitting: [Int]) -> (host: Int, gpus: UInt16) {
        var known = scores.removeValue(forKey: shape) ?? Array(repeating: (-1, 0, 0), count: rooms.count)
        var best = (host: -1, score: -1, gpus: UInt16(0))
        for host in fitting {
            if known[host].version != versions[host] {
                let (score, gpus) = score(shape, host)
                known[host] = (versions[host], score, gpus)
            }
            if known[host].score > best.score { best = (host, known[host].score, known[host].gpus) }
        }
        scores[shape] = known
        return (best.host, best.gpus)
    }

    /// 100 × σ(fall / 1,000), cut to a whole number; the coarseness and the fixed order of ties are what makes it pack.
    private func score(_ shape: GPUShape, _ host: Int) -> (Int, UInt16) {
        func score(_ fall: Int64) -> Int { Int(100 / (1 + exp(-Double(fall) / Double(workload.totalWeight) / 1_000))) }
        let room = rooms[host]
        guard shape.isShare else {
            let (gpus, fall) = workload.fragmentationFall(placing: shape, in: room, before: fragmentation[host], access: access[host])
            return (score(fall), gpus)
        }
        var best = (score: -1, gpus: UInt16(0))
        for gpu in 0..<GPURoom.mostGPUs where Int64(room.gpus[gpu]) >= shape.milliEach {
            var left = room
            left.take(shape, gpus: 1 << UInt16(gpu))
            let now = score(fragmentation[host] - workload.fragmentation(of: left, access: access[host]))
            if now > best.score { best = (now, 1 << UInt16(gpu)) }
        }
        return best
    }

    private static func withoutMemory(_ shape: GPUShape) -> GPUShape {
        GPUShape(milliCPU: shape.milliCPU, gpus: shape.gpus, milliEach: max(shape.milliEach, 1), models: shape.models)
    }
}
