/// What an instance asks of a host with GPUs.
public struct GPUShape: Hashable, Sendable {
    public var milliCPU: Int64
    /// 0: memory is not looked at.
    public var memoryMiB: Int64
    /// 0...16. Whole ones, or one of which it takes a share.
    public var gpus: Int
    /// Thousandths of each GPU: 1...1000, below 1000 only with one GPU; 0 without GPUs.
    public var milliEach: Int64
    /// Any of these models; empty: any model.
    public var models: [String]

    public init(milliCPU: Int64, memoryMiB: Int64 = 0, gpus: Int, milliEach: Int64 = 1_000, models: [String] = []) {
        precondition(milliCPU >= 0 && memoryMiB >= 0 && (0...GPURoom.mostGPUs).contains(gpus), "a shape is within a host")
        precondition(gpus == 0 || (1...1_000).contains(milliEach) && (gpus == 1 || milliEach == 1_000), "GPUs are whole, or one is shared")
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
        self.gpus = gpus
        self.milliEach = gpus == 0 ? 0 : milliEach
        self.models = models.sorted()
    }

    public var milliGPU: Int64 { Int64(gpus) * milliEach }
    public var isShare: Bool { gpus == 1 && milliEach < 1_000 }

    public func accepts(model: String?) -> Bool { gpus == 0 || models.isEmpty || model.map(models.contains) ?? false }
}

extension GPUShape: Comparable {
    /// By processor, share, number of GPUs, models, memory.
    public static func < (a: Self, b: Self) -> Bool {
        if (a.milliCPU, a.milliEach, a.gpus) != (b.milliCPU, b.milliEach, b.gpus) {
            return (a.milliCPU, a.milliEach, a.gpus) < (b.milliCPU, b.milliEach, b.gpus)
        }
        if a.models != b.models { return a.models.lexicographicallyPrecedes(b.models) }
        return a.memoryMiB < b.memoryMiB
    }
}
