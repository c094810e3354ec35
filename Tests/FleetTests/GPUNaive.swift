import Fleet
import Primitives

/// The measures written straight from their definitions, one GPU and one shape at a time, and random hosts to try them on.
enum GPUNaive {
    struct Machine {
        var cpu: Int
        var memory: Int
        var gpus: [Int]
        var model: String?

        var room: GPURoom {
            var lanes = SIMD16<Int16>.zero
            for (index, free) in gpus.enumerated() { lanes[index] = Int16(free) }
            return GPURoom(milliCPU: Int64(cpu), memoryMiB: Int64(memory), gpus: lanes)
        }
    }

    /// F_n(M) of the paper: for each task m of the workload F_n(m), the GPUs of n that m could not be given.
    static func fragmentation(_ machine: Machine, _ workload: [(shape: GPUShape, count: Int64)]) -> Int64 {
        workload.reduce(0) { sum, entry in sum + entry.count * Int64(unusable(machine, by: entry.shape)) }
    }

    private static func unusable(_ machine: Machine, by shape: GPUShape) -> Int {
        let all = machine.gpus.reduce(0, +)
        let enough = machine.gpus.filter { $0 >= Int(shape.milliEach) }
        let mayRun = shape.models.isEmpty || shape.models.contains(machine.model ?? "")
        guard shape.gpus > 0, mayRun, machine.cpu >= Int(shape.milliCPU), enough.count >= shape.gpus else { return all }
        return all - enough.reduce(0, +)
    }

    /// How many of each shape can be put on the machine one by one until no more fits.
    static func usability(_ machine: Machine, _ workload: [(shape: GPUShape, count: Int64)]) -> Int64 {
        workload.reduce(0) { sum, entry in sum + entry.count * copies(of: entry.shape, on: machine) }
    }

    private static func copies(of shape: GPUShape, on machine: Machine) -> Int64 {
        guard shape.gpus > 0, shape.models.isEmpty || shape.models.contains(machine.model ?? "") else { return 0 }
        var machine = machine
        var copies: Int64 = 0
        while put(shape, on: &machine) { copies += 1 }
        return copies
    }

    private static func put(_ shape: GPUShape, on machine: inout Machine) -> Bool {
        let able = machine.gpus.indices.filter { machine.gpus[$0] >= Int(shape.milliEach) }.prefix(shape.gpus)
        guard able.count == shape.gpus, machine.cpu >= Int(shape.milliCPU), machine.memory >= Int(shape.memoryMiB) else { return false }
        for gpu in able { machine.gpus[gpu] -= Int(shape.milliEach) }
        machine.cpu -= Int(shape.milliCPU)
        machine.memory -= Int(shape.memoryMiB)
        return true
    }

    // MARK: Random cases

    static func machine(_ random: inout SeededGenerator) -> Machine {
        let free = [0, 0, 190, 470, 500, 530, 1_000, 1_000, 1_000, 7, 830]
        return Machine(
            cpu: Int.random(in: 0...64_000, using: &random), memory: Int.random(in: 0...500_000, using: &random),
            gpus: (0..<Int.random(in: 0...16, using: &random)).map { _ in
                Bool.random(using: &random)
                    ? free[Int.random(in: 0..<free.count, using: &random)] : Int.random(in: 0...1_000, using: &random)
            }, model: ["A", "B", nil][Int.random(in: 0..<3, using: &random)])
    }

    static func shape(_ random: inout SeededGenerator) -> GPUShape {
        let gpus = [0, 1, 1, 1, 1, 2, 4, 8][Int.random(in: 0..<8, using: &random)]
        let each = gpus == 1 && Bool.random(using: &random) ? Int64.random(in: 50...999, using: &random) : 1_000
        return GPUShape(
            milliCPU: Int64.random(in: 64...24_000, using: &random),
            memoryMiB: Bool.random(using: &random) ? 0 : Int64.random(in: 64...200_000, using: &random), gpus: gpus, milliEach: each,
            models: Int.random(in: 0..<4, using: &random) == 0 ? ["B"] : [])
    }

    static func workload(_ random: inout SeededGenerator) -> [(shape: GPUShape, count: Int64)] {
        var counts: [GPUShape: Int64] = [:]
        for _ in 0..<Int.random(in: 1...30, using: &random) { counts[shape(&random)] = Int64.random(in: 1...900, using: &random) }
        return counts.map { (shape: $0.key, count: $0.value) }
    }
}
