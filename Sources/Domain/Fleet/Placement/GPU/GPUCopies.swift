/// Counts how many instances of each of a list of shapes fit into what is free, without dividing: tables for the GPUs, and
/// multiplication by reciprocals for processor and memory.
struct GPUCopies: Sendable {
    /// Copies that the GPUs allow, one lane for each class of shapes that want the same of GPUs.
    typealias Lanes = SIMD32<UInt16>

    /// Shapes that want the same of GPUs: one share, or so many whole ones.
    private struct Class {
        var lane: Int
        var shapes: Range<Int>
    }

    private struct Row {
        var cpu: Reciprocal
        var memory: Reciprocal
        var weight: Int64
        /// Of the shape among all.
        var bit: UInt64
    }

    private var classes: ContiguousArray<Class> = []
    private var rows: ContiguousArray<Row> = []
    /// By thousandths free of a GPU: copies of each class of shares and single GPUs in that GPU.
    private var ofShare: ContiguousArray<Lanes> = ContiguousArray(repeating: .zero, count: 1_001)
    /// By number of whole GPUs: copies of each class of two or more.
    private var ofWhole: ContiguousArray<Lanes> = ContiguousArray(repeating: .zero, count: GPURoom.mostGPUs + 1)

    /// Shapes without GPUs are left out, and those of classes beyond the 32nd: the rarest, since the commonest shapes come first.
    init(shapes: [GPUShape], weights: [Int64]) {
        var byDemand: [Demand: [Int]] = [:]
        var demands: [Demand] = []
        for (index, shape) in shapes.enumerated() where shape.gpus > 0 {
            let demand = Demand(gpus: shape.gpus, milliEach: shape.milliEach)
            if byDemand[demand] == nil { demands.append(demand) }
            byDemand[demand, default: []].append(index)
        }
        for (lane, demand) in demands.prefix(Lanes.scalarCount).enumerated() {
            let first = rows.count
            for index in byDemand[demand, default: []] {
                rows.append(
                    Row(
                        cpu: Reciprocal(shapes[index].milliCPU), memory: Reciprocal(shapes[index].memoryMiB), weight: weights[index],
                        bit: 1 << UInt64(index)))
            }
            classes.append(Class(lane: lane, shapes: first..<rows.count))
            fill(lane, demand)
        }
    }

    private struct Demand: Hashable {
        var gpus: Int
        var milliEach: Int64
    }

    private mutating func fill(_ lane: Int, _ demand: Demand) {
        if demand.gpus == 1 {
            for free in 0...1_000 { ofShare[free][lane] = UInt16(Int64(free) / demand.milliEach) }
        } else {
            for whole in 0...GPURoom.mostGPUs { ofWhole[whole][lane] = UInt16(whole / demand.gpus) }
        }
    }

    @inline(__always) func lanes(of gpus: SIMD16<Int16>) -> Lanes {
        var lanes = Lanes.zero
        var whole = 0
        for gpu in 0..<GPURoom.mostGPUs where gpus[gpu] > 0 {
            lanes &+= ofShare[Int(gpus[gpu])]
            if gpus[gpu] == 1_000 { whole += 1 }
        }
        return lanes &+ ofWhole[whole]
    }

    /// Σ weight × copies over the shapes in `access`.
    @inline(__always) func count(cpu: Int64, memory: Int64, gpus: Lanes, access: UInt64) -> Int64 {
        let (cpu, memory) = (Reciprocal.bounded(cpu), Reciprocal.bounded(memory))
        var sum: Int64 = 0
        for group in classes {
            let most = UInt64(gpus[group.lane])
            guard most > 0 else { continue }
            for index in group.shapes where access & rows[index].bit != 0 {
                let row = rows[index]
                let copies = min(most, min(row.cpu.quotient(cpu), row.memory.quotient(memory)))
                sum &+= row.weight &* Int64(copies)
            }
        }
        return sum
    }
}

/// Division by a number that stays the same, by multiplication (Granlund and Montgomery, "Division by invariant integers using
/// multiplication", PLDI 1994): exact for numbers below 2²⁴ by divisors below 2²⁰; a divisor below 64 counts as 64, one that is larger
/// as 2²⁰ − 1. Nothing divides by 0: a shape that wants none of a component is not limited by it.
struct Reciprocal: Sendable {
    private var factor: UInt64
    /// All ones when the divisor is 0.
    private var unlimited: UInt64

    init(_ divisor: Int64) {
        let divisor64 = UInt64(min(max(divisor, 64), 1 << 20 - 1))
        factor = (1 << 44) / divisor64 + 1
        unlimited = divisor == 0 ? .max : 0
    }

    /// What can be divided: negative numbers count as 0.
    @inline(__always) static func bounded(_ number: Int64) -> UInt64 { UInt64(min(max(number, 0), 1 << 24 - 1)) }

    @inline(__always) func quotient(_ number: UInt64) -> UInt64 { (number &* factor) >> 44 | unlimited }
}
