/// What is free on a host of what GPU instances need.
public struct GPURoom: Hashable, Sendable {
    public var milliCPU: Int64
    public var memoryMiB: Int64
    /// Thousandths free of each GPU; 0 where there is none.
    public var gpus: SIMD16<Int16>

    public static let mostGPUs = 16

    public init(milliCPU: Int64, memoryMiB: Int64, gpus: SIMD16<Int16>) {
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
        self.gpus = gpus
    }

    /// A host with nothing on it.
    public init(milliCPU: Int64, memoryMiB: Int64, gpuCount: Int) {
        precondition((0...Self.mostGPUs).contains(gpuCount), "a host has at most 16 GPUs")
        self.init(milliCPU: milliCPU, memoryMiB: memoryMiB, gpus: .zero)
        for gpu in 0..<gpuCount { gpus[gpu] = 1_000 }
    }

    public var milliGPU: Int64 {
        var sum: Int64 = 0
        for gpu in 0..<Self.mostGPUs { sum += Int64(gpus[gpu]) }
        return sum
    }

    public var wholeGPUs: Int {
        var count = 0
        for gpu in 0..<Self.mostGPUs where gpus[gpu] == 1_000 { count += 1 }
        return count
    }

    /// Whether there is room, whatever the model.
    public func fits(_ shape: GPUShape) -> Bool {
        milliCPU >= shape.milliCPU && memoryMiB >= shape.memoryMiB && hasGPUs(shape)
    }

    func hasGPUs(_ shape: GPUShape) -> Bool {
        guard shape.gpus > 0 else { return true }
        var able = 0
        for gpu in 0..<Self.mostGPUs where Int64(gpus[gpu]) >= shape.milliEach { able += 1 }
        return able >= shape.gpus
    }

    /// The first whole GPUs, as bits.
    public func wholeGPUBits(_ count: Int) -> UInt16 {
        var bits: UInt16 = 0
        for gpu in 0..<Self.mostGPUs where gpus[gpu] == 1_000 && bits.nonzeroBitCount < count { bits |= 1 << UInt16(gpu) }
        precondition(bits.nonzeroBitCount == count, "not enough whole GPUs")
        return bits
    }

    /// Takes what a shape wants, on these GPUs.
    public mutating func take(_ shape: GPUShape, gpus bits: UInt16) {
        precondition(bits.nonzeroBitCount == shape.gpus, "as many GPUs as the shape wants")
        milliCPU -= shape.milliCPU
        memoryMiB -= shape.memoryMiB
        for gpu in 0..<Self.mostGPUs where bits >> UInt16(gpu) & 1 == 1 { gpus[gpu] -= Int16(shape.milliEach) }
        precondition(milliCPU >= 0 && memoryMiB >= 0 && all(gpus .>= 0), "more is taken of a host than it has")
    }

    public mutating func giveBack(_ shape: GPUShape, gpus bits: UInt16) {
        milliCPU += shape.milliCPU
        memoryMiB += shape.memoryMiB
        for gpu in 0..<Self.mostGPUs where bits >> UInt16(gpu) & 1 == 1 { gpus[gpu] += Int16(shape.milliEach) }
        precondition(all(gpus .<= 1_000), "more is given back to a GPU than was taken")
    }
}
